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
            Token::Word(_)
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::Gt
            | Token::LtEq
            | Token::GtEq
            | Token::Ampersand
            | Token::Pipe
            | Token::Caret
            | Token::Tilde
            | Token::Period
            | Token::StringConcat
            | Token::DoubleColon
            | Token::LBracket => {
                total += 1;
                if let Some(count) = open.last_mut() {
                    *count += 1;
                }
            }
            _ => {}
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
    )
}
