//! What a database has: users, roles, memberships, permissions, and what they
//! are about.

mod canon;
mod export;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use super::key::{Folding, Key};
use super::model::{PrincipalKind, Securable};
use crate::tsql::{Name, Sid};

/// A database's principals, roles, memberships and permissions as its catalogue
/// showed them at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(super) database: String,
    pub(super) folding: Folding,
    /// Who read this; 0 if it has no user of its own.
    pub(super) me: i32,
    /// Who read this, and the groups that it is in: nobody takes anything from them.
    pub(super) own: BTreeSet<i32>,
    /// By `principal_id`.
    pub(super) principals: BTreeMap<i32, FoundPrincipal>,
    /// `principal_id` by name.
    pub(super) names: BTreeMap<Key, i32>,
    /// Role and member.
    pub(super) members: BTreeSet<(i32, i32)>,
    pub(super) permissions: Vec<FoundPermission>,
    /// By `schema_id`.
    pub(super) schemas: BTreeMap<i32, FoundSchema>,
    /// By `object_id`.
    pub(super) objects: BTreeMap<i32, FoundThing>,
    /// By `user_type_id`; those that users have made.
    pub(super) types: BTreeMap<i32, FoundThing>,
    /// Columns of objects that were asked for, or that have permissions on columns.
    pub(super) columns: BTreeMap<i32, BTreeMap<i32, Name>>,
}

/// A row of `sys.database_principals`.
#[derive(Clone, Debug)]
pub(super) struct FoundPrincipal {
    pub(super) name: Name,
    /// `type`: `E`, `X`, `R`, `S`, `A` and others.
    pub(super) kind: char,
    pub(super) sid: Vec<u8>,
    pub(super) default_schema: Option<Name>,
    pub(super) owner: Option<i32>,
    pub(super) fixed: bool,
    pub(super) authentication: i32,
}

/// A row of `sys.schemas`.
#[derive(Clone, Debug)]
pub(super) struct FoundSchema {
    pub(super) name: Name,
    pub(super) owner: i32,
}

/// An object or a type.
#[derive(Clone, Debug)]
pub(super) struct FoundThing {
    pub(super) schema: i32,
    pub(super) name: Name,
    /// Of its own, instead of the schema's.
    pub(super) owner: Option<i32>,
}

/// A row of `sys.database_permissions`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoundPermission {
    pub(super) place: Place,
    /// 0 for the whole.
    pub(super) column: i32,
    pub(super) grantee: i32,
    pub(super) grantor: i32,
    /// Its name, whether known or not.
    pub(super) action: Action,
    pub(super) state: FoundState,
}

/// A permission's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Known(&'static str),
    /// Newer than our list.
    Unknown(Box<str>),
}

/// `sys.database_permissions.class` and `major_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    Database,
    Object(i32),
    Schema(i32),
    Principal(i32),
    Type(i32),
    /// A class that manifests do not cover.
    Other(u8, i32),
}

/// `sys.database_permissions.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FoundState {
    Deny,
    Grant,
    /// A column that is left out of what holds for the whole.
    Revoked,
    GrantWithGrantOption,
}

pub(super) const PUBLIC: i32 = 0;
pub(super) const DBO: i32 = 1;

impl Observed {
    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether there is a user or a role of this name, as the database compares names.
    #[must_use]
    pub fn has(&self, name: &Name) -> bool {
        self.find(name).is_some()
    }

