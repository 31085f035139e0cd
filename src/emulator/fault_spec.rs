//! Faults as words, for configuration files, command lines and the admin endpoint.

mod cloud;
mod identity;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::fault_kinds::Fault;
use super::{
    DatabaseState, EntraFault, GatewayFault, GatewayStep, IdentityFault, Platform, Redirect,
    VaultFault,
};

/// One fault, written as words between colons, and how often or how long it happens.
///
/// | Words | Meaning |
/// | --- | --- |
/// | `login-error:40613` | answer logins with this error number |
/// | `request-error:40501` | answer requests with this error number |
/// | `database:NAME:STATE` | STATE is `resuming`, `paused`, `offline` or `allowance-used-up`; its sessions end |
/// | `failover` | end all SQL sessions, and answer logins with 40613 |
/// | `redirect` | send logins on to the emulator's second listener |
/// | `redirect:HOST:PORT` | send logins on to this server |
/// | `slow-bytes:5ms` | send each byte by itself, with this pause |
/// | `gateway:STEP:FAULT` | STEP is `accept`, `prelogin`, `tls`, `login` or `request`; FAULT is `close`, `close-after:BYTES`, `garbage`, `reset`, `slow:2s` or `stall` |
/// | `identity:FAULT` | FAULT is `booting` (404, then 500; 4 times unless said otherwise), `upgrading` (410; 70 s unless said otherwise), `garbage`, `html`, `oversized`, `stall`, `slow:500ms`, `status:429` (`status:429:7` adds `Retry-After: 7`), `redirect`, `ignores-selector`, `plain-text` or `unreachable` |
/// | `PLATFORM:FAULT` | the same at one [`Platform`] only, as `imds:upgrading` |
/// | `arc:CHALLENGE` | CHALLENGE is `200`, `big`, `dot-dot`, `missing`, `no-header`, `no-realm`, `outside`, `quoted`, `symlink` or `txt` (see [`ArcChallenge`](super::ArcChallenge)) |
/// | `entra:FAULT` | FAULT is `aadsts:NUMBER`, `temporarily-unavailable`, or one of `identity` |
/// | `vault:FAULT` | FAULT is `forbidden` (403), `foreign-challenge`, or one of `identity` |
/// | `identity:down` | refuse connections to the identity endpoints |
///
/// `*N` at the end is the number of times, `@TIME` a time by the emulator's clock (`@70s`), and
/// `/N` makes it happen every Nth time only; without `*` and `@` a fault holds until it is removed.
///
/// ```
/// use entrada::emulator::FaultSpec;
///
/// let twice: FaultSpec = "login-error:40613*2".parse().unwrap();
/// assert_eq!(twice, FaultSpec::login_error(40613).times(2));
/// assert_eq!(twice.to_string(), "login-error:40613*2");
/// assert!("login-error:many".parse::<FaultSpec>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSpec {
    pub(super) kind: Fault,
    pub(super) times: Option<u32>,
    pub(super) lasting: Option<Duration>,
    pub(super) every: Option<u32>,
}

/// Why words are no [`FaultSpec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultSpecError {
    /// A number, time or address that cannot be read.
    #[error("{text:?} is no {wanted}")]
    BadValue {
        /// What stands there.
        text: String,
        /// What should stand there.
        wanted: &'static str,
    },
    /// `*N`, `@TIME` or `/N` behind a fault that holds until it is removed.
    #[error("the fault {spec:?} cannot be counted or timed; leave out what is behind the words")]
    NotCounted {
        /// The whole text.
        spec: String,
    },
    /// Words that name no fault.
    #[error(
        "{spec:?} is no fault; write login-error:N, request-error:N, database:NAME:STATE, failover, \
         redirect, slow-bytes:TIME, gateway:STEP:FAULT, identity:FAULT, PLATFORM:FAULT, entra:FAULT \
         or vault:FAULT"
    )]
    Unknown {
        /// The whole text.
        spec: String,
    },
}

impl FaultSpec {
    /// Answer logins with this error number.
    #[must_use]
    pub fn login_error(number: i32) -> Self {
        Fault::LoginError(number).into()
    }

    /// Answer requests with this error number in place of running them.
    #[must_use]
    pub fn request_error(number: i32) -> Self {
        Fault::RequestError(number).into()
    }

    /// Put a database into this state.
    #[must_use]
    pub fn database(name: impl Into<String>, state: DatabaseState) -> Self {
        Fault::Database(name.into(), state).into()
    }

    /// End all SQL sessions, and answer logins with 40613.
    #[must_use]
    pub fn failover() -> Self {
        Fault::Failover.into()
    }

    /// Send logins elsewhere.
    #[must_use]
    pub fn redirect(to: Redirect) -> Self {
        Fault::Redirect(to).into()
    }

    /// Send each byte of new SQL connections by itself, with this pause.
    #[must_use]
    pub fn slow_bytes(pause: Duration) -> Self {
        Fault::SlowBytes(pause).into()
    }

    /// Let SQL connections fail at a step.
    #[must_use]
    pub fn gateway(step: GatewayStep, fault: GatewayFault) -> Self {
        Fault::Gateway(step, fault).into()
    }

