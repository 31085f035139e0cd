//! `CREATE PROCEDURE`.

use sqlparser::ast::Expr;
use sqlparser::tokenizer::Token;

use super::super::error::{SqlError, SqlResult};
use super::super::session::state::Declared;
use super::ast::{Kind, Procedure};
use super::{Reader, batch};

impl Reader {
    /// The rest of the batch is the procedure. `first` is whether nothing stands before it.
    pub(super) fn create_procedure(&mut self, first: bool) -> SqlResult<Kind> {
        let _ = self.eat(&["CREATE", "PROCEDURE"]) || self.eat(&["CREATE", "PROC"]);
        let name = self.object_name()?;
        if !first {
            let text = "'CREATE/ALTER PROCEDURE' must be the first statement in a query batch.";
            return Err(SqlError::new(111, text).class(15));
        }
        let parameters = self.procedure_parameters()?;
        for option in ["WITH", "FOR"] {
            if self.peek(&[option]) {
                let what = format!("CREATE PROCEDURE … {option}");
                return Err(SqlError::unsupported(what));
            }
        }
        self.expect(&["AS"])?;
        let (start, line) = (self.place(), self.line());
        while !self.at_end() {
            self.parser().advance_token();
        }
        let above = usize::try_from(line).unwrap_or(1).saturating_sub(1);
        let body = format!("{}{}", "\n".repeat(above), self.since(start));
        if batch(&body)?.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Kind::CreateProcedure(Box::new(Procedure {
            name,
            parameters,
            body,
        })))
    }

    fn procedure_parameters(&mut self) -> SqlResult<Vec<(Declared, Option<Expr>)>> {
        if self.peek_token(&Token::LParen) {
            return self.in_parens(|r| r.list(Self::procedure_parameter));
        }
        if self.peek_variable().is_none() {
            return Ok(Vec::new());
        }
        self.list(Self::procedure_parameter)
    }

    fn procedure_parameter(&mut self) -> SqlResult<(Declared, Option<Expr>)> {
        let name = self.variable()?;
        let _ = self.eat(&["AS"]);
        let ty = self.data_type()?;
        let default = if self.eat_token(&Token::Eq) {
            Some(self.operand()?)
        } else {
            None
        };
        let output = self.eat(&["OUTPUT"]) || self.eat(&["OUT"]);
        Ok((Declared { name, ty, output }, default))
    }
}
