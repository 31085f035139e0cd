//! Key Vault references in connection strings: `@Microsoft.KeyVault(…)`.
//!
//! A value of a connection string may be a reference to a secret, or the whole string may be one.
//! A [`KeyVault`] reads the secrets, keeps them in memory and refreshes them:
//!
//! ```no_run
//! use entrada::key_vault::KeyVault;
//! use entrada::token::{Environment, Sources};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let vaults = KeyVault::new(Sources::new(Environment::from_process()));
//! let resolved = vaults
//!     .resolve(
//!         "Server=old.example;Database=shop;User ID=shop;\
//!          Password=@Microsoft.KeyVault(SecretUri=https://kv1.vault.azure.net/secrets/db)",
//!     )
//!     .await?;
//! let pool = entrada::Pool::following(resolved).max_size(8).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Pool::connect`](crate::Pool::connect) and the command line do this by themselves.
//!
//! # Writing references
//!
//! Both forms of App Service are read, see [`Reference`]. The `VaultName` form holds a `;`: enclose
//! the reference in double quotes in ADO.NET, in braces in ODBC and JDBC; in a URL it is
//! percent-encoded. A secret may hold any characters but a NUL: it is quoted by the rules of the
//! dialect when it takes the place of the reference. Numbers, flags and words may be references, too.
//!
//! # Who reads the vault
//!
//! - The identity that the connection string names, for a vault token, if it signs in by tokens
//!   (managed identity, workload identity, …) and needs no referenced value for that.
//! - Else (a SQL login, a client secret that is in the vault, a string that is a reference as a
//!   whole) the default chain with `AZURE_CLIENT_ID`, or what
//!   [`identity`](KeyVaultBuilder::identity) says.
//!
//! A vault that is only named takes the suffix of the server's cloud; where the server is not known
//! yet, that of `AZURE_AUTHORITY_HOST`, else the public cloud's.
//!
//! # Safety
//!
//! A token is sent over https to port 443 of hosts that end in the vault suffix of a known cloud, and
//! only if the vault's challenge asks for the resource of that cloud's vaults. Other hosts are
//! permitted one by one by [`allow_vault`](KeyVaultBuilder::allow_vault). Redirects are not followed.
//!
//! Who may write a secret decides what stands in its place: of one that holds a whole string, the
//! server that is sent a token or a password, too. So the right to set secrets of such a vault is worth as much
//! as the login itself. What a secret may not do is name a program to run here
//! (`Entrada Federated Token=command:…`).
//!
//! # Freshness
//!
//! A reference without a version is read again in the background when it is used and older than an
//! hour ([`refresh`](KeyVaultBuilder::refresh)); while the vault cannot be asked, the old value stays
//! in use. One with a version is read once. When a server refuses a login, unversioned secrets
//! are read again at once (every 10 seconds at most), and the login is repeated if they have changed.
//! New sessions use the new secret; sessions under way are left alone. Secrets are in memory only.
//!
//! # Metrics and traces
//!
//! The counter `entrada_key_vault_reads_total` and the histogram `entrada_key_vault_read_seconds`, by
//! `vault` and `outcome` (`ok` or `error`). Each reading is a span `key_vault.read` with the vault and
//! the secret's name. A secret that has expired, or is not valid yet, is a warning: vaults give these
//! away. No secret is in any of these.

mod challenge;
mod client;
mod error;
mod identity;
mod reference;
mod resolved;
mod secret_value;
mod store;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use error::{Denial, KeyVaultError, Place, VaultError};
pub use reference::{Reference, ReferenceError};
pub use resolved::Resolved;
pub use secret_value::{MAX_SECRET, SecretValue, SecretWarning};
pub use store::{READ_LIMIT, REREAD_FLOOR};

use self::client::Client;
use self::reference::Address;
use self::store::{Entry, Reading};
use crate::conn_string::{ConnectionString, ParseOptions};
use crate::target::{Auth, Cloud};
use crate::token::{SourceKey, Sources, TokenCache};

/// The version of the vault's interface that is spoken.
pub const API_VERSION: &str = "7.4";
/// How old a secret without a version gets before it is read again.
pub const REFRESH: Duration = Duration::from_secs(60 * 60);

/// Reads secrets, and keeps them.
///
/// Clones are one.
#[derive(Clone, Debug)]
pub struct KeyVault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: KeyVaultBuilder,
    client: Arc<Client>,
    tokens: TokenCache,
    entries: Mutex<HashMap<EntryKey, Arc<Entry>>>,
}

/// What tells two secrets apart, or two who may read them.
type EntryKey = (Address, SourceKey);

/// Settings of a [`KeyVault`] in the making.
#[derive(Clone, Debug)]
#[must_use]
pub struct KeyVaultBuilder {
    sources: Sources,
    identity: Auth,
    allowed: Vec<String>,
    refresh: Duration,
    api_version: Cow<'static, str>,
}

