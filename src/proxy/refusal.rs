//! What a client is told that is not let in, or is let go: an ERROR of SQL
//! Server's form, with the real number, the cause and what to do.

use std::error::Error;

use super::access_log::is_harmless;
use super::admission::Denial;
use super::relay::End;
use super::upstream::LeaseError;
use crate::causes;
use crate::dial::{DialError, LoginError};
use crate::tds::{LOGIN_FAILED, ServerMessage, TdsVersion, is_auth};

/// As much as clients show, and what leaves room in one packet, in characters.
const LONGEST: usize = 2000;

// Numbers for what only we can say. Drivers know each of them, and whether to
// try again after it: yes after those of the network and of too many clients.
/// The network, as Windows Sockets has it: the connection broke.
const BROKEN: i32 = 10054;
/// The connection timed out.
const TIMED_OUT: i32 = 10060;
/// The connection was refused.
const UNREACHABLE: i32 = 10061;
/// The limit of sessions has been reached.
const EXHAUSTED: i32 = 10928;
/// The database is not available right now.
const UNAVAILABLE: i32 = 40613;
/// The server is shutting down.
const SHUTTING_DOWN: i32 = 6005;
/// The incoming stream breaks the protocol.
const PROTOCOL: i32 = 4002;
/// A setting that the person who runs the proxy must change.
const SETTING: i32 = 50_000;

/// What goes to the client whose login is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: ServerMessage,
    /// What else the server said.
    pub(super) others: Vec<ServerMessage>,
}

pub(super) fn of_denial(denial: &Denial) -> Refusal {
    Refusal::of(error(denial.number(), 14, denial.to_string()))
}

/// A client that came under a configuration which is gone, and whose listener is
/// gone or has become stricter about encryption.
pub(super) fn of_reload() -> Refusal {
    let text = "Entrada: the proxy's configuration was replaced during this login; try again";
    Refusal::of(error(UNAVAILABLE, 17, text.to_owned()))
}

/// A client that speaks a version of before collations, which nothing that a
/// server says today has a form in.
pub(super) fn of_version(version: TdsVersion) -> Refusal {
    Refusal::of(error(
        LOGIN_FAILED,
        16,
        format!(
            "Entrada: this client speaks TDS {version}; 7.1 (SQL Server 2000) to 8.0 are served. \
             Set a higher version in its driver (FreeTDS: `tds version = 7.1` or TDSVER=7.1; \
             jTDS: the property TDS=8.0, which is its name for 7.1), or use a driver of 2000 or later"
        ),
    ))
}

/// Why there is no session. `identity` is who logs in to the server.
pub(super) fn of_lease(lease: &LeaseError, identity: &str) -> Refusal {
    match lease {
        LeaseError::Dial { target, source } => of_dial(target, source, identity),
        LeaseError::Closed { .. } => Refusal::of(error(SHUTTING_DOWN, 14, told(lease))),
        LeaseError::Paused { .. } => Refusal::of(error(UNAVAILABLE, 17, told(lease))),
        LeaseError::QueueFull(_) | LeaseError::QueueTimeout(_) => {
            Refusal::of(error(EXHAUSTED, 17, told(lease)))
        }
    }
}

/// What a client is told that waits for an answer which will not come.
pub(super) fn of_end(end: &End) -> Option<ServerMessage> {
    let number = match end {
        end if end.is_breach() => PROTOCOL,
        end if end.is_servers() => BROKEN,
        _ => return None,
    };
    Some(error(number, 20, format!("Entrada: {end}")))
}

fn of_dial(target: &str, dial: &DialError, identity: &str) -> Refusal {
    let Some(LoginError::Rejected {
        message,
        others,
        by_token,
    }) = login_error(dial)
    else {
        let (number, class) = number_of(dial);
        let text = format!(
            "Entrada, target `{target}`: {}",
            with_advice(dial, chain(dial))
        );
        return Refusal::of(error(number, class, text));
    };
    // The server's own words come first: programs look for them.
    let mut text = message.message.trim_end().to_owned();
    text.push_str(" [Entrada, target `");
    text.push_str(target);
    text.push_str("`: ");
    let refused = is_auth(message.number);
    text.push_str(&if *by_token && refused {
        format!(
            "the server refused the proxy's identity ({identity}), which logs in with a token; \
             the client's own user and password are not sent there and are not at fault"
        )
    } else if refused {
        format!("the server refused the login that the proxy uses ({identity}), not the client's")
    } else {
        outer(dial)
    });
    let text = with_advice(dial, text) + "]";
    let bounded = |message: &ServerMessage| ServerMessage {
        message: printable(&message.message),
        procedure: String::new(),
        ..message.clone()
    };
    Refusal {
        error: ServerMessage {
            message: printable(&text),
            ..bounded(message)
        },
        others: others.iter().take(8).map(bounded).collect(),
    }
}

/// The number and the class of a failure of which the server said nothing.
fn number_of(dial: &DialError) -> (i32, u8) {
    match dial {
        DialError::GaveUp { source, .. } => number_of(source),
        DialError::Timeout { .. } => (TIMED_OUT, 17),
        DialError::Tcp { .. } | DialError::Browser { .. } => (UNREACHABLE, 17),
        _ if dial.is_auth() => (LOGIN_FAILED, 14),
        _ if dial.is_network() => (BROKEN, 17),
        _ => (SETTING, 16),
    }
}

fn login_error(dial: &DialError) -> Option<&LoginError> {
    match dial {
        DialError::GaveUp { source, .. } => login_error(source),
        DialError::Login { source, .. } => Some(source),
        DialError::Timeout { earlier, .. } => login_error(earlier.as_ref()?),
        _ => None,
    }
}

/// All levels but the last, which is what the server said.
fn outer(dial: &DialError) -> String {
    match dial {
        DialError::GaveUp { source, .. } => format!("{dial}: {}", outer(source)),
        DialError::Timeout {
            earlier: Some(earlier),
            ..
        } => format!("{dial}: {}", outer(earlier)),
        _ => dial.to_string(),
    }
}

fn with_advice(dial: &DialError, mut text: String) -> String {
    if let Some(advice) = dial.advice() {
        text.push_str("; ");
        text.push_str(advice);
    }
    text
}

fn told(error: &LeaseError) -> String {
    format!("Entrada: {}", chain(error))
}

/// The error and its causes in one line. Servers repeat what clients say: nothing
/// of it is to look like another line of a log, or to steer a terminal.
pub(super) fn chain(error: &dyn Error) -> String {
    let harmless = |c| if is_harmless(c) { c } else { ' ' };
    causes::chain(error).chars().map(harmless).collect()
}

fn error(number: i32, class: u8, text: String) -> ServerMessage {
    ServerMessage {
        server: "entrada".to_owned(),
        ..ServerMessage::new(number, 1, class, printable(&text))
    }
}

/// A text that steers no terminal, and no longer than clients show.
fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

impl Refusal {
    fn of(error: ServerMessage) -> Self {
        Self {
            error,
            others: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
