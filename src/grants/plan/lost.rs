//! What goes with an owner.
//!
//! A server drops nobody who owns something. When a schema gets another owner,
//! it forgets the permissions on what lies in it and has no owner of its own;
//! those that are to stay are given again. What the old owner gave on the thing
//! itself is taken back first, since nobody is dropped who has given something.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, ChangeKind, shown, shown_securable};
use super::statements::{self, Verb};
use super::users::{People, transfer_line};
use crate::grants::observed::{Action, DBO, FoundPermission, FoundState, Observed, Place};

/// Transfers what `owners` own, and notes the permissions that go with it.
pub(super) fn transfer(observed: &Observed, owners: &BTreeSet<i32>, people: &mut People) {
    if owners.is_empty() {
        return;
    }
    for place in owned(observed, owners) {
        let owner = observed.owner_of(place);
        let (Some(on), Some(found)) = (observed.securable(place), observed.principals.get(&owner))
        else {
            continue;
        };
        let lost: Vec<FoundPermission> = observed
            .permissions
            .iter()
            .filter(|row| goes_with(observed, row, place))
            .cloned()
            .collect();
        for row in lost.iter().filter(|row| row.place == place) {
            take_back(observed, row, people);
        }
        people.lost.extend(lost);
        let text = transfer_line(&on, &found.name);
        people.transfers.push(Change::new(
            ChangeKind::TransferOwnership,
            &found.name,
            text,
            statements::transfer(&on),
        ));
    }
    given(observed, owners, people);
}

fn owned(observed: &Observed, owners: &BTreeSet<i32>) -> Vec<Place> {
    let mut places = Vec::new();
    for (id, object) in &observed.objects {
        if object.owner.is_some_and(|owner| owners.contains(&owner)) {
            places.push(Place::Object(*id));
        }
    }
    for (id, found) in &observed.types {
        if found.owner.is_some_and(|owner| owners.contains(&owner)) {
            places.push(Place::Type(*id));
        }
    }
    for (id, schema) in &observed.schemas {
        if owners.contains(&schema.owner) {
            places.push(Place::Schema(*id));
        }
    }
    for (id, found) in &observed.principals {
        if found.kind == 'R' && found.owner.is_some_and(|owner| owners.contains(&owner)) {
            places.push(Place::Principal(*id));
        }
    }
    places
}

fn goes_with(observed: &Observed, row: &FoundPermission, place: Place) -> bool {
    if row.place == place {
        return true;
    }
    let Place::Schema(schema) = place else {
        return false;
    };
    let lies_there = |found: Option<&crate::grants::observed::FoundThing>| {
        found.is_some_and(|found| found.schema == schema && found.owner.is_none())
    };
    match row.place {
        Place::Object(id) => lies_there(observed.objects.get(&id)),
        Place::Type(id) => lies_there(observed.types.get(&id)),
        _ => false,
    }
}

/// What the owners gave on by a grant option would keep them from being dropped.
fn given(observed: &Observed, owners: &BTreeSet<i32>, people: &mut People) {
    let mut rows: Vec<FoundPermission> = observed
        .permissions
        .iter()
        .filter(|row| owners.contains(&row.grantor) && row.grantor != observed.owner_of(row.place))
        .filter(|row| row.grantee != row.grantor && row.grantor != DBO)
        .filter(|row| !people.lost.contains(row))
        .cloned()
        .collect();
    deepest_first(&observed.permissions, &mut rows, |row| row);
    for row in &rows {
        take_back(observed, row, people);
    }
    people.lost.extend(rows);
}

/// Sorts permissions so that what was given on comes before the permission by
/// which it was: whoever has lost that can take nothing back any more.
pub(super) fn deepest_first<T>(
    all: &[FoundPermission],
    rows: &mut [T],
    row: impl Fn(&T) -> &FoundPermission,
) {
    if rows.len() < 2 {
        return;
    }
    let mut givers: BTreeMap<(Place, &Action, i32), BTreeSet<i32>> = BTreeMap::new();
    for found in all {
        let key = (found.place, &found.action, found.grantee);
        givers.entry(key).or_default().insert(found.grantor);
    }
    let depth = |of: &FoundPermission| {
        let mut seen = BTreeSet::<i32>::new();
        let mut level = BTreeSet::from([of.grantor]);
        let mut depth = 0_usize;
        while !level.is_empty() {
            depth += 1;
            seen.extend(&level);
            let above = level
                .iter()
                .filter_map(|id| givers.get(&(of.place, &of.action, *id)));
            level = above
                .flatten()
                .filter(|id| !seen.contains(id))
                .copied()
                .collect();
        }
        std::cmp::Reverse(depth)
    };
    rows.sort_by_cached_key(|item| depth(row(item)));
}

fn take_back(observed: &Observed, row: &FoundPermission, people: &mut People) {
    let Action::Known(action) = row.action else {
        return;
    };
    let (Some(on), Some(grantee)) = (
        observed.securable(row.place),
        observed.principals.get(&row.grantee),
    ) else {
        return;
    };
    let columns: Vec<_> = match (row.place, row.column) {
        (_, 0) => Vec::new(),
        (Place::Object(id), column) => observed
            .columns
            .get(&id)
            .and_then(|columns| columns.get(&column))
            .cloned()
            .into_iter()
            .collect(),
        _ => return,
    };
    let grantor = (row.grantor != observed.owner_of(row.place))
        .then(|| observed.principals.get(&row.grantor))
        .flatten()
        .map(|found| &found.name);
    let verb = if row.state == FoundState::GrantWithGrantOption {
        Verb::RevokeCascade
    } else {
        Verb::Revoke
    };
    let text = format!(
        "take {action} on {} from {}, since its grantor goes",
        shown_securable(&on),
        shown(&grantee.name)
    );
    let statement = statements::permission(verb, action, &columns, &on, &grantee.name, grantor);
    people.transfers.push(Change::new(
        ChangeKind::Revoke,
        &grantee.name,
        text,
        statement,
    ));
}