impl KeyVault {
    /// Reads vaults by these sources of tokens.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self::builder(sources).build()
    }

    /// Prepares to read vaults in another way than the usual.
    pub fn builder(sources: Sources) -> KeyVaultBuilder {
        KeyVaultBuilder {
            sources,
            identity: Auth::Default { client_id: None },
            allowed: Vec::new(),
            refresh: REFRESH,
            api_version: Cow::Borrowed(API_VERSION),
        }
    }

    /// The secret that a reference names, read by `auth`.
    ///
    /// # Errors
    /// [`KeyVaultError::Reference`] if the reference names a host that is not asked,
    /// [`KeyVaultError::Secret`] if the vault gave none, within [`READ_LIMIT`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing but the reading under way.
    pub async fn secret(
        &self,
        reference: &Reference,
        auth: &Auth,
        cloud: Cloud,
    ) -> Result<SecretValue, KeyVaultError> {
        let entry = self.entry(Place::Alone, reference, auth, cloud)?;
        let got = entry.get().await;
        got.map_err(|source| failed(Place::Alone, reference, cloud, source))
    }

    /// Reads a connection string, with the secrets in the places of its references. A string
    /// without any costs no request.
    ///
    /// # Errors
    /// See [`KeyVaultError`].
    ///
    /// # Cancel safety
    /// As [`secret`](Self::secret).
    pub async fn resolve(&self, text: &str) -> Result<Resolved, KeyVaultError> {
        self.resolve_with(text, ParseOptions::new()).await
    }

    /// As [`resolve`](Self::resolve), reading the string in a certain way.
    ///
    /// # Errors
    /// See [`KeyVaultError`].
    ///
    /// # Cancel safety
    /// As [`secret`](Self::secret).
    pub async fn resolve_with(
        &self,
        text: &str,
        options: ParseOptions,
    ) -> Result<Resolved, KeyVaultError> {
        Resolved::new(self.clone(), text, options).await
    }

    /// Only the settings, with the secrets in the places of their references: for strings that
    /// need not name a target.
    ///
    /// # Errors
    /// See [`KeyVaultError`].
    ///
    /// # Cancel safety
    /// As [`secret`](Self::secret).
    pub async fn connection_string(
        &self,
        text: &str,
        options: ParseOptions,
    ) -> Result<ConnectionString, KeyVaultError> {
        let (string, _) = resolved::put_together(self, text, options).await?;
        Ok(string)
    }

    fn entry(
        &self,
        place: Place,
        reference: &Reference,
        auth: &Auth,
        cloud: Cloud,
    ) -> Result<Arc<Entry>, KeyVaultError> {
        let inner = &self.0;
        let address = reference
            .address(cloud, &inner.settings.allowed)
            .map_err(|source| KeyVaultError::Reference { place, source })?;
        let source = inner.settings.sources.source(auth, &cloud);
        let source = source.map_err(|error| {
            let error = Arc::new(VaultError::Source(error));
            failed(place, reference, cloud, error)
        })?;
        let key = (address.clone(), source.key());
        let mut entries = inner.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(key).or_insert_with(|| {
            let reading = Reading {
                client: Arc::clone(&inner.client),
                address,
                source,
                tokens: inner.tokens.clone(),
            };
            Arc::new(Entry::new(reading, inner.settings.refresh))
        });
        Ok(Arc::clone(entry))
    }
}

impl KeyVaultBuilder {
    /// Who reads vaults for strings that name nobody who could.
    ///
    /// Defaults to the default chain, with the client id in `AZURE_CLIENT_ID` if there is one.
    pub fn identity(mut self, auth: Auth) -> Self {
        self.identity = auth;
        self
    }

    /// Permits a host that is no vault of a known cloud, by `host` or `host:port`: it will be sent
    /// tokens for vaults.
    pub fn allow_vault(mut self, host: impl Into<String>) -> Self {
        self.allowed.push(host.into());
        self
    }

    /// How old a secret without a version gets before it is read again.
    ///
    /// Defaults to an hour ([`REFRESH`]).
    pub fn refresh(mut self, age: Duration) -> Self {
        self.refresh = age;
        self
    }

    /// The version of the vault's interface.
    ///
    /// Defaults to 7.4 ([`API_VERSION`]).
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = Cow::Owned(version.into());
        self
    }

    /// Makes it. No request is made here.
    #[must_use]
    pub fn build(self) -> KeyVault {
        let transport = Arc::clone(self.sources.internet());
        KeyVault(Arc::new(Inner {
            client: Arc::new(Client::new(transport, self.api_version.clone())),
            tokens: TokenCache::new(),
            entries: Mutex::default(),
            settings: self,
        }))
    }
}

fn failed(
    place: Place,
    reference: &Reference,
    cloud: Cloud,
    source: Arc<VaultError>,
) -> KeyVaultError {
    KeyVaultError::Secret {
        place,
        vault: reference.vault_host(cloud),
        secret: reference.secret_name().to_owned(),
        source,
    }
}
