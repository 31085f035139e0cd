//! Which managed identity a request names, and whether the reply is for it.

use std::fmt;

use super::super::error::{FetchError, NoIdentity};
use super::super::reply::TokenReply;
use super::PlatformError;
use crate::target::{Identity, IdentityPlatform};

/// The identity named in one request; at most one id, as endpoints demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    Unnamed,
    ClientId(String),
    ObjectId(String),
    ResourceId(String),
}

/// What an endpoint calls the ids; `None` for a kind that it cannot be asked by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    pub(super) client_id: Option<&'static str>,
    pub(super) object_id: Option<&'static str>,
    pub(super) resource_id: Option<&'static str>,
    /// What to do about an id of another kind.
    pub(super) instead: &'static str,
}

impl Names {
    /// For endpoints that have one identity to give.
    pub(super) const fn none(instead: &'static str) -> Self {
        Self {
            client_id: None,
            object_id: None,
            resource_id: None,
            instead,
        }
    }

    pub(super) fn support(&self, selector: &Selector) -> bool {
        match selector {
            Selector::Unnamed => true,
            Selector::ClientId(_) => self.client_id.is_some(),
            Selector::ObjectId(_) => self.object_id.is_some(),
            Selector::ResourceId(_) => self.resource_id.is_some(),
        }
    }

    /// The parameter that names the identity, if one is named.
    pub(super) fn parameter<'a>(
        &self,
        selector: &'a Selector,
        platform: IdentityPlatform,
    ) -> Result<Option<(&'static str, &'a str)>, FetchError> {
        let (name, id) = match selector {
            Selector::Unnamed => return Ok(None),
            Selector::ClientId(id) => (self.client_id, id),
            Selector::ObjectId(id) => (self.object_id, id),
            Selector::ResourceId(id) => (self.resource_id, id),
        };
        let name = name.ok_or_else(|| self.unsupported(selector.kind(), platform))?;
        Ok(Some((name, id)))
    }

    fn unsupported(&self, selector: &'static str, platform: IdentityPlatform) -> FetchError {
        PlatformError::UnsupportedSelector {
            platform: platform.name(),
            selector,
            instead: self.instead,
        }
        .into()
    }
}

impl Selector {
    /// How an identity can be named at an endpoint, the likeliest first.
    ///
    /// An [`Identity::ClientOrObjectId`] is what Microsoft's ODBC driver takes it for: a client id
    /// on App Service and its kin, an object id elsewhere. As the two never coincide, the other
    /// reading comes second. It is an error if the endpoint cannot be asked by that kind of id;
    /// to leave the id out would give another identity's token.
    pub(super) fn candidates(
        identity: &Identity,
        platform: IdentityPlatform,
        names: &Names,
    ) -> Result<Vec<Self>, FetchError> {
        let (kind, mut found) = match identity {
            Identity::SystemAssigned => ("", vec![Self::Unnamed]),
            Identity::ClientId(id) => (CLIENT, vec![Self::ClientId(id.clone())]),
            Identity::ObjectId(id) => (OBJECT, vec![Self::ObjectId(id.clone())]),
            Identity::ResourceId(id) => (RESOURCE, vec![Self::ResourceId(id.clone())]),
            Identity::ClientOrObjectId(id) => {
                let mut both = vec![Self::ClientId(id.clone()), Self::ObjectId(id.clone())];
                if !client_ids_come_first(platform) {
                    both.reverse();
                }
                ("client or object id", both)
            }
        };
        found.retain(|selector| names.support(selector));
        match found.is_empty() {
            true => Err(names.unsupported(kind, platform)),
            false => Ok(found),
        }
    }

    /// The same id read as one of the other kind, if it could be one.
    pub(super) fn mistaken(&self) -> Option<Self> {
        match self {
            Self::ClientId(id) => Some(Self::ObjectId(id.clone())),
            Self::ObjectId(id) => Some(Self::ClientId(id.clone())),
            Self::Unnamed | Self::ResourceId(_) => None,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Unnamed => "no id",
            Self::ClientId(_) => CLIENT,
            Self::ObjectId(_) => OBJECT,
            Self::ResourceId(_) => RESOURCE,
        }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::Unnamed => "",
            Self::ClientId(id) | Self::ObjectId(id) | Self::ResourceId(id) => id,
        }
    }

    /// Refuses a reply that says, or whose token says, that it is for another
    /// identity. A reply that says nothing is believed.
    pub(super) fn check(&self, reply: &TokenReply) -> Result<(), FetchError> {
        let claims = reply.token.claims().unwrap_or_default();
        let (asked, said) = match self {
            Self::Unnamed => return Ok(()),
            Self::ClientId(id) => (id, [reply.client_id.as_ref(), claims.client_id.as_ref()]),
            Self::ObjectId(id) => (id, [reply.object_id.as_ref(), claims.object_id.as_ref()]),
            Self::ResourceId(id) => (
                id,
                [reply.resource_id.as_ref(), claims.resource_id.as_ref()],
            ),
        };
        // Of resource ids, a slash at either end means nothing.
        let bare = asked.trim_matches('/');
        let other = said.into_iter().flatten();
        let mut other = other.filter(|got| !got.trim_matches('/').eq_ignore_ascii_case(bare));
        match other.next() {
            None => Ok(()),
            Some(got) => Err(FetchError::WrongIdentity {
                asked: self.to_string(),
                got: got.clone(),
            }),
        }
    }

    /// Refuses also a reply that does not say whom it is for.
    pub(super) fn check_echo(&self, reply: &TokenReply) -> Result<(), FetchError> {
        self.check(reply)?;
        let echo = match self {
            Self::Unnamed => return Ok(()),
            Self::ClientId(_) => &reply.client_id,
            Self::ObjectId(_) => &reply.object_id,
            Self::ResourceId(_) => &reply.resource_id,
        };
        match echo {
            Some(_) => Ok(()),
            None => Err(PlatformError::UnconfirmedIdentity {
                asked: self.to_string(),
            }
            .into()),
        }
    }

    pub(super) fn missing(&self) -> NoIdentity {
        match self {
            Self::Unnamed => NoIdentity::Default,
            named => NoIdentity::Named {
                selector: named.to_string(),
                advice: named.advice(),
            },
        }
    }

    /// What may be wrong with an id that is not there.
    fn advice(&self) -> &'static str {
        let guid = uuid::Uuid::try_parse(self.id()).is_ok();
        match self {
            Self::ClientId(id) if id.starts_with('/') => {
                "this looks like a resource id, which must be given as one"
            }
            Self::ClientId(_) if guid => {
                "a User ID is read as a client id, as SqlClient, JDBC and Go read it: if this is \
                 an object id, give the client id of that identity, or say that it is an object id"
            }
            Self::ObjectId(_) if guid => {
                "if this is a client id, say so; `az identity show` prints both"
            }
            Self::ClientId(_) | Self::ObjectId(_) => {
                "an id of this kind is a GUID and not the identity's name; `az identity show` prints it"
            }
            Self::Unnamed | Self::ResourceId(_) => "",
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed => f.write_str("the system-assigned identity"),
            named => write!(f, "{} {}", named.kind(), named.id()),
        }
    }
}

fn client_ids_come_first(platform: IdentityPlatform) -> bool {
    use IdentityPlatform as P;
    matches!(
        platform,
        P::AppService | P::AppService2017 | P::Automation | P::ContainerInstancesWindows
    )
}

const CLIENT: &str = "client id";

const OBJECT: &str = "object id";

const RESOURCE: &str = "resource id";
