//! From what a database has to what it should have.

mod change;
mod lost;
mod members;
mod outweighed;
mod permissions;
mod problem;
mod slot;
pub(in crate::grants) mod statements;
mod users;
mod verify;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

pub use change::{Change, ChangeKind};
pub use problem::{Note, PlanError, Problem};
pub use verify::{Drift, verify};

use super::model::Desired;
use super::observed::Observed;
use crate::tsql::Name;
use users::People;

/// How much a plan may take away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Only gives: what is there beside the manifest stays. A DENY that is
    /// written is made all the same; one that stands in the way of a wanted
    /// GRANT is a problem.
    #[default]
    Additive,
    /// From those principals and roles that are marked authoritative everything
    /// is taken that is not written; the others only get.
    Authoritative,
    /// Everybody that is written counts as authoritative, and users of Entra and
    /// roles that are not written are dropped. Users with passwords, application
    /// roles, the system's own principals, names that begin with `##`, and who
    /// runs the plan, with the roles by which it may, are left alone.
    Prune,
}

/// Statements that lead from what a database has to what it should have.
///
/// As JSON: `{"fingerprint": …, "changes": […], "notes": […]}`.
#[derive(Clone, Debug)]
pub struct Plan {
    changes: Vec<Change>,
    notes: Vec<Note>,
    fingerprint: String,
    pub(super) goal: Goal,
}

/// What a plan is for, so that it can be made again from what is there then.
#[derive(Clone, Debug)]
pub(super) enum Goal {
    Reach(Desired, Mode),
    Revoke { from: Vec<Name>, drop: bool },
}

/// Compares, and says what to do. Reads and changes nothing.
///
/// # Errors
/// [`PlanError`] with everything that is in the way: things that do not exist,
/// users that belong to other identities, a DENY where a GRANT is wanted.
pub fn plan(desired: &Desired, observed: &Observed, mode: Mode) -> Result<Plan, PlanError> {
    Goal::Reach(desired.clone(), mode).plan(observed)
}

/// A plan that takes everything from some users and roles: memberships,
/// permissions, ownership (which goes to dbo). With `drop` they are dropped, too.
///
/// # Errors
/// [`PlanError`] if there is nobody of a name, or nothing may be taken from it.
pub fn revoke(from: &[Name], observed: &Observed, drop: bool) -> Result<Plan, PlanError> {
    let from = from.to_vec();
    Goal::Revoke { from, drop }.plan(observed)
}

impl Plan {
    /// What is to be done, in this order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// What one should know.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// A digest of everything in the database that the plan depends on.
    /// [`apply`](super::apply) goes by it.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape<'p> {
            fingerprint: &'p str,
            changes: &'p [Change],
            notes: Vec<String>,
        }
        Shape {
            fingerprint: &self.fingerprint,
            changes: &self.changes,
            notes: self.notes.iter().map(Note::to_string).collect(),
        }
        .serialize(serializer)
    }
}

impl Goal {
    /// What must be read of objects to make the plan.
    pub(super) fn about(&self) -> Desired {
        match self {
            Self::Reach(desired, _) => desired.clone(),
            Self::Revoke { .. } => Desired::default(),
        }
    }

    pub(super) fn plan(&self, observed: &Observed) -> Result<Plan, PlanError> {
        let mut work = Work::new(observed);
        let none = Desired::default();
        let (people, desired) = match self {
            Self::Reach(desired, mode) => (People::of(&mut work, desired, *mode), desired),
            Self::Revoke { from, drop } => (People::revoked(&mut work, from, *drop), &none),
        };
        let members = members::plan(&mut work, &people, desired);
        let permissions = permissions::plan(&mut work, &people, desired, &members.links);
        if !work.problems.is_empty() {
            work.problems.sort();
            work.problems.dedup();
            return Err(PlanError::Problems {
                database: observed.database().to_owned(),
                problems: work.problems,
            });
        }
        let more = std::mem::take(&mut work.more).into_iter();
        let more = more.map(|(name, things)| Note::HoldsMore { name, things });
        work.notes.extend(more);
        work.notes.sort();
        work.notes.dedup();
        let changes = [members.dropped, people.changes, members.added, permissions].concat();
        Ok(Plan {
            changes,
            notes: work.notes,
            fingerprint: observed.fingerprint(&self.about()),
            goal: self.clone(),
        })
    }
}

/// What is gathered while a plan is made.
struct Work<'o> {
    observed: &'o Observed,
    problems: Vec<Problem>,
    notes: Vec<Note>,
    /// How much those have who are authoritative in a mode that takes nothing.
    more: BTreeMap<Name, usize>,
}

impl<'o> Work<'o> {
    fn new(observed: &'o Observed) -> Self {
        Self {
            observed,
            problems: Vec::new(),
            notes: Vec::new(),
            more: BTreeMap::new(),
        }
    }
}
