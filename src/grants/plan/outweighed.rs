//! Grants without an effect, because a DENY elsewhere outweighs them.

use std::collections::BTreeSet;

use super::Work;
use super::problem::Note;
use super::users::People;
use crate::grants::model::{Desired, Permission, PermissionState, Securable};
use crate::grants::observed::{Action, FoundPermission, FoundState, Observed, PUBLIC, Place};
use crate::tsql::Name;

/// Notes each wanted GRANT that is denied to one of its holder's roles, or on
/// what the thing lies in.
pub(super) fn note(
    work: &mut Work<'_>,
    people: &People,
    desired: &Desired,
    links: &BTreeSet<(i32, i32)>,
) {
    let observed = work.observed;
    let denials: Vec<&FoundPermission> = observed
        .permissions
        .iter()
        .filter(|row| row.state == FoundState::Deny && row.column == 0)
        .filter(|row| !people.is_strict(row.grantee) && !people.dropped.contains(&row.grantee))
        .collect();
    let forbidding = forbidding(observed);
    let grants = desired
        .permissions
        .iter()
        .filter(|permission| permission.state != PermissionState::Deny);
    for permission in grants {
        let person = people.find(observed, &permission.to);
        let Some(id) = person.and_then(|person| person.id) else {
            continue;
        };
        let mut note = |denied: &Name, by: Securable| {
            work.notes.push(Note::Outweighed {
                to: permission.to.clone(),
                action: permission.action,
                on: permission.on.clone(),
                denied: denied.clone(),
                by,
            });
        };
        let roles = roles_of(links, id);
        for row in &denials {
            if roles.contains(&row.grantee) && outweighs(observed, row, id, permission) {
                let denied = observed.principals.get(&row.grantee);
                if let (Some(denied), Some(by)) = (denied, observed.securable(row.place)) {
                    note(&denied.name, by);
                }
            }
        }
        for (role, name, actions) in &forbidding {
            if roles.contains(role) && actions.contains(&permission.action) {
                note(name, Securable::Database);
            }
        }
    }
}

/// The fixed roles whose members are denied something in the whole database,
/// which no row of the catalogue says.
fn forbidding(observed: &Observed) -> Vec<(i32, Name, &'static [&'static str])> {
    let fixed = observed.principals.iter().filter(|(_, found)| found.fixed);
    let known = fixed.filter_map(|(id, found)| {
        let actions: &[&str] = match found.name.as_str() {
            "db_denydatareader" => &["SELECT"],
            "db_denydatawriter" => &["DELETE", "INSERT", "UPDATE"],
            _ => return None,
        };
        Some((*id, found.name.clone(), actions))
    });
    known.collect()
}

/// Everybody whose rights somebody has.
fn roles_of(links: &BTreeSet<(i32, i32)>, id: i32) -> BTreeSet<i32> {
    let mut all = BTreeSet::from([id, PUBLIC]);
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        for (role, member) in links {
            if *member == id && all.insert(*role) {
                open.push(*role);
            }
        }
    }
    all
}

fn outweighs(observed: &Observed, row: &FoundPermission, id: i32, wanted: &Permission) -> bool {
    if row.action != Action::Known(wanted.action) {
        return false;
    }
    let Some(place) = observed.securable(row.place) else {
        return false;
    };
    let same_name = |a, b| observed.folding.same(a, b);
    let same = match (&place, &wanted.on) {
        (Securable::Object { schema: s, name: n }, Securable::Object { schema, name }) => {
            same_name(s, schema) && same_name(n, name)
        }
        (Securable::Schema(a), Securable::Schema(b)) => same_name(a, b),
        (a, b) => a == b,
    };
    let wider = match (&place, &wanted.on) {
        (
            Securable::Schema(a),
            Securable::Object { schema, .. } | Securable::Type { schema, .. },
        ) => same_name(a, schema),
        (Securable::Database, on) => *on != Securable::Database,
        _ => false,
    };
    // On the thing itself and for the holder itself it is a problem, told elsewhere; a
    // column's GRANT is heard before the table's DENY.
    let own = row.grantee == id && same;
    let by_column = same && !wanted.columns.is_empty() && matches!(row.place, Place::Object(_));
    (same || wider) && !own && !by_column
}
