//! Whom a token logs in, by its own claims.

use super::Claims;

/// Whom a token logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) kind: PrincipalKind,
    /// What people call it, where the token says.
    pub(crate) name: Option<String>,
    /// That of an application or a managed identity.
    pub(crate) client_id: Option<String>,
    pub(crate) object_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PrincipalKind {
    Application,
    ManagedIdentity,
    User,
}

impl Principal {
    pub(crate) fn of(claims: &Claims) -> Self {
        let (kind, name) = match (&claims.user_name, &claims.resource_id) {
            (Some(user), _) => (PrincipalKind::User, Some(user.as_str())),
            (None, Some(resource)) => (PrincipalKind::ManagedIdentity, resource.rsplit('/').next()),
            (None, None) => (PrincipalKind::Application, None),
        };
        // In a user's token it is that of the tool, which logs in nobody.
        let is_user = kind == PrincipalKind::User;
        Self {
            kind,
            name: name.filter(|name| !name.is_empty()).map(str::to_owned),
            client_id: claims.client_id.clone().filter(|_| !is_user),
            object_id: claims.object_id.clone(),
        }
    }
}

impl PrincipalKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::ManagedIdentity => "managed identity",
            Self::User => "user",
        }
    }
}
