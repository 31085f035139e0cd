//! What goes wrong between a source of tokens and its endpoint.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::assertion::{AssertionError, TokenProxyError};
use super::certificate::CertificateError;
use super::entra::EntraRefusal;
pub use super::token_error::{Attempt, TokenError};
use super::{PlatformError, ProgramError, ToolError};

/// What went wrong between a source and its endpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The token had already ended when it was received.
    #[error(
        "the token that came back ended {} ago; check this machine's clock", Coarse(*by)
    )]
    AlreadyExpired {
        /// How long before, by this machine's clock.
        by: Duration,
    },
    /// Nobody is left for the default chain to ask.
    #[error("there is no source left to ask ({left_out})")]
    NobodyToAsk {
        /// By whose will.
        left_out: String,
    },
    /// Variables that would describe the source are missing.
    #[error("{missing}; {advice}")]
    NotDescribed {
        /// What is missing.
        missing: String,
        /// What it would be good for.
        advice: &'static str,
    },
    /// A variable has a value that means nothing.
    #[error(
        "the variable {variable} is {value:?}, which means nothing here; it may be one of {valid}"
    )]
    UnknownValue {
        /// The variable.
        variable: &'static str,
        /// Its value, shortened.
        value: String,
        /// What it may be.
        valid: String,
    },
    /// What should prove who logs in could not be had.
    #[error("cannot sign in with {origin}")]
    Assertion {
        /// Where it should have come from.
        origin: String,
        /// Why there is none.
        #[source]
        reason: AssertionError,
    },
    /// The caller's own code failed.
    #[error("the token callback failed")]
    Callback(#[source] Box<dyn StdError + Send + Sync>),
    /// An application's certificate cannot be used.
    #[error("cannot use the certificate in {file}")]
    Certificate {
        /// The file.
        file: String,
        /// What is wrong with it.
        #[source]
        problem: CertificateError,
    },
    /// A credential of the Azure SDK failed.
    #[error("the credential failed")]
    Credential {
        /// Whether an endpoint refused it for a reason that will not pass.
        lasting: bool,
        /// What it failed with.
        #[source]
        cause: Box<dyn StdError + Send + Sync>,
    },
    /// The HTTP client could not be made.
    #[error("cannot set up the HTTP client for identity endpoints")]
    Client(#[source] Box<dyn StdError + Send + Sync>),
    /// No connection to the endpoint.
    #[error("cannot connect to {endpoint}; {advice}")]
    Connect {
        /// Its address, without the query.
        endpoint: String,
        /// What to check.
        advice: &'static str,
        /// What the connection failed with.
        #[source]
        cause: Box<dyn StdError + Send + Sync>,
    },
    /// Entra refused the application.
    #[error("Entra gave no token: {refusal}; {}", refusal.advice)]
    Entra {
        /// What it said.
        refusal: Box<EntraRefusal>,
    },
    /// The access token that the caller gave has ended.
    #[error(
        "the access token given for this connection has expired; give a fresh one, \
         or a callback that can get one"
    )]
    GivenTokenExpired,
    /// Every try failed; the source is the last one's reason.
    #[error("gave up after {tries} tries in {}", Coarse(*elapsed))]
    GaveUp {
        /// How many times the endpoint was asked.
        tries: u32,
        /// How long that took.
        elapsed: Duration,
        /// What the last try failed with.
        #[source]
        last: Arc<FetchError>,
    },
    /// The endpoint has no such identity.
    #[error("{identity}; the endpoint says: {reply}")]
    IdentityNotFound {
        /// Which identity was asked for, and what to do about it.
        identity: NoIdentity,
        /// What the endpoint answered.
        reply: Reply,
    },
    /// A variable holds no usable address.
    #[error("the variable {variable} holds no usable URL: {problem}")]
    InvalidEndpoint {
        /// The variable.
        variable: &'static str,
        /// What is wrong with its value.
        problem: &'static str,
    },
    /// The name of a tenant cannot be one.
    #[error("\"{tenant}\" cannot be the tenant: {problem}")]
    InvalidTenant {
        /// What was given.
        tenant: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The connection broke during the exchange.
    #[error("the exchange with {endpoint} broke off")]
    Io {
        /// Its address, without the query.
        endpoint: String,
        /// What the exchange failed with.
        #[source]
        cause: Box<dyn StdError + Send + Sync>,
    },
    /// The reply is JSON but not a token.
    #[error("the reply of {endpoint} has no usable {field}; check what answers at that address")]
    Malformed {
        /// Its address, without the query.
        endpoint: String,
        /// The field that is missing or cannot be read.
        field: &'static str,
    },
    /// An application logs in at a tenant, and none is known.
    #[error("the tenant is not known; name it in the connection string, or set AZURE_TENANT_ID")]
    MissingTenant,
    /// A variable that was there at the start is gone.
    #[error("the variable {variable} is no longer set, so the identity endpoint cannot be asked")]
    MissingVariable {
        /// The variable.
        variable: &'static str,
    },
    /// Nothing here can give a managed identity's token.
    #[error("there is no managed-identity endpoint here: {sign}; {advice}")]
    NoEndpoint {
        /// What showed it.
        sign: &'static str,
        /// What to do instead.
        advice: &'static str,
    },
    /// Something answered that does not speak the endpoint's language.
    #[error(
        "{endpoint} answered with status {status} and no JSON, so it is not a token endpoint; \
         check for a proxy or another program at that address"
    )]
    NotATokenEndpoint {
        /// Its address, without the query.
        endpoint: String,
        /// The HTTP status.
        status: u16,
    },
    /// A platform's own way to give tokens came to nothing.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A program that should have printed a token did not.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The process asks this endpoint as often as it may, and others were first.
    #[error(
        "waiting for a turn at {endpoint}, which this process asks at most {per_second} times a \
         second and {concurrent} times at once"
    )]
    Queued {
        /// Its address, without the query.
        endpoint: String,
        /// How many requests may be under way at once.
        concurrent: usize,
        /// How many may begin within a second.
        per_second: usize,
    },
    /// The endpoint refused.
    #[error("the endpoint refused: {reply}; {advice}")]
    Refused {
        /// What it answered.
        reply: Reply,
        /// What to check.
        advice: String,
    },
    /// The source gave no answer at all.
    #[error("no answer within {}; the source seems to hang", Coarse(*after))]
    Silent {
        /// The time that a source may take in all.
        after: Duration,
    },
    /// A developer's tool gave no token.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The endpoint is overloaded, or this process asks too often.
    #[error("the endpoint is throttling: {reply}")]
    Throttled {
        /// What it answered.
        reply: Reply,
        /// How long it wants to be left alone, if it said so.
        retry_after: Option<Duration>,
    },
    /// The endpoint did not answer in time.
    #[error("no answer from {endpoint} within {}", Coarse(*after))]
    Timeout {
        /// Its address, without the query.
        endpoint: String,
        /// The time that one try may take.
        after: Duration,
    },
    /// Nobody says which tenant the application is of.
    #[error(
        "the connection string names no tenant, and `{server}` did not tell its own; \
         set AZURE_TENANT_ID, or write Entrada Tenant ID"
    )]
    TenantUnknown {
        /// The server that was asked.
        server: String,
        /// Whether asking again may help.
        transient: bool,
        /// Why it did not tell.
        #[source]
        cause: Box<dyn StdError + Send + Sync>,
    },
    /// A server names a token service that nothing can be asked of.
    #[error("the server names a token service that cannot be used: {problem}")]
    TokenService {
        /// What is wrong with its URL.
        problem: &'static str,
    },
    /// The proxy that stands in for Entra inside an AKS cluster cannot be used.
    #[error("cannot use the cluster's token proxy")]
    TokenProxy(#[source] TokenProxyError),
    /// The endpoint's answer exceeds what a token can be.
    #[error(
        "the reply of {endpoint} is larger than {max} bytes, so it is not a token; check what \
         answers at that address"
    )]
    TooLarge {
        /// Its address, without the query.
        endpoint: String,
        /// The limit.
        max: usize,
    },
    /// The endpoint is there but not able to answer now.
    #[error("the endpoint is unavailable: {reply}; {advice}")]
    Unavailable {
        /// What it answered.
        reply: Reply,
        /// What to check.
        advice: String,
    },
    /// The authority is none of Microsoft's, so no credential was sent to it.
    #[error(
        "{host} is not one of Entra's hosts, so no credential was sent there; if it should be \
         trusted, permit it with Sources::allow_authority"
    )]
    UntrustedAuthority {
        /// Its host, and port if it is unusual.
        host: String,
    },
    /// The endpoint answered for another identity than the one asked for.
    #[error(
        "asked for the identity with {asked}, but the reply is for {got}; the token was thrown away; \
         check the id, and what answers at that address"
    )]
    WrongIdentity {
        /// The selector asked for.
        asked: String,
        /// The id in the reply.
        got: String,
    },
}

