//! Users and roles: who is made, dropped, renamed, and what they own.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, ChangeKind, shown, shown_securable};
use super::lost;
use super::problem::{Note, Problem};
use super::{Mode, Work, statements};
use crate::grants::key::Key;
use crate::grants::model::{Desired, Identity, Principal, PrincipalKind};
use crate::grants::observed::{FoundPermission, FoundPrincipal, Observed};
use crate::tsql::{Name, Sid};

/// Who is who before and after the plan.
#[derive(Debug, Default)]
pub(super) struct People {
    /// What is done to them.
    pub(super) changes: Vec<Change>,
    /// New names of those that get one.
    renamed: BTreeMap<i32, Name>,
    /// Those who go, or go and come back.
    pub(super) dropped: BTreeSet<i32>,
    /// Those who are made.
    made: BTreeMap<Key, Name>,
    /// Those of them who are roles.
    made_roles: BTreeSet<Key>,
    /// From whom everything is taken that is not written.
    strict: BTreeSet<i32>,
    /// Marked authoritative, in a mode that takes nothing.
    pub(super) lenient: BTreeSet<i32>,
    /// Permissions that go when something gets another owner.
    pub(super) lost: Vec<FoundPermission>,
    /// What is done before anybody is dropped.
    pub(super) transfers: Vec<Change>,
}

/// Somebody as statements name them once the plan's users are there.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// Who it was; `None` for somebody new.
    pub(super) id: Option<i32>,
    pub(super) name: Name,
}

impl People {
    pub(super) fn of(work: &mut Work<'_>, desired: &Desired, mode: Mode) -> Self {
        let mut people = Self::default();
        let mut named = BTreeSet::new();
        for name in desired
            .principals
            .iter()
            .map(|p| &p.name)
            .chain(desired.roles.iter().map(|r| &r.name))
        {
            if !named.insert(work.observed.key(name)) {
                work.problems
                    .push(Problem::Duplicate { name: name.clone() });
            }
        }
        let mut kept = BTreeSet::new();
        let mut created = Vec::new();
        for role in &desired.roles {
            if let Some(id) = people.role(work, &role.name, &mut created) {
                kept.insert(id);
                people.mark(work, id, role.authoritative, mode);
            }
        }
        for principal in &desired.principals {
            if let Some(id) = people.user(work, principal, mode, &mut created) {
                kept.insert(id);
                people.mark(work, id, principal.authoritative, mode);
            }
        }
        if mode == Mode::Prune {
            people.prune(work, &kept);
        }
        people.drop_all(work.observed);
        people.rename_all(work);
        people.changes.extend(created);
        for principal in &desired.principals {
            people.set_schema(work, principal);
        }
        people
    }

    /// Everything is taken from these.
    pub(super) fn revoked(work: &mut Work<'_>, from: &[Name], drop: bool) -> Self {
        let mut people = Self::default();
        for name in from {
            let Some((id, found)) = work.observed.find(name) else {
                // Whoever is gone already has nothing: a second run is no error.
                if !drop {
                    work.problems.push(Problem::NoPrincipal {
                        name: name.clone(),
                        wanted: "user or role",
                    });
                }
                continue;
            };
            if work.observed.is_protected(id) || found.kind == 'A' {
                work.problems.push(Problem::Special { name: name.clone() });
            } else if drop {
                people.dropped.insert(id);
            } else {
                people.strict.insert(id);
            }
        }
        if !drop {
            lost::transfer(work.observed, &people.strict.clone(), &mut people);
            people.changes.append(&mut people.transfers);
        }
        people.drop_all(work.observed);
        people
    }

    /// Who a name will be.
    pub(super) fn find(&self, observed: &Observed, name: &Name) -> Option<Person> {
        let key = observed.key(name);
        if let Some(name) = self.made.get(&key) {
            return Some(Person {
                id: None,
                name: name.clone(),
            });
        }
        if let Some((id, name)) = self
            .renamed
            .iter()
            .find(|(_, new)| observed.key(new) == key)
        {
            return Some(Person {
                id: Some(*id),
                name: name.clone(),
            });
        }
        let (id, found) = observed.find(name)?;
        let stays = !self.dropped.contains(&id) && !self.renamed.contains_key(&id);
        stays.then(|| Person {
            id: Some(id),
            name: found.name.clone(),
        })
    }

    /// Whether the plan makes a role of this name.
    pub(super) fn makes_role(&self, observed: &Observed, name: &Name) -> bool {
        self.made_roles.contains(&observed.key(name))
    }

