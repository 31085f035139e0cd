//! The commands, which change something: each answers with what it did, and is
//! written to the log with who did it.

use std::time::Duration;

use tokio::time::timeout;

use super::super::access_log::shown;
use super::answer::Answer;
use super::console::Console;
use super::sql::{Kind, SqlError, convert, same_name};
use crate::tds::Scalar;

/// How long KILL waits for the session's end before it answers.
const LEAVING: Duration = Duration::from_secs(5);

impl Console<'_> {
    /// Ends another client's session. Who asks for the sessions next does not
    /// find it any more.
    pub(super) async fn kill(&self, id: &Scalar, answer: &mut Answer) -> Result<(), SqlError> {
        let Scalar::Int(id) = convert(id, Kind::BigInt)? else {
            return Err(SqlError::NoSession { id: 0 });
        };
        let number = u64::try_from(id).map_err(|_| SqlError::NoSession { id })?;
        if number == self.entry.id {
            return Err(SqlError::OwnSession);
        }
        let killed = self
            .shared
            .registry
            .entry(number)
            .ok_or(SqlError::NoSession { id })?;
        killed.kill.ask();
        let known = killed.known();
        tracing::warn!(
            by = %self.user,
            admin = self.entry.id,
            id,
            peer = killed.peer,
            login = shown(&known.login),
            target = known.target,
            "session killed"
        );
        let gone = timeout(LEAVING, self.shared.registry.gone(number)).await;
        answer.note(match gone {
            Ok(()) => format!("session {id} of {} is ended", killed.peer),
            Err(_) => format!("session {id} of {} is being ended", killed.peer),
        });
        answer.done_nothing();
        Ok(())
    }

    /// Lets new clients wait.
    pub(super) fn pause(&self, target: Option<&str>, answer: &mut Answer) -> Result<(), SqlError> {
        let target = self.target(target)?;
        self.shared.upstreams.pause(target);
        self.did(
            "paused",
            target,
            "clients that come now wait for RESUME",
            answer,
        );
        Ok(())
    }

    /// Ends a pause.
    pub(super) fn resume(&self, target: Option<&str>, answer: &mut Answer) -> Result<(), SqlError> {
        let target = self.target(target)?;
        self.shared.upstreams.resume(target);
        self.did("resumed", target, "clients are served again", answer);
        Ok(())
    }

    /// Has every session to a server opened anew.
    pub(super) fn reconnect(
        &self,
        target: Option<&str>,
        answer: &mut Answer,
    ) -> Result<(), SqlError> {
        let target = self.target(target)?;
        self.shared.upstreams.reconnect(target);
        let then = "idle sessions are closed now, the others when their clients leave";
        self.did("reconnected", target, then, answer);
        Ok(())
    }

    fn did(&self, what: &'static str, target: Option<&str>, then: &str, answer: &mut Answer) {
        let by = &self.user;
        let name = target.unwrap_or("(all)");
        tracing::warn!(%by, admin = self.entry.id, target = name, "pool {what}");
        let whom = target.map_or_else(
            || "every target".to_owned(),
            |name| format!("target `{name}`"),
        );
        answer.note(format!("{whom} is {what}: {then}"));
        answer.done_nothing();
    }

    /// The target of that name, as it is configured.
    fn target(&self, name: Option<&str>) -> Result<Option<&str>, SqlError> {
        let Some(name) = name else {
            return Ok(None);
        };
        let targets = &self.live.config.targets;
        let found = targets.iter().find(|target| same_name(&target.name, name));
        match found {
            Some(target) => Ok(Some(&target.name)),
            None => {
                let known: Vec<&str> = targets.iter().map(|target| &*target.name).collect();
                Err(SqlError::NoTarget {
                    name: name.chars().take(128).collect(),
                    known: known.join(", "),
                })
            }
        }
    }
}
