//! How long a chain of operators may be, looked at before anything is read.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::error::SqlResult;
use super::{MAX_CHAIN, line_of, too_deep};

/// Refuses expressions whose tree would be too deep to walk, before it is built.
pub(super) fn check_chains(tokens: &[TokenWithSpan]) -> SqlResult<()> {
    let mut open = vec![0usize];
    let mut total = 0usize;
    let mut after_union = false;
    for token in tokens {
        let begins =
            matches!(&token.token, Token::Word(w) if begins_statement(w.keyword, after_union));
        if begins && open.len() == 1 {
            total -= open.last_mut().map_or(0, std::mem::take);
        }
        if let Token::Word(word) = &token.token {
            after_union = matches!(
                word.keyword,
                Keyword::UNION | Keyword::ALL | Keyword::EXCEPT | Keyword::INTERSECT
            );
        }
        match &token.token {
            Token::LParen => open.push(0),
            Token::RParen => {
                total -= open.pop().unwrap_or(0);
                if open.is_empty() {
                    open.push(0);
                }
            }
            Token::Comma | Token::SemiColon => total -= open.last_mut().map_or(0, std::mem::take),
            Token::Word(word) if !is_chained(word.keyword) => {}
            Token::EOF
            | Token::Whitespace(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_) => {}
            // Operators, known here or not: sqlparser chains more of them than T-SQL has.
            _ => {
                total += 1;
                if let Some(count) = open.last_mut() {
                    *count += 1;
                }
            }
        }
        if total > MAX_CHAIN {
            return Err(too_deep().at_line(line_of(token.span.start.line)));
        }
    }
    Ok(())
}

/// Statements begin anew; the SELECT after a UNION does not.
fn begins_statement(keyword: Keyword, after_union: bool) -> bool {
    matches!(
        keyword,
        Keyword::INSERT
            | Keyword::UPDATE
            | Keyword::DELETE
            | Keyword::DECLARE
            | Keyword::EXEC
            | Keyword::CREATE
            | Keyword::ALTER
            | Keyword::DROP
            | Keyword::GRANT
            | Keyword::PRINT
            | Keyword::IF
            | Keyword::BEGIN
            | Keyword::SET
    ) || (keyword == Keyword::SELECT && !after_union)
}

fn is_chained(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
            | Keyword::LIKE
            | Keyword::COLLATE
            | Keyword::IS
            | Keyword::JOIN
            | Keyword::CASE
            | Keyword::ELSE
            | Keyword::AT
            | Keyword::BETWEEN
            | Keyword::IN
            // Not in T-SQL, but sqlparser reads them.
            | Keyword::DIV
            | Keyword::XOR
            | Keyword::OVERLAPS
            | Keyword::MEMBER
            | Keyword::MATCH
            | Keyword::REGEXP
            | Keyword::RLIKE
            | Keyword::ILIKE
            | Keyword::SIMILAR
            | Keyword::NOTNULL
            | Keyword::MINUS
            | Keyword::PIVOT
            | Keyword::UNPIVOT
            | Keyword::MATCH_RECOGNIZE
    )
}
