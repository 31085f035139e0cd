//! Who may connect, and where it is taken: decided before anything is dialled.

mod crowd;
mod denial;
mod failures;
mod guard;
mod password;
mod peer;
mod rules;
mod throttle;

use std::sync::Arc;
use std::time::Duration;

pub(super) use self::crowd::{Crowd, Excess, Seat};
pub(super) use self::denial::Denial;
use self::denial::Why;
use self::failures::Failures;
pub(super) use self::guard::guard;
pub(super) use self::password::check_hash;
pub use self::password::{PasswordError, hash_password};
use self::password::{Passwords, Unproven};
pub(super) use self::peer::{Peer, canonical};
use self::rules::{Choice, choose};
pub(super) use self::throttle::Throttle;
use super::ProxyError;
use super::access_log::shown;
use super::config::{Admission, Config, ListenerConfig};
use super::shared::Live;
use super::targets::TargetEntry;
use crate::tds::{FeatureId, Login7, option_flags2, option_flags3};

/// So many denials are logged one by one in [`LOG_WINDOW`]; the next line says
/// how many were left out.
const LOG_BURST: u32 = 100;
const LOG_WINDOW: Duration = Duration::from_secs(10);

/// Decides by what the configuration says.
#[derive(Debug)]
pub(super) struct Gate {
    /// The user that the proxy runs as.
    own_uid: Option<u32>,
    passwords: Passwords,
    failures: Failures,
    log: Throttle,
}

/// A client that is let in.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    pub(super) route: Route,
    /// Who it is, for logs: the user whose password it knew, else the login
    /// name that it gave. Printable and short.
    pub(super) user: String,
}

/// Where an admitted client is taken.
#[derive(Clone, Debug)]
pub(super) enum Route {
    /// To a target.
    Target {
        target: Arc<TargetEntry>,
        /// In place of the database that the client asks for.
        database: Option<String>,
    },
    /// To the admin database.
    Admin,
}

/// Somebody who may come in.
#[derive(Debug)]
struct Guest {
    user: String,
    admin: bool,
}

impl Gate {
    /// Failed logins count on from the gate before.
    ///
    /// # Errors
    /// Which user has no hash that passwords can be checked against.
    pub(super) fn new(config: &Config, before: Option<&Self>) -> Result<Self, ProxyError> {
        let passwords = Passwords::new(&config.users)
            .map_err(|(user, source)| ProxyError::PasswordHash { user, source })?;
        let per_minute = config.limits.failed_logins_per_minute;
        Ok(Self {
            own_uid: own_uid(),
            passwords,
            failures: match before {
                Some(before) => before.failures.with_budget(per_minute),
                None => Failures::new(per_minute),
            },
            log: Throttle::new(LOG_BURST, LOG_WINDOW),
        })
    }

    /// Decides about a login, and logs a denial.
    ///
    /// `encrypted` says whether TLS covers the whole connection.
    ///
    /// # Cancel safety
    /// Dropping the future decides nothing; a password that is being checked
    /// counts as a failed one.
    pub(super) async fn admit(
        &self,
        live: &Live,
        listener: &ListenerConfig,
        peer: &Peer,
        login: &Login7,
        encrypted: bool,
    ) -> Result<Admitted, Denial> {
        let decision = match self.recognise(live, listener, peer, login, encrypted).await {
            Ok(guest) => lead(live, listener, login, guest),
            Err(why) => Err(why),
        };
        decision.map_err(|why| {
            let denial = Denial {
                login: shown(&login.user_name),
                why,
            };
            self.note(&denial, listener, peer);
            denial
        })
    }

    /// Whether it may come in, wherever it wants to go.
    async fn recognise(
        &self,
        live: &Live,
        listener: &ListenerConfig,
        peer: &Peer,
        login: &Login7,
        encrypted: bool,
    ) -> Result<Guest, Why> {
        if let Some(excess) = peer.excess {
            return Err(Why::Excess(excess));
        }
        // A client with a token of its own means to be somebody else than the
        // proxy; it must not find itself to be the proxy's identity.
        if login.feature(FeatureId::FEDAUTH).is_some() {
            return Err(Why::OtherLogin { what: "a token" });
        }
        let is_own = self.own_uid.is_some() && peer.uid == self.own_uid;
        match &listener.admission {
            Admission::SameUser => match peer.uid {
                _ if is_own => {}
                Some(uid) => return Err(Why::OtherUser { uid }),
                None => return Err(Why::NobodyKnown),
            },
            Admission::Listed { uids, gids } => listed(peer, uids, gids)?,
            Admission::Password => {
                return self.by_password(live, peer, login, encrypted).await;
            }
            Admission::Any => {}
        }
        Ok(Guest {
            user: shown(&login.user_name),
            admin: is_own && live.config.admin.same_user,
        })
    }