    /// The names of all users and roles.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.principals.values().map(|found| &found.name)
    }

    pub(super) fn key(&self, name: &Name) -> Key {
        self.folding.key(name)
    }

    pub(super) fn find(&self, name: &Name) -> Option<(i32, &FoundPrincipal)> {
        let id = *self.names.get(&self.key(name))?;
        self.principals.get(&id).map(|found| (id, found))
    }

    pub(super) fn find_sid(&self, sid: Sid) -> Option<(i32, &FoundPrincipal)> {
        self.principals
            .iter()
            .find(|(_, found)| found.is_external() && found.known_sid() == Some(sid))
            .map(|(id, found)| (*id, found))
    }

    pub(super) fn find_schema(&self, name: &Name) -> Option<i32> {
        let key = self.key(name);
        self.schemas
            .iter()
            .find(|(_, found)| self.key(&found.name) == key)
            .map(|(id, _)| *id)
    }

    /// Whether nobody may take this principal's rights away: the system's own,
    /// and who runs the plan.
    pub(super) fn is_protected(&self, id: i32) -> bool {
        (0..=4).contains(&id)
            || self.own.contains(&id)
            || self
                .principals
                .get(&id)
                .is_none_or(|found| found.fixed || found.name.as_str().starts_with("##"))
    }

    /// Who read this, the groups that it is in, and every role of theirs.
    pub(super) fn own_closure(&self) -> BTreeSet<i32> {
        let mut all = self.own.clone();
        let mut open: Vec<i32> = all.iter().copied().collect();
        while let Some(id) = open.pop() {
            for (role, member) in &self.members {
                if *member == id && all.insert(*role) {
                    open.push(*role);
                }
            }
        }
        all
    }

    /// In whose name the server gives a permission, unless told otherwise.
    pub(super) fn owner_of(&self, place: Place) -> i32 {
        let of_schema = |id: &i32| self.schemas.get(id).map(|schema| schema.owner);
        let of_thing = |thing: &FoundThing| thing.owner.or_else(|| of_schema(&thing.schema));
        match place {
            Place::Database | Place::Other(..) => None,
            Place::Object(id) => self.objects.get(&id).and_then(of_thing),
            Place::Principal(id) => self.principals.get(&id).and_then(|found| found.owner),
            Place::Schema(id) => of_schema(&id),
            Place::Type(id) => self.types.get(&id).and_then(of_thing),
        }
        .unwrap_or(DBO)
    }

    /// What a permission is about, in a manifest's terms.
    pub(super) fn securable(&self, place: Place) -> Option<Securable> {
        let schema = |id: i32| self.schemas.get(&id).map(|schema| schema.name.clone());
        Some(match place {
            Place::Database => Securable::Database,
            Place::Object(id) => {
                let object = self.objects.get(&id)?;
                Securable::Object {
                    schema: schema(object.schema)?,
                    name: object.name.clone(),
                }
            }
            Place::Principal(id) => {
                let found = self.principals.get(&id)?;
                if found.kind == 'R' {
                    Securable::Role(found.name.clone())
                } else {
                    Securable::User(found.name.clone())
                }
            }
            Place::Schema(id) => Securable::Schema(schema(id)?),
            Place::Type(id) => {
                let found = self.types.get(&id)?;
                Securable::Type {
                    schema: schema(found.schema)?,
                    name: found.name.clone(),
                }
            }
            Place::Other(..) => return None,
        })
    }
}

impl FoundPrincipal {
    /// Whether it is an identity of Entra.
    pub(super) fn is_external(&self) -> bool {
        matches!(self.kind, 'E' | 'X')
    }

    /// A role that users have made.
    pub(super) fn is_own_role(&self) -> bool {
        self.kind == 'R' && !self.fixed
    }

    /// The identity's id as bytes. Logins of a server have four characters behind
    /// it.
    pub(super) fn known_sid(&self) -> Option<Sid> {
        let sid = self.sid.as_slice();
        Sid::from_bytes(
            sid.strip_suffix(b"AADE")
                .or_else(|| sid.strip_suffix(b"AADX"))
                .filter(|rest| rest.len() == 16)
                .unwrap_or(sid),
        )
    }

    /// What it is in Entra, as far as the catalogue tells: people's names are
    /// addresses.
    pub(super) fn entra_kind(&self) -> PrincipalKind {
        match self.kind {
            'X' => PrincipalKind::Group,
            _ if self.name.as_str().contains('@') => PrincipalKind::User,
            _ => PrincipalKind::Application,
        }
    }
}
