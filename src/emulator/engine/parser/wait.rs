//! WAITFOR.

use super::super::error::{SqlError, SqlResult};
use super::Reader;
use super::ast::Kind;

impl Reader {
    pub(super) fn wait_for(&mut self) -> SqlResult<Kind> {
        self.expect(&["WAITFOR"])?;
        if self.eat(&["DELAY"]) {
            return Ok(Kind::WaitFor(Box::new(self.operand()?)));
        }
        if self.peek(&["TIME"]) {
            return Err(SqlError::unsupported("WAITFOR TIME"));
        }
        Err(SqlError::unsupported("WAITFOR with a statement"))
    }
}