    /// Let token requests fail, whatever the platform.
    #[must_use]
    pub fn identity(fault: IdentityFault) -> Self {
        Fault::Identity(None, fault).into()
    }

    /// Let token requests fail at the endpoint of one platform.
    #[must_use]
    pub fn platform(platform: Platform, fault: IdentityFault) -> Self {
        Fault::Identity(Some(platform), fault).into()
    }

    /// Let requests at Entra's token endpoint fail.
    #[must_use]
    pub fn entra(fault: EntraFault) -> Self {
        Fault::Entra(fault).into()
    }

    /// Let requests at Key Vault fail.
    #[must_use]
    pub fn vault(fault: VaultFault) -> Self {
        Fault::Vault(fault).into()
    }

    /// Refuse connections to the identity endpoints. It cannot be counted or timed.
    #[must_use]
    pub fn identity_down() -> Self {
        Fault::IdentityDown.into()
    }

    /// Makes it happen so many times. Defaults to always.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        self.maybe_times(Some(times))
    }

    /// Makes it last so long by the emulator's clock. Defaults to for ever.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasting = Some(time);
        self
    }

    /// Makes it happen every Nth time only: of the chances that it has, not of all that happens.
    /// 0 and 1 are every time, the default.
    #[must_use]
    pub fn every(mut self, nth: u32) -> Self {
        self.every = (nth > 1).then_some(nth);
        self
    }

    pub(super) fn maybe_times(mut self, times: Option<u32>) -> Self {
        self.times = times;
        self
    }

    fn is_plain(&self) -> bool {
        self.times.is_none() && self.lasting.is_none() && self.every.is_none()
    }
}

impl From<Fault> for FaultSpec {
    fn from(kind: Fault) -> Self {
        Self {
            kind,
            times: None,
            lasting: None,
            every: None,
        }
    }
}

impl FromStr for FaultSpec {
    type Err = FaultSpecError;

    fn from_str(spec: &str) -> Result<Self, Self::Err> {
        let (mut words, mut when) = (spec, Self::from(Fault::Failover));
        while let Some(at) = words.rfind(['*', '@', '/']) {
            let (before, value) = (&words[..at], &words[at + 1..]);
            match &words[at..=at] {
                "*" => when = when.times(number(value, "number of times")?),
                "@" => when = when.lasting(time(value)?),
                _ => when = when.every(number(value, "number after the stroke")?),
            }
            words = before;
        }
        let parts: Vec<&str> = words.split(':').map(str::trim).collect();
        let kind = kind(&parts)?.ok_or_else(|| FaultSpecError::Unknown { spec: spec.into() })?;
        if kind == Fault::IdentityDown && !when.is_plain() {
            return Err(FaultSpecError::NotCounted { spec: spec.into() });
        }
        let untimed = when.times.is_none() && when.lasting.is_none();
        match parts[..] {
            [_, "booting"] if untimed => when.times = Some(4),
            // IMDS is gone for up to 70 seconds when it is upgraded.
            [_, "upgrading"] if untimed => when.lasting = Some(Duration::from_secs(70)),
            _ => {}
        }
        Ok(Self { kind, ..when })
    }
}

fn kind(words: &[&str]) -> Result<Option<Fault>, FaultSpecError> {
    Ok(match words {
        ["login-error", code] => Some(Fault::LoginError(number(code, "error number")?)),
        ["request-error", code] => Some(Fault::RequestError(number(code, "error number")?)),
        ["failover"] | ["gateway", "failover"] => Some(Fault::Failover),
        ["database", name @ .., state] if !name.is_empty() => {
            DatabaseState::from_word(state).map(|state| Fault::Database(name.join(":"), state))
        }
        ["redirect"] => Some(Fault::Redirect(Redirect::Node)),
        // An IPv6 address has colons of its own.
        ["redirect", server @ .., port] if !server.is_empty() => {
            let port = number(port, "port")?;
            Some(Fault::Redirect(Redirect::To {
                server: server.join(":"),
                port,
            }))
        }
        ["slow-bytes", pause] => Some(Fault::SlowBytes(time(pause)?)),
        ["gateway", step, fault @ ..] => match (step_of(step), gateway_fault(fault)?) {
            (Some(step), Some(fault)) => Some(Fault::Gateway(step, fault)),
            _ => None,
        },
        ["identity", "down"] => Some(Fault::IdentityDown),
        ["entra", fault @ ..] => cloud::entra(fault)?.map(Fault::Entra),
        ["vault", fault @ ..] => cloud::vault(fault)?.map(Fault::Vault),
        ["identity", fault @ ..] => identity::fault(None, fault)?,
        [platform, fault @ ..] => match platform.parse() {
            Ok(platform) => identity::fault(Some(platform), fault)?,
            Err(_) => None,
        },
        [] => None,
    })
}

/// The steps and their words.
const STEPS: [(&str, GatewayStep); 5] = [
    ("accept", GatewayStep::Accept),
    ("prelogin", GatewayStep::Prelogin),
    ("tls", GatewayStep::Tls),
    ("login", GatewayStep::Login),
    ("request", GatewayStep::Request),
];

