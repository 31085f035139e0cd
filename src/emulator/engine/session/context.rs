//! Contexts of other users, which EXECUTE AS enters and REVERT leaves.

use super::super::Principal;
use super::super::catalogue::security::User;
use super::super::error::{SqlError, SqlResult};
use super::super::store::Database;
use super::State;

/// A context that EXECUTE AS has entered.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) user: User,
    /// What `SUSER_SNAME()` says in it.
    pub(crate) login: String,
    /// The database that it belongs to.
    pub(crate) database: i64,
    pub(crate) exit: Exit,
}

/// What leads out of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Open,
    None,
    Cookie(Vec<u8>),
}

impl State {
    /// Whether the administrator acts as itself.
    pub(crate) fn is_server_admin(&self) -> bool {
        self.impersonated.is_empty() && matches!(self.principal, Principal::ServerAdmin { .. })
    }

    /// The login that the acting user belongs to.
    pub(crate) fn acting_login(&self) -> &str {
        self.impersonated
            .last()
            .map_or(&self.login_name, |f| &f.login)
    }

    /// A procedure or dynamic SQL begins. Returns what [`leave_module`](Self::leave_module) wants.
    pub(crate) fn enter_module(&mut self) -> Option<usize> {
        self.module.replace(self.impersonated.len())
    }

    /// A procedure or dynamic SQL ends, and with it the contexts that it entered.
    pub(crate) fn leave_module(&mut self, outer: Option<usize>) {
        self.impersonated.truncate(self.module.unwrap_or_default());
        self.module = outer;
    }

    /// REVERT: leaves the innermost context that the running module has entered, if there is one.
    pub(crate) fn revert(&mut self, cookie: Option<&[u8]>) -> SqlResult<()> {
        let Some(frame) = self
            .impersonated
            .last()
            .filter(|_| self.impersonated.len() > self.module.unwrap_or_default())
        else {
            return match cookie {
                None => Ok(()),
                Some(_) => Err(wrong_statement()),
            };
        };
        match (&frame.exit, cookie) {
            (Exit::None, _) => {
                return Err(SqlError::new(
                    15196,
                    "The current security context is non-revertible. The \"Revert\" statement failed.",
                ));
            }
            (Exit::Open, Some(_)) | (Exit::Cookie(_), None) => return Err(wrong_statement()),
            (Exit::Cookie(wanted), Some(given)) if wanted != given => {
                return Err(SqlError::new(
                    15589,
                    "Cannot revert the current security context because the cookie is invalid.",
                ));
            }
            (Exit::Open, None) | (Exit::Cookie(_), Some(_)) => {}
        }
        if frame.database != self.database.id {
            return Err(SqlError::new(
                15199,
                "The current security context cannot be reverted. Please switch to the original database where 'Execute As' was called and try it again.",
            ));
        }
        self.impersonated.pop();
        Ok(())
    }

    /// A database user's context does not reach into other databases.
    pub(super) fn may_leave_database(&self, to: &Database) -> SqlResult<()> {
        match self.impersonated.last() {
            Some(frame) if frame.database != to.id => Err(SqlError::new(
                916,
                format!(
                    "The server principal \"{}\" is not able to access the database \"{}\" under the current security context.",
                    frame.login, to.name
                ),
            )
            .class(14)),
            _ => Ok(()),
        }
    }

    /// 18059: SQL Server drops a session that is to be reset in another user's context.
    pub(crate) fn refuse_reset(&mut self) -> SqlResult<()> {
        if self.impersonated.is_empty() {
            return Ok(());
        }
        self.over = true;
        Err(SqlError::new(
            18059,
            "The connection has been dropped because the principal that opened it subsequently assumed a new security context, and then tried to reset the connection under its impersonated security context. This scenario is not supported. See \"Impersonation Overview\" in Books Online.",
        )
        .class(20))
    }
}

fn wrong_statement() -> SqlError {
    SqlError::new(
        15591,
        "The current security context cannot be reverted using this statement. A cookie may or may not be needed with 'Revert' statement depending on how the context was set with 'Execute As' statement.",
    )
}
