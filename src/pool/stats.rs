//! What the pool counts, and where it shows it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::wire::Doubt;
use crate::dial::DialError;

/// A pool at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The most sessions that the pool may have open.
    pub max_size: u32,
    /// Sessions that are open: in use or idle.
    pub open: u32,
    /// Sessions that somebody holds.
    pub in_use: u32,
    /// Sessions that wait for somebody.
    pub idle: u32,
    /// Logins under way.
    pub dialing: u32,
    /// Callers that wait for a session.
    pub waiting: u32,
    /// Sessions opened since the pool was made.
    pub opened: u64,
    /// Sessions closed since the pool was made.
    pub retired: u64,
    /// Logins that failed since the pool was made.
    pub failed: u64,
}

/// Why a session was closed, as the metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retired {
    /// Something was left open in it.
    InDoubt(Doubt),
    /// The server had closed it, or did not answer a check.
    Dead,
    /// It reached the age at which sessions are closed.
    Aged,
    /// Its token is about to expire.
    TokenExpiry,
    /// It was idle too long.
    Idle,
    /// A secret has come to lead elsewhere since it was opened.
    Moved,
    /// The holder asked for it, or the pool does not keep sessions.
    Discarded,
    /// The pool was closed.
    PoolClosed,
}

impl Retired {
    /// The label's value.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::InDoubt(doubt) => match doubt {
                Doubt::AppRole => "app_role",
                Doubt::Attention => "attention",
                Doubt::BulkLoad => "bulk_load",
                Doubt::Closed => "closed",
                Doubt::Descriptor => "descriptor",
                Doubt::MidRequest => "mid_request",
                Doubt::MidResponse => "mid_response",
                Doubt::Protocol => "protocol",
                Doubt::Reset => "reset",
                Doubt::Transaction => "transaction",
            },
            Self::Dead => "dead",
            Self::Aged => "lifetime",
            Self::TokenExpiry => "token_expiry",
            Self::Idle => "idle",
            Self::Moved => "moved",
            Self::Discarded => "discarded",
            Self::PoolClosed => "pool_closed",
        }
    }
}

/// The pool's counters. The gauges follow them.
pub(super) struct Stats {
    pool: String,
    max_size: u32,
    open: AtomicU32,
    in_use: AtomicU32,
    dialing: AtomicU32,
    waiting: AtomicU32,
    opened: AtomicU64,
    retired: AtomicU64,
    failed: AtomicU64,
    last_error: Mutex<Option<DialError>>,
    meters: Meters,
}

struct Meters {
    size: Gauge,
    in_use: Gauge,
    idle: Gauge,
    wait: Histogram,
    dials_ok: Counter,
    dials_failed: Counter,
    resets_ok: Counter,
    resets_failed: Counter,
}

impl Stats {
    /// Counters of a pool whose metrics carry the label `pool`.
    pub(super) fn new(pool: String, max_size: u32) -> Self {
        let dials = |outcome: &'static str| counter!("entrada_pool_dials_total", "pool" => pool.clone(), "outcome" => outcome);
        let resets = |outcome: &'static str| counter!("entrada_pool_resets_total", "pool" => pool.clone(), "outcome" => outcome);
        let meters = Meters {
            size: gauge!("entrada_pool_sessions", "pool" => pool.clone()),
            in_use: gauge!("entrada_pool_sessions_in_use", "pool" => pool.clone()),
            idle: gauge!("entrada_pool_sessions_idle", "pool" => pool.clone()),
            wait: histogram!("entrada_pool_wait_seconds", "pool" => pool.clone()),
            dials_ok: dials("ok"),
            dials_failed: dials("error"),
            resets_ok: resets("ok"),
            resets_failed: resets("error"),
        };
        Self {
            pool,
            max_size,
            open: AtomicU32::new(0),
            in_use: AtomicU32::new(0),
            dialing: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            opened: AtomicU64::new(0),
            retired: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_error: Mutex::new(None),
            meters,
        }
    }

    pub(super) fn status(&self) -> PoolStatus {
        let in_use = self.in_use.load(Ordering::Acquire);
        let open = self.open.load(Ordering::Acquire).max(in_use);
        PoolStatus {
            max_size: self.max_size,
            open,
            in_use,
            idle: open - in_use,
            dialing: self.dialing.load(Ordering::Acquire),
            waiting: self.waiting.load(Ordering::Acquire),
            opened: self.opened.load(Ordering::Relaxed),
            retired: self.retired.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// The last failed login, if none has succeeded since.
    pub(super) fn last_error(&self) -> Option<DialError> {
        self.error_slot().clone()
    }

    /// A login has begun; it counts until the guard is dropped.
    pub(super) fn dialing(&self) -> Counted<'_> {
        Counted::up(&self.dialing)
    }

    /// Somebody waits; it counts until the guard is dropped.
    pub(super) fn waiting(&self) -> Counted<'_> {
        Counted::up(&self.waiting)
    }

    /// Whether somebody waits now.
    pub(super) fn anyone_waits(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    pub(super) fn on_opened(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.opened.fetch_add(1, Ordering::Relaxed);
        *self.error_slot() = None;
        self.meters.dials_ok.increment(1);
        self.show();
    }

    pub(super) fn on_dial_failed(&self, error: &DialError) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        *self.error_slot() = Some(error.clone());
        self.meters.dials_failed.increment(1);
    }

    pub(super) fn on_closed(&self, retired: Retired) {
        self.open.fetch_sub(1, Ordering::AcqRel);
        self.retired.fetch_add(1, Ordering::Relaxed);
        counter!(
            "entrada_pool_retired_total",
            "pool" => self.pool.clone(),
            "reason" => retired.reason()
        )
        .increment(1);
        self.show();
    }

    pub(super) fn on_taken(&self, waited: Duration) {
        self.in_use.fetch_add(1, Ordering::AcqRel);
        self.meters.wait.record(waited);
        self.show();
    }

    pub(super) fn on_given_back(&self) {
        self.in_use.fetch_sub(1, Ordering::AcqRel);
        self.show();
    }

    pub(super) fn on_reset(&self, acknowledged: bool) {
        if acknowledged {
            self.meters.resets_ok.increment(1);
        } else {
            self.meters.resets_failed.increment(1);
        }
    }

    fn show(&self) {
        let status = self.status();
        self.meters.size.set(status.open);
        self.meters.in_use.set(status.in_use);
        self.meters.idle.set(status.idle);
    }

    fn error_slot(&self) -> std::sync::MutexGuard<'_, Option<DialError>> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Stats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stats")
            .field("pool", &self.pool)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// Counts as long as it lives, also when its future is dropped.
#[derive(Debug)]
pub(super) struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn up(counter: &'a AtomicU32) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