impl FetchError {
    /// Whether the same request may succeed soon with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::GaveUp { last, .. } => last.is_transient(),
            Self::Entra { refusal } => refusal.is_transient(),
            Self::Assertion { reason, .. } => reason.is_transient(),
            // The caller's code knows what it failed with; we do not.
            Self::Callback(_) => true,
            Self::Program(error) => error.is_transient(),
            Self::Credential { lasting, .. } => !lasting,
            Self::TenantUnknown { transient, .. } => *transient,
            Self::Connect { .. }
            | Self::Io { .. }
            | Self::Queued { .. }
            | Self::Silent { .. }
            | Self::Throttled { .. }
            | Self::Timeout { .. }
            | Self::Unavailable { .. } => true,
            _ => false,
        }
    }

    /// How long the endpoint asked to be left alone, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } => *retry_after,
            Self::GaveUp { last, .. } => last.retry_after(),
            Self::Entra { refusal } => refusal.retry_after,
            Self::Assertion { reason, .. } => reason.retry_after(),
            _ => None,
        }
    }

    /// The failure itself, below the account of how often it was tried.
    #[must_use]
    pub fn last(&self) -> &Self {
        match self {
            Self::GaveUp { last, .. } => last.last(),
            other => other,
        }
    }
}

/// Which identity an endpoint does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoIdentity {
    /// None was named, and there is no default one.
    Default,
    /// One that was named.
    Named {
        /// How: `client id 1234`, say.
        selector: String,
        /// What may be wrong with the id, or an empty text.
        advice: &'static str,
    },
}

impl fmt::Display for NoIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str(
                "no identity was named and none can be chosen here; enable the system-assigned \
                 identity, or name a user-assigned one by its client id",
            ),
            Self::Named { selector, advice } => {
                write!(
                    f,
                    "no identity with {selector} is assigned here; assign it to this machine or \
                     correct the id"
                )?;
                match advice.is_empty() {
                    true => Ok(()),
                    false => write!(f, " ({advice})"),
                }
            }
        }
    }
}

/// What an endpoint answered when it did not give a token.
///
/// Texts are cut to 300 characters and hold no line breaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The error's code: `invalid_request`, say.
    pub code: Option<String>,
    /// The error's text.
    pub message: Option<String>,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, ", {code}")?;
        }
        match &self.message {
            Some(message) => write!(f, ", \"{message}\""),
            None => Ok(()),
        }
    }
}

/// A duration as people say it: whole seconds, or more when it is longer.
pub(super) struct Coarse(pub(super) Duration);

impl fmt::Display for Coarse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            s @ 1..120 => write!(f, "{s} s"),
            s @ 120..7200 => write!(f, "{} min", s / 60),
            s => write!(f, "{} h", s / 3600),
        }
    }
}
