//! T-SQL text to statements.
//!
//! sqlparser reads tokens, queries and expressions; statements are read here, because T-SQL needs no
//! semicolons and knows much that sqlparser does not.

mod alter;
pub(crate) mod ast;
mod bulk;
mod calls;
mod chains;
mod control;
mod ddl;
mod dialect;
mod dml;
mod procedure;
mod rpc;
mod security;
mod source;
pub(crate) mod types;
mod wait;

use sqlparser::ast::{Expr, Ident, ObjectName, Query};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

pub(crate) use rpc::procedure_name;

use super::error::{SqlError, SqlResult};
use super::session::state::Declared;
use ast::{Kind, Stmt};

/// Longest batch that is read, in bytes. SQL Server's limit is 65,536 packets.
const MAX_BATCH: usize = 64 << 20;
/// Deepest nesting of parentheses, subqueries and blocks.
const MAX_DEPTH: usize = 48;
/// Longest chain of operators: expressions nest to the left, and every level needs stack.
const MAX_CHAIN: usize = 900;

/// Reads a batch.
pub(crate) fn batch(sql: &str) -> SqlResult<Vec<Stmt>> {
    let mut reader = Reader::new(sql)?;
    let mut statements = Vec::new();
    loop {
        reader.skip_semicolons();
        if reader.at_end() {
            return Ok(statements);
        }
        let line = reader.line();
        let statement = reader.statement(statements.is_empty())?;
        if let (false, Kind::CreateView { .. }) = (statements.is_empty(), &statement.kind) {
            return Err(not_first("CREATE VIEW").at_line(line));
        }
        if let Some(Kind::CreateView { .. }) = statements.first().map(|s: &Stmt| &s.kind) {
            return Err(SqlError::syntax_near("the statement behind CREATE VIEW").at_line(line));
        }
        statements.push(statement);
    }
}

/// Reads an expression that the catalogue kept, such as a column's default.
pub(crate) fn expression(sql: &str) -> SqlResult<Expr> {
    let mut reader = Reader::new(sql)?;
    reader.expr()
}

/// Reads a query that the catalogue kept: a view's.
pub(crate) fn query(sql: &str) -> SqlResult<Box<Query>> {
    Reader::new(sql)?.query()
}

/// Reads a list of parameters as sp_executesql takes it.
pub(crate) fn parameters(sql: &str) -> SqlResult<Vec<Declared>> {
    let mut reader = Reader::new(sql)?;
    let list = reader.list(|r| {
        let name = r.variable()?;
        let _ = r.eat(&["AS"]);
        let ty = r.data_type()?;
        if r.peek_token(&Token::Eq) {
            return Err(SqlError::unsupported("parameters with a default"));
        }
        let output = r.eat(&["OUTPUT"]) || r.eat(&["OUT"]);
        Ok(Declared { name, ty, output })
    })?;
    if reader.at_end() {
        Ok(list)
    } else {
        Err(reader.unexpected())
    }
}

/// A place in a batch.
pub(super) struct Reader {
    inner: Parser<'static>,
    depth: usize,
    text: String,
}

impl Reader {
    pub(super) fn new(sql: &str) -> SqlResult<Self> {
        if sql.len() > MAX_BATCH {
            return Err(SqlError::new(103, "The batch is too long for the emulator.").class(15));
        }
        let tokens = Tokenizer::new(&dialect::T_SQL, sql)
            .tokenize_with_location()
            .map_err(|error| unreadable(&error.message).at_line(line_of(error.location.line)))?;
        chains::check_chains(&tokens)?;
        let inner = Parser::new(&dialect::T_SQL)
            .with_recursion_limit(MAX_DEPTH)
            .with_tokens_with_locations(dialect::fetched(tokens));
        Ok(Self {
            inner,
            depth: 0,
            text: sql.to_owned(),
        })
    }

    pub(super) fn at_end(&self) -> bool {
        self.inner.peek_token_ref().token == Token::EOF
    }

    pub(super) fn skip_semicolons(&mut self) {
        while self.inner.consume_token(&Token::SemiColon) {}
    }

    pub(super) fn line(&self) -> u32 {
        line_of(self.inner.peek_token_ref().span.start.line)
    }

