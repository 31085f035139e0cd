//! A plan that was written to a file, looked at, and shall be carried out as it
//! stands.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::ValueEnum;
use serde::Deserialize;

use super::options::ModeArg;
use super::trouble::Trouble;
use crate::cli::exit::{Exit, Failure};
use crate::grants::Plan;

/// Room for the plans of some thousand databases.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// What `plan --out` wrote, as far as it matters. No statement is ever sent from
/// here: the plan is made again, and must be the same.
#[derive(Debug, Deserialize)]
pub(super) struct Saved {
    version: u32,
    command: String,
    mode: String,
    databases: Vec<SavedDatabase>,
}

#[derive(Debug, Deserialize)]
struct SavedDatabase {
    database: String,
    place: Option<String>,
    plan: Option<SavedPlan>,
}

#[derive(Debug, Deserialize)]
struct SavedPlan {
    fingerprint: String,
    changes: Vec<SavedChange>,
}

#[derive(Debug, Deserialize)]
struct SavedChange {
    statement: String,
}

impl Saved {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let usage = |problem: String| {
            let place = path.display();
            Failure::new(Exit::Usage, format!("the plan {place} {problem}"))
        };
        let unread = |error| usage(format!("cannot be read: {error}"));
        let file = File::open(path).map_err(unread)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(unread)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(usage(format!("has more than {MAX_FILE} bytes")));
        }
        let saved: Self = serde_json::from_slice(&bytes).map_err(|error| {
            usage(format!(
                "is none that `entrada grants plan --out` wrote: {error}"
            ))
        })?;
        if saved.version != 1 || saved.command != "plan" {
            return Err(usage(
                "is of another version or command; plan again".to_owned(),
            ));
        }
        if ModeArg::from_str(&saved.mode, false).is_err() {
            return Err(usage("has an unknown mode; plan again".to_owned()));
        }
        Ok(saved)
    }

    /// The mode that it was made in.
    pub(super) fn mode(&self) -> ModeArg {
        ModeArg::from_str(&self.mode, false).unwrap_or_default()
    }

    /// That a plan is the one that was saved: for the same database, made from
    /// the same state, with the same statements.
    pub(super) fn allows(&self, label: &str, place: &str, plan: &Plan) -> Result<(), Trouble> {
        let here = |one: &&SavedDatabase| one.database == label;
        let saved = self.databases.iter().find(here);
        let saved = saved.and_then(|one| Some((one.place.as_deref()?, one.plan.as_ref()?)));
        let (there, saved) = saved.ok_or(Trouble::NotSaved)?;
        // Databases that are alike have the same fingerprint.
        if there != place {
            return Err(Trouble::OtherPlace {
                saved: there.to_owned(),
                now: place.to_owned(),
            });
        }
        let statements = saved.changes.iter().map(|change| change.statement.as_str());
        let same = saved.fingerprint == plan.fingerprint()
            && statements.eq(plan.changes().iter().map(|c| c.statement.as_str()));
        same.then_some(()).ok_or(Trouble::OtherPlan)
    }
}
