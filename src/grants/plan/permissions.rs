//! Who may what.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, ChangeKind, shown, shown_securable};
use super::lost::deepest_first;
use super::problem::{Note, Problem};
use super::slot::{Clash, Level, Slot, Step};
use super::statements::{self, Verb};
use super::users::{People, Person};
use super::{Work, outweighed};
use crate::grants::key::Key;
use crate::grants::model::{Desired, Permission, PermissionState, Securable};
use crate::grants::observed::{Action, FoundPermission, FoundState, Observed, PUBLIC, Place};
use crate::grants::{action, danger};
use crate::tsql::Name;

/// What a database says, slot by slot.
type Slots = BTreeMap<Slot, Level>;

/// `links` are the memberships that hold after the plan, as far as both are there.
pub(super) fn plan(
    work: &mut Work<'_>,
    people: &People,
    desired: &Desired,
    links: &BTreeSet<(i32, i32)>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    // As it is, and as it is once things have their new owners.
    let (mut full, mut current) = (Slots::new(), Slots::new());
    let mut others = Vec::new();
    for row in &work.observed.permissions {
        let Some((slot, column)) = slot_of(work, people, row) else {
            continue;
        };
        if row.grantor == work.observed.owner_of(row.place) {
            let level = full.entry(slot.clone()).or_default();
            level.say(column.clone(), row.state);
            if !people.lost.contains(row) {
                current.entry(slot).or_default().say(column, row.state);
            }
        } else if people.is_strict(row.grantee) && !people.lost.contains(row) {
            others.push((row, slot, column));
        }
    }
    deepest_first(&work.observed.permissions, &mut others, |(row, ..)| row);
    for (row, slot, column) in others {
        changes.extend(take_from_another(work.observed, people, row, &slot, column));
    }
    let wanted = wanted(work, people, desired, &full);
    let slots: BTreeSet<&Slot> = full.keys().chain(wanted.keys()).collect();
    for slot in slots {
        let none = Level::default();
        let has = full.get(slot).cloned().unwrap_or_default().tidy();
        let wants = wanted.get(slot).unwrap_or(&none);
        let person = people.find(work.observed, &slot.to);
        let id = person.as_ref().and_then(|person| person.id);
        let target = if id.is_some_and(|id| people.is_strict(id)) {
            Ok(wants.clone())
        } else {
            has.overlaid(wants)
        };
        let target = match target {
            Ok(target) => target,
            Err(clash) => {
                work.problems.push(problem(slot, clash));
                continue;
            }
        };
        if id.is_some_and(|id| people.lenient.contains(&id)) && wants == &none {
            *work.more.entry(slot.to.clone()).or_default() += 1;
        }
        let now = current.get(slot).cloned().unwrap_or_default().tidy();
        let steps = now.steps_to(&target);
        if !steps.is_empty() && is_special(work.observed, id) {
            work.problems.push(Problem::Special {
                name: slot.to.clone(),
            });
        }
        changes.extend(steps.iter().map(|step| change(slot, step)));
    }
    outweighed::note(work, people, desired, links);
    changes
}

/// The slot of a row that stays, and the column.
fn slot_of(
    work: &mut Work<'_>,
    people: &People,
    row: &FoundPermission,
) -> Option<(Slot, Option<Name>)> {
    let observed = work.observed;
    let to = people.name_of(observed, row.grantee)?;
    let covered = match (&row.action, row.place) {
        (Action::Known(action), place) => named(observed, people, place).map(|on| (*action, on)),
        (Action::Unknown(_), _) => None,
    };
    let column = match (row.place, row.column) {
        (_, 0) => Some(None),
        (Place::Object(id), column) => observed
            .columns
            .get(&id)
            .and_then(|columns| columns.get(&column))
            .map(|name| Some(name.clone())),
        _ => None,
    };
    let gone = matches!(row.place, Place::Principal(id) if people.dropped.contains(&id));
    if let (Some((action, on)), Some(column)) = (covered, column) {
        return Some((Slot { to, on, action }, column));
    }
    if people.is_strict(row.grantee) && !gone {
        let action = match &row.action {
            Action::Known(name) => (*name).to_owned(),
            Action::Unknown(name) => name.to_string(),
        };
        work.notes.push(Note::Uncovered { to, action });
    }
    None
}

/// A thing by the names that hold after the plan.
fn named(observed: &Observed, people: &People, place: Place) -> Option<Securable> {
    let Place::Principal(id) = place else {
        return observed.securable(place);
    };
    let name = people.name_of(observed, id)?;
    Some(match observed.securable(place)? {
        Securable::Role(_) => Securable::Role(name),
        _ => Securable::User(name),
    })
}

