//! What a connection string means: where to go, as whom, and how.
//!
//! A [`Target`] has no open questions left: each `Option` in it stands for a
//! thing that may really be absent, and what exclude each other are variants
//! of one enum. It is built from a connection string, or by hand:
//!
//! ```
//! use entrada::target::{Auth, Identity, Server, Target};
//!
//! let server = Server::new("app.database.windows.net");
//! let target = Target::new(server, Auth::ManagedIdentity(Identity::SystemAssigned));
//! assert_eq!(target.cloud.resource(), "https://database.windows.net/");
//! ```

mod auth;
mod cloud;
mod credentials;
mod error;
mod federated;
mod options;
mod resolve;
mod same;
mod server;
mod words;

pub use auth::{AssertionFrom, Auth, Identity, IdentityPlatform};
pub use cloud::Cloud;
pub use error::TargetError;
pub(crate) use federated::names_program;
pub use options::{
    Encrypt, IpPreference, Limits, LoginOptions, PoolBlocking, PoolDefaults, TlsPolicy,
};
pub use server::{Endpoint, Server};
pub(crate) use words::EncryptWords;

use crate::conn_string::{ConnectionString, Dialect};

/// Where to log in, as whom, and under which terms.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Target {
    /// The server and how to reach it.
    pub server: Server,
    /// The database; `None` is the login's default database.
    pub database: Option<String>,
    /// The identity.
    pub auth: Auth,
    /// The cloud that the server belongs to: it fixes the token's resource.
    pub cloud: Cloud,
    /// Encryption and certificate checks.
    pub tls: TlsPolicy,
    /// What the login says about this client.
    pub login: LoginOptions,
    /// Time-outs and retries.
    pub limits: Limits,
    /// What the string says about pooling.
    pub pool: PoolDefaults,
    notes: Vec<Note>,
    dialect: Option<Dialect>,
}

impl Target {
    /// A target with the defaults of an ADO.NET string that names only these two.
    ///
    /// The cloud is read off the server's name; an Azure host retries a
    /// transient failure twice, any other once.
    #[must_use]
    pub fn new(server: Server, auth: Auth) -> Self {
        let limits = Limits::for_host(&server.name);
        Self {
            cloud: Cloud::of_host(&server.name),
            server,
            database: None,
            auth,
            tls: TlsPolicy::default(),
            login: LoginOptions::default(),
            limits,
            pool: PoolDefaults::default(),
            notes: Vec::new(),
            dialect: None,
        }
    }

    /// Reads a connection string in the dialect that it looks like.
    ///
    /// ```
    /// use entrada::target::{Auth, Identity, Target};
    ///
    /// let target = Target::parse(
    ///     "Server=app.database.windows.net;Database=shop;Authentication=Active Directory MSI",
    /// )?;
    /// assert_eq!(target.server.to_string(), "app.database.windows.net,1433");
    /// assert_eq!(target.auth, Auth::ManagedIdentity(Identity::SystemAssigned));
    /// # Ok::<(), entrada::target::TargetError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is no connection string, or asks for what is not done here:
    /// see [`TargetError`].
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        Self::try_from(&ConnectionString::parse(text)?)
    }

    /// What a connection string means when the token does not come from it:
    /// `auth` is [`Auth::Callback`] or [`Auth::AccessToken`].
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), and [`TargetError::TwoIdentities`] if the
    /// string names an identity, too.
    pub fn with_auth(string: &ConnectionString, auth: Auth) -> Result<Self, TargetError> {
        resolve::with_auth(string, auth)
    }

    /// Names the database.
    #[must_use]
    pub fn with_database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// What settings of encryption are called where this target was written.
    pub(crate) fn encrypt_words(&self) -> EncryptWords {
        EncryptWords::of(self.dialect)
    }

    /// What the string asked for and will not get, and why.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
}

/// Something that a connection string asks for and that is not done as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The canonical keyword that it is about.
    pub keyword: &'static str,
    /// What is done instead and why: one sentence, no value in it.
    pub text: &'static str,
}

impl TryFrom<&ConnectionString> for Target {
    type Error = TargetError;

    fn try_from(string: &ConnectionString) -> Result<Self, TargetError> {
        resolve::resolve(string)
    }
}

impl std::str::FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
