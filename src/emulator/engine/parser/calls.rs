//! EXEC, OPTION, and the commands to the server itself.

use sqlparser::ast::{Expr, Value};
use sqlparser::tokenizer::Token;

use super::super::error::{SqlError, SqlResult};
use super::Reader;
use super::ast::{Arg, Exec, Kind, QueryOptions};

impl Reader {
    /// DBCC: what it tells of identity values and options.
    pub(super) fn dbcc(&mut self) -> SqlResult<Kind> {
        if self.eat(&["DBCC", "USEROPTIONS"]) {
            return Ok(Kind::UserOptions);
        }
        let what = self.word_at(1).unwrap_or_default();
        if !self.eat(&["DBCC", "CHECKIDENT"]) {
            return Err(SqlError::unsupported(format!("DBCC {what}")));
        }
        let kind = self.in_parens(|r| {
            let table = match r.string() {
                Ok(text) => text,
                Err(_) => r.object_name()?.to_string(),
            };
            if r.eat_token(&Token::Comma) && r.eat(&["RESEED"]) && r.eat_token(&Token::Comma) {
                let value = r.integer()?;
                return Ok(Kind::Reseed(table, value));
            }
            Err(SqlError::unsupported(
                "DBCC CHECKIDENT without RESEED and a value",
            ))
        })?;
        if self.eat(&["WITH"]) {
            self.expect(&["NO_INFOMSGS"])?;
        }
        Ok(kind)
    }

    pub(super) fn exec(&mut self) -> SqlResult<Kind> {
        self.parser().advance_token();
        if self.eat(&["AS"]) {
            return self.execute_as();
        }
        self.executed().map(Kind::Exec)
    }

    /// What stands after EXEC.
    pub(super) fn executed(&mut self) -> SqlResult<Exec> {
        if self.peek_token(&Token::LParen) {
            let text = self.in_parens(Self::expr)?;
            return Ok(Exec::Text(Box::new(text)));
        }
        let result = match self.peek_variable() {
            Some(name) => {
                self.parser().advance_token();
                self.expect_token(&Token::Eq)?;
                Some(name)
            }
            None => None,
        };
        self.call(result)
    }

    pub(super) fn is_call(&self) -> bool {
        self.word_at(0)
            .is_some_and(|w| !super::KEYWORDS.contains(&w.as_str()) && !w.starts_with('@'))
    }

    pub(super) fn call(&mut self, result: Option<String>) -> SqlResult<Exec> {
        let name = self.object_name()?;
        let begins = |r: &Self| match r.word_at(0) {
            Some(w) => {
                let ends = ["BULK", "CHECKPOINT", "DBCC", "KILL", "THROW"].contains(&w.as_str());
                w == "NULL" || w == "DEFAULT" || !(ends || super::KEYWORDS.contains(&w.as_str()))
            }
            None => !r.peek_token(&Token::SemiColon) && !r.at_end(),
        };
        let args = if begins(self) {
            self.list(Self::argument)?
        } else {
            Vec::new()
        };
        Ok(Exec::Procedure { result, name, args })
    }

    fn argument(&mut self) -> SqlResult<Arg> {
        let named = matches!(self.parser().peek_nth_token_ref(1).token, Token::Eq);
        let name = match self.peek_variable() {
            Some(name) if named => {
                self.parser().advance_token();
                self.parser().advance_token();
                Some(name)
            }
            _ => None,
        };
        if self.peek(&["DEFAULT"]) {
            return Err(SqlError::unsupported("EXEC with DEFAULT"));
        }
        // A bare word is a string here: EXEC sp_addrolemember db_owner, bob
        let bare = match &self.parser().peek_token_ref().token {
            Token::Word(word) => {
                !word.value.starts_with('@') && !word.value.eq_ignore_ascii_case("null")
            }
            _ => false,
        };
        let value = if bare {
            let text = self.ident()?.value;
            Expr::Value(Value::NationalStringLiteral(text).into())
        } else {
            self.operand()?
        };
        let output = self.eat(&["OUTPUT"]) || self.eat(&["OUT"]);
        Ok(Arg {
            name,
            value,
            output,
        })
    }

    /// `OPTION (…)` after a query.
    pub(super) fn query_options(&mut self) -> SqlResult<QueryOptions> {
        let mut options = QueryOptions::default();
        if !self.eat(&["OPTION"]) {
            return Ok(options);
        }
        self.in_parens(|r| {
            r.list(|r| {
                if r.eat(&["MAXRECURSION"]) {
                    let most = r.integer()?;
                    if !(0..=32_767).contains(&most) {
                        return Err(SqlError::new(310, format!("The value {most} specified for the MAXRECURSION option exceeds the allowed maximum of 32767.")).class(15));
                    }
                    options.max_recursion = Some(most);
                    return Ok(());
                }
                // Hints change plans, not results.
                for words in [
                    &["RECOMPILE"][..],
                    &["HASH", "JOIN"],
                    &["LOOP", "JOIN"],
                    &["MERGE", "JOIN"],
                    &["FORCE", "ORDER"],
                    &["KEEP", "PLAN"],
                    &["KEEPFIXED", "PLAN"],
                    &["OPTIMIZE", "FOR", "UNKNOWN"],
                ] {
                    if r.eat(words) {
                        return Ok(());
                    }
                }
                if r.eat(&["MAXDOP"]) || r.eat(&["FAST"]) {
                    return r.integer().map(|_| ());
                }
                Err(r.unexpected())
            })
        })?;
        Ok(options)
    }
}
