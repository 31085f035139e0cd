//! EXECUTE AS and REVERT.

use aws_lc_rs::rand;
use rusqlite::OptionalExtension;
use sqlparser::ast::Expr;

use super::super::catalogue::security::{self, Securable};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{AsWho, Ending};
use super::super::session::context::{Exit, Frame};
use super::super::types::{SqlType, Value, convert};
use super::Run;

/// Length of a cookie in bytes; SQL Server's are as long, but promise nothing.
const COOKIE_LEN: usize = 100;
/// A cookie is given to variables of this type.
const COOKIE: SqlType = SqlType::VarBinary(8000);

impl Run<'_, '_> {
    pub(super) fn execute_as(&mut self, who: &AsWho, ending: &Ending) -> SqlResult<()> {
        if self.state.module.is_some() && !matches!(ending, Ending::Revert) {
            return Err(SqlError::new(
                15590,
                "Can only use the 'No Revert' or 'Cookie' options with the 'Execute As' statement at the adhoc level.",
            ));
        }
        let AsWho::User(name) = who else {
            return match ending {
                Ending::Revert => Ok(()),
                _ => Err(SqlError::unsupported("EXECUTE AS CALLER WITH")),
            };
        };
        let exit = match ending {
            Ending::Revert => Exit::Open,
            Ending::NoRevert => Exit::None,
            Ending::Cookie(variable) => Exit::Cookie(self.new_cookie(variable)?),
        };
        let id = self.id_of(name)?.ok_or_else(|| cannot_execute_as(name))?;
        let (kind, _) = self.kind_of(id)?;
        if !matches!(kind.as_str(), "S" | "E") || !self.may_impersonate(id)? {
            return Err(cannot_execute_as(name));
        }
        let user = security::user_by_id(&self.state.conn, &self.alias(), id)?;
        let login = self.login_of(id)?;
        self.state.impersonated.push(Frame {
            user,
            login,
            database: self.state.database.id,
            exit,
        });
        Ok(())
    }

    pub(super) fn revert(&mut self, cookie: Option<&Expr>) -> SqlResult<()> {
        let cookie = match cookie {
            None => None,
            Some(expr) => match self.value(expr, Some(COOKIE))?.1 {
                Value::Bytes(bytes) => Some(bytes),
                _ => Some(Vec::new()),
            },
        };
        self.state.revert(cookie.as_deref())
    }

    pub(super) fn may_impersonate(&self, id: i64) -> SqlResult<bool> {
        let acting = self.state.acting();
        if acting.id == id {
            return Ok(true);
        }
        let who = Securable::Principal(id);
        acting.may(&self.state.conn, &self.alias(), "IMPERSONATE", who)
    }

    /// Makes a cookie and puts it into the variable.
    fn new_cookie(&mut self, variable: &str) -> SqlResult<Vec<u8>> {
        let mut cookie = vec![0; COOKIE_LEN];
        rand::fill(&mut cookie).map_err(|_| SqlError::internal("no random numbers"))?;
        let variable = self
            .variables
            .get_mut(&variable.to_lowercase())
            .ok_or_else(|| SqlError::undeclared(variable))?;
        variable.value = convert::cast(Value::Bytes(cookie.clone()), COOKIE, variable.ty, None)?;
        Ok(cookie)
    }

    /// What `SUSER_SNAME()` says when acting as the user: its login, or else its SID.
    fn login_of(&self, id: i64) -> SqlResult<String> {
        if id == 1 {
            return Ok("sa".to_owned());
        }
        let (name, login, sid, auth): (String, Option<String>, Option<Vec<u8>>, i64) = self
            .state
            .conn
            .query_row(
                &format!(
                    "SELECT name, login, sid, auth FROM {}.\"~principals\" WHERE id = ?1",
                    self.alias()
                ),
                [id],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .optional()?
            .ok_or_else(|| SqlError::internal("a user has gone"))?;
        Ok(match (login, sid) {
            (Some(login), _) => login,
            (None, Some(sid)) if auth == 0 => readable_sid(&sid).unwrap_or(name),
            _ => name,
        })
    }
}

fn cannot_execute_as(name: &str) -> SqlError {
    SqlError::new(
        15517,
        format!(
            "Cannot execute as the database principal because the principal \"{name}\" does not exist, this type of principal cannot be impersonated, or you do not have permission."
        ),
    )
}

/// `S-1-9-3-…` of a SID's bytes.
fn readable_sid(sid: &[u8]) -> Option<String> {
    let (head, parts) = sid.split_first_chunk::<8>()?;
    let [revision, count, authority @ ..] = head;
    if usize::from(*count) * 4 != parts.len() {
        return None;
    }
    let authority = authority
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let mut text = format!("S-{revision}-{authority}");
    for part in parts.chunks_exact(4) {
        let part = u32::from_le_bytes(part.try_into().ok()?);
        text.push_str(&format!("-{part}"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sids_are_written_as_windows_does() {
        let sid = [1, 2, 0, 0, 0, 0, 0, 9, 3, 0, 0, 0, 0xFF, 0xFF, 0, 0];
        assert_eq!(readable_sid(&sid).as_deref(), Some("S-1-9-3-65535"));
        assert_eq!(readable_sid(&sid[..12]), None);
    }
}
