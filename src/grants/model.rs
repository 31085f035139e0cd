//! What a database should have, free of the file that said so.

use uuid::Uuid;

use crate::tsql::Name;

/// What one database should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Desired {
    /// The identities that may log in.
    pub principals: Vec<Principal>,
    /// Roles of the database that are ours; fixed roles are not named here.
    pub roles: Vec<Role>,
    /// Who belongs to which role, fixed roles included.
    pub memberships: Vec<Membership>,
    /// What they may, and may not.
    pub permissions: Vec<Permission>,
}

/// An identity of Entra that has, or should have, a user in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Principal {
    /// The user's name.
    pub name: Name,
    /// What it is in Entra.
    pub kind: PrincipalKind,
    /// How the database finds it.
    pub identity: Identity,
    /// Where its names without a schema are looked for; `None` leaves it as it is.
    pub default_schema: Option<Name>,
    /// Whether everything that it holds beside what is written here is taken away.
    pub authoritative: bool,
}

/// What an identity is in Entra.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A group; its members log in as themselves with the group's rights.
    Group,
    /// An application's service principal.
    Application,
    /// A managed identity, of a system or of a user.
    ManagedIdentity,
}

/// How a database finds an identity when its user is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Identity {
    /// The server asks Entra for the name: `FROM EXTERNAL PROVIDER`. It needs
    /// permission to read the directory.
    ByName,
    /// The server asks Entra for this object:
    /// `FROM EXTERNAL PROVIDER WITH OBJECT_ID = N'…'`.
    ByObjectId(Uuid),
    /// The user is made with its security identifier, and nobody is asked:
    /// `WITH SID = 0x…, TYPE = E` (or `X` for a group). The id is the client id
    /// of applications and managed identities, the object id of users and groups.
    BySid(Uuid),
}

/// A role of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Role {
    /// Its name.
    pub name: Name,
    /// Whether everything that it holds, and every member, beside what is
    /// written here is taken away.
    pub authoritative: bool,
}

/// One principal in one role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Membership {
    /// The role; fixed ones such as `db_datareader`, too.
    pub role: Name,
    /// A user or a role.
    pub member: Name,
}

/// One permission on one thing for one principal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Permission {
    /// Whether it is given or forbidden.
    pub state: PermissionState,
    /// The permission in SQL Server's words and capitals, such as `SELECT` or
    /// `VIEW DEFINITION`; one of the list that the server has.
    pub action: &'static str,
    /// On what.
    pub on: Securable,
    /// For these columns only; empty for the whole.
    pub columns: Vec<Name>,
    /// For whom: a user or a role.
    pub to: Name,
}

/// Whether a permission is given or forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PermissionState {
    /// `GRANT`
    Grant,
    /// `GRANT … WITH GRANT OPTION`
    GrantWithGrantOption,
    /// `DENY`
    Deny,
}

/// What a permission is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Securable {
    /// The database itself.
    Database,
    /// Everything in a schema.
    Schema(Name),
    /// A table, view, procedure or function.
    Object {
        /// Its schema.
        schema: Name,
        /// Its name.
        name: Name,
    },
    /// A role.
    Role(Name),
    /// A user.
    User(Name),
    /// A type.
    Type {
        /// Its schema.
        schema: Name,
        /// Its name.
        name: Name,
    },
}

impl Principal {
    /// An identity's user, with no default schema and not authoritative.
    #[must_use]
    pub fn new(name: Name, kind: PrincipalKind, identity: Identity) -> Self {
        Self {
            name,
            kind,
            identity,
            default_schema: None,
            authoritative: false,
        }
    }
}

impl Role {
    /// A role that is not authoritative.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self {
            name,
            authoritative: false,
        }
    }
}

impl Membership {
    /// Somebody in a role.
    #[must_use]
    pub fn new(role: Name, member: Name) -> Self {
        Self { role, member }
    }
}

impl Permission {
    /// A permission on the whole of something.
    #[must_use]
    pub fn new(state: PermissionState, action: &'static str, on: Securable, to: Name) -> Self {
        Self {
            state,
            action,
            on,
            columns: Vec::new(),
            to,
        }
    }
}
