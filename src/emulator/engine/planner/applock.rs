//! `APPLOCK_MODE` and `APPLOCK_TEST`.

use sqlparser::ast::Expr;

use super::super::error::{SqlError, SqlResult};
use super::super::session::applock::{Mode, Resource, Span};
use super::super::types::{SqlType, Value};
use super::{Planner, Scope, Typed};

impl Planner<'_> {
    pub(super) fn app_lock_call(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<Typed>> {
        match (name, args) {
            ("APPLOCK_MODE", [principal, resource, owner]) => {
                let principal = self.app_lock_word(name, 1, principal, scope)?;
                let resource = self.app_lock_word(name, 2, resource, scope)?;
                let (resource, span) = self.app_lock_on(name, principal, resource, owner, scope)?;
                let mode = self.state.locks.mode(&resource, span);
                let mode = mode.map_or("NoLock", Mode::name);
                Ok(Some(Typed::constant(
                    Value::Text(mode.to_owned()),
                    SqlType::NVarChar(32),
                )))
            }
            ("APPLOCK_TEST", [principal, resource, mode, owner]) => {
                let principal = self.app_lock_word(name, 1, principal, scope)?;
                let resource = self.app_lock_word(name, 2, resource, scope)?;
                let mode = self.app_lock_word(name, 3, mode, scope)?;
                let mode = Mode::parse(&mode).ok_or_else(|| {
                    let text = "An invalid application lock mode was passed to applock_test.";
                    SqlError::new(1225, text).state(3)
                })?;
                let (resource, span) = self.app_lock_on(name, principal, resource, owner, scope)?;
                let free = self.state.locks.is_free(&resource, span, mode);
                let free = free.ok_or_else(|| {
                    SqlError::unsupported(
                        "APPLOCK_TEST of a lock that the session holds under its other owner",
                    )
                })?;
                Ok(Some(Typed::constant(
                    Value::Int(free.into()),
                    SqlType::SmallInt,
                )))
            }
            _ => Ok(None),
        }
    }

    /// An argument, which must not be NULL.
    fn app_lock_word(
        &mut self,
        name: &str,
        number: usize,
        arg: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<String> {
        let word = self.constant_text(arg, scope, name)?;
        word.ok_or_else(|| {
            SqlError::new(
                8116,
                format!(
                    "Argument data type NULL is invalid for argument {number} of {} function.",
                    name.to_lowercase()
                ),
            )
        })
    }

    fn app_lock_on(
        &mut self,
        name: &str,
        principal: String,
        resource: String,
        owner: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<(Resource, Span)> {
        let owner = self.constant_text(owner, scope, name)?;
        let span = match owner.as_deref().map(str::to_lowercase).as_deref() {
            None | Some("transaction") => Span::Transaction,
            Some("session") => Span::Session,
            Some(_) => {
                let name = name.to_lowercase();
                let text = format!("An invalid application lock owner was passed to {name}.");
                return Err(SqlError::new(1226, text));
            }
        };
        if span == Span::Transaction && self.state.tran.count == 0 {
            return Err(SqlError::no_transaction());
        }
        let resource = resource.chars().take(255).collect();
        Ok((self.state.app_resource(resource, &principal)?, span))
    }
}
