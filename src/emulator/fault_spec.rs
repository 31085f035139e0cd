//! Faults as words, for configuration files and command lines.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Faults, GatewayFault, GatewayStep, IdentityFault, Redirect};

/// One fault, written as words between colons, with `*N` at the end for the number of times.
///
/// | Words | Meaning |
/// | --- | --- |
/// | `login-error:40613` | answer logins with this error number |
/// | `redirect` | send logins on to the emulator's second listener |
/// | `redirect:HOST:PORT` | send logins on to this server |
/// | `slow-bytes:5ms` | send each byte by itself, with this pause |
/// | `gateway:STEP:FAULT` | STEP is `accept`, `prelogin`, `tls`, `login` or `request`; FAULT is `close`, `close-after:BYTES`, `garbage`, `reset` or `stall` |
/// | `identity:FAULT` | FAULT is `garbage`, `html`, `stall`, `slow:500ms` or `status:429` (`status:429:7` adds `Retry-After: 7`) |
///
/// ```
/// use entrada::emulator::FaultSpec;
///
/// let twice: FaultSpec = "login-error:40613*2".parse().unwrap();
/// assert!("login-error:many".parse::<FaultSpec>().is_err());
/// # let _ = twice;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSpec {
    kind: Kind,
    times: Option<u32>,
}

/// Why words are no [`FaultSpec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultSpecError {
    /// A number, time or address that cannot be read.
    #[error("{text:?} in the fault is no {wanted}")]
    BadValue {
        /// What stands there.
        text: String,
        /// What should stand there.
        wanted: &'static str,
    },
    /// `*N` behind a fault that holds until it is cleared.
    #[error("the fault {spec:?} cannot be counted; leave out the number of times")]
    NotCounted {
        /// The whole text.
        spec: String,
    },
    /// Words that name no fault.
    #[error(
        "{spec:?} is no fault; write login-error:N, redirect, slow-bytes:TIME, \
         gateway:STEP:FAULT or identity:FAULT"
    )]
    Unknown {
        /// The whole text.
        spec: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Gateway(GatewayStep, GatewayFault),
    Identity(IdentityFault),
    LoginError(i32),
    Redirect(Redirect),
    SlowBytes(Duration),
}

impl Faults {
    /// Adds a fault that was given as words.
    pub fn add(&self, spec: &FaultSpec) {
        match &spec.kind {
            Kind::Gateway(step, fault) => self.gateway(*step, fault.clone(), spec.times),
            Kind::Identity(fault) => self.identity(fault.clone(), spec.times),
            Kind::LoginError(number) => self.login_error(*number, spec.times),
            Kind::Redirect(to) => self.redirect(Some(to.clone())),
            Kind::SlowBytes(pause) => self.slow_bytes(Some(*pause)),
        }
    }
}

impl FromStr for FaultSpec {
    type Err = FaultSpecError;

    fn from_str(spec: &str) -> Result<Self, Self::Err> {
        let (words, times) = match spec.rsplit_once('*') {
            Some((words, times)) => (words, Some(number(times, "number of times")?)),
            None => (spec, None),
        };
        let words: Vec<&str> = words.split(':').map(str::trim).collect();
        let kind = kind(&words)?.ok_or_else(|| FaultSpecError::Unknown { spec: spec.into() })?;
        if times.is_some() && matches!(kind, Kind::Redirect(_) | Kind::SlowBytes(_)) {
            return Err(FaultSpecError::NotCounted { spec: spec.into() });
        }
        Ok(Self { kind, times })
    }
}

fn kind(words: &[&str]) -> Result<Option<Kind>, FaultSpecError> {
    Ok(match words {
        ["login-error", code] => Some(Kind::LoginError(number(code, "error number")?)),
        ["redirect"] => Some(Kind::Redirect(Redirect::Node)),
        // An IPv6 address has colons of its own.
        ["redirect", server @ .., port] if !server.is_empty() => {
            let port = number(port, "port")?;
            Some(Kind::Redirect(Redirect::To {
                server: server.join(":"),
                port,
            }))
        }
        ["slow-bytes", pause] => Some(Kind::SlowBytes(time(pause)?)),
        ["gateway", step, fault @ ..] => match (step_of(step), gateway_fault(fault)?) {
            (Some(step), Some(fault)) => Some(Kind::Gateway(step, fault)),
            _ => None,
        },
        ["identity", fault @ ..] => identity_fault(fault)?.map(Kind::Identity),
        _ => None,
    })
}

fn step_of(word: &str) -> Option<GatewayStep> {
    Some(match word {
        "accept" => GatewayStep::Accept,
        "prelogin" => GatewayStep::Prelogin,
        "tls" => GatewayStep::Tls,
        "login" => GatewayStep::Login,
        "request" => GatewayStep::Request,
        _ => return None,
    })
}

