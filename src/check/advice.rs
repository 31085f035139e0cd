//! Wording that several checks share.

use std::time::Duration;

use super::finding::{Failed, Kind};
use crate::causes::{below, chain};
use crate::dial::DialError;

/// The failure that an error of the way to the server is, if nothing is known
/// that says more.
pub(super) fn plain(error: &DialError, fix: &'static str) -> Failed {
    let kind = if error.is_auth() {
        Kind::Auth
    } else if error.server_error().is_some() {
        Kind::Server
    } else {
        Kind::Network
    };
    let cause = match error {
        DialError::Timeout { .. } => chain(error),
        error => below(error),
    };
    Failed::new(kind, cause, error.advice().unwrap_or(fix))
}

/// A duration in milliseconds, or in seconds if it is long.
pub(super) fn span(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis >= 10_000.0 {
        format!("{:.0} s", time.as_secs_f64())
    } else if millis >= 100.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{millis:.1} ms")
    }
}