    async fn by_password(
        &self,
        live: &Live,
        peer: &Peer,
        login: &Login7,
        encrypted: bool,
    ) -> Result<Guest, Why> {
        // The guard has seen to this already; TLS for the login alone, which
        // some clients ask for, does not do over a network.
        if !encrypted && !peer.is_on_loopback() {
            return Err(Why::NotEncrypted);
        }
        let by_windows = login.option_flags2 & option_flags2::INTEGRATED_SECURITY != 0;
        if by_windows || !login.sspi.is_empty() {
            return Err(Why::OtherLogin { what: "SSPI" });
        }
        let changes = login.option_flags3 & option_flags3::CHANGE_PASSWORD != 0;
        if changes || !login.change_password.is_empty() {
            return Err(Why::NewPassword);
        }
        if login.password.is_empty() {
            return Err(Why::NoPassword);
        }
        let attempt = self.failures.begin(peer.who());
        let attempt = attempt.ok_or(Why::TooManyFailures)?;
        let patience = live.config.limits.login_timeout;
        let check = self
            .passwords
            .check(&login.user_name, &login.password, patience);
        match check.await {
            Ok(known) => {
                attempt.succeeded();
                Ok(Guest {
                    user: shown(&known.name),
                    admin: known.admin,
                })
            }
            Err(Unproven::NoSuchUser) => Err(Why::Password { user_exists: false }),
            Err(Unproven::WrongPassword) => Err(Why::Password { user_exists: true }),
            Err(Unproven::Busy) => {
                attempt.succeeded();
                Err(Why::Busy)
            }
        }
    }

    fn note(&self, denial: &Denial, listener: &ListenerConfig, peer: &Peer) {
        let Some(left_out) = self.log.pass() else {
            return;
        };
        tracing::warn!(
            reason = denial.reason(),
            %peer,
            listener = listener.name,
            login = denial.login,
            detail = denial.detail(),
            left_out,
            "client denied"
        );
    }
}

/// Where somebody who may come in is taken.
fn lead(
    live: &Live,
    listener: &ListenerConfig,
    login: &Login7,
    guest: Guest,
) -> Result<Admitted, Why> {
    let Guest { user, admin } = guest;
    let route = match choose(listener, &login.user_name, &login.database) {
        Choice::Admin if admin => Route::Admin,
        Choice::Admin => return Err(Why::NotAdmin),
        Choice::Target {
            name,
            database,
            identity,
        } => Route::Target {
            target: live.entry(name, identity).map(Arc::clone).ok_or_else(|| {
                Why::UnusableTarget {
                    target: name.to_owned(),
                }
            })?,
            database: database.map(str::to_owned),
        },
        Choice::Nowhere => {
            return Err(Why::NoTarget {
                database: shown(&login.database),
            });
        }
    };
    Ok(Admitted { route, user })
}

fn listed(peer: &Peer, uids: &[u32], gids: &[u32]) -> Result<(), Why> {
    let by_uid = peer.uid.is_some_and(|uid| uids.contains(&uid));
    let by_gid = peer.gid.is_some_and(|gid| gids.contains(&gid));
    match (peer.uid, peer.gid) {
        _ if by_uid || by_gid => Ok(()),
        (None, _) => Err(Why::NobodyKnown),
        (Some(_), None) if !gids.is_empty() => Err(Why::NoGroupKnown),
        (uid, gid) => Err(Why::NotListed { uid, gid }),
    }
}

#[cfg(unix)]
fn own_uid() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

/// Who runs a program is not told by sockets here.
#[cfg(not(unix))]
fn own_uid() -> Option<u32> {
    None
}
