//! SET FMTONLY ON: drivers ask so for the columns of a table before they load it.

use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Exec, Kind};
use super::super::wire::out::command;
use super::Run;
use super::flow::Flow;

impl Run<'_, '_> {
    /// Shows what results the statement would have, and changes nothing.
    pub(super) fn columns_only(&mut self, kind: &Kind) -> SqlResult<Flow> {
        match kind {
            Kind::Block(body) => return self.statements(body),
            Kind::Set(_) | Kind::Declare(_) => self.simple(kind)?,
            Kind::Query(query, _) => {
                let rel = self.planner().top_query(query)?;
                if rel.assigns.is_empty() {
                    self.out.columns(&rel.columns)?;
                    self.out.done(command::SELECT, None, false);
                }
            }
            Kind::Exec(Exec::Text(_)) => self.simple(kind)?,
            Kind::If(..) | Kind::While(..) | Kind::TryCatch(..) | Kind::Exec(_) => {
                return Err(SqlError::unsupported(
                    "control flow and procedures under SET FMTONLY ON",
                ));
            }
            _ => {}
        }
        Ok(Flow::Next)
    }
}