    /// The name that somebody will have; `None` for those who go.
    pub(super) fn name_of(&self, observed: &Observed, id: i32) -> Option<Name> {
        if self.dropped.contains(&id) {
            return None;
        }
        self.renamed
            .get(&id)
            .cloned()
            .or_else(|| observed.principals.get(&id).map(|found| found.name.clone()))
    }

    /// Whether everything that is not written is taken.
    pub(super) fn is_strict(&self, id: i32) -> bool {
        self.strict.contains(&id)
    }

    fn mark(&mut self, work: &mut Work<'_>, id: i32, authoritative: bool, mode: Mode) {
        let strict = match mode {
            Mode::Additive => {
                if authoritative {
                    self.lenient.insert(id);
                }
                false
            }
            Mode::Authoritative => authoritative,
            Mode::Prune => true,
        };
        if !strict {
            return;
        }
        if work.observed.is_protected(id) {
            if let Some(found) = work.observed.principals.get(&id) {
                work.notes.push(Note::OwnKept {
                    name: found.name.clone(),
                });
            }
        } else {
            self.strict.insert(id);
        }
    }

    fn role(&mut self, work: &mut Work<'_>, name: &Name, created: &mut Vec<Change>) -> Option<i32> {
        match work.observed.find(name) {
            Some((id, found)) if found.is_own_role() && id != 0 => Some(id),
            Some((_, found)) => {
                work.problems.push(Problem::NameTaken {
                    name: name.clone(),
                    by: what(found),
                    wanted: "a role of one's own",
                });
                None
            }
            None => {
                let key = work.observed.key(name);
                self.made_roles.insert(key.clone());
                self.made.insert(key, name.clone());
                created.push(Change::new(
                    ChangeKind::CreateRole,
                    name,
                    format!("create role {}", shown(name)),
                    statements::create_role(name),
                ));
                None
            }
        }
    }

    /// Finds the user of an identity, by its SID before its name.
    fn user(
        &mut self,
        work: &mut Work<'_>,
        principal: &Principal,
        mode: Mode,
        created: &mut Vec<Change>,
    ) -> Option<i32> {
        let name = &principal.name;
        let wanted = sid_of(principal);
        let by_sid = wanted.and_then(|sid| work.observed.find_sid(sid));
        let by_name = work.observed.find(name);
        if let Some((id, found)) = by_sid {
            if by_name.is_none_or(|(other, _)| other != id) {
                self.renamed.insert(id, name.clone());
            }
            return is_right_kind(work, principal, found).then_some(id);
        }
        if let Some((id, found)) = by_name {
            if !is_right_kind(work, principal, found) {
                return None;
            }
            let Some(wanted) = wanted.filter(|sid| found.known_sid() != Some(*sid)) else {
                return Some(id);
            };
            let replaced = match mode {
                Mode::Additive => false,
                Mode::Authoritative => principal.authoritative,
                Mode::Prune => true,
            };
            if !replaced || work.observed.is_protected(id) {
                work.problems.push(Problem::OtherIdentity {
                    name: name.clone(),
                    has: found.known_sid(),
                    wanted,
                });
                return None;
            }
            self.dropped.insert(id);
        }
        self.made.insert(work.observed.key(name), name.clone());
        created.push(Change::new(
            ChangeKind::CreateUser,
            name,
            format!("create user {} {}", shown(name), from(principal)),
            statements::create_user(principal),
        ));
        None
    }

    fn prune(&mut self, work: &mut Work<'_>, kept: &BTreeSet<i32>) {
        let own = work.observed.own_closure();
        for (id, found) in &work.observed.principals {
            let ours = found.is_external() || found.is_own_role();
            if !ours || kept.contains(id) || self.renamed.contains_key(id) {
                continue;
            }
            if !work.observed.is_protected(*id) && !own.contains(id) {
                self.dropped.insert(*id);
            } else if own.contains(id) {
                work.notes.push(Note::OwnKept {
                    name: found.name.clone(),
                });
            }
        }
    }

    /// Roles go before users, who may own them.
    fn drop_all(&mut self, observed: &Observed) {
        lost::transfer(observed, &self.dropped.clone(), self);
        self.changes.append(&mut self.transfers);
        let dropped = self
            .dropped
            .iter()
            .filter_map(|id| observed.principals.get(id));
        let (roles, users): (Vec<_>, Vec<_>) = dropped.partition(|found| found.kind == 'R');
        for FoundPrincipal { name, .. } in roles {
            self.changes.push(Change::new(
                ChangeKind::DropRole,
                name,
                format!("drop role {}", shown(name)),
                statements::drop_role(name),
            ));
        }
        for FoundPrincipal { name, .. } in users {
            self.changes.push(Change::new(
                ChangeKind::DropUser,
                name,
                format!("drop user {}", shown(name)),
                statements::drop_user(name),
            ));
        }
    }

