//! Statements one after another: control flow and what errors do to it.

use sqlparser::ast::Expr;

use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Kind, Stmt};
use super::super::planner::Scope;
use super::super::types::SqlType;
use super::super::wire::out::command;
use super::Run;

/// Where the run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Break,
    Continue,
    Return(i32),
}

/// Errors that end their statement only; all others end the batch.
const STATEMENT_ONLY: &[u32] = &[
    102, 156, 220, 229, 230, 262, 297, 512, 515, 530, 535, 544, 547, 1505, 1222, 1913, 2601, 2627,
    2628, 2714, 3701, 3902, 3903, 6401, 8102, 8115, 8134, 8152, 8169, 15023, 15025, 15063, 15150,
    15151, 15247, 33130, 33134, 4701, 4902, 4924,
];

/// Errors of compiling a statement: TRY catches them only from dynamic SQL and the like.
const COMPILED: &[u32] = &[
    107, 120, 121, 147, 157, 164, 205, 207, 208, 209, 213, 1033, 4104, 8120, 8155, 8158, 8159,
];

/// Errors that end the transaction, too.
pub(super) fn rolls_back(error: &SqlError) -> bool {
    matches!(
        error.number,
        241 | 242 | 244 | 245 | 248 | 1205 | 3960 | 8114 | 235
    )
}

impl Run<'_, '_> {
    pub(super) fn statements(&mut self, statements: &[Stmt]) -> SqlResult<Flow> {
        for statement in statements {
            let flow = self.statement(statement)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Stmt) -> SqlResult<Flow> {
        if self.out.closed {
            return Err(SqlError::interrupted());
        }
        self.state.check_interrupt()?;
        self.state.raised = false;
        match self.kind(&statement.kind) {
            Ok(flow) => {
                if !is_control(&statement.kind) {
                    self.state.error = 0;
                }
                Ok(flow)
            }
            Err(error) => {
                let error = error.at_line(statement.line);
                self.failed(error, is_control(&statement.kind))
            }
        }
    }

    /// A statement failed: into CATCH, out of the batch, or on to the next statement.
    fn failed(&mut self, error: SqlError, control: bool) -> SqlResult<Flow> {
        if error.is_interrupt() || control || self.tries > 0 {
            return Err(error);
        }
        // RAISERROR alone goes on whatever XACT_ABORT says; THROW never does.
        let ends = !self.state.raised
            && (!STATEMENT_ONLY.contains(&error.number) || self.state.settings.xact_abort);
        if ends {
            return Err(error);
        }
        self.state.error = error.number.into();
        self.state.rowcount = 0;
        self.out.error(&error);
        self.out.done(command::OTHER, None, true);
        Ok(Flow::Next)
    }

    fn kind(&mut self, kind: &Kind) -> SqlResult<Flow> {
        match kind {
            kind if self.state.settings.fmtonly => self.columns_only(kind),
            Kind::Block(body) => self.statements(body),
            Kind::If(condition, then, otherwise) => {
                if self.condition(condition)? {
                    self.statement(then)
                } else {
                    otherwise
                        .as_ref()
                        .map_or(Ok(Flow::Next), |s| self.statement(s))
                }
            }
            Kind::While(condition, body) => self.while_loop(condition, body),
            Kind::TryCatch(body, handler) => self.try_catch(body, handler),
            Kind::Break => Ok(Flow::Break),
            Kind::Continue => Ok(Flow::Continue),
            Kind::Return(value) => {
                let status = match value {
                    None => 0,
                    Some(value) => self.integer(value)?,
                };
                Ok(Flow::Return(i32::try_from(status).unwrap_or(0)))
            }
            other => self.simple(other).map(|()| Flow::Next),
        }
    }

    fn while_loop(&mut self, condition: &Expr, body: &Stmt) -> SqlResult<Flow> {
        while self.condition(condition)? {
            self.state.check_interrupt()?;
            match self.statement(body)? {
                Flow::Break => break,
                Flow::Return(status) => return Ok(Flow::Return(status)),
                Flow::Next | Flow::Continue => {}
            }
        }
        Ok(Flow::Next)
    }

    fn try_catch(&mut self, body: &[Stmt], handler: &[Stmt]) -> SqlResult<Flow> {
        self.tries += 1;
        let result = self.statements(body);
        self.tries -= 1;
        let error = match result {
            Ok(flow) => return Ok(flow),
            // Nobody catches a cancelled query, nor a statement that cannot be compiled.
            Err(error) if error.is_interrupt() || error.class >= 20 => return Err(error),
            Err(error) => error,
        };
        let surfaced = self.state.surfaced.take() == Some(error.number);
        if COMPILED.contains(&error.number) && !surfaced {
            return Err(error);
        }
        let aborts = self.state.settings.xact_abort && !self.state.raised;
        if self.state.tran.count > 0 && (rolls_back(&error) || aborts) {
            self.state.tran.doomed = true;
        }
        self.state.error = error.number.into();
        self.state.rowcount = 0;
        self.out.done(command::OTHER, None, true);
        self.caught.push(error);
        let result = self.statements(handler);
        self.caught.pop();
        result
    }

    fn condition(&mut self, condition: &Expr) -> SqlResult<bool> {
        let mut planner = self.planner();
        let sql = planner.predicate(condition, &Scope::inside(None))?;
        let binds = std::mem::take(&mut planner.binds);
        let mut statement = self.state.conn.prepare_cached(&format!("SELECT {sql}"))?;
        let binds = super::rows::used(&statement, binds);
        let value: Option<bool> = statement.query_row(binds, |row| row.get(0))?;
        drop(statement);
        // IF and WHILE are statements, too: what they looked at is gone behind them.
        self.state.error = 0;
        self.state.rowcount = 0;
        Ok(value.unwrap_or(false))
    }

    /// The value of an expression as an integer; NULL is 0.
    pub(super) fn integer(&mut self, expr: &Expr) -> SqlResult<i64> {
        match self.value(expr, Some(SqlType::BigInt))?.1 {
            super::super::types::Value::Int(v) => Ok(v),
            _ => Ok(0),
        }
    }
}

fn is_control(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Block(_)
            | Kind::If(..)
            | Kind::While(..)
            | Kind::TryCatch(..)
            | Kind::Break
            | Kind::Continue
            | Kind::Return(_)
    )
}
