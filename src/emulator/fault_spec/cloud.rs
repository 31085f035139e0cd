//! Words for the faults of Entra and Key Vault.

use std::fmt;

use super::identity::{anywhere, write_words};
use super::{FaultSpecError, number};
use crate::emulator::{EntraFault, VaultFault};

/// What `temporarily-unavailable` stands for.
const TRANSIENT: u32 = 90033;

pub(super) fn entra(words: &[&str]) -> Result<Option<EntraFault>, FaultSpecError> {
    Ok(match words {
        ["aadsts", code] => Some(EntraFault::Aadsts(number(code, "AADSTS number")?)),
        ["temporarily-unavailable"] => Some(EntraFault::Aadsts(TRANSIENT)),
        other => anywhere(other)?.map(EntraFault::Http),
    })
}

pub(super) fn vault(words: &[&str]) -> Result<Option<VaultFault>, FaultSpecError> {
    Ok(match words {
        ["forbidden"] => Some(VaultFault::Forbidden),
        ["foreign-challenge"] => Some(VaultFault::ForeignChallenge),
        other => anywhere(other)?.map(VaultFault::Http),
    })
}

pub(super) fn write_entra(f: &mut fmt::Formatter<'_>, fault: &EntraFault) -> fmt::Result {
    match fault {
        EntraFault::Aadsts(code) => write!(f, "entra:aadsts:{code}"),
        EntraFault::Http(fault) => {
            f.write_str("entra:")?;
            write_words(f, fault)
        }
    }
}

pub(super) fn write_vault(f: &mut fmt::Formatter<'_>, fault: &VaultFault) -> fmt::Result {
    match fault {
        VaultFault::Forbidden => f.write_str("vault:forbidden"),
        VaultFault::ForeignChallenge => f.write_str("vault:foreign-challenge"),
        VaultFault::Http(fault) => {
            f.write_str("vault:")?;
            write_words(f, fault)
        }
    }
}