/// What was given by somebody else than the owner goes in that one's name.
fn take_from_another(
    observed: &Observed,
    people: &People,
    row: &FoundPermission,
    slot: &Slot,
    column: Option<Name>,
) -> Option<Change> {
    let grantor = &people.name_of(observed, row.grantor)?;
    let verb = if row.state == FoundState::GrantWithGrantOption {
        Verb::RevokeCascade
    } else {
        Verb::Revoke
    };
    let columns: Vec<Name> = column.into_iter().collect();
    let Slot { to, on, action } = slot;
    Some(Change::new(
        ChangeKind::Revoke,
        to,
        format!(
            "take {action} on {} from {}, given by {}",
            shown_securable(on),
            shown(to),
            shown(grantor)
        ),
        statements::permission(verb, action, &columns, on, to, Some(grantor)),
    ))
}

/// What the manifest wants, by the database's own spelling.
fn wanted(work: &mut Work<'_>, people: &People, desired: &Desired, full: &Slots) -> Slots {
    let mut wanted = Slots::new();
    let things = Things::of(work.observed);
    for permission in &desired.permissions {
        let Some(person) = people.find(work.observed, &permission.to) else {
            work.problems.push(Problem::NoPrincipal {
                name: permission.to.clone(),
                wanted: "user or role",
            });
            continue;
        };
        let Some((on, place)) = things.resolve(work, people, &permission.on) else {
            continue;
        };
        if !fits(work, permission) {
            continue;
        }
        let columns = things.columns(work, permission, place);
        let slot = Slot {
            to: person.name,
            on,
            action: permission.action,
        };
        let level = wanted.entry(slot).or_default();
        let state = FoundState::from(permission.state);
        if permission.columns.is_empty() {
            level.say(None, state);
        }
        for column in columns {
            level.say(Some(column), state);
        }
    }
    for principal in &desired.principals {
        let person = people.find(work.observed, &principal.name);
        // CREATE USER gives it to those who are made.
        let Some(Person { id: Some(_), name }) = person else {
            continue;
        };
        let slot = Slot {
            to: name,
            on: Securable::Database,
            action: "CONNECT",
        };
        let has = full.get(&slot).and_then(|level| level.whole);
        let level = wanted.entry(slot).or_default();
        if level.whole.is_none() {
            level.whole = Some(match has {
                Some(FoundState::GrantWithGrantOption) => FoundState::GrantWithGrantOption,
                _ => FoundState::Grant,
            });
        }
    }
    wanted
        .into_iter()
        .map(|(slot, level)| (slot, level.tidy()))
        .collect()
}

fn fits(work: &mut Work<'_>, permission: &Permission) -> bool {
    let Permission { action, on, .. } = permission;
    let by_columns = !permission.columns.is_empty();
    let no_columns = !matches!(on, Securable::Object { .. }) || !action::takes_columns(action);
    let problem = |columns| Problem::DoesNotFit {
        action,
        on: on.clone(),
        columns,
    };
    if !action::fits(action, on) {
        work.problems.push(problem(false));
    } else if by_columns && no_columns {
        work.problems.push(problem(true));
    } else {
        return true;
    }
    false
}

/// Things of the database by name.
struct Things {
    objects: BTreeMap<(i32, Key), i32>,
    types: BTreeMap<(i32, Key), i32>,
}

impl Things {
    fn of(observed: &Observed) -> Self {
        let by_name = |things: &BTreeMap<i32, crate::grants::observed::FoundThing>| {
            things
                .iter()
                .map(|(id, thing)| ((thing.schema, observed.key(&thing.name)), *id))
                .collect()
        };
        Self {
            objects: by_name(&observed.objects),
            types: by_name(&observed.types),
        }
    }