    /// Counts a level of nested statements.
    pub(super) fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if self.depth >= MAX_DEPTH {
            return Err(too_deep());
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// The word `n` tokens ahead, in capitals, if it is one without quotes.
    pub(super) fn word_at(&self, n: usize) -> Option<String> {
        match &self.inner.peek_nth_token_ref(n).token {
            Token::Word(Word {
                value,
                quote_style: None,
                ..
            }) => Some(value.to_uppercase()),
            _ => None,
        }
    }

    pub(super) fn peek(&self, words: &[&str]) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(n, word)| self.word_at(n).as_deref() == Some(word))
    }

    pub(super) fn peek_token(&self, token: &Token) -> bool {
        self.inner.peek_token_ref().token == *token
    }

    /// Takes the words if all of them are next.
    pub(super) fn eat(&mut self, words: &[&str]) -> bool {
        let found = self.peek(words);
        if found {
            for _ in words {
                self.inner.advance_token();
            }
        }
        found
    }

    pub(super) fn eat_token(&mut self, token: &Token) -> bool {
        self.inner.consume_token(token)
    }

    pub(super) fn expect(&mut self, words: &[&str]) -> SqlResult<()> {
        if self.eat(words) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    pub(super) fn expect_token(&mut self, token: &Token) -> SqlResult<()> {
        if self.eat_token(token) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// The syntax error at this place, in SQL Server's words.
    pub(super) fn unexpected(&self) -> SqlError {
        let next = self.inner.peek_token_ref();
        near(next).at_line(line_of(next.span.start.line))
    }

    pub(super) fn ident(&mut self) -> SqlResult<Ident> {
        match &self.inner.peek_token_ref().token {
            Token::Word(word) if word.quote_style.is_some() || !is_reserved(word) => {
                let ident = self.inner.parse_identifier().map_err(|e| self.mapped(&e))?;
                if ident.value.encode_utf16().count() > 128 {
                    return Err(SqlError::new(
                        103,
                        format!(
                            "The identifier that starts with '{}' is too long. Maximum length is 128.",
                            ident.value.chars().take(128).collect::<String>()
                        ),
                    )
                    .class(15)
                    .state(4));
                }
                Ok(ident)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A variable with its `@`.
    pub(super) fn variable(&mut self) -> SqlResult<String> {
        match self.peek_variable() {
            Some(name) => {
                self.inner.advance_token();
                Ok(name)
            }
            None => Err(self.unexpected()),
        }
    }

    pub(super) fn peek_variable(&self) -> Option<String> {
        self.word_at(0)
            .filter(|w| w.starts_with('@') && !w.starts_with("@@"))
            .and_then(|_| match &self.inner.peek_token_ref().token {
                Token::Word(word) => Some(word.value.clone()),
                _ => None,
            })
    }

    pub(super) fn object_name(&mut self) -> SqlResult<ObjectName> {
        if let Token::Word(word) = &self.inner.peek_token_ref().token
            && word.quote_style.is_none()
            && is_reserved(word)
        {
            return Err(self.unexpected());
        }
        self.inner
            .parse_object_name(false)
            .map_err(|e| self.mapped(&e))
    }

    pub(super) fn expr(&mut self) -> SqlResult<Expr> {
        self.inner.parse_expr().map_err(|e| self.mapped(&e))
    }

    /// A literal, a function call or something in parentheses: no binary operator.
    pub(super) fn operand(&mut self) -> SqlResult<Expr> {
        self.inner.parse_prefix().map_err(|e| self.mapped(&e))
    }

    pub(super) fn query(&mut self) -> SqlResult<Box<Query>> {
        self.inner.parse_query().map_err(|e| self.mapped(&e))
    }

    pub(super) fn string(&mut self) -> SqlResult<String> {
        match self.inner.peek_token_ref().token.clone() {
            Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) => {
                self.inner.advance_token();
                Ok(text)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A whole number, with a sign if there is one.
    pub(super) fn integer(&mut self) -> SqlResult<i64> {
        let negative = self.eat_token(&Token::Minus);
        match self.inner.peek_token_ref().token.clone() {
            Token::Number(text, _) => {
                let value: i64 = text.parse().map_err(|_| self.unexpected())?;
                self.inner.advance_token();
                Ok(if negative { -value } else { value })
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Elements with commas between them.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<Vec<T>> {
        let mut items = vec![read(self)?];
        while self.eat_token(&Token::Comma) {
            items.push(read(self)?);
        }
        Ok(items)
    }

    pub(super) fn in_parens<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<T> {
        self.expect_token(&Token::LParen)?;
        let inner = read(self)?;
        self.expect_token(&Token::RParen)?;
        Ok(inner)
    }

    pub(super) fn parser(&mut self) -> &mut Parser<'static> {
        &mut self.inner
    }

    /// sqlparser's complaint in SQL Server's words.
    pub(super) fn mapped(&self, error: &ParserError) -> SqlError {
        let text = match error {
            ParserError::RecursionLimitExceeded => return too_deep(),
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        };
        let found = text.rsplit_once("found: ").map(|(_, rest)| rest);
        let (token, place) = match found.map(|f| f.rsplit_once(" at Line: ").unwrap_or((f, ""))) {
            Some(parts) => parts,
            None => return self.unexpected(),
        };
        let line = place
            .split(',')
            .next()
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or_else(|| self.line());
        let error = match token {
            "EOF" => SqlError::syntax_near(self.last_token()),
            word if KEYWORDS.contains(&word.to_uppercase().as_str()) => {
                SqlError::keyword_near(word)
            }
            other => SqlError::syntax_near(other.trim_matches('\'')),
        };
        error.at_line(line)
    }

    fn last_token(&self) -> String {
        let mut index = self.inner.get_current_index();
        loop {
            match &self.inner.token_at(index).token {
                Token::EOF | Token::Whitespace(_) if index > 0 => index -= 1,
                token => return token.to_string(),
            }
        }
    }
}

fn near(found: &TokenWithSpan) -> SqlError {
    match &found.token {
        Token::EOF => SqlError::syntax_near(""),
        Token::Word(word) if word.quote_style.is_none() && is_reserved(word) => {
            SqlError::keyword_near(&word.value)
        }
        Token::Word(word) => SqlError::syntax_near(&word.value),
        Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) => {
            SqlError::syntax_near(text.chars().take(128).collect::<String>())
        }
        other => SqlError::syntax_near(other),
    }
}

/// T-SQL's reserved words that this engine meets.
const KEYWORDS: &[&str] = &[
    "ADD",
    "ALL",
    "ALTER",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "AUTHORIZATION",
    "BEGIN",
    "BETWEEN",
    "BREAK",
    "BY",
    "CASE",
    "CHECK",
    "CLOSE",
    "CLUSTERED",
    "COALESCE",
    "COLLATE",
    "COLUMN",
    "COMMIT",
    "CONSTRAINT",
    "CONTINUE",
    "CONVERT",
    "CREATE",
    "CROSS",
    "CURSOR",
    "DATABASE",
    "DECLARE",
    "DEFAULT",
    "DELETE",
    "DENY",
    "DESC",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXEC",
    "EXECUTE",
    "EXISTS",
    "FETCH",
    "FOR",
    "FOREIGN",
    "FROM",
    "FULL",
    "FUNCTION",
    "GRANT",
    "GROUP",
    "HAVING",
    "IDENTITY",
    "IF",
    "IN",
    "INDEX",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LEFT",
    "LIKE",
    "MERGE",
    "NOT",
    "NULL",
    "NULLIF",
    "OF",
    "OFF",
    "ON",
    "OPEN",
    "OPTION",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PERCENT",
    "PIVOT",
    "PRIMARY",
    "PRINT",
    "PROC",
    "PROCEDURE",
    "RAISERROR",
    "REFERENCES",
    "RETURN",
    "REVERT",
    "REVOKE",
    "RIGHT",
    "ROLLBACK",
    "SAVE",
    "SCHEMA",
    "SELECT",
    "SET",
    "TABLE",
    "THEN",
    "TO",
    "TOP",
    "TRAN",
    "TRANSACTION",
    "TRIGGER",
    "TRUNCATE",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USE",
    "VALUES",
    "VIEW",
    "WAITFOR",
    "WHEN",
    "WHERE",
    "WHILE",
    "WITH",
];

fn is_reserved(word: &Word) -> bool {
    KEYWORDS.contains(&word.value.to_uppercase().as_str())
}

fn not_first(what: &str) -> SqlError {
    SqlError::new(
        111,
        format!("'{what}' must be the first statement in a query batch."),
    )
    .class(15)
}

fn unreadable(message: &str) -> SqlError {
    if message.contains("nterminated string") {
        return SqlError::new(105, "Unclosed quotation mark after the character string.").class(15);
    }
    if message.contains("comment") {
        return SqlError::new(113, "Missing end comment mark '*/'.").class(15);
    }
    SqlError::new(102, format!("Incorrect syntax: {message}.")).class(15)
}

fn too_deep() -> SqlError {
    SqlError::new(
        191,
        "Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into \
         smaller queries.",
    )
    .class(15)
}

fn line_of(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}
