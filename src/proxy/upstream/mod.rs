//! Sessions at the server: opened, kept warm, handed to one client at a time.

use super::targets::TargetEntry;
use crate::dial::{DialError, LoginProfile};
use crate::session::{LoginInfo, Session, SessionStream};
use crate::tds::Login7;

/// The sessions of all targets.
#[derive(Debug)]
pub(super) struct Upstreams {}

/// A session that one client has. Dropping it closes the session.
#[derive(Debug)]
pub(super) struct Lease {
    session: Session,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum LeaseError {
    #[error("no session could be opened")]
    Dial(#[from] DialError),
}

impl Upstreams {
    pub(super) fn new() -> Self {
        Self {}
    }

    /// A session with the login properties that the client asks for.
    pub(super) async fn lease(
        &self,
        target: &TargetEntry,
        login: &Login7,
        database: Option<&str>,
    ) -> Result<Lease, LeaseError> {
        let mut profile = LoginProfile::default();
        profile.application_name = Some(login.app_name.clone());
        profile.packet_size = Some(login.packet_size);
        let database = database.unwrap_or(&login.database);
        profile.database = Some(database.to_owned()).filter(|name| !name.is_empty());
        profile.features = login.features.clone();
        let session = target.dialer.dial_with(&profile).await?;
        Ok(Lease { session })
    }
}

impl Lease {
    pub(super) fn info(&self) -> &LoginInfo {
        self.session.info()
    }

    pub(super) fn stream_mut(&mut self) -> &mut SessionStream {
        self.session.stream_mut()
    }

    /// Takes the session back: between requests, with nothing unread. It is
    /// reset and kept for the next client.
    pub(super) fn give_back(self) {}
}
