//! Everything that the status page shows, at one moment.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::causes::chain;
use crate::proxy::BoundAddress;
use crate::proxy::config::{Admission, ListenerConfig, TlsMode};
use crate::proxy::registry::Entry;
use crate::proxy::shared::{Live, Shared};
use crate::proxy::stats::RecentError;
use crate::proxy::targets::TargetEntry;
use crate::proxy::upstream::PoolView;

use super::Desk;
use super::history::Columns;

/// Most sessions that are listed.
pub(super) const LISTED: usize = 500;
/// Most characters of what a client says about itself.
const MAX_SAID: usize = 128;

/// Everything that the status page shows. Times are milliseconds since 1970.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) version: &'static str,
    pub(super) pid: u32,
    pub(super) now: u64,
    pub(super) started: u64,
    pub(super) draining: bool,
    pub(super) totals: Sums,
    pub(super) listeners: Vec<Listener>,
    /// The first of [`Sums::clients`], in the order of their arrival.
    pub(super) sessions: Vec<Client>,
    pub(super) pools: Vec<Pool>,
    pub(super) tokens: Vec<Token>,
    pub(super) errors: Vec<Error>,
    pub(super) history: Columns,
}

/// Counted since the start, but for the clients of this moment.
#[derive(Debug, Serialize)]
pub(super) struct Sums {
    pub(super) clients: usize,
    pub(super) logins: u64,
    pub(super) logins_not_accepted: u64,
    pub(super) bytes_from_clients: u64,
    pub(super) bytes_to_clients: u64,
    pub(super) requests: u64,
    pub(super) errors: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Listener {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) tls: &'static str,
    pub(super) admission: &'static str,
    pub(super) target: String,
    /// When the certificate that clients are shown ends.
    pub(super) certificate_expires: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Client {
    pub(super) id: u64,
    pub(super) listener: String,
    pub(super) peer: String,
    pub(super) login: String,
    pub(super) application: String,
    pub(super) tds_version: String,
    pub(super) host: String,
    pub(super) target: String,
    pub(super) database: String,
    pub(super) identity: String,
    pub(super) spid: u16,
    pub(super) state: &'static str,
    pub(super) encrypted: bool,
    pub(super) since: u64,
    pub(super) bytes_from: u64,
    pub(super) bytes_to: u64,
    pub(super) requests: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Pool {
    pub(super) target: String,
    pub(super) identity: String,
    pub(super) paused: bool,
    pub(super) max: usize,
    pub(super) idle: usize,
    pub(super) in_use: usize,
    /// Being opened or reset.
    pub(super) busy: usize,
    pub(super) waiting: usize,
    pub(super) opened: u64,
    pub(super) reused: u64,
    pub(super) closed: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Token {
    pub(super) target: String,
    pub(super) identity: String,
    /// The source that gave it.
    pub(super) source: String,
    pub(super) obtained: Option<u64>,
    pub(super) expires: Option<u64>,
    pub(super) trouble: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Error {
    pub(super) at: u64,
    pub(super) text: String,
}

impl Status {
    pub(super) fn now(desk: &Desk) -> Self {
        let shared = &desk.shared;
        let live = shared.live.load();
        let (first, clients) = shared.registry.first(LISTED);
        let bound = desk.listening.load();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            now: millis(SystemTime::now()),
            started: millis(shared.stats.started),
            draining: shared.draining.is_cancelled(),
            totals: Sums::now(shared, clients),
            listeners: live
                .config
                .listeners
                .iter()
                .map(|listener| Listener::now(listener, &live, &bound))
                .collect(),
            sessions: first.iter().map(|entry| Client::now(entry)).collect(),
            pools: shared
                .upstreams
                .pools()
                .into_iter()
                .map(Pool::now)
                .collect(),
            tokens: entries(&live)
                .into_iter()
                .filter_map(|entry| Token::now(entry))
                .collect(),
            errors: shared
                .stats
                .recent_errors()
                .into_iter()
                .map(Error::now)
                .collect(),
            history: desk.history.columns(shared),
        }
    }
}

impl Sums {
    fn now(shared: &Shared, clients: usize) -> Self {
        let totals = shared.registry.totals();
        Self {
            clients,
            logins: shared.stats.logins(|outcome| outcome == "accepted"),
            logins_not_accepted: shared.stats.logins(|outcome| outcome != "accepted"),
            bytes_from_clients: totals.sent,
            bytes_to_clients: totals.received,
            requests: totals.requests,
            errors: shared.stats.errors(),
        }
    }
}

impl Listener {
    fn now(listener: &ListenerConfig, live: &Live, bound: &[(String, BoundAddress)]) -> Self {
        let certificate = live.tls(&listener.name).and_then(|tls| tls.certificate());
        let address = bound.iter().find(|(name, _)| *name == listener.name);
        Self {
            name: listener.name.clone(),
            address: address
                .map(|(_, address)| address.to_string())
                .unwrap_or_default(),
            tls: match listener.tls.mode {
                TlsMode::Off => "off",
                TlsMode::Optional => "optional",
                TlsMode::Required => "required",
                TlsMode::Strict => "strict",
            },
            admission: match listener.admission {
                Admission::SameUser => "same user",
                Admission::Listed { .. } => "listed users",
                Admission::Password => "password",
                Admission::Any => "anybody",
            },
            target: listener.target.clone().unwrap_or_default(),
            certificate_expires: certificate.map(|certificate| millis(certificate.not_after)),
        }
    }
}

impl Client {
    fn now(entry: &Entry) -> Self {
        let known = entry.known();
        Self {
            id: entry.id,
            listener: entry.listener.to_string(),
            peer: entry.peer.to_string(),
            login: said(&known.login),
            application: said(&known.application),
            tds_version: known.tds_version.clone(),
            host: said(&known.host),
            target: known.target.clone(),
            database: said(&known.database),
            identity: known.identity.clone(),
            spid: entry.spid(),
            state: known.state.word(),
            encrypted: known.encrypted,
            since: millis(entry.since),
            bytes_from: entry.traffic.sent.load(Ordering::Relaxed),
            bytes_to: entry.traffic.received.load(Ordering::Relaxed),
            requests: entry.traffic.requests.load(Ordering::Relaxed),
        }
    }
}

impl Pool {
    fn now(pool: PoolView) -> Self {
        Self {
            target: pool.target,
            identity: pool.identity,
            paused: pool.paused,
            max: pool.max,
            idle: pool.idle,
            in_use: pool.in_use,
            busy: pool.opening + pool.resetting,
            waiting: pool.waiting,
            opened: pool.opened,
            reused: pool.reused,
            closed: pool.closed.values().sum(),
        }
    }
}

impl Token {
    fn now(entry: &TargetEntry) -> Option<Self> {
        let slot = entry.token()?;
        let token = slot.in_hand();
        let obtained = token
            .as_ref()
            .map(|token| SystemTime::now() - token.obtained_at().elapsed());
        Some(Self {
            target: entry.name.clone(),
            identity: entry.identity(),
            source: slot.answered_by().to_string(),
            obtained: obtained.map(millis),
            expires: token.map(|token| millis(token.expires_on())),
            trouble: slot.trouble().map(|trouble| chain(&trouble)),
        })
    }
}

impl Error {
    fn now(error: RecentError) -> Self {
        Self {
            at: millis(error.at),
            text: error.text,
        }
    }
}

/// The targets in force with each of their identities, in order.
pub(super) fn entries(live: &Live) -> Vec<&Arc<TargetEntry>> {
    let mut entries: Vec<_> = live.entries().collect();
    entries.sort_by_cached_key(|entry| (entry.name.clone(), entry.identity()));
    entries
}

/// Since 1970.
pub(super) fn seconds(time: SystemTime) -> f64 {
    since_1970(time).as_secs_f64()
}

fn millis(time: SystemTime) -> u64 {
    u64::try_from(since_1970(time).as_millis()).unwrap_or(u64::MAX)
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What a client says, bounded, and without characters that would turn or break
/// the lines of whoever reads it.
fn said(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let shown = text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c });
    shown.take(MAX_SAID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_is_bounded_and_printable() {
        assert_eq!(said("a\r\nb\u{202e}c"), "a\u{fffd}\u{fffd}b\u{fffd}c");
        assert_eq!(said(&"ü".repeat(1000)).chars().count(), MAX_SAID);
    }
}
