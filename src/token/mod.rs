//! Access tokens: where they come from, and how they are kept fresh.
//!
//! A [`TokenSource`] asks an endpoint. A [`TokenCache`] keeps what sources give,
//! in memory only, and refreshes it ahead of time. [`source_for`] turns what a
//! connection string says into a source.
//!
//! ```
//! use entrada::Secret;
//! use entrada::target::{Auth, Cloud};
//! use entrada::token::{Environment, TokenCache, source_for};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let auth = Auth::AccessToken(Secret::new("eyJ..."));
//! let source = source_for(&auth, &Cloud::Public, &Environment::from_process())?;
//! let slot = TokenCache::new().slot(source, Cloud::Public);
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let token = slot.get().await?;
//! assert_eq!(token.secret().expose(), "eyJ...");
//! # Ok(()) })
//! # }
//! ```
//!
//! # The Azure SDK
//!
//! With the feature `azure-core`, any `azure_core::credentials::TokenCredential`
//! becomes a source (`AzureCredential`), and any source, with a cache, such a
//! credential (`SourceCredential`): one process needs one token per identity and
//! resource, whoever asks for it.
//!
//! # Metrics and traces
//!
//! Through the `metrics` facade: the counters `entrada_token_fetches_total`
//! (by `source`, and by `outcome`: `ok` or `error`) and
//! `entrada_token_refused_total` (by `source`), the histogram
//! `entrada_token_fetch_seconds` (as the first), and the gauge
//! `entrada_token_expires_timestamp_seconds` (by `source`, `identity` and
//! `resource`; seconds since 1970). Each fetch is a span `token.fetch`. Hits are
//! not counted, so as to cost nothing. No token is in any of these.

mod access_token;
mod app_source;
mod assertion;
#[cfg(feature = "azure-core")]
mod azure_sdk;
mod budget;
mod cache;
mod callback;
mod certificate;
mod chain;
mod claims;
mod developer;
mod entra;
mod env_principal;
mod environment;
mod error;
mod expiry;
mod fetch;
mod fixed;
mod flight;
mod http;
mod http_client;
mod managed_identity;
#[cfg(any(feature = "check", feature = "cli"))]
pub(crate) mod principal;
mod program;
mod refresh;
pub(crate) mod regular_file;
mod reply;
mod retry;
mod schedule;
mod slot;
mod source;
mod sources;
#[cfg(feature = "cli")]
mod survey;
#[cfg(test)]
pub(crate) mod testing;
mod token_error;

use std::sync::Arc;

pub use access_token::AccessToken;
pub use assertion::{AssertionError, TokenProxyError};
#[cfg(feature = "azure-core")]
pub use azure_sdk::{AzureCredential, SourceCredential};
pub use cache::TokenCache;
pub use callback::CallbackToken;
pub use certificate::CertificateError;
pub use chain::ChainMember;
pub use claims::Claims;
pub use developer::ToolError;
pub use entra::EntraRefusal;
pub(crate) use entra::told_tenant;
pub use environment::Environment;
pub use error::{Attempt, FetchError, NoIdentity, Reply, TokenError};
pub use fixed::FixedToken;
pub use managed_identity::{ManagedIdentity, PlatformError};
pub use program::ProgramError;
pub use schedule::{FETCH_LIMIT, MIN_REMAINING, REFRESH_MARGIN, RETRY_CEILING, RETRY_FLOOR};
pub use slot::TokenSlot;
pub use source::{Resource, SourceKey, TokenSource};
pub use sources::Sources;
#[cfg(feature = "cli")]
#[cfg(feature = "cli")]
pub(crate) use survey::{Offer, Survey};

pub(crate) use http::{HttpReply, HttpRequest, Transport};
pub(crate) use retry::{RetryPolicy, send};

use crate::target::{Auth, Cloud};

/// The source that an authentication method asks for, with nothing special permitted: short for
/// [`Sources::source`].
///
/// `env` tells which platform this is; the cloud tells which authority is asked
/// by the methods that sign in at Entra. No request is made here.
///
/// [`Auth::Default`] is Microsoft's default chain: the service principal that
/// variables describe, a workload identity, a managed identity, then what
/// developers are signed in to; each [`ChainMember`] can be left out, and
/// `AZURE_TOKEN_CREDENTIALS` is heeded. The client id in the connection string,
/// else in `AZURE_CLIENT_ID`, is that of the workload or managed identity.
///
/// # Errors
/// [`TokenError::Unsupported`] for a method that there is no source for, with
/// what to use instead; [`TokenError::Setup`] for settings and platforms that
/// cannot be used, such as an id that the platform cannot be asked by.
pub fn source_for(
    auth: &Auth,
    cloud: &Cloud,
    env: &Environment,
) -> Result<Arc<dyn TokenSource>, TokenError> {
    Sources::new(env.clone()).source(auth, cloud)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::target::Identity;

    fn source(auth: Auth) -> Result<Arc<dyn TokenSource>, TokenError> {
        let env = Environment::from_pairs::<String, String>([]);
        source_for(&auth, &Cloud::Public, &env)
    }

    #[test]
    fn each_method_has_its_source_or_an_error_that_names_another() {
        let key = |auth| source(auth).unwrap().key().to_string();
        assert_eq!(
            key(Auth::ManagedIdentity(Identity::ObjectId("o".into()))),
            "IMDS (object id o)"
        );
        assert_eq!(
            key(Auth::AccessToken(Secret::new("t"))),
            "the given access token"
        );
        assert!(key(Auth::Default { client_id: None }).starts_with("the default chain"));
        for auth in [Auth::Integrated, Auth::Callback] {
            let name = auth.name();
            let error = source(auth).unwrap_err();
            assert!(matches!(error, TokenError::Unsupported { .. }), "{error:?}");
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }
}
