//! The words of faults at the identity endpoints.

use std::fmt;
use std::time::Duration;

use super::{FaultSpecError, Words, number, time};
use crate::emulator::fault_kinds::Fault;
use crate::emulator::{ArcChallenge, IdentityFault, Platform};

/// The challenges of Azure Arc and their words.
const CHALLENGES: [(&str, ArcChallenge); 10] = [
    ("200", ArcChallenge::Answered),
    ("big", ArcChallenge::Big),
    ("dot-dot", ArcChallenge::DotDot),
    ("missing", ArcChallenge::Missing),
    ("no-header", ArcChallenge::NoHeader),
    ("no-realm", ArcChallenge::NoRealm),
    ("outside", ArcChallenge::Outside),
    ("quoted", ArcChallenge::Quoted),
    ("symlink", ArcChallenge::Symlink),
    ("txt", ArcChallenge::Txt),
];

/// What the words behind `identity:` or a platform's name mean.
pub(super) fn fault(
    platform: Option<Platform>,
    words: &[&str],
) -> Result<Option<Fault>, FaultSpecError> {
    let challenge = match words {
        [word] if platform == Some(Platform::Arc) => CHALLENGES.iter().find(|(w, _)| w == word),
        _ => None,
    };
    let fault = match challenge {
        Some((_, challenge)) => Some(IdentityFault::ArcChallenge(*challenge)),
        None => anywhere(words)?,
    };
    Ok(fault.map(|fault| Fault::Identity(platform, fault)))
}

/// Likewise for what any HTTP service can do.
pub(super) fn anywhere(words: &[&str]) -> Result<Option<IdentityFault>, FaultSpecError> {
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
        ["booting"] => Ok(Some(IdentityFault::Booting)),
        ["garbage"] => Ok(Some(IdentityFault::Garbage)),
        ["html"] => Ok(Some(IdentityFault::Html)),
        ["ignores-selector"] => Ok(Some(IdentityFault::IgnoresSelector)),
        ["oversized"] => Ok(Some(IdentityFault::Oversized)),
        ["plain-text"] => Ok(Some(IdentityFault::PlainText)),
        ["redirect"] => Ok(Some(IdentityFault::Redirect)),
        ["slow", pause] => Ok(Some(IdentityFault::Slow(time(pause)?))),
        ["stall"] => Ok(Some(IdentityFault::Stall)),
        ["status", code] => status(code, None),
        ["status", code, seconds] => status(code, Some(seconds)),
        ["unreachable"] => Ok(Some(IdentityFault::Unreachable)),
        ["upgrading"] => status("410", None),
        _ => Ok(None),
    }
}

/// The words that [`fault`] reads.
pub(super) fn write(
    f: &mut fmt::Formatter<'_>,
    platform: Option<Platform>,
    fault: &IdentityFault,
) -> fmt::Result {
    write!(f, "{}:", platform.map_or("identity", Platform::as_str))?;
    write_words(f, fault)
}

/// The words behind the first colon.
pub(super) fn write_words(f: &mut fmt::Formatter<'_>, fault: &IdentityFault) -> fmt::Result {
    match fault {
        IdentityFault::ArcChallenge(challenge) => {
            let found = CHALLENGES.iter().find(|(_, known)| known == challenge);
            f.write_str(found.map_or("200", |(word, _)| word))
        }
        IdentityFault::Booting => f.write_str("booting"),
        IdentityFault::Garbage => f.write_str("garbage"),
        IdentityFault::Html => f.write_str("html"),
        IdentityFault::IgnoresSelector => f.write_str("ignores-selector"),
        IdentityFault::Oversized => f.write_str("oversized"),
        IdentityFault::PlainText => f.write_str("plain-text"),
        IdentityFault::Redirect => f.write_str("redirect"),
        IdentityFault::Slow(pause) => write!(f, "slow:{}", Words(*pause)),
        IdentityFault::Stall => f.write_str("stall"),
        IdentityFault::Status {
            status,
            retry_after,
        } => {
            write!(f, "status:{status}")?;
            match retry_after {
                Some(wait) => write!(f, ":{}", wait.as_secs()),
                None => Ok(()),
            }
        }
        IdentityFault::Unreachable => f.write_str("unreachable"),
    }
}
