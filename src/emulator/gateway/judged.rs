//! What a session's login was worth, and what becomes of its requests by that and by faults.

use super::Shared;
use super::azure_errors::{Scene, azure_error, ends_connection};
use super::error::ConnectionError;
use super::fed_auth::Credential;
use super::login::{Established, blocking};
use super::login_response::refused;
use super::messages;
use crate::emulator::sessions::OpenSession;
use crate::tds::{EnvChange, ServerMessage, Token};

/// What is remembered of a session's login.
pub(super) struct Admission {
    /// Its place among the open sessions.
    pub(super) place: OpenSession,
    pub(super) database: String,
    pub(super) peer: std::net::IpAddr,
    /// The token that it came with.
    pub(super) credential: Option<Credential>,
    /// When it logged in, in seconds since 1970 by the emulator's clock.
    pub(super) since: i64,
}

impl Admission {
    /// An admission without a login.
    #[cfg(test)]
    pub(super) fn of_nobody() -> Self {
        let record = crate::emulator::SessionRecord {
            spid: 77,
            login: String::new(),
            database: String::new(),
            application: String::new(),
            host: String::new(),
            since: 0,
            requests: 0,
        };
        Self {
            place: crate::emulator::sessions::Sessions::default().register(record),
            database: String::new(),
            peer: std::net::Ipv4Addr::LOCALHOST.into(),
            credential: None,
            since: 0,
        }
    }

    /// The error that a request gets in place of an answer, if it does. `resets` says whether it
    /// asks for a reset of the session.
    pub(super) fn refusal(&self, shared: &Shared, resets: bool) -> Option<ServerMessage> {
        self.place.count_request();
        if resets && let Some(error) = self.recheck(shared) {
            return Some(error);
        }
        let number = shared.faults.take_request_error()?;
        let scene = Scene {
            database: &self.database,
            server: &shared.settings.server_name,
            peer: self.peer,
        };
        Some(azure_error(number, scene))
    }

    /// Azure SQL looks at the credentials again when a session that is about ten hours old is
    /// reset. Which error it gives then is not documented; drivers' users report that of an
    /// expired login (dotnet/SqlClient 617, pull request 635).
    fn recheck(&self, shared: &Shared) -> Option<ServerMessage> {
        let credential = self.credential.as_ref()?;
        let after = i64::try_from(shared.settings.recheck_after.as_secs()).unwrap_or(i64::MAX);
        let now = shared.identity.clock().now();
        if now.saturating_sub(self.since) < after {
            return None;
        }
        if credential.expires_on <= now {
            return Some(messages::token_refused(Some("Token is expired.")));
        }
        let known = shared.identity.signing_key().verifier(&credential.key_id);
        known.is_none().then(|| messages::token_refused(None))
    }
}

/// Answers a request with an error, after the reset that it asked for.
pub(super) async fn refuse_request(
    mut established: Established,
    shared: &Shared,
    error: ServerMessage,
    reset: Option<bool>,
) -> Result<Established, ConnectionError> {
    let mut payload = Vec::new();
    let ends = ends_connection(&error);
    let number = error.number;
    let version = established.version;
    if let Some(keep_transaction) = reset.filter(|_| !ends) {
        let mut session = established.session;
        let (session, changes) = blocking(move || {
            let changes = session.reset(keep_transaction);
            (session, changes)
        })
        .await?;
        established.session = session;
        let changes = match changes {
            Ok(changes) => changes,
            Err(dropped) => {
                let payload = refused(dropped, &shared.settings.server_name, version)?;
                established.io.writer.message(&payload).await?;
                established.io.writer.close().await;
                return Err(ConnectionError::SessionOver);
            }
        };
        for change in std::iter::once(EnvChange::ResetAcknowledged).chain(changes) {
            Token::EnvChange(change).encode(version, &mut payload)?;
        }
    }
    payload.extend(refused(error, &shared.settings.server_name, version)?);
    established.io.writer.message(&payload).await?;
    if ends {
        established.io.writer.close().await;
        return Err(ConnectionError::RequestRefused(number));
    }
    Ok(established)
}
