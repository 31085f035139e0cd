//! What a token is asked of, and for.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;

use super::{AccessToken, TokenError};
use crate::target::Cloud;

/// Something that gives access tokens.
///
/// A source does not cache: it answers each call with what its endpoint says
/// now, retrying by the endpoint's rules. [`TokenCache`](super::TokenCache)
/// does the rest. Callers with a deadline drop the future.
///
/// ```
/// use std::time::Duration;
/// use entrada::token::{AccessToken, Resource, SourceKey, TokenError, TokenSource};
///
/// #[derive(Debug)]
/// struct Constant;
///
/// #[async_trait::async_trait]
/// impl TokenSource for Constant {
///     async fn token(&self, _: &Resource) -> Result<AccessToken, TokenError> {
///         Ok(AccessToken::new("secret", Duration::from_secs(3600)))
///     }
///     fn key(&self) -> SourceKey {
///         SourceKey::new("constant")
///     }
/// }
/// ```
#[async_trait]
pub trait TokenSource: Send + Sync + fmt::Debug {
    /// Gets a token for `resource`.
    ///
    /// # Errors
    /// Why there is none, after the retries that the endpoint's rules allow.
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError>;

    /// Everything, apart from the resource, that changes which token this is.
    /// Sources with equal keys share tokens in a cache.
    fn key(&self) -> SourceKey;

    /// Which source gives the tokens, where that is only known once one was
    /// given: of a chain, the member that it settled on. By default the source
    /// itself.
    fn answered_by(&self) -> SourceKey {
        self.key()
    }
}

/// Names a source with its identity, and tells sources apart in a cache.
///
/// It holds no secret and prints as people would say it: `IMDS (client id 1234)`.
/// Why the source was [chosen](Self::chosen_by) comes with it, but tells no
/// sources apart. Clones are cheap.
#[derive(Clone)]
pub struct SourceKey {
    parts: Arc<Parts>,
    reason: Option<Arc<str>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Parts {
    source: Cow<'static, str>,
    identity: String,
    tenant: String,
    authority: String,
    credential: String,
}

impl SourceKey {
    /// A key for a kind of source, which has only one identity so far.
    #[must_use]
    pub fn new(source: impl Into<Cow<'static, str>>) -> Self {
        let source = source.into();
        let parts = Arc::new(Parts {
            source,
            ..Parts::default()
        });
        Self {
            parts,
            reason: None,
        }
    }

    /// The identity that the token is for. Defaults to none named.
    #[must_use]
    pub fn with_identity(mut self, identity: impl fmt::Display) -> Self {
        Arc::make_mut(&mut self.parts).identity = identity.to_string();
        self
    }

    /// The tenant. Defaults to the identity's own.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.parts).tenant = tenant.into();
        self
    }

    /// The address of the endpoint or authority. Defaults to the source's only one.
    #[must_use]
    pub fn with_authority(mut self, authority: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.parts).authority = authority.into();
        self
    }

    /// A mark that tells credentials apart without being one, such as a digest.
    #[must_use]
    pub fn with_credential(mut self, mark: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.parts).credential = mark.into();
        self
    }

    /// Why this source was chosen, for people: `IDENTITY_ENDPOINT and
    /// IDENTITY_HEADER are set`. No part of equality. Defaults to nothing.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Why this source was chosen, or an empty text if nobody said.
    #[must_use]
    pub fn chosen_by(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    /// The kind of source.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.parts.source
    }

    /// The identity, or an empty text if none was named.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.parts.identity
    }

    /// The tenant, or an empty text.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.parts.tenant
    }

    /// The authority, or an empty text.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.parts.authority
    }
}

impl PartialEq for SourceKey {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for SourceKey {}

impl Hash for SourceKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts.hash(state);
    }
}

impl fmt::Debug for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt(f)
    }
}

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source())?;
        if !self.identity().is_empty() {
            write!(f, " ({})", self.identity())?;
        }
        Ok(())
    }
}

/// What a token is for, as managed-identity endpoints name it:
/// `https://database.windows.net/`, with its slash.
///
/// ```
/// use entrada::token::Resource;
///
/// let resource = Resource::new("https://database.windows.net/");
/// // The v2 endpoint cuts `/.default` off, and the slash must survive that.
/// assert_eq!(resource.scope(), "https://database.windows.net//.default");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource(Arc<str>);

impl Resource {
    /// A resource by its identifier, which is taken as it stands.
    #[must_use]
    pub fn new(uri: impl Into<Arc<str>>) -> Self {
        Self(uri.into())
    }

    /// The identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scope that asks Entra's v2 endpoint for this very resource.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("{}/.default", self.0)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&Cloud> for Resource {
    fn from(cloud: &Cloud) -> Self {
        Self::new(cloud.resource())
    }
}

impl From<Cloud> for Resource {
    fn from(cloud: Cloud) -> Self {
        Self::from(&cloud)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_prints_without_its_credential_mark() {
        let key = SourceKey::new("IMDS")
            .with_identity("client id 1")
            .with_credential("digest");
        assert_eq!(key.to_string(), "IMDS (client id 1)");
        assert_ne!(key, SourceKey::new("IMDS").with_identity("client id 1"));
    }

    #[test]
    fn the_reason_comes_along_and_tells_nothing_apart() {
        let key = SourceKey::new("IMDS");
        let reasoned = key.clone().with_reason("nothing else is here");
        assert_eq!(reasoned.chosen_by(), "nothing else is here");
        assert_eq!(key.chosen_by(), "");
        let keys = std::collections::HashSet::from([key, reasoned]);
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn every_part_of_a_key_tells_sources_apart() {
        let base = SourceKey::new("x");
        let others = [
            SourceKey::new("y"),
            base.clone().with_identity("i"),
            base.clone().with_tenant("i"),
            base.clone().with_authority("i"),
            base.clone().with_credential("i"),
        ];
        for (i, a) in others.iter().enumerate() {
            assert_ne!(&base, a);
            assert!(others.iter().skip(i + 1).all(|b| a != b));
        }
    }
}
