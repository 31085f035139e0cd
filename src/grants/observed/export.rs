//! What a database has, as what it should have.

use std::collections::BTreeMap;

use super::{Action, FoundPrincipal, FoundState, Observed, PUBLIC, Place};
use crate::grants::model::{
    Desired, Identity, Membership, Permission, PermissionState, Principal, Role,
};
use crate::tsql::Name;

impl Observed {
    /// A manifest's worth of what is there, to adopt a database: the users of
    /// Entra by their SIDs, roles, their members, and what users, roles and
    /// public may. A plan of it for the same database is empty.
    ///
    /// Left out, since manifests do not cover them: users with passwords and of
    /// logins, and what they may; application roles; permissions on what is
    /// neither database, schema, object, type, user nor role; what was given on
    /// by others than the owners.
    ///
    /// Whether an identity is a person or an application the catalogue does not
    /// tell: those with `@` in their names are taken for people.
    #[must_use]
    pub fn to_desired(&self) -> Desired {
        let mut desired = Desired::default();
        for found in self.principals.values() {
            if let Some(sid) = found.known_sid().filter(|_| found.is_external()) {
                desired.principals.push(Principal {
                    name: found.name.clone(),
                    kind: found.entra_kind(),
                    identity: Identity::BySid(sid.id()),
                    default_schema: found.default_schema.clone(),
                    authoritative: false,
                });
            } else if found.is_own_role() {
                desired.roles.push(Role {
                    name: found.name.clone(),
                    authoritative: false,
                });
            }
        }
        for (role, member) in &self.members {
            if let (Some(role), Some(member)) = (self.principals.get(role), self.exported(*member))
            {
                desired.memberships.push(Membership {
                    role: role.name.clone(),
                    member: member.name.clone(),
                });
            }
        }
        desired.permissions = self.exported_permissions();
        desired.principals.sort_by(|a, b| a.name.cmp(&b.name));
        desired.roles.sort_by(|a, b| a.name.cmp(&b.name));
        desired.memberships.sort();
        desired
    }

    /// Somebody whom a manifest names.
    fn exported(&self, id: i32) -> Option<&FoundPrincipal> {
        let found = self.principals.get(&id)?;
        let external = found.is_external() && found.known_sid().is_some();
        (external || found.is_own_role()).then_some(found)
    }

    fn exported_permissions(&self) -> Vec<Permission> {
        let mut merged: BTreeMap<(Permission, bool), Vec<Name>> = BTreeMap::new();
        for row in &self.permissions {
            // What the server gives to public in every database.
            let builtin = row.grantee == PUBLIC && row.place == Place::Database;
            let to = match row.grantee {
                PUBLIC => self.principals.get(&PUBLIC),
                id => self.exported(id),
            };
            let (Some(to), Action::Known(action)) = (to, &row.action) else {
                continue;
            };
            let state = match row.state {
                FoundState::Deny => PermissionState::Deny,
                FoundState::Grant => PermissionState::Grant,
                FoundState::GrantWithGrantOption => PermissionState::GrantWithGrantOption,
                FoundState::Revoked => continue,
            };
            // Every user has it.
            let connect = *action == "CONNECT" && state != PermissionState::Deny;
            let by_owner = row.grantor == self.owner_of(row.place);
            let about_others = match row.place {
                Place::Principal(id) => self.exported(id).is_none(),
                _ => false,
            };
            if builtin || connect || !by_owner || about_others {
                continue;
            }
            let (Some(on), Some(column)) = (self.securable(row.place), self.column(row)) else {
                continue;
            };
            let permission = Permission {
                state,
                action,
                on,
                columns: Vec::new(),
                to: to.name.clone(),
            };
            // What is said of columns is kept apart from what is said of the whole.
            let key = (permission, column.is_some());
            merged.entry(key).or_default().extend(column);
        }
        merged
            .into_iter()
            .map(|((permission, _), mut columns)| {
                columns.sort();
                Permission {
                    columns,
                    ..permission
                }
            })
            .collect()
    }

    /// The column of a row, if it is about one; nothing if it is not known.
    fn column(&self, row: &super::FoundPermission) -> Option<Option<Name>> {
        match (row.place, row.column) {
            (_, 0) => Some(None),
            (Place::Object(id), column) => {
                let name = self.columns.get(&id)?.get(&column)?;
                Some(Some(name.clone()))
            }
            _ => None,
        }
    }
}
