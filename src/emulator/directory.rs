//! The Entra tenant behind the emulator: who exists, and under which ids.

use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;

/// Somebody in the tenant: an application, a managed identity, a user or a group.
///
/// Azure SQL derives a database user's SID from [`client_id`](Self::client_id) for applications and
/// managed identities, and from [`object_id`](Self::object_id) for users and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntraPrincipal {
    /// What kind of principal this is.
    pub kind: EntraKind,
    /// The name that `CREATE USER [name] FROM EXTERNAL PROVIDER` looks up: the display name, or for
    /// a user the user principal name (`someone@contoso.com`).
    pub display_name: String,
    /// The object id of the service principal, user or group (claim `oid`).
    pub object_id: Uuid,
    /// The application (client) id (claim `appid`); users and groups have none.
    pub client_id: Option<Uuid>,
    /// The tenant that the principal lives in (claim `tid`).
    pub tenant_id: Uuid,
    /// Object ids of the groups that the principal is a member of.
    pub groups: Vec<Uuid>,
}

/// The kinds of Entra principals that can be a database user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntraKind {
    /// An app registration's service principal.
    Application,
    /// A group; its members log in through it.
    Group,
    /// A system-assigned or user-assigned managed identity.
    ManagedIdentity,
    /// A person.
    User,
}

/// Looks principals up, as Azure SQL asks Microsoft Graph for `FROM EXTERNAL PROVIDER`.
pub trait Directory: Send + Sync + std::fmt::Debug {
    /// Every principal of that name, compared without regard to ASCII case. Display names are not
    /// unique in Entra: Azure SQL refuses a name that finds more than one.
    fn find_all_by_name(&self, name: &str) -> Vec<EntraPrincipal>;

    /// The principal with that object id.
    fn find_by_object_id(&self, id: Uuid) -> Option<EntraPrincipal>;

    /// The application or managed identity with that client id.
    fn find_by_client_id(&self, id: Uuid) -> Option<EntraPrincipal>;

    /// The only principal of that name; `None` if there is none or more than one.
    fn find_by_name(&self, name: &str) -> Option<EntraPrincipal> {
        let mut found = self.find_all_by_name(name);
        if found.len() == 1 { found.pop() } else { None }
    }
}

/// A [`Directory`] in memory. Clones share the principals.
#[derive(Clone, Debug, Default)]
pub struct InMemoryDirectory {
    principals: Arc<RwLock<Vec<EntraPrincipal>>>,
}

impl EntraPrincipal {
    /// An application or a managed identity.
    #[must_use]
    pub fn application(
        kind: EntraKind,
        display_name: impl Into<String>,
        tenant_id: Uuid,
        client_id: Uuid,
        object_id: Uuid,
    ) -> Self {
        Self {
            kind,
            display_name: display_name.into(),
            object_id,
            client_id: Some(client_id),
            tenant_id,
            groups: Vec::new(),
        }
    }

    /// A user, by user principal name, or a group, by display name.
    #[must_use]
    pub fn person_or_group(
        kind: EntraKind,
        name: impl Into<String>,
        tenant_id: Uuid,
        object_id: Uuid,
    ) -> Self {
        Self {
            kind,
            display_name: name.into(),
            object_id,
            client_id: None,
            tenant_id,
            groups: Vec::new(),
        }
    }

    /// The id that Azure SQL makes the database user's SID of: the client id for applications and
    /// managed identities, the object id for everybody else.
    #[must_use]
    pub fn sid_id(&self) -> Uuid {
        self.client_id.unwrap_or(self.object_id)
    }

    /// The 16 bytes of the database user's SID: [`sid_id`](Self::sid_id) in the byte order of a
    /// Windows GUID (first three groups little-endian), as `CAST(guid AS varbinary(16))` gives.
    #[must_use]
    pub fn sid(&self) -> [u8; 16] {
        self.sid_id().to_bytes_le()
    }
}

impl InMemoryDirectory {
    /// A tenant with nobody in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a principal, in place of one with the same object id.
    pub fn insert(&self, principal: EntraPrincipal) {
        let mut all = self
            .principals
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        all.retain(|p| p.object_id != principal.object_id);
        all.push(principal);
    }

    /// Takes a principal away, as deleting it in Entra does. Says whether it was there.
    pub fn remove(&self, object_id: Uuid) -> bool {
        let mut all = self
            .principals
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = all.len();
        all.retain(|p| p.object_id != object_id);
        all.len() != before
    }

    /// Everybody, in the order of arrival.
    #[must_use]
    pub fn all(&self) -> Vec<EntraPrincipal> {
        self.find(|_| true)
    }

    fn find(&self, matches: impl Fn(&EntraPrincipal) -> bool) -> Vec<EntraPrincipal> {
        let all = self
            .principals
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|p| matches(p)).cloned().collect()
    }
}

impl Directory for InMemoryDirectory {
    fn find_all_by_name(&self, name: &str) -> Vec<EntraPrincipal> {
        self.find(|p| p.display_name.eq_ignore_ascii_case(name))
    }

    fn find_by_object_id(&self, id: Uuid) -> Option<EntraPrincipal> {
        self.find(|p| p.object_id == id).pop()
    }

    fn find_by_client_id(&self, id: Uuid) -> Option<EntraPrincipal> {
        self.find(|p| p.client_id == Some(id)).pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> EntraPrincipal {
        EntraPrincipal::application(
            EntraKind::Application,
            name,
            Uuid::from_u128(1),
            Uuid::new_v4(),
            Uuid::new_v4(),
        )
    }

    #[test]
    fn a_name_that_two_share_finds_nobody() {
        let directory = InMemoryDirectory::new();
        directory.insert(app("orders"));
        assert!(directory.find_by_name("ORDERS").is_some());
        directory.insert(app("Orders"));
        assert_eq!(directory.find_by_name("orders"), None);
        assert_eq!(directory.find_all_by_name("orders").len(), 2);
    }

    #[test]
    fn the_same_object_id_replaces_and_removes() {
        let directory = InMemoryDirectory::new();
        let mut principal = app("one");
        directory.insert(principal.clone());
        principal.display_name = "two".into();
        directory.insert(principal.clone());
        assert_eq!(directory.all(), [principal.clone()]);
        assert!(directory.remove(principal.object_id));
        assert!(!directory.remove(principal.object_id));
    }

    #[test]
    fn the_sid_is_the_client_id_in_windows_byte_order() {
        let mut principal = app("a");
        principal.client_id = Some(Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f));
        assert_eq!(
            principal.sid(),
            [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
        );
    }
}
