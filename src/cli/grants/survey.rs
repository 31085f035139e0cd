//! What is to be done in each database, before any is changed.

use super::database::{Database, Doors};
use super::options::ModeArg;
use super::progress::Progress;
use super::saved::Saved;
use super::trouble::Trouble;
use crate::grants::fleet::{Ended, Fleet, Journal, Ticket};
use crate::grants::{Observed, Plan, PlanError, PlanProblem, plan, revoke};
use crate::tsql::Name;

/// What is wanted of all databases.
pub(super) enum Wish {
    /// What the manifest says.
    Reach(ModeArg),
    /// That some hold nothing any more.
    Revoke { from: Vec<Name>, drop: bool },
}

/// What was found in one database.
pub(super) enum Found {
    /// What is to be done there, which may be nothing.
    Plan(Box<Planned>),
    /// An earlier run has done this very thing.
    DoneBefore { place: String, at: String },
    /// Nobody is there of those who shall hold nothing.
    Nobody {
        place: String,
        warnings: Vec<String>,
    },
}

/// What is to be done in one database.
pub(super) struct Planned {
    pub(super) place: String,
    pub(super) plan: Plan,
    pub(super) ticket: Ticket,
    /// What may be a slip of whoever gave the command.
    pub(super) warnings: Vec<String>,
}

/// What databases are looked at for.
pub(super) struct Survey<'s> {
    pub(super) doors: &'s Doors,
    pub(super) wish: &'s Wish,
    /// What need not be done again.
    pub(super) journal: Option<&'s Journal>,
    /// What alone may be done.
    pub(super) saved: Option<&'s Saved>,
}

impl Survey<'_> {
    /// Looks at all of them.
    pub(super) async fn run(
        &self,
        databases: &[Database],
        fleet: &Fleet,
    ) -> Vec<Ended<Found, Trouble>> {
        let labels = databases.iter().map(|one| one.label.as_str());
        let progress = Progress::new("reading", labels);
        let work = async |database: &Database, _: &_| self.one(database, &progress).await;
        fleet
            .run(databases, work, |event| progress.watch(event))
            .await
    }

    async fn one(&self, database: &Database, progress: &Progress) -> Result<Found, Trouble> {
        if let Some(place) = self.doors.place(database)?
            && let Some(done) = self.done_before(database, place)
        {
            return Ok(done);
        }
        let door = self.doors.find(database).await?;
        let place = door.place();
        if let Some(done) = self.done_before(database, place.clone()) {
            return Ok(done);
        }
        let ticket = self.wish.ticket(&place, database);
        progress.say(database.at, "logging in");
        let mut client = door.enter().await?;
        progress.say(database.at, "reading what is there");
        let observed = Observed::read(&mut client, &database.desired).await?;
        let warnings = self.wish.warnings(&observed);
        let plan = match self.wish.plan(database, &observed) {
            Ok(plan) => plan,
            Err(error) if self.wish.finds_nobody(&error) => {
                return Ok(Found::Nobody { place, warnings });
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(saved) = self.saved {
            saved.allows(&database.label, &place, &plan)?;
        }
        Ok(Found::Plan(Box::new(Planned {
            place,
            plan,
            ticket,
            warnings,
        })))
    }

    /// What the journal says, if it says that this very thing is done there.
    fn done_before(&self, database: &Database, place: String) -> Option<Found> {
        let ticket = self.wish.ticket(&place, database);
        let entry = self.journal?.done(&database.label, &ticket)?;
        let at = entry.at.clone();
        Some(Found::DoneBefore { place, at })
    }
}

impl Wish {
    /// The mode, if it has one.
    pub(super) fn mode(&self) -> Option<&'static str> {
        match self {
            Self::Reach(mode) => Some(mode.word()),
            Self::Revoke { .. } => None,
        }
    }

    fn plan(&self, database: &Database, observed: &Observed) -> Result<Plan, PlanError> {
        match self {
            Self::Reach(mode) => plan(&database.desired, observed, (*mode).into()),
            Self::Revoke { from, drop } => revoke(from, observed, *drop),
        }
    }

    /// Whether all that is wrong is that there is nobody to take anything from.
    fn finds_nobody(&self, error: &PlanError) -> bool {
        let Self::Revoke { from, .. } = self else {
            return false;
        };
        let nobody = |problem: &&PlanProblem| matches!(problem, PlanProblem::NoPrincipal { .. });
        error.problems().iter().filter(nobody).count() == from.len()
    }

    /// Names that nobody there has, with those that are near.
    fn warnings(&self, observed: &Observed) -> Vec<String> {
        let Self::Revoke { from, .. } = self else {
            return Vec::new();
        };
        let missing = from.iter().filter(|name| !observed.has(name));
        missing.map(|name| nobody(name, observed)).collect()
    }

    fn ticket(&self, place: &str, database: &Database) -> Ticket {
        match self {
            Self::Reach(mode) => {
                // Another version may write it otherwise: then it looks again.
                let desired = format!("{:?}", database.desired);
                Ticket::of([place, mode.word(), &desired])
            }
            Self::Revoke { from, drop } => {
                let word = if *drop { "drop" } else { "revoke" };
                Ticket::of(
                    [place, word]
                        .into_iter()
                        .chain(from.iter().map(Name::as_str)),
                )
            }
        }
    }
}

fn nobody(name: &Name, observed: &Observed) -> String {
    /// Names with nothing in common have about 0.4, slips of a letter 0.9.
    const NEAR: f64 = 0.75;
    let name = name.as_str();
    let folded = name.to_lowercase();
    let mut near: Vec<(f64, &str)> = observed
        .names()
        .map(|there| {
            let there = there.as_str();
            (strsim::jaro(&there.to_lowercase(), &folded), there)
        })
        .filter(|(likeness, _)| *likeness > NEAR)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<&str> = near.into_iter().map(|(_, there)| there).take(3).collect();
    match near.as_slice() {
        [] => format!("no user or role is named {name}"),
        near => format!(
            "no user or role is named {name}; did you mean {}?",
            near.join(" or ")
        ),
    }
}
