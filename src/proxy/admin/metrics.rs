//! All numbers in Prometheus's text format.

use prometheus::{Registry, TextEncoder};

use crate::proxy::registry::{Phase, Registry as Clients};
use crate::proxy::shared::Shared;
use crate::proxy::stats::{Stats, names};
use crate::proxy::upstream::PoolView;

use super::status::{entries, seconds};

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that there is to say now.
pub(super) fn text(shared: &Shared) -> prometheus::Result<String> {
    // What is read off other parts gets a registry of its own each time: nothing
    // of a pool that is gone stays, and two scrapes do not disturb each other.
    let views = Registry::new();
    process(&shared.stats, &views);
    clients(&shared.registry, &views);
    pools(&shared.upstreams.pools(), &views);
    tokens(shared, &views);
    let certificates = names::CERTIFICATE_EXPIRY.floats(&views);
    let live = shared.live.load();
    for listener in &live.config.listeners {
        let name = listener.name.as_str();
        shared.stats.expect_logins(name);
        if let Some(certificate) = live.tls(name).and_then(|tls| tls.certificate()) {
            let ends = certificates.with_label_values(&[name]);
            ends.set(seconds(certificate.not_after));
        }
    }
    let mut families = shared.stats.gather();
    families.extend(views.gather());
    families.sort_by(|a, b| a.name().cmp(b.name()));
    TextEncoder::new().encode_to_string(&families)
}

fn process(stats: &Stats, views: &Registry) {
    let build = names::BUILD_INFO.gauges(views);
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    names::START_TIME.float(views).set(seconds(stats.started));
}

fn clients(clients: &Clients, views: &Registry) {
    let states = names::CLIENTS.gauges(views);
    let counts = clients.count_by_phase();
    for (phase, count) in Phase::ALL.into_iter().zip(counts) {
        states.with_label_values(&[phase.word()]).set(whole(count));
    }
    let totals = clients.totals();
    let bytes = names::RELAY_BYTES.counters(views);
    bytes
        .with_label_values(&["from_client"])
        .inc_by(totals.sent);
    bytes
        .with_label_values(&["to_client"])
        .inc_by(totals.received);
    names::REQUESTS.counter(views).inc_by(totals.requests);
}

/// Pools of the same target under other identities count together.
fn pools(pools: &[PoolView], views: &Registry) {
    let sessions = names::UPSTREAM_SESSIONS.gauges(views);
    let max = names::UPSTREAM_MAX.gauges(views);
    let waiting = names::UPSTREAM_WAITING.gauges(views);
    let paused = names::UPSTREAM_PAUSED.gauges(views);
    let opened = names::UPSTREAM_OPENED.counters(views);
    let reused = names::UPSTREAM_REUSED.counters(views);
    let closed = names::UPSTREAM_CLOSED.counters(views);
    for pool in pools {
        let target = pool.target.as_str();
        for (state, count) in [
            ("idle", pool.idle),
            ("in_use", pool.in_use),
            ("resetting", pool.resetting),
            ("opening", pool.opening),
        ] {
            sessions
                .with_label_values(&[target, state])
                .add(whole(count));
        }
        max.with_label_values(&[target]).add(whole(pool.max));
        waiting
            .with_label_values(&[target])
            .add(whole(pool.waiting));
        let was_paused = paused.with_label_values(&[target]).get();
        paused
            .with_label_values(&[target])
            .set(was_paused.max(i64::from(pool.paused)));
        opened.with_label_values(&[target]).inc_by(pool.opened);
        reused.with_label_values(&[target]).inc_by(pool.reused);
        for (reason, count) in &pool.closed {
            closed.with_label_values(&[target, reason]).inc_by(*count);
        }
    }
}

fn tokens(shared: &Shared, views: &Registry) {
    let expiry = names::TOKEN_EXPIRY.floats(views);
    let age = names::TOKEN_AGE.floats(views);
    let trouble = names::TOKEN_TROUBLE.gauges(views);
    let live = shared.live.load();
    for entry in entries(&live) {
        let Some(slot) = entry.token() else {
            continue;
        };
        let identity = entry.identity();
        let labels = [entry.name.as_str(), identity.as_str()];
        trouble
            .with_label_values(&labels)
            .set(i64::from(slot.trouble().is_some()));
        if let Some(token) = slot.in_hand() {
            expiry
                .with_label_values(&labels)
                .set(seconds(token.expires_on()));
            age.with_label_values(&labels)
                .set(token.obtained_at().elapsed().as_secs_f64());
        }
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
