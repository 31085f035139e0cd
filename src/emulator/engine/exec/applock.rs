//! `sp_getapplock` and `sp_releaseapplock`.

use std::time::Duration;

use super::super::error::{SqlError, SqlResult};
use super::super::planner::Variables;
use super::super::session::applock::{Mode, Outcome, Resource, Span};
use super::super::types::Value;
use super::Run;
use super::procedures::Given;

/// What both return for arguments that they do not take.
const CALL_ERROR: i32 = -999;

impl Run<'_, '_> {
    pub(super) fn take_app_lock(&mut self, given: Vec<Given>) -> SqlResult<i32> {
        const NAME: &str = "sp_getapplock";
        let arguments = self.bind(
            NAME,
            "@Resource nvarchar(255)=NULL,@LockMode nvarchar(32),@LockOwner nvarchar(32)='Transaction',\
             @LockTimeout int=NULL,@DbPrincipal nvarchar(128)='public'",
            given,
        )?;
        let mode = text(&arguments, "@lockmode").unwrap_or_default();
        let Some(mode) = Mode::parse(&mode) else {
            return Ok(self.not_recognized(&mode, "@LockMode"));
        };
        let owner = text(&arguments, "@lockowner").unwrap_or_default();
        let Some(span) = span(&owner) else {
            return Ok(self.not_recognized(&owner, "@LockOwner"));
        };
        if span == Span::Transaction && self.state.tran.count == 0 {
            return Ok(self.told(
                15626,
                "You attempted to acquire a transactional application lock without an active transaction.",
            ));
        }
        let patience = match arguments.get("@locktimeout").map(|v| &v.value) {
            Some(Value::Int(ms)) => *ms,
            _ => self.state.settings.lock_timeout,
        };
        if patience < -1 {
            let text = "An invalid application lock time-out was passed to xp_userlock.";
            return self.call_error(SqlError::new(1227, text).state(2), CALL_ERROR);
        }
        let resource = match self.app_resource(&arguments, NAME) {
            Ok(resource) => resource,
            Err(error) => return self.call_error(error, CALL_ERROR),
        };
        let patience = u64::try_from(patience).ok().map(Duration::from_millis);
        match self.state.take_app_lock(&resource, span, mode, patience) {
            Outcome::AtOnce => Ok(0),
            Outcome::AfterWait => Ok(1),
            Outcome::TimedOut => Ok(-1),
            Outcome::Deadlock => Ok(-3),
            Outcome::Interrupted => Err(SqlError::interrupted()),
            Outcome::OwnConflict => Err(SqlError::unsupported(
                "an application lock that the session holds already under its other owner",
            )),
        }
    }

    pub(super) fn release_app_lock(&mut self, given: Vec<Given>) -> SqlResult<i32> {
        const NAME: &str = "sp_releaseapplock";
        let arguments = self.bind(
            NAME,
            "@Resource nvarchar(255)=NULL,@LockOwner nvarchar(32)='Transaction',@DbPrincipal nvarchar(128)='public'",
            given,
        )?;
        let owner = text(&arguments, "@lockowner").unwrap_or_default();
        let Some(span) = span(&owner) else {
            return Ok(self.not_recognized(&owner, "@LockOwner"));
        };
        if span == Span::Transaction && self.state.tran.count == 0 {
            return self.call_error(SqlError::no_transaction(), CALL_ERROR);
        }
        let resource = match self.app_resource(&arguments, NAME) {
            Ok(resource) => resource,
            Err(error) => return self.call_error(error, CALL_ERROR),
        };
        if self.state.locks.release(&resource, span) {
            return Ok(0);
        }
        let principal = text(&arguments, "@dbprincipal").unwrap_or_default();
        self.call_error(SqlError::new(
            1223,
            format!(
                "Cannot release the application lock (Database Principal: '{principal}', Resource: '{}') because it is not currently held.",
                resource.name
            ),
        ), CALL_ERROR)
    }

    fn app_resource(&self, arguments: &Variables, procedure: &str) -> SqlResult<Resource> {
        let Some(name) = text(arguments, "@resource") else {
            let text = "An invalid application lock resource was passed to xp_userlock.";
            return Err(SqlError::new(1224, text).state(5));
        };
        let Some(principal) = text(arguments, "@dbprincipal") else {
            return Err(SqlError::unsupported(format!(
                "{procedure} with NULL for @DbPrincipal"
            )));
        };
        self.state.app_resource(name, &principal)
    }

    /// The wrong word is no error: the caller sees it by the status.
    fn not_recognized(&mut self, word: &str, parameter: &str) -> i32 {
        let text = format!("Option '{word}' not recognized for '{parameter}' parameter.");
        self.told(15625, &text)
    }

    fn told(&mut self, number: u32, text: &str) -> i32 {
        self.out.info(&SqlError::new(number, text).class(10));
        CALL_ERROR
    }
}

fn text(arguments: &Variables, name: &str) -> Option<String> {
    match &arguments.get(name)?.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn span(owner: &str) -> Option<Span> {
    match owner.to_lowercase().as_str() {
        "transaction" => Some(Span::Transaction),
        "session" => Some(Span::Session),
        _ => None,
    }
}