fn gateway_fault(words: &[&str]) -> Result<Option<GatewayFault>, FaultSpecError> {
    Ok(match words {
        ["close"] => Some(GatewayFault::Close),
        ["close-after", bytes] => Some(GatewayFault::CloseAfter(number(bytes, "number of bytes")?)),
        ["garbage"] => Some(GatewayFault::Garbage),
        ["reset"] => Some(GatewayFault::Reset),
        ["stall"] => Some(GatewayFault::Stall),
        _ => None,
    })
}

fn identity_fault(words: &[&str]) -> Result<Option<IdentityFault>, FaultSpecError> {
    let status = |status: &str, retry_after: Option<&str>| {
        Ok(Some(IdentityFault::Status {
            status: number(status, "HTTP status")?,
            retry_after: match retry_after {
                Some(seconds) => Some(Duration::from_secs(number(seconds, "number of seconds")?)),
                None => None,
            },
        }))
    };
    match words {
        ["garbage"] => Ok(Some(IdentityFault::Garbage)),
        ["html"] => Ok(Some(IdentityFault::Html)),
        ["slow", pause] => Ok(Some(IdentityFault::Slow(time(pause)?))),
        ["stall"] => Ok(Some(IdentityFault::Stall)),
        ["status", code] => status(code, None),
        ["status", code, seconds] => status(code, Some(seconds)),
        _ => Ok(None),
    }
}

fn number<T: FromStr>(text: &str, wanted: &'static str) -> Result<T, FaultSpecError> {
    text.trim().parse().map_err(|_| bad(text, wanted))
}

/// A time such as `5ms`, `2s` or `50us`.
fn time(text: &str) -> Result<Duration, FaultSpecError> {
    const WANTED: &str = "time; write 500ms, 2s or 50us";
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let value: u32 = number(digits, WANTED)?;
    match &text[digits.len()..] {
        "us" => Ok(Duration::from_micros(value.into())),
        "ms" => Ok(Duration::from_millis(value.into())),
        "s" => Ok(Duration::from_secs(value.into())),
        _ => Err(bad(text, WANTED)),
    }
}

fn bad(text: &str, wanted: &'static str) -> FaultSpecError {
    FaultSpecError::BadValue {
        text: text.into(),
        wanted,
    }
}

impl<'de> serde::Deserialize<'de> for FaultSpec {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)?;
        match self.times {
            Some(times) => write!(f, ", {times} times"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> FaultSpec {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn each_kind_has_its_words() {
        let faults = Faults::new();
        for spec in [
            "login-error:40613*2",
            "gateway:login:reset*1",
            "gateway:request:close-after:100",
            "identity:status:429:7*3",
            "redirect:example.org:11000",
            "slow-bytes:50us",
        ] {
            faults.add(&parse(spec));
        }
        assert_eq!(faults.take_login_error(), Some(40613));
        assert_eq!(
            faults.take_gateway(GatewayStep::Login),
            Some(GatewayFault::Reset)
        );
        let after = faults.take_gateway(GatewayStep::Request);
        assert_eq!(after, Some(GatewayFault::CloseAfter(100)));
        let retry_after = Some(Duration::from_secs(7));
        let status = IdentityFault::Status {
            status: 429,
            retry_after,
        };
        assert_eq!(faults.take_identity(), Some(status));
        let to = Redirect::To {
            server: "example.org".into(),
            port: 11000,
        };
        assert_eq!(faults.redirect_now(), Some(to));
        assert_eq!(faults.slow_bytes_now(), Some(Duration::from_micros(50)));
        assert_eq!(parse("redirect").kind, Kind::Redirect(Redirect::Node));
    }

    #[test]
    fn other_words_are_refused() {
        let unknown = |text: &str| {
            matches!(
                text.parse::<FaultSpec>(),
                Err(FaultSpecError::Unknown { .. })
            )
        };
        assert!(unknown(""));
        assert!(unknown("gateway:login"));
        assert!(unknown("gateway:nowhere:reset"));
        assert!(unknown("identity:tea"));
        let bad = |text: &str| {
            matches!(
                text.parse::<FaultSpec>(),
                Err(FaultSpecError::BadValue { .. })
            )
        };
        assert!(bad("login-error:many"));
        assert!(bad("login-error:1*x"));
        assert!(bad("slow-bytes:5"));
        assert!(bad("identity:slow:5h"));
        assert!(matches!(
            "redirect*2".parse::<FaultSpec>(),
            Err(FaultSpecError::NotCounted { .. })
        ));
    }
}
