//! The databases that a command is about, and the way into each.

use std::path::Path;

use super::options::{Choice, Selection};
use super::show;
use super::trouble::Trouble;
use crate::Secret;
use crate::cli::conn_arg::ConnArg;
use crate::cli::exit::{Exit, Failure};
use crate::grants::fleet::{Access, Door};
use crate::grants::{Connection, DatabaseEntry, Desired, Manifest};
use crate::token::{Environment, Sources};

/// A database, and what it should have.
pub(super) struct Database {
    /// Its place in the list.
    pub(super) at: usize,
    pub(super) label: String,
    pub(super) desired: Desired,
    way: Way,
}

/// Where the connection string is.
enum Way {
    Here(Secret),
    Manifest(Connection),
    Nowhere,
}

/// Opens databases.
pub(super) struct Doors {
    access: Access,
    environment: Environment,
}

impl Doors {
    pub(super) fn new(sources: Sources) -> Self {
        Self {
            environment: sources.environment().clone(),
            access: Access::new(sources),
        }
    }

    /// Where a database is, if its string says so without secrets from a vault.
    pub(super) fn place(&self, database: &Database) -> Result<Option<String>, Trouble> {
        Ok(Access::place(self.text(database)?.expose()))
    }

    /// The way into a database; its string is looked for now.
    pub(super) async fn find(&self, database: &Database) -> Result<Door, Trouble> {
        let text = self.text(database)?;
        let door = self.access.find(text.expose()).await?;
        if !door.names_database() {
            return Err(Trouble::NoDatabase);
        }
        Ok(door)
    }

    fn text(&self, database: &Database) -> Result<Secret, Trouble> {
        match &database.way {
            Way::Here(text) => Ok(text.clone()),
            Way::Manifest(connection) => Ok(connection.read(&self.environment)?),
            Way::Nowhere => Err(Trouble::NoConnection),
        }
    }
}

impl Database {
    /// One that no manifest names.
    pub(super) fn alone(connection: &ConnArg) -> Result<Self, Failure> {
        Ok(Self {
            at: 0,
            label: "database".to_owned(),
            desired: Desired::default(),
            way: Way::Here(connection.read()?),
        })
    }

    /// Only the way there.
    pub(super) fn without_wishes(mut self) -> Self {
        self.desired = Desired::default();
        self
    }

    fn of(at: usize, entry: &DatabaseEntry) -> Self {
        let way = entry.connection.clone();
        Self {
            at,
            label: entry.label.clone(),
            desired: entry.desired.clone(),
            way: way.map_or(Way::Nowhere, Way::Manifest),
        }
    }
}

/// The chosen databases of a manifest.
pub(super) fn chosen(
    selection: &Selection,
    target: Option<&ConnArg>,
    environment: &Environment,
) -> Result<Vec<Database>, Failure> {
    choose(&selection.file, &selection.choice, target, environment)
}

/// The chosen databases of the manifest in this file.
pub(super) fn choose(
    file: &Path,
    choice: &Choice,
    target: Option<&ConnArg>,
    environment: &Environment,
) -> Result<Vec<Database>, Failure> {
    let manifest =
        Manifest::from_file(file, environment).map_err(|error| Failure::new(Exit::Usage, error))?;
    let entries = manifest.databases();
    for label in choice.only.iter().chain(&choice.exclude) {
        known(label, entries)?;
    }
    let wanted = |entry: &&DatabaseEntry| {
        (choice.only.is_empty() || choice.only.contains(&entry.label))
            && !choice.exclude.contains(&entry.label)
    };
    let wanted = entries.iter().filter(wanted).enumerate();
    let mut databases: Vec<Database> = wanted.map(|(at, one)| Database::of(at, one)).collect();
    if databases.is_empty() {
        return Err(usage("no database of the manifest is left by --exclude"));
    }
    if let Some(target) = target {
        let [one] = databases.as_mut_slice() else {
            let many = databases.len();
            return Err(usage(&format!(
                "--target is for one database, and {many} are chosen; choose one with --only"
            )));
        };
        one.way = Way::Here(target.read()?);
    }
    Ok(databases)
}

fn known(label: &str, entries: &[DatabaseEntry]) -> Result<(), Failure> {
    if entries.iter().any(|entry| entry.label == label) {
        return Ok(());
    }
    let near = |entry: &&DatabaseEntry| (strsim::jaro(&entry.label, label) * 1000.0) as u32;
    let nearest = entries.iter().max_by_key(near);
    let hint = nearest.map_or_else(String::new, |entry| {
        format!("; did you mean {}?", show::one_line(&entry.label))
    });
    Err(usage(&format!(
        "the manifest has no database {}{hint}",
        show::one_line(label)
    )))
}

fn usage(message: &str) -> Failure {
    Failure::new(Exit::Usage, message)
}
