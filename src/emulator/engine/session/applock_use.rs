//! A session's application locks, as procedures and functions use them.

use std::time::Duration;

use super::super::catalogue::security;
use super::super::error::{SqlError, SqlResult};
use super::State;
use super::applock::{Mode, Outcome, Resource, Span};

impl State {
    pub(crate) fn take_app_lock(
        &self,
        resource: &Resource,
        span: Span,
        mode: Mode,
        patience: Option<Duration>,
    ) -> Outcome {
        self.locks
            .take(resource, span, mode, patience, &self.interrupt)
    }

    /// What a lock of the current database is on, for those who are a member of the principal.
    pub(crate) fn app_resource(&self, name: String, principal: &str) -> SqlResult<Resource> {
        let alias = self.database.alias();
        let user = self.acting();
        let id = security::id_by_name(&self.conn, &alias, principal.trim_end_matches(' '))?;
        let member = |id: &i64| -> SqlResult<bool> {
            Ok(user.is_dbo()
                || user.closure(&self.conn, &alias)?.contains(id)
                || user.is_member(&self.conn, &alias, security::OWNER)?)
        };
        match id {
            Some(id) if member(&id)? => Ok(Resource {
                database: self.database.id,
                principal: id,
                name,
            }),
            _ => Err(SqlError::new(
                1202,
                format!(
                    "The database-principal '{principal}' does not exist or user is not a member."
                ),
            )),
        }
    }
}
