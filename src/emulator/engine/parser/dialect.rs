//! sqlparser's MS SQL dialect, with T-SQL's own idea of where a statement ends.

use std::any::TypeId;

use sqlparser::dialect::{Dialect, MsSqlDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::is_reserved;

/// Wraps [`MsSqlDialect`]: words that begin a statement are no aliases.
#[derive(Debug)]
pub(super) struct TSql(MsSqlDialect);

pub(super) static T_SQL: TSql = TSql(MsSqlDialect {});

/// Words that end the statement before them, or stand after a table or column with a meaning.
const NO_ALIAS: &[&str] = &[
    "ALTER",
    "BEGIN",
    "BREAK",
    "COMMIT",
    "CONTINUE",
    "CREATE",
    "CROSS",
    "DBCC",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DENY",
    "DROP",
    "ELSE",
    "END",
    "EXEC",
    "EXECUTE",
    "FETCH",
    "FOR",
    "FULL",
    "GOTO",
    "GRANT",
    "GROUP",
    "HAVING",
    "IF",
    "INNER",
    "INSERT",
    "INTO",
    "JOIN",
    "KILL",
    "LEFT",
    "MERGE",
    "ON",
    "OPEN",
    "OPTION",
    "ORDER",
    "OUTER",
    "OUTPUT",
    "PRINT",
    "RAISERROR",
    "RETURN",
    "REVERT",
    "REVOKE",
    "RIGHT",
    "ROLLBACK",
    "SAVE",
    "SELECT",
    "SET",
    "THROW",
    "TRUNCATE",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "UPDATE",
    "USE",
    "VALUES",
    "WAITFOR",
    "WHEN",
    "WHERE",
    "WHILE",
    "WINDOW",
    "WITH",
    "FROM",
    "AS",
    "PIVOT",
    "UNPIVOT",
    "TABLESAMPLE",
    "COLLATE",
    "BACKUP",
    "RESTORE",
    "BULK",
    "CLOSE",
];

/// Whether the word that was just read may be an alias.
fn is_alias(explicit: bool, parser: &Parser) -> bool {
    let Token::Word(word) = &parser.get_current_token().token else {
        return explicit;
    };
    let text = word.value.to_uppercase();
    word.quote_style.is_some()
        || !(is_reserved(word) || (!explicit && NO_ALIAS.contains(&text.as_str())))
}

impl Dialect for TSql {
    fn dialect(&self) -> TypeId {
        self.0.dialect()
    }
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }
    fn is_identifier_start(&self, ch: char) -> bool {
        self.0.is_identifier_start(ch)
    }
    fn is_identifier_part(&self, ch: char) -> bool {
        self.0.is_identifier_part(ch)
    }
    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.0.identifier_quote_style(identifier)
    }
    fn convert_type_before_value(&self) -> bool {
        true
    }
    fn supports_dollar_as_money_prefix(&self) -> bool {
        true
    }
    fn supports_eq_alias_assignment(&self) -> bool {
        true
    }
    fn supports_group_by_expr(&self) -> bool {
        true
    }
    fn supports_group_by_with_modifier(&self) -> bool {
        true
    }
    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }
    fn supports_try_convert(&self) -> bool {
        true
    }
    fn supports_boolean_literals(&self) -> bool {
        false
    }
    fn supports_nested_comments(&self) -> bool {
        true
    }
    fn supports_object_name_double_dot_notation(&self) -> bool {
        true
    }
    fn is_select_item_alias(&self, explicit: bool, _: &Keyword, parser: &mut Parser) -> bool {
        is_alias(explicit, parser)
    }
    fn is_table_factor_alias(&self, explicit: bool, _: &Keyword, parser: &mut Parser) -> bool {
        is_alias(explicit, parser)
    }
}

/// Lets `FETCH NEXT @n ROWS` have a variable: sqlparser wants a value there, and takes a placeholder
/// for one.
pub(super) fn fetched(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    // The last two words, the last one first.
    let mut before = [Keyword::NoKeyword; 2];
    for token in &mut tokens {
        match &token.token {
            Token::Whitespace(_) => {}
            Token::Word(word) => {
                let keyword = word.keyword;
                let fetches = matches!(before, [Keyword::NEXT | Keyword::FIRST, Keyword::FETCH]);
                if fetches && word.quote_style.is_none() && word.value.starts_with('@') {
                    token.token = Token::Placeholder(word.value.clone());
                }
                before = [keyword, before[0]];
            }
            _ => before = [Keyword::NoKeyword; 2],
        }
    }
    tokens
}
