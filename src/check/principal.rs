//! Who a token is for, as a database sees it.

use uuid::Uuid;

use crate::token::{self, Claims};

/// Stands for a name that is not in the token.
pub(super) const PLACEHOLDER: &str = "NAME-OF-THE-APPLICATION";

/// Who a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principal {
    pub(super) kind: &'static str,
    pub(super) name: Option<String>,
    pub(super) client_id: Option<Uuid>,
    pub(super) object_id: Option<Uuid>,
}

impl Principal {
    pub(super) fn of(claims: &Claims) -> Self {
        let told = token::principal::Principal::of(claims);
        let id = |text: Option<String>| text.and_then(|id| id.parse().ok());
        Self {
            kind: told.kind.name(),
            name: told.name,
            client_id: id(told.client_id),
            object_id: id(told.object_id),
        }
    }

    /// The id that the SID of its user is made of: the client id, of a person
    /// the object id.
    pub(super) fn id(&self) -> Option<Uuid> {
        self.client_id.or(self.object_id)
    }

    /// What that id is called.
    pub(super) fn id_name(&self) -> &'static str {
        match self.client_id {
            Some(_) => "client id",
            None => "object id",
        }
    }

    /// The name for a new user, and whether it is only a [`PLACEHOLDER`].
    pub(super) fn user_name(&self) -> (&str, bool) {
        match &self.name {
            Some(name) => (name, false),
            None => (PLACEHOLDER, true),
        }
    }
}

/// `managed identity shop (client id …)`.
impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        match self.id() {
            Some(id) => write!(f, " ({} {id})", self.id_name()),
            None => Ok(()),
        }
    }
}
