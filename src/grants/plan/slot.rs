//! One permission of one principal on one thing, as a whole and by columns.
//!
//! What is said of the whole replaces what was said of its columns before, so
//! statements about the whole come first and those about columns are repeated.

use std::collections::BTreeMap;

use super::statements::Verb;
use crate::grants::model::{PermissionState, Securable};
use crate::grants::observed::FoundState;
use crate::tsql::Name;

/// Which permission of whom on what, by the names that hold after the plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) to: Name,
    pub(super) on: Securable,
    pub(super) action: &'static str,
}

/// What is said of the whole, and of columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) whole: Option<FoundState>,
    pub(super) columns: BTreeMap<Name, FoundState>,
}

/// Why a level cannot be laid over another without taking something away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// A DENY would be lifted on these columns; none means on the whole.
    Denied(Vec<Name>),
    /// A DENY would cascade.
    GivenOn,
}

/// A statement about a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) verb: Verb,
    pub(super) columns: Vec<Name>,
    /// Whether a DENY goes by it.
    pub(super) lifts: bool,
}

use FoundState::{Deny, Grant, GrantWithGrantOption, Revoked};

impl From<PermissionState> for FoundState {
    fn from(state: PermissionState) -> Self {
        match state {
            PermissionState::Deny => Deny,
            PermissionState::Grant => Grant,
            PermissionState::GrantWithGrantOption => GrantWithGrantOption,
        }
    }
}

impl Level {
    /// Adds what is said. Of two sayings the later one of the list DENY, GRANT,
    /// WITH GRANT OPTION holds, but DENY outweighs both.
    pub(super) fn say(&mut self, column: Option<Name>, state: FoundState) {
        let place = match column {
            None => &mut self.whole,
            Some(column) => {
                let said = self.columns.entry(column).or_insert(state);
                *said = outweigh(*said, state);
                return;
            }
        };
        *place = Some(place.map_or(state, |said| outweigh(said, state)));
    }

    /// Without what is said of columns and holds for the whole anyway.
    pub(super) fn tidy(mut self) -> Self {
        let whole = self.whole;
        self.columns.retain(|_, state| match (whole, *state) {
            (Some(Deny), Deny | Revoked) => false,
            (Some(whole @ (Grant | GrantWithGrantOption)), state) => !at_least(whole, state),
            _ => true,
        });
        self
    }

    /// What holds when `wanted` comes on top of this.
    pub(super) fn overlaid(&self, wanted: &Self) -> Result<Self, Clash> {
        let mut target = self.clone();
        match (self.whole, wanted.whole) {
            (_, None) => {}
            (Some(Deny), Some(Grant | GrantWithGrantOption)) => return Err(Clash::Denied(vec![])),
            (Some(GrantWithGrantOption), Some(Deny)) => return Err(Clash::GivenOn),
            (Some(has), Some(wants)) if has == wants || at_least(has, wants) => {}
            (_, Some(wants)) => {
                target.whole = Some(wants);
                target.columns.clear();
                if wants != Deny {
                    self.refuse_to_lift(wanted)?;
                }
            }
        }
        for (column, wants) in &wanted.columns {
            let has = self.columns.get(column).copied();
            let gives = at_least(*wants, Grant);
            let denied = matches!(has, Some(Deny | Revoked)) || self.whole == Some(Deny);
            if gives && denied && has.is_none_or(|has| !at_least(has, *wants)) {
                return Err(Clash::Denied(vec![column.clone()]));
            }
            if *wants == Deny && has == Some(GrantWithGrantOption) {
                return Err(Clash::GivenOn);
            }
            if has.is_none_or(|has| !at_least(has, *wants)) {
                target.columns.insert(column.clone(), *wants);
            }
        }
        Ok(target.tidy())
    }

    fn refuse_to_lift(&self, wanted: &Self) -> Result<(), Clash> {
        let lifted: Vec<Name> = self
            .columns
            .iter()
            .filter(|(column, state)| {
                matches!(state, Deny | Revoked) && wanted.columns.get(*column) != Some(&Deny)
            })
            .map(|(column, _)| column.clone())
            .collect();
        if lifted.is_empty() {
            Ok(())
        } else {
            Err(Clash::Denied(lifted))
        }
    }

    /// The statements that lead from this to `target`.
    pub(super) fn steps_to(&self, target: &Self) -> Vec<Step> {
        let goes = self
            .columns
            .keys()
            .any(|column| !target.columns.contains_key(column));
        let a_whole = self.whole.is_some() || target.whole.is_some();
        let mut steps = Vec::new();
        let mut left = self.columns.clone();
        if self.whole != target.whole || (goes && a_whole) {
            let lifts = self.whole == Some(Deny) || left.values().any(|state| *state == Deny);
            for verb in whole_verbs(self.whole, target.whole, goes) {
                steps.push(Step {
                    verb,
                    columns: Vec::new(),
                    lifts: lifts && !matches!(verb, Verb::Deny | Verb::DenyCascade),
                });
            }
            left.clear();
        }
        let mut by_verb: Vec<(Verb, bool, Vec<Name>)> = Vec::new();
        let mut add = |verb, lifts, column: &Name| match by_verb
            .iter_mut()
            .find(|(v, l, _)| (*v, *l) == (verb, lifts))
        {
            Some((.., columns)) => columns.push(column.clone()),
            None => by_verb.push((verb, lifts, vec![column.clone()])),
        };
        for (column, has) in &left {
            if !target.columns.contains_key(column) {
                let verb = match has {
                    GrantWithGrantOption => Verb::RevokeCascade,
                    _ => Verb::Revoke,
                };
                add(verb, *has == Deny, column);
            }
        }
        for (column, wants) in &target.columns {
            let has = left.get(column).copied();
            if has == Some(*wants) {
                continue;
            }
            let lifts = has == Some(Deny) && *wants != Deny;
            if let Some(verb) = verb(has, *wants) {
                add(verb, lifts, column);
            }
        }
        steps.extend(by_verb.into_iter().map(|(verb, lifts, columns)| Step {
            verb,
            columns,
            lifts,
        }));
        steps
    }
}