/// The states and their words.
const STATES: [(&str, DatabaseState); 5] = [
    ("allowance-used-up", DatabaseState::AllowanceUsedUp),
    ("offline", DatabaseState::Offline),
    ("online", DatabaseState::Online),
    ("paused", DatabaseState::Paused),
    ("resuming", DatabaseState::Resuming),
];

impl DatabaseState {
    fn from_word(word: &str) -> Option<Self> {
        let found = STATES.iter().find(|(name, _)| *name == word);
        found.map(|(_, state)| *state)
    }
}

impl fmt::Display for DatabaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = STATES.iter().find(|(_, state)| state == self);
        f.pad(found.map_or("online", |(word, _)| word))
    }
}

impl FromStr for DatabaseState {
    type Err = FaultSpecError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::from_word(word).ok_or_else(|| {
            bad(
                word,
                "state; write online, resuming, paused, offline or allowance-used-up",
            )
        })
    }
}

fn step_of(word: &str) -> Option<GatewayStep> {
    let found = STEPS.iter().find(|(name, _)| *name == word);
    found.map(|(_, step)| *step)
}

fn gateway_fault(words: &[&str]) -> Result<Option<GatewayFault>, FaultSpecError> {
    Ok(match words {
        ["close"] => Some(GatewayFault::Close),
        ["close-after", bytes] => Some(GatewayFault::CloseAfter(number(bytes, "number of bytes")?)),
        ["garbage"] => Some(GatewayFault::Garbage),
        ["reset"] => Some(GatewayFault::Reset),
        ["slow", pause] => Some(GatewayFault::Slow(time(pause)?)),
        ["stall"] => Some(GatewayFault::Stall),
        _ => None,
    })
}

fn number<T: FromStr>(text: &str, wanted: &'static str) -> Result<T, FaultSpecError> {
    text.trim().parse().map_err(|_| bad(text, wanted))
}

/// A time such as `5ms`, `2s`, `10m`, `11h` or `50us`.
pub(super) fn time(text: &str) -> Result<Duration, FaultSpecError> {
    const WANTED: &str = "time; write 500ms, 2s, 10m, 11h or 50us";
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let value: u64 = number::<u32>(digits, WANTED)?.into();
    match &text[digits.len()..] {
        "us" => Ok(Duration::from_micros(value)),
        "ms" => Ok(Duration::from_millis(value)),
        "s" => Ok(Duration::from_secs(value)),
        "m" => Ok(Duration::from_secs(value * 60)),
        "h" => Ok(Duration::from_secs(value * 3600)),
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

/// The words that [`FromStr`] reads.
impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Fault::Database(name, state) => write!(f, "database:{name}:{state}")?,
            Fault::Entra(fault) => cloud::write_entra(f, fault)?,
            Fault::Failover => f.write_str("failover")?,
            Fault::Gateway(step, fault) => write_gateway(f, *step, fault)?,
            Fault::Identity(platform, fault) => identity::write(f, *platform, fault)?,
            Fault::IdentityDown => f.write_str("identity:down")?,
            Fault::LoginError(number) => write!(f, "login-error:{number}")?,
            Fault::Redirect(Redirect::Node) => f.write_str("redirect")?,
            Fault::Redirect(Redirect::To { server, port }) => {
                write!(f, "redirect:{server}:{port}")?;
            }
            Fault::RequestError(number) => write!(f, "request-error:{number}")?,
            Fault::SlowBytes(pause) => write!(f, "slow-bytes:{}", Words(*pause))?,
            Fault::Vault(fault) => cloud::write_vault(f, fault)?,
        }
        if let Some(every) = self.every {
            write!(f, "/{every}")?;
        }
        if let Some(lasting) = self.lasting {
            write!(f, "@{}", Words(lasting))?;
        }
        match self.times {
            Some(times) => write!(f, "*{times}"),
            None => Ok(()),
        }
    }
}

fn write_gateway(
    f: &mut fmt::Formatter<'_>,
    step: GatewayStep,
    fault: &GatewayFault,
) -> fmt::Result {
    let step = STEPS.iter().find(|(_, known)| *known == step);
    write!(f, "gateway:{}:", step.map_or("request", |(word, _)| word))?;
    match fault {
        GatewayFault::Close => f.write_str("close"),
        GatewayFault::CloseAfter(bytes) => write!(f, "close-after:{bytes}"),
        GatewayFault::Garbage => f.write_str("garbage"),
        GatewayFault::Reset => f.write_str("reset"),
        GatewayFault::Slow(pause) => write!(f, "slow:{}", Words(*pause)),
        GatewayFault::Stall => f.write_str("stall"),
    }
}

/// A time in the largest unit that gives a whole number.
struct Words(Duration);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_micros() {
            us if us % 1_000_000 == 0 => write!(f, "{}s", us / 1_000_000),
            us if us % 1000 == 0 => write!(f, "{}ms", us / 1000),
            us => write!(f, "{us}us"),
        }
    }
}

#[cfg(test)]
mod tests;
