//! Sessions at the server: opened, kept warm, handed to one client at a time.

mod error;
mod lease;
mod view;

use std::sync::Arc;

pub(super) use error::LeaseError;
pub(super) use lease::{Condition, Lease, Origin};
pub(super) use view::{KeyView, PoolView};

use super::targets::TargetEntry;
use crate::dial::LoginProfile;
use crate::tds::Login7;

/// The sessions of all targets.
#[derive(Debug)]
pub(super) struct Upstreams {}

impl Upstreams {
    pub(super) fn new() -> Self {
        Self {}
    }

    /// A session with the login properties that the client asks for.
    pub(super) async fn lease(
        &self,
        target: &Arc<TargetEntry>,
        login: &Login7,
        database: Option<&str>,
    ) -> Result<Lease, LeaseError> {
        let mut profile = LoginProfile::default();
        profile.application_name = Some(login.app_name.clone());
        profile.packet_size = Some(login.packet_size);
        let database = database.unwrap_or(&login.database);
        profile.database = Some(database.to_owned()).filter(|name| !name.is_empty());
        profile.features = login.features.clone();
        match target.dial(&profile).await {
            Ok(session) => Ok(Lease::new(session)),
            Err(source) => Err(LeaseError::Dial {
                target: target.name.clone(),
                source: Arc::new(source),
            }),
        }
    }

    /// Every pool at this moment, one per target and identity.
    pub(super) fn pools(&self) -> Vec<PoolView> {
        Vec::new()
    }

    /// Hands out no session of the target (of all for `None`) until
    /// [`resume`](Self::resume); clients that have one go on, others wait as
    /// long as they would for a free one.
    pub(super) fn pause(&self, _target: Option<&str>) {}

    /// Ends a pause.
    pub(super) fn resume(&self, _target: Option<&str>) {}

    /// Closes the sessions of the target (of all for `None`): idle ones now,
    /// those in use when they are given back.
    pub(super) fn reconnect(&self, _target: Option<&str>) {}

    /// Keeps no session for this target any more, since a reload has replaced it.
    pub(super) fn retire(&self, _target: &Arc<TargetEntry>) {}

    /// Closes all that is idle, refuses whoever waits, and waits for the work
    /// in the background to end.
    pub(super) async fn close(&self) {}
}