    /// Those whose new name another one gives up come after that one.
    fn rename_all(&mut self, work: &mut Work<'_>) {
        let mut pending = self.renamed.clone();
        while !pending.is_empty() {
            let free = pending.iter().find_map(|(id, new)| {
                let holder = work.observed.find(new).map(|(holder, _)| holder);
                let is_free = holder.is_none_or(|holder| {
                    holder == *id
                        || self.dropped.contains(&holder)
                        || (self.renamed.contains_key(&holder) && !pending.contains_key(&holder))
                });
                is_free.then_some(*id)
            });
            let Some(id) = free else {
                return blocked(work, &pending);
            };
            let (Some(new), Some(found)) = (pending.remove(&id), work.observed.principals.get(&id))
            else {
                return;
            };
            self.changes.push(Change::new(
                ChangeKind::RenameUser,
                &new,
                format!("rename user {} to {}", shown(&found.name), shown(&new)),
                statements::rename_user(&found.name, &new),
            ));
        }
    }

    fn set_schema(&mut self, work: &mut Work<'_>, principal: &Principal) {
        let Some(schema) = &principal.default_schema else {
            return;
        };
        let person = self.find(work.observed, &principal.name);
        let has = person
            .as_ref()
            .and_then(|person| person.id)
            .and_then(|id| work.observed.principals.get(&id))
            .and_then(|found| found.default_schema.as_ref());
        if has.is_some_and(|has| work.observed.folding.same(has, schema)) {
            return;
        }
        let Some(Person { name: user, .. }) = person else {
            return;
        };
        if work.observed.find_schema(schema).is_none() {
            work.notes.push(Note::NoDefaultSchema {
                user: user.clone(),
                schema: schema.clone(),
            });
        }
        self.changes.push(Change::new(
            ChangeKind::SetDefaultSchema,
            &user,
            format!(
                "set the default schema of {} to {}",
                shown(&user),
                shown(schema)
            ),
            statements::default_schema(&user, schema),
        ));
    }
}

/// The SID that the identity's user has, as far as it follows from the manifest:
/// an application's is made of its client id, which its object id does not tell.
fn sid_of(principal: &Principal) -> Option<Sid> {
    match (principal.identity, principal.kind) {
        (Identity::BySid(id), _)
        | (Identity::ByObjectId(id), PrincipalKind::Group | PrincipalKind::User) => {
            Some(Sid::from_id(id))
        }
        _ => None,
    }
}

fn from(principal: &Principal) -> String {
    match principal.identity {
        Identity::ByName => "from Entra by its name".to_owned(),
        Identity::ByObjectId(id) => format!("from Entra by object id {id}"),
        Identity::BySid(id) => format!("by SID, made of {id}"),
    }
}

/// Groups have another type than people and applications; users with passwords
/// are none of them.
fn is_right_kind(work: &mut Work<'_>, principal: &Principal, found: &FoundPrincipal) -> bool {
    let (kind, wanted) = match principal.kind {
        PrincipalKind::Group => ('X', "a user for a group of Entra"),
        _ => ('E', "a user for an identity of Entra"),
    };
    let right = found.kind == kind;
    if !right {
        work.problems.push(Problem::NameTaken {
            name: principal.name.clone(),
            by: what(found),
            wanted,
        });
    }
    right
}

fn what(found: &FoundPrincipal) -> &'static str {
    match found.kind {
        'A' => "an application role",
        'E' => "a user for an identity of Entra",
        'R' if found.fixed => "a role of the system's",
        'R' => "a role",
        'X' => "a user for a group of Entra",
        _ if found.authentication == 2 => "a user with a password",
        _ => "a user of the server's or the system's",
    }
}

fn blocked(work: &mut Work<'_>, pending: &BTreeMap<i32, Name>) {
    for name in pending.values() {
        let Some((holder, found)) = work.observed.find(name) else {
            continue;
        };
        work.problems.push(if pending.contains_key(&holder) {
            Problem::RenameRing { name: name.clone() }
        } else {
            Problem::NameTaken {
                name: name.clone(),
                by: what(found),
                wanted: "free for the identity that has a user under another name",
            }
        });
    }
}

/// The line about something that gets another owner.
pub(super) fn transfer_line(on: &crate::grants::model::Securable, owner: &Name) -> String {
    format!(
        "transfer {} from {} to its new owner",
        shown_securable(on),
        shown(owner)
    )
}
