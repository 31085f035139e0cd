//! Who is in which role.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, ChangeKind, shown};
use super::problem::Problem;
use super::users::{People, Person};
use super::{Work, statements};
use crate::grants::danger;
use crate::grants::key::Key;
use crate::grants::model::Desired;
use crate::tsql::Name;

/// What is done about memberships.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// First of all, under the old names.
    pub(super) dropped: Vec<Change>,
    /// When everybody is there.
    pub(super) added: Vec<Change>,
    /// Role and member, of those who are there already, after the plan.
    pub(super) links: BTreeSet<(i32, i32)>,
}

pub(super) fn plan(work: &mut Work<'_>, people: &People, desired: &Desired) -> Members {
    let mut members = Members::default();
    let wanted = resolve(work, people, desired);
    let known: BTreeSet<(i32, i32)> = wanted
        .iter()
        .filter_map(|(role, member)| Some((role.id?, member.id?)))
        .collect();
    let mut stays = Vec::new();
    let mut more: BTreeMap<i32, usize> = BTreeMap::new();
    for pair in &work.observed.members {
        let (role, member) = *pair;
        let is_wanted = known.contains(pair);
        let own = work.observed.is_protected(member);
        let strict = people.is_strict(role) || people.is_strict(member);
        let role_goes = people.dropped.contains(&role);
        if role_goes || (!is_wanted && strict && !own) {
            drop_member(work, &mut members, *pair);
        } else if !people.dropped.contains(&member) {
            stays.push(*pair);
            for id in [role, member] {
                if !is_wanted && people.lenient.contains(&id) {
                    *more.entry(id).or_default() += 1;
                }
            }
        }
    }
    note_more(work, &more);
    let has: BTreeSet<(i32, i32)> = work.observed.members.iter().copied().collect();
    for (role, member) in &wanted {
        let there = role
            .id
            .zip(member.id)
            .is_some_and(|pair| has.contains(&pair) && !people.dropped.contains(&pair.1));
        if !there {
            members.added.push(
                Change::new(
                    ChangeKind::AddMember,
                    &member.name,
                    format!("add {} to {}", shown(&member.name), shown(&role.name)),
                    statements::member(&role.name, true, &member.name),
                )
                .dangerous(danger::of_role(&role.name)),
            );
        }
    }
    find_ring(work, people, &stays, &wanted);
    members.links = known.into_iter().chain(stays).collect();
    members
}

fn resolve(work: &mut Work<'_>, people: &People, desired: &Desired) -> Vec<(Person, Person)> {
    let mut seen = BTreeSet::new();
    let mut wanted = Vec::new();
    for membership in &desired.memberships {
        let role = people.find(work.observed, &membership.role);
        let is_role = |person: &Person| match person.id {
            Some(id) => {
                id != 0
                    && work
                        .observed
                        .principals
                        .get(&id)
                        .is_some_and(|p| p.kind == 'R')
            }
            None => desired
                .roles
                .iter()
                .any(|role| work.observed.folding.same(&role.name, &person.name)),
        };
        let role = role.filter(is_role);
        let member = people.find(work.observed, &membership.member);
        if role.is_none() {
            work.problems.push(Problem::NoPrincipal {
                name: membership.role.clone(),
                wanted: "role",
            });
        }
        match &member {
            None => work.problems.push(Problem::NoPrincipal {
                name: membership.member.clone(),
                wanted: "user or role",
            }),
            Some(Person { id: Some(id), name }) if is_special(work, *id) => {
                work.problems.push(Problem::Special { name: name.clone() });
            }
            Some(_) => {}
        }
        let (Some(role), Some(member)) = (role, member) else {
            continue;
        };
        let keys = (
            work.observed.key(&role.name),
            work.observed.key(&member.name),
        );
        if seen.insert(keys) {
            wanted.push((role, member));
        }
    }
    wanted
}

/// Fixed roles are in no role, nor are dbo, guest and the like.
fn is_special(work: &Work<'_>, id: i32) -> bool {
    (0..=4).contains(&id) || work.observed.principals.get(&id).is_some_and(|p| p.fixed)
}

fn drop_member(work: &Work<'_>, members: &mut Members, (role, member): (i32, i32)) {
    let principals = &work.observed.principals;
    if let (Some(role), Some(member)) = (principals.get(&role), principals.get(&member)) {
        members.dropped.push(Change::new(
            ChangeKind::DropMember,
            &member.name,
            format!("take {} out of {}", shown(&member.name), shown(&role.name)),
            statements::member(&role.name, false, &member.name),
        ));
    }
}

fn note_more(work: &mut Work<'_>, more: &BTreeMap<i32, usize>) {
    for (id, things) in more {
        if let Some(found) = work.observed.principals.get(id) {
            *work.more.entry(found.name.clone()).or_default() += things;
        }
    }
}

/// A role in itself, by however many others: the server refuses the last link.
fn find_ring(
    work: &mut Work<'_>,
    people: &People,
    stays: &[(i32, i32)],
    wanted: &[(Person, Person)],
) {
    let mut inside: BTreeMap<Key, Vec<(Key, Name)>> = BTreeMap::new();
    let observed = work.observed;
    let old = stays.iter().filter_map(|(role, member)| {
        Some((
            people.name_of(observed, *role)?,
            people.name_of(observed, *member)?,
        ))
    });
    let new = wanted
        .iter()
        .map(|(role, member)| (role.name.clone(), member.name.clone()));
    for (role, member) in old.chain(new) {
        let link = (observed.key(&member), member);
        inside.entry(observed.key(&role)).or_default().push(link);
    }
    let mut done = BTreeSet::new();
    for start in inside.keys() {
        let mut path = Vec::new();
        if let Some(ring) = walk(&inside, start, &mut path, &mut done) {
            work.problems.push(Problem::RoleRing { roles: ring });
            return;
        }
    }
}

/// Depth first, without recursion: chains of roles may be long.
fn walk(
    inside: &BTreeMap<Key, Vec<(Key, Name)>>,
    start: &Key,
    path: &mut Vec<(Key, Name, usize)>,
    done: &mut BTreeSet<Key>,
) -> Option<Vec<Name>> {
    let mut at = Some((start.clone(), None::<Name>));
    loop {
        if let Some((key, name)) = at.take() {
            if let Some(from) = path.iter().position(|(on, ..)| *on == key) {
                let mut ring: Vec<Name> = path
                    .iter()
                    .skip(from + 1)
                    .map(|(_, n, _)| n.clone())
                    .collect();
                ring.extend(name);
                return Some(ring);
            }
            if !done.contains(&key)
                && let Some(name) = name.or_else(|| Name::new("role").ok())
            {
                path.push((key, name, 0));
            }
        }
        let (key, _, next) = path.last_mut()?;
        let link = inside.get(key).and_then(|links| links.get(*next));
        *next += 1;
        match link {
            Some((key, name)) => at = Some((key.clone(), Some(name.clone()))),
            None => {
                done.insert(key.clone());
                path.pop();
            }
        }
    }
}
