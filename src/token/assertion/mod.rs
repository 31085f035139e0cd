//! Signed statements by which an application proves itself to Entra without a secret.

mod command;
mod error;
mod file;
mod from_url;
mod github;
mod gitlab;
mod given;
mod issuer;
mod managed_identity;
#[cfg(feature = "cli")]
mod offers;
mod origin;
mod pipelines;
mod source;
mod terraform;
#[cfg(test)]
pub(super) mod testing;
mod token_proxy;
mod variable;
mod workload_identity;

use std::fmt;

use async_trait::async_trait;
use url::Url;

pub use error::AssertionError;
pub(super) use given::GivenAssertion;
#[cfg(feature = "cli")]
pub(super) use offers::offers;
pub(super) use source::federated;
pub use token_proxy::TokenProxyError;

use super::error::FetchError;
use crate::secret::Secret;

/// Something that gives assertions: JWTs of another issuer, or signed by ourselves.
#[async_trait]
pub(crate) trait AssertionSource: Send + Sync + fmt::Debug {
    /// An assertion for one exchange; never one that was used before, if the
    /// issuer gives new ones.
    async fn assertion(&self, exchange: &Exchange<'_>) -> Result<Secret, FetchError>;

    /// Where the assertions come from, for people: `GitHub Actions`, or
    /// `the file /var/run/...`. No secret.
    fn describe(&self) -> String;

    /// Whether another call may give another assertion.
    fn renews(&self) -> bool {
        true
    }

    /// What tells this source apart from others of its kind in a cache. No secret.
    fn mark(&self) -> String {
        self.describe()
    }
}

/// What an assertion is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange<'a> {
    /// Where it will be sent: the audience of what an application signs itself.
    pub(crate) token_endpoint: &'a Url,
    /// Who will be logged in by it.
    pub(crate) client_id: &'a str,
    /// The audience of other issuers' tokens, such as `api://AzureADTokenExchange`.
    pub(crate) audience: &'static str,
}
