//! What vaults hold, and who may read it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::Secret;
use crate::emulator::identity::stable_id;

/// A version of a secret in a key vault.
///
/// The version's id follows from vault, name and value, so it is the same in every run. A secret with
/// several versions is read as the one that was added last, unless the request names another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultSecret {
    /// The vault's name, the first label of its host name.
    pub vault: String,
    /// The secret's name.
    pub name: String,
    /// What is secret.
    pub value: Secret,
    /// The version, 32 hex digits.
    pub version: String,
    /// The content type that its owner noted.
    pub content_type: Option<String>,
    /// Whether it may be read. Defaults to true; Key Vault answers 403 otherwise.
    pub enabled: bool,
    /// From when on it is meant to be used, in seconds since 1970; Key Vault serves it before, too.
    pub not_before: Option<i64>,
    /// Until when it is meant to be used; Key Vault serves it afterwards, too.
    pub expires: Option<i64>,
}

impl VaultSecret {
    /// An enabled secret without dates.
    pub fn new(
        vault: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<Secret>,
    ) -> Self {
        let (vault, name, value) = (vault.into(), name.into(), value.into());
        let version = stable_id("version", &format!("{vault}\0{name}\0{}", value.expose()));
        Self {
            version: version.simple().to_string(),
            vault,
            name,
            value,
            content_type: None,
            enabled: true,
            not_before: None,
            expires: None,
        }
    }

    /// Sets the version.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets whether it may be read.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Sets when it ends, in seconds since 1970.
    #[must_use]
    pub fn expires(mut self, at: i64) -> Self {
        self.expires = Some(at);
        self
    }

    /// Sets when it begins, in seconds since 1970.
    #[must_use]
    pub fn not_before(mut self, at: i64) -> Self {
        self.not_before = Some(at);
        self
    }
}

/// How a vault says where tokens for it come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VaultChallenge {
    /// With `resource="https://vault.azure.net"`.
    #[default]
    Resource,
    /// With `scope="https://vault.azure.net/.default"`.
    Scope,
}

/// All vaults of the emulator. Clones share them.
#[derive(Clone, Debug, Default)]
pub(in crate::emulator) struct Vaults {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Versions by vault and name, both in lower case, oldest first.
    secrets: BTreeMap<(String, String), Vec<VaultSecret>>,
    /// Object ids of those who may read a vault; where there is no entry, everybody may.
    readers: BTreeMap<String, BTreeSet<Uuid>>,
}

/// What a vault finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Disabled,
    NoSuchVersion,
    Nothing,
    Secret(Box<VaultSecret>),
}

impl Vaults {
    pub(in crate::emulator) fn insert(&self, secret: VaultSecret) {
        let key = (secret.vault.to_lowercase(), secret.name.to_lowercase());
        let mut inner = self.inner();
        let versions = inner.secrets.entry(key).or_default();
        versions.retain(|known| known.version != secret.version);
        versions.push(secret);
    }

    pub(in crate::emulator) fn allow(&self, vault: &str, reader: Uuid) {
        let mut inner = self.inner();
        let readers = inner.readers.entry(vault.to_lowercase()).or_default();
        readers.insert(reader);
    }

    /// The names of the vaults.
    pub(in crate::emulator) fn names(&self) -> BTreeSet<String> {
        let inner = self.inner();
        inner
            .secrets
            .keys()
            .map(|(vault, _)| vault.clone())
            .collect()
    }

    pub(super) fn may_read(&self, vault: &str, who: Uuid) -> bool {
        let inner = self.inner();
        let readers = inner.readers.get(&vault.to_lowercase());
        readers.is_none_or(|readers| readers.contains(&who))
    }

    pub(super) fn find(&self, vault: &str, name: &str, version: Option<&str>) -> Found {
        let inner = self.inner();
        let key = (vault.to_lowercase(), name.to_lowercase());
        let Some(versions) = inner.secrets.get(&key) else {
            return Found::Nothing;
        };
        let found = match version {
            None => versions.last(),
            Some(version) => {
                let is_it = |known: &&VaultSecret| known.version.eq_ignore_ascii_case(version);
                versions.iter().find(is_it)
            }
        };
        match found {
            None => Found::NoSuchVersion,
            Some(secret) if !secret.enabled => Found::Disabled,
            Some(secret) => Found::Secret(Box::new(secret.clone())),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
