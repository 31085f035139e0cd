//! A secret as the vault gives it.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};

use super::error::VaultError;
use crate::secret::Secret;
use crate::token::HttpReply;

/// The most that Key Vault keeps as one secret, in bytes.
pub const MAX_SECRET: usize = 25 * 1024;

/// A secret with what its vault says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretValue {
    /// The secret.
    pub value: Secret,
    /// Its version.
    pub version: Option<String>,
    /// When it ends. The vault gives it away all the same.
    pub expires: Option<SystemTime>,
    /// When it begins to be good. The vault gives it away all the same.
    pub not_before: Option<SystemTime>,
}

/// Something odd about a secret that was given nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecretWarning {
    /// It has ended.
    Expired,
    /// It begins in the future.
    NotYetValid,
}

impl SecretWarning {
    /// The warning in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Expired => "it has expired, but vaults give expired secrets away: renew it",
            Self::NotYetValid => {
                "it is not valid yet, but vaults give such secrets away: a version that is to be \
                 used later may have become the newest one too early"
            }
        }
    }
}

impl SecretValue {
    /// What is odd about it at this time.
    pub fn warnings(&self, now: SystemTime) -> impl Iterator<Item = SecretWarning> {
        let expired = self.expires.is_some_and(|end| end <= now);
        let early = self.not_before.is_some_and(|begin| begin > now);
        [
            expired.then_some(SecretWarning::Expired),
            early.then_some(SecretWarning::NotYetValid),
        ]
        .into_iter()
        .flatten()
    }

    /// Reads the body of a reply with status 200.
    pub(super) fn read(reply: &HttpReply) -> Result<Self, VaultError> {
        let host = || reply.endpoint.clone();
        let raw: Raw = serde_json::from_slice(&reply.body).map_err(|error| {
            if error.is_data() {
                VaultError::Malformed { endpoint: host() }
            } else {
                VaultError::NoVault {
                    endpoint: host(),
                    status: reply.status,
                }
            }
        })?;
        let value = raw
            .value
            .ok_or_else(|| VaultError::Malformed { endpoint: host() })?;
        if value.len() > MAX_SECRET {
            return Err(VaultError::TooLarge {
                endpoint: host(),
                max: MAX_SECRET,
            });
        }
        if raw.attributes.enabled == Some(false) {
            return Err(VaultError::Disabled);
        }
        let version = raw.id.as_deref().and_then(|id| id.rsplit_once('/'));
        let time = |at: Option<u64>| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at?));
        Ok(Self {
            value,
            version: version.map(|(_, version)| version.to_owned()),
            expires: time(raw.attributes.exp),
            not_before: time(raw.attributes.nbf),
        })
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "secret")]
    value: Option<Secret>,
    id: Option<String>,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
struct Attributes {
    enabled: Option<bool>,
    exp: Option<u64>,
    nbf: Option<u64>,
}

/// The text becomes a `Secret` at once, so that no way out leaves it in memory.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}