/// Whether `has` gives all that `wants` does. DENY is for itself.
fn at_least(has: FoundState, wants: FoundState) -> bool {
    has == wants || (has == GrantWithGrantOption && wants == Grant)
}

fn outweigh(a: FoundState, b: FoundState) -> FoundState {
    match (a, b) {
        (Deny, _) | (_, Deny) => Deny,
        (GrantWithGrantOption, _) | (_, GrantWithGrantOption) => GrantWithGrantOption,
        (Grant, _) | (_, Grant) => Grant,
        (Revoked, Revoked) => Revoked,
    }
}

fn whole_verbs(has: Option<FoundState>, wants: Option<FoundState>, columns_go: bool) -> Vec<Verb> {
    match (has, wants) {
        (Some(GrantWithGrantOption), None) => vec![Verb::RevokeCascade],
        (_, None) => vec![Verb::Revoke],
        (Some(GrantWithGrantOption), Some(Grant)) if columns_go => {
            vec![Verb::RevokeOption, Verb::Grant]
        }
        (has, Some(wants)) => verb(has, wants).into_iter().collect(),
    }
}

fn verb(has: Option<FoundState>, wants: FoundState) -> Option<Verb> {
    Some(match (has, wants) {
        (Some(GrantWithGrantOption), Deny) => Verb::DenyCascade,
        (Some(GrantWithGrantOption), Grant) => Verb::RevokeOption,
        (_, Deny) => Verb::Deny,
        (_, Grant) => Verb::Grant,
        (_, GrantWithGrantOption) => Verb::GrantWithOption,
        // Left out of a whole that is kept: no statement makes that.
        (_, Revoked) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(whole: Option<FoundState>, columns: &[(&str, FoundState)]) -> Level {
        Level {
            whole,
            columns: columns
                .iter()
                .map(|(name, state)| (Name::new(name).unwrap(), *state))
                .collect(),
        }
    }

    fn words(steps: &[Step]) -> Vec<String> {
        steps
            .iter()
            .map(|step| {
                let columns: Vec<&str> = step.columns.iter().map(Name::as_str).collect();
                format!("{:?} {}", step.verb, columns.join(","))
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }

    #[test]
    fn the_way_from_one_level_to_another() {
        for (has, wants, expected) in [
            (level(None, &[]), level(Some(Grant), &[]), vec!["Grant"]),
            (level(Some(Grant), &[]), level(None, &[]), vec!["Revoke"]),
            (
                level(Some(GrantWithGrantOption), &[]),
                level(Some(Grant), &[]),
                vec!["RevokeOption"],
            ),
            (
                level(Some(GrantWithGrantOption), &[]),
                level(Some(Deny), &[]),
                vec!["DenyCascade"],
            ),
            // A column's DENY goes only by granting the whole again.
            (
                level(Some(Grant), &[("b", Deny)]),
                level(Some(Grant), &[]),
                vec!["Grant"],
            ),
            // The whole's GRANT would wipe the column's DENY, which is said again.
            (
                level(None, &[("b", Deny)]),
                level(Some(Grant), &[("b", Deny)]),
                vec!["Grant", "Deny b"],
            ),
            (
                level(None, &[("a", Grant), ("c", GrantWithGrantOption)]),
                level(None, &[("b", Grant), ("d", Grant)]),
                vec!["Revoke a", "RevokeCascade c", "Grant b,d"],
            ),
        ] {
            assert_eq!(
                words(&has.steps_to(&wants)),
                expected,
                "{has:?} → {wants:?}"
            );
        }
    }

    #[test]
    fn what_comes_on_top_lifts_no_deny() {
        let a = || vec![Name::new("a").unwrap()];
        for (has, wants, expected) in [
            (
                level(Some(Deny), &[]),
                level(Some(Grant), &[]),
                Err(Clash::Denied(vec![])),
            ),
            (
                level(None, &[("a", Deny)]),
                level(Some(Grant), &[]),
                Err(Clash::Denied(a())),
            ),
            (
                level(Some(Deny), &[]),
                level(None, &[("a", Grant)]),
                Err(Clash::Denied(a())),
            ),
            (
                level(Some(GrantWithGrantOption), &[]),
                level(Some(Deny), &[]),
                Err(Clash::GivenOn),
            ),
            (
                level(Some(GrantWithGrantOption), &[]),
                level(Some(Grant), &[("a", Grant)]),
                Ok(level(Some(GrantWithGrantOption), &[])),
            ),
            (
                level(Some(Grant), &[("a", Deny)]),
                level(Some(Grant), &[]),
                Ok(level(Some(Grant), &[("a", Deny)])),
            ),
            (
                level(Some(Grant), &[]),
                level(Some(Deny), &[]),
                Ok(level(Some(Deny), &[])),
            ),
        ] {
            assert_eq!(has.overlaid(&wants), expected, "{has:?} + {wants:?}");
        }
    }
}
