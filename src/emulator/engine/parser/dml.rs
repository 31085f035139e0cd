//! Queries and statements that change rows.

use sqlparser::ast::{Cte, Expr, Ident, ObjectName, SelectItem, TableWithJoins};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::super::error::{SqlError, SqlResult};
use super::Reader;
use super::ast::{Assign, Delete, Insert, Kind, Output, Source, Update};
use super::control::combined;

impl Reader {
    pub(super) fn select(&mut self) -> SqlResult<Kind> {
        let query = self.query()?;
        let options = self.query_options()?;
        Ok(Kind::Query(query, options))
    }

    /// A statement that begins with common table expressions.
    pub(super) fn with(&mut self) -> SqlResult<Kind> {
        self.expect(&["WITH"])?;
        let with = self
            .parser()
            .parse_comma_separated(Parser::parse_cte)
            .map_err(|e| self.mapped(&e))?;
        match self.word_at(0).as_deref() {
            Some("INSERT") => self.insert(with),
            Some("UPDATE") => self.update(with),
            Some("DELETE") => self.delete(with),
            Some("MERGE") => Err(SqlError::unsupported("MERGE")),
            _ => {
                let mut query = self.query()?;
                query.with = Some(sqlparser::ast::With {
                    with_token: sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
                    recursive: false,
                    cte_tables: with,
                });
                let options = self.query_options()?;
                Ok(Kind::Query(query, options))
            }
        }
    }

    pub(super) fn insert(&mut self, with: Vec<Cte>) -> SqlResult<Kind> {
        self.expect(&["INSERT"])?;
        let top = self.top()?;
        let _ = self.eat(&["INTO"]);
        let table = self.object_name()?;
        self.table_hints()?;
        let columns = if self.peek_token(&Token::LParen) && !self.peek_subquery() {
            self.in_parens(|r| r.list(Self::ident))?
        } else {
            Vec::new()
        };
        let outputs = self.outputs()?;
        let source = if self.eat(&["DEFAULT", "VALUES"]) {
            Source::Defaults
        } else if self.eat(&["EXEC"]) || self.eat(&["EXECUTE"]) {
            Source::Exec(self.executed()?)
        } else {
            Source::Query(self.query()?)
        };
        let options = self.query_options()?;
        Ok(Kind::Insert(Box::new(Insert {
            with,
            top,
            table,
            columns,
            outputs,
            source,
            options,
        })))
    }

    fn peek_subquery(&mut self) -> bool {
        let next = &self.parser().peek_nth_token_ref(1).token;
        matches!(next, Token::LParen)
            || matches!(next, Token::Word(w) if w.quote_style.is_none() && matches!(w.value.to_uppercase().as_str(), "SELECT" | "WITH" | "VALUES"))
    }

    pub(super) fn update(&mut self, with: Vec<Cte>) -> SqlResult<Kind> {
        self.expect(&["UPDATE"])?;
        let top = self.top()?;
        let table = self.object_name()?;
        self.table_hints()?;
        self.expect(&["SET"])?;
        let sets = self.list(Self::assignment)?;
        let outputs = self.outputs()?;
        let from = self.from()?;
        let filter = self.filter()?;
        let options = self.query_options()?;
        Ok(Kind::Update(Box::new(Update {
            with,
            top,
            table,
            sets,
            outputs,
            from,
            filter,
            options,
        })))
    }

    fn assignment(&mut self) -> SqlResult<Assign> {
        if let Some(name) = self.peek_variable() {
            self.parser().advance_token();
            let op = self.assignment_operator()?;
            let chained = matches!(self.parser().peek_nth_token_ref(1).token, Token::Eq)
                && matches!(self.parser().peek_token_ref().token, Token::Word(_));
            if chained && op.is_none() {
                let inner = self.assignment()?;
                return Ok(Assign {
                    variable: Some(name),
                    ..inner
                });
            }
            let value = self.expr()?;
            return Ok(Assign {
                variable: Some(name.clone()),
                column: None,
                value: Some(combined(Ident::new(name), op, value)),
            });
        }
        let name = self.object_name()?;
        let column = name
            .0
            .last()
            .and_then(|part| part.as_ident())
            .cloned()
            .ok_or_else(|| self.unexpected())?;
        let op = self.assignment_operator()?;
        let value = if op.is_none() && self.eat(&["DEFAULT"]) {
            None
        } else {
            Some(combined(column.clone(), op, self.expr()?))
        };
        Ok(Assign {
            variable: None,
            value,
            column: Some(column),
        })
    }