    /// The thing in the database's spelling; its place unless it is yet to be made.
    fn resolve(
        &self,
        work: &mut Work<'_>,
        people: &People,
        on: &Securable,
    ) -> Option<(Securable, Option<Place>)> {
        let observed = work.observed;
        let place = match on {
            Securable::Database => Some(Place::Database),
            Securable::Schema(name) => observed.find_schema(name).map(Place::Schema),
            Securable::Object { schema, name } => observed
                .find_schema(schema)
                .and_then(|id| self.objects.get(&(id, observed.key(name))))
                .map(|id| Place::Object(*id)),
            Securable::Type { schema, name } => observed
                .find_schema(schema)
                .and_then(|id| self.types.get(&(id, observed.key(name))))
                .map(|id| Place::Type(*id)),
            Securable::Role(name) | Securable::User(name) => {
                let found = people.find(observed, name);
                match found {
                    Some(Person { id: None, name }) => {
                        let made = if people.makes_role(observed, &name) {
                            Securable::Role(name)
                        } else {
                            Securable::User(name)
                        };
                        if std::mem::discriminant(&made) == std::mem::discriminant(on) {
                            return Some((made, None));
                        }
                        None
                    }
                    Some(Person { id: Some(id), .. }) => {
                        let is_role = observed.principals.get(&id)?.kind == 'R';
                        (is_role == matches!(on, Securable::Role(_)))
                            .then_some(Place::Principal(id))
                    }
                    None => None,
                }
            }
        };
        let named = place.and_then(|place| named(observed, people, place));
        let Some(named) = named else {
            work.problems.push(Problem::NoSuchThing { on: on.clone() });
            return None;
        };
        Some((named, place))
    }

    fn columns(
        &self,
        work: &mut Work<'_>,
        permission: &Permission,
        place: Option<Place>,
    ) -> Vec<Name> {
        let (Some(Place::Object(id)), Securable::Object { schema, name }) = (place, &permission.on)
        else {
            return Vec::new();
        };
        let observed = work.observed;
        let empty = BTreeMap::new();
        let columns = observed.columns.get(&id).unwrap_or(&empty);
        let mut found = Vec::new();
        for wanted in &permission.columns {
            match columns
                .values()
                .find(|column| observed.folding.same(column, wanted))
            {
                Some(column) => found.push(column.clone()),
                None => work.problems.push(Problem::NoColumn {
                    schema: schema.clone(),
                    object: name.clone(),
                    column: wanted.clone(),
                }),
            }
        }
        found
    }
}

fn problem(slot: &Slot, clash: Clash) -> Problem {
    let Slot { to, on, action } = slot.clone();
    match clash {
        Clash::Denied(columns) => Problem::DenyInTheWay {
            to,
            action,
            on,
            columns,
        },
        Clash::GivenOn => Problem::GivenOn { by: to, action, on },
    }
}

/// The server gives nothing to fixed roles, to dbo and its like, and to who asks.
fn is_special(observed: &Observed, id: Option<i32>) -> bool {
    id.is_some_and(|id| {
        let fixed = observed.principals.get(&id).is_some_and(|p| p.fixed);
        id != PUBLIC && (fixed || matches!(id, 1 | 3 | 4) || id == observed.me)
    })
}

fn change(slot: &Slot, step: &Step) -> Change {
    let Slot { to, on, action } = slot;
    let mut what = match step.verb {
        Verb::Deny | Verb::DenyCascade => format!("deny {action} "),
        Verb::Grant | Verb::GrantWithOption => format!("grant {action} "),
        Verb::Revoke | Verb::RevokeCascade => format!("take {action} "),
        Verb::RevokeOption => format!("take the right to give {action} on to others "),
    };
    if !step.columns.is_empty() {
        let columns: Vec<String> = step.columns.iter().map(shown).collect();
        what.push_str(&format!("({}) ", columns.join(", ")));
    }
    let (kind, state) = match step.verb {
        Verb::Deny | Verb::DenyCascade => (ChangeKind::Deny, PermissionState::Deny),
        Verb::Grant => (ChangeKind::Grant, PermissionState::Grant),
        Verb::GrantWithOption => (ChangeKind::Grant, PermissionState::GrantWithGrantOption),
        _ => (ChangeKind::Revoke, PermissionState::Deny),
    };
    let preposition = if kind == ChangeKind::Revoke {
        "from"
    } else {
        "to"
    };
    what.push_str(&format!(
        "on {} {preposition} {}",
        shown_securable(on),
        shown(to)
    ));
    what.push_str(match step.verb {
        Verb::DenyCascade | Verb::RevokeCascade | Verb::RevokeOption => {
            ", and from those to whom it was given on"
        }
        Verb::GrantWithOption => ", with the right to give it on",
        _ => "",
    });
    if step.lifts {
        what.push_str("; lifts a DENY");
    }
    let permission = Permission {
        state,
        action,
        on: on.clone(),
        columns: Vec::new(),
        to: to.clone(),
    };
    let statement = statements::permission(step.verb, action, &step.columns, on, to, None);
    Change::new(kind, to, what, statement).dangerous(danger::of_permission(&permission))
}
