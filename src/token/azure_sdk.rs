//! The Azure SDK's credentials as sources, and sources as its credentials.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use ::azure_core::credentials::{AccessToken as SdkToken, TokenCredential, TokenRequestOptions};
use ::azure_core::error::{Error as SdkError, ErrorKind};
use ::azure_core::time::OffsetDateTime;
use async_trait::async_trait;

use super::error::FetchError;
use super::{AccessToken, Resource, SourceKey, TokenCache, TokenError, TokenSource};
use crate::target::Cloud;

/// A credential of the Azure SDK for Rust as a source of tokens: those of
/// `azure_identity`, or any other [`TokenCredential`].
///
/// Clones share the credential and, in a cache, its tokens; two that were made
/// apart never share, even over one credential. The scope that is asked for is the resource's own, with the
/// double slash that [`Resource::scope`] explains. The SDK's credentials keep a token
/// of their own for as long as they see fit, so a token that the server refused may
/// come once more.
///
/// ```
/// # async fn example(credential: std::sync::Arc<dyn azure_core::credentials::TokenCredential>)
/// #     -> Result<(), Box<dyn std::error::Error>> {
/// use entrada::conn_string::ConnectionString;
/// use entrada::pool::Pool;
/// use entrada::target::{Auth, Target};
/// use entrada::token::AzureCredential;
/// use std::sync::Arc;
///
/// // `credential` is a `ManagedIdentityCredential::new(None)?`, say.
/// let string = ConnectionString::parse("Data Source=app.database.windows.net;Database=shop")?;
/// let pool = Pool::builder(Target::with_auth(&string, Auth::Callback)?)
///     .token_source(Arc::new(AzureCredential::new(credential)))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AzureCredential {
    credential: Arc<dyn TokenCredential>,
    key: SourceKey,
}

impl AzureCredential {
    /// A source that asks this credential.
    #[must_use]
    pub fn new(credential: Arc<dyn TokenCredential>) -> Self {
        // A credential does not say who it is. Its address would do, but for another
        // one that comes to lie there while a cache still knows the first.
        static INSTANCES: AtomicU64 = AtomicU64::new(0);
        let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
        Self {
            credential,
            key: SourceKey::new("the Azure SDK's credential").with_credential(instance.to_string()),
        }
    }

    /// Names the identity behind the credential in logs and errors. Defaults to none.
    #[must_use]
    pub fn with_identity(mut self, identity: impl fmt::Display) -> Self {
        self.key = self.key.with_identity(identity);
        self
    }
}

#[async_trait]
impl TokenSource for AzureCredential {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        let answer = self.credential.get_token(&[&resource.scope()], None).await;
        let token = answer.map_err(|cause| {
            let reason = FetchError::Credential {
                lasting: is_lasting(&cause),
                cause: Box::new(cause),
            };
            TokenError::fetch(self.key(), resource, reason)
        })?;
        let expires = SystemTime::from(token.expires_on);
        Ok(AccessToken::expiring(token.token.secret(), expires))
    }

    fn key(&self) -> SourceKey {
        self.key.clone()
    }
}

impl fmt::Debug for AzureCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureCredential")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Whether an endpoint refused in a way that asking again will not mend.
fn is_lasting(error: &SdkError) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(level) = cause {
        if let Some(error) = level.downcast_ref::<SdkError>()
            && let Some(status) = error.http_status()
        {
            let status = u16::from(status);
            return (400..500).contains(&status) && !matches!(status, 404 | 408 | 410 | 429);
        }
        cause = level.source();
    }
    false
}

/// A source as a credential of the Azure SDK for Rust, with the cache in between.
///
/// ```
/// use std::sync::Arc;
/// use azure_core::credentials::TokenCredential;
/// use entrada::target::{Auth, Cloud, Identity};
/// use entrada::token::{Environment, SourceCredential, Sources, TokenCache};
///
/// let cache = TokenCache::new();
/// let auth = Auth::ManagedIdentity(Identity::SystemAssigned);
/// let source = Sources::new(Environment::from_process()).source(&auth, &Cloud::Public)?;
/// // For `BlobServiceClient::new` and its kin, while pools use the same cache.
/// let credential: Arc<dyn TokenCredential> = Arc::new(SourceCredential::new(source, cache));
/// # Ok::<(), entrada::token::TokenError>(())
/// ```
///
/// A scope is asked for as the resource that stands before its `/.default`, and the
/// scopes of Azure SQL as the resource with its slash, so that pools and SDK clients
/// share a token. Other scopes, or several at once, are errors: an application has
/// none to name. The options of a request, which carry no claims, have no effect.
#[derive(Debug, Clone)]
pub struct SourceCredential {
    source: Arc<dyn TokenSource>,
    cache: TokenCache,
}

impl SourceCredential {
    /// A credential that gives the tokens of this source, kept in this cache.
    #[must_use]
    pub fn new(source: Arc<dyn TokenSource>, cache: TokenCache) -> Self {
        Self { source, cache }
    }
}

#[async_trait]
impl TokenCredential for SourceCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> ::azure_core::Result<SdkToken> {
        let resource = resource_of(scopes)?;
        let slot = self.cache.slot(Arc::clone(&self.source), resource);
        let token = slot.get().await;
        let token = token.map_err(|error| SdkError::new(ErrorKind::Credential, error))?;
        let expires = OffsetDateTime::from(token.expires_on());
        Ok(SdkToken::new(token.secret().expose().to_owned(), expires))
    }
}

/// The resource that a request's scopes are about.
fn resource_of(scopes: &[&str]) -> ::azure_core::Result<Resource> {
    let wrong = |problem| Err(SdkError::with_message(ErrorKind::Credential, problem));
    let [scope] = scopes else {
        return wrong("exactly one scope can be asked for");
    };
    let Some(resource) = scope.strip_suffix("/.default").filter(|id| !id.is_empty()) else {
        return wrong("the scope must be a resource followed by /.default");
    };
    let databases = Cloud::ALL.into_iter().map(Cloud::resource);
    let database = databases
        .into_iter()
        .find(|with_slash| resource.trim_end_matches('/') == with_slash.trim_end_matches('/'));
    Ok(Resource::new(database.unwrap_or(resource)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_its_resource() {
        for (scope, resource) in [
            (
                "https://database.windows.net//.default",
                "https://database.windows.net/",
            ),
            (
                "https://database.windows.net/.default",
                "https://database.windows.net/",
            ),
            (
                "https://storage.azure.com/.default",
                "https://storage.azure.com",
            ),
            (
                "https://storage.azure.com//.default",
                "https://storage.azure.com/",
            ),
            ("api://app/.default", "api://app"),
        ] {
            assert_eq!(resource_of(&[scope]).unwrap().as_str(), resource, "{scope}");
        }
        for scopes in [
            &[][..],
            &["a/.default", "b/.default"],
            &["User.Read"],
            &["/.default"],
        ] {
            assert!(resource_of(scopes).is_err(), "{scopes:?}");
        }
    }
}
