//! The login, and where the server sends it.

use std::time::Duration;

use tokio::time::timeout;

use super::Options;
use super::finding::{Failed, Finding};
use super::refusal;
use super::session::Entered;
use super::token::Held;
use crate::dial::DialError;
use crate::dial::walk::{Arrival, Walk};
use crate::session::Session;
use crate::target::Target;
use crate::tds::LOGIN_FAILED;

/// No more redirects than this are followed, as in a login.
const MAX_HOPS: usize = 10;

/// What a login is made of.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) options: &'a Options,
    pub(super) target: &'a Target,
    pub(super) held: Option<&'a Held>,
}

impl Scene<'_> {
    pub(super) fn limit(&self) -> Duration {
        self.options.limit(self.target)
    }
}

/// At the server that the connection string names.
pub(super) async fn check(
    walk: &mut Walk,
    scene: &Scene<'_>,
    finding: &mut Finding,
) -> Result<Option<Box<Session>>, Failed> {
    match enter(walk, scene, false, finding).await? {
        Arrival::In(session) => {
            describe(&session, finding);
            Ok(Some(session))
        }
        Arrival::SentOn => {
            finding.saw(format!(
                "taken by the gateway, which sends it on to {}",
                walk.place()
            ));
            Ok(None)
        }
    }
}

/// At the servers that it is sent on to. `session` is there if it was not.
pub(super) async fn redirect(
    walk: &mut Walk,
    scene: &Scene<'_>,
    session: Option<Box<Session>>,
    finding: &mut Finding,
) -> Result<Entered, Failed> {
    if let Some(session) = session {
        finding.skip("none: the server itself serves the session");
        return Entered::new(*session, walk, scene.limit()).await;
    }
    let mut places = Vec::new();
    for _ in 0..=MAX_HOPS {
        places.push(walk.place());
        finding.fact("places", places.clone());
        if let Arrival::In(session) = enter(walk, scene, true, finding).await? {
            describe(&session, finding);
            finding.saw(format!("{}: {}", places.join(", then "), finding.what));
            if places.len() > 1 {
                finding.warn(
                    format!("the login is sent on {} times, and each takes a connection of its own", places.len()),
                    "nothing if it happens now and then, as while a database moves; if it stays, tell Azure's support",
                );
            }
            return Entered::new(*session, walk, scene.limit()).await;
        }
    }
    Err(refusal::circle(&places))
}

/// Tries once, and once more with a fresh token if the first is refused and
/// there is another to be had.
async fn enter(
    walk: &mut Walk,
    scene: &Scene<'_>,
    redirected: bool,
    finding: &mut Finding,
) -> Result<Arrival, Failed> {
    let token = scene.held.map(|held| &held.token);
    let mut error = match walk.log_in(token).await {
        Ok(arrival) => return Ok(arrival),
        Err(error) => error,
    };
    if let Some(held) = scene.held.filter(|_| refuses(&error)) {
        let fresh = timeout(scene.limit(), held.slot.replace(&held.token)).await;
        if let Some(fresh) = fresh.ok().flatten() {
            error = match walk.log_in(Some(&fresh)).await {
                Ok(arrival) => {
                    finding.warn(
                        "the first token was refused and a fresh one taken: what the identity may do has changed since the first was made",
                        "nothing, as logins renew a refused token by themselves; changes of groups and roles take up to a day to reach a managed identity's token",
                    );
                    return Ok(arrival);
                }
                Err(error) => error,
            };
        }
    }
    Err(refusal::explain(&error, walk, scene, redirected, finding).await)
}

fn refuses(error: &DialError) -> bool {
    error
        .server_error()
        .is_some_and(|message| message.number == LOGIN_FAILED)
}

fn describe(session: &Session, finding: &mut Finding) {
    let info = session.info();
    finding.fact("endpoint", info.endpoint.clone());
    finding.fact("database", info.database.clone());
    finding.fact("tds_version", info.tds_version.to_string());
    finding.fact("packet_size", info.packet_size);
    finding.fact("spid", info.spid);
    finding.saw(format!(
        "in database {} at {}, TDS {}",
        info.database, info.endpoint, info.tds_version
    ));
}