    pub(super) fn delete(&mut self, with: Vec<Cte>) -> SqlResult<Kind> {
        self.expect(&["DELETE"])?;
        let top = self.top()?;
        let _ = self.eat(&["FROM"]);
        let table = self.object_name()?;
        self.table_hints()?;
        let outputs = self.outputs()?;
        let from = self.from()?;
        let filter = self.filter()?;
        let options = self.query_options()?;
        Ok(Kind::Delete(Box::new(Delete {
            with,
            top,
            table,
            outputs,
            from,
            filter,
            options,
        })))
    }

    fn top(&mut self) -> SqlResult<Option<Expr>> {
        if !self.eat(&["TOP"]) {
            return Ok(None);
        }
        let count = if self.peek_token(&Token::LParen) {
            self.in_parens(Self::expr)?
        } else {
            // Without parentheses only a number may stand here, as it did before 2005.
            self.operand()?
        };
        if self.peek(&["PERCENT"]) {
            return Err(SqlError::unsupported("TOP PERCENT"));
        }
        Ok(Some(count))
    }

    fn from(&mut self) -> SqlResult<Vec<TableWithJoins>> {
        if !self.eat(&["FROM"]) {
            return Ok(Vec::new());
        }
        self.list(|r| r.parser().parse_table_and_joins().map_err(|e| r.mapped(&e)))
    }

    fn filter(&mut self) -> SqlResult<Option<Expr>> {
        if !self.eat(&["WHERE"]) {
            return Ok(None);
        }
        if self.peek(&["CURRENT", "OF"]) {
            return Err(SqlError::unsupported("WHERE CURRENT OF"));
        }
        self.expr().map(Some)
    }

    /// One OUTPUT to the client, one INTO a table, or both.
    fn outputs(&mut self) -> SqlResult<Vec<Output>> {
        let mut outputs: Vec<Output> = Vec::new();
        while self.peek(&["OUTPUT"]) {
            let output = self.output()?;
            if outputs
                .iter()
                .any(|o| o.into.is_none() || output.into.is_some())
            {
                return Err(SqlError::keyword_near("OUTPUT"));
            }
            outputs.push(output);
        }
        Ok(outputs)
    }

    fn output(&mut self) -> SqlResult<Output> {
        self.expect(&["OUTPUT"])?;
        let items: Vec<SelectItem> =
            self.list(|r| r.parser().parse_select_item().map_err(|e| r.mapped(&e)))?;
        let into = if self.eat(&["INTO"]) {
            let table: ObjectName = self.object_name()?;
            let columns = if self.peek_token(&Token::LParen) {
                self.in_parens(|r| r.list(Self::ident))?
            } else {
                Vec::new()
            };
            Some((table, columns))
        } else {
            None
        };
        Ok(Output { items, into })
    }

    /// `WITH (TABLOCK, …)`: locks are the engine's own affair, other hints are refused.
    fn table_hints(&mut self) -> SqlResult<()> {
        const LOCKS: &[&str] = &[
            "HOLDLOCK",
            "PAGLOCK",
            "READCOMMITTED",
            "READCOMMITTEDLOCK",
            "READPAST",
            "REPEATABLEREAD",
            "ROWLOCK",
            "SERIALIZABLE",
            "TABLOCK",
            "TABLOCKX",
            "UPDLOCK",
            "XLOCK",
        ];
        let hints = self.peek(&["WITH"])
            && matches!(self.parser().peek_nth_token_ref(1).token, Token::LParen);
        if hints {
            self.parser().advance_token();
            let hints = self.in_parens(|r| r.list(Self::ident))?;
            for hint in hints {
                if !LOCKS.contains(&hint.value.to_uppercase().as_str()) {
                    return Err(SqlError::unsupported(format!("table hint {hint}")));
                }
            }
        }
        Ok(())
    }
}
