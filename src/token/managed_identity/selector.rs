//! Which managed identity a request names, and whether the reply is for it.

use std::fmt;

use super::super::error::{FetchError, NoIdentity};
use super::super::reply::TokenReply;

/// The identity named in one request; at most one id, as endpoints demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    Unnamed,
    ClientId(String),
    ObjectId(String),
    ResourceId(String),
}

/// What an endpoint calls the ids.
pub(super) struct Names {
    pub(super) client_id: &'static str,
    pub(super) object_id: &'static str,
    pub(super) resource_id: &'static str,
}

impl Selector {
    /// The query parameter that names the identity, if one is named.
    pub(super) fn parameter(&self, names: &Names) -> Option<(&'static str, &str)> {
        match self {
            Self::Unnamed => None,
            Self::ClientId(id) => Some((names.client_id, id)),
            Self::ObjectId(id) => Some((names.object_id, id)),
            Self::ResourceId(id) => Some((names.resource_id, id)),
        }
    }

    /// Refuses a reply that says it is for another identity. Not every endpoint
    /// says whom its token is for; one that says nothing is believed.
    pub(super) fn check(&self, reply: &TokenReply) -> Result<(), FetchError> {
        let (asked, echoed) = match self {
            Self::Unnamed => return Ok(()),
            Self::ClientId(id) => (id, &reply.client_id),
            Self::ObjectId(id) => (id, &reply.object_id),
            Self::ResourceId(id) => (id, &reply.resource_id),
        };
        match echoed {
            Some(got) if !got.eq_ignore_ascii_case(asked) => Err(FetchError::WrongIdentity {
                asked: self.to_string(),
                got: got.clone(),
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn missing(&self) -> NoIdentity {
        match self {
            Self::Unnamed => NoIdentity::Default,
            named => NoIdentity::Named(named.to_string()),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed => f.write_str("the system-assigned identity"),
            Self::ClientId(id) => write!(f, "client id {id}"),
            Self::ObjectId(id) => write!(f, "object id {id}"),
            Self::ResourceId(id) => write!(f, "resource id {id}"),
        }
    }
}
