//! What databases should have, as a file under review says it.

mod check;
mod connection;
mod error;
mod grants;
mod read;
#[cfg(test)]
mod tests;
mod text;
mod write;

use std::cell::Cell;
use std::path::Path;

pub use connection::Connection;
pub use error::{ConnectionError, ManifestError};
use read::{Reading, Said};
pub use write::write;

use super::model::{Desired, Membership, Role};
use crate::settings::{Document, read_bounded};
use crate::token::Environment;
use read::{Holder, What};

/// The JSON Schema of manifests, for editors: `docs/grants.schema.json`.
pub const SCHEMA: &str = include_str!("../../../docs/grants.schema.json");

/// Far more than any manifest has.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// What all databases together may have, in permissions, their columns,
/// memberships and users.
const MAX_ENTRIES: usize = 1_000_000;
/// What the one database is called of a file that names none.
const DEFAULT_LABEL: &str = "default";

/// A manifest: the databases that it is for, and what each of them should have.
///
/// ```
/// use std::path::Path;
///
/// use entrada::grants::Manifest;
/// use entrada::token::Environment;
///
/// let text = r#"
///     [[role]]
///     name = "orders_app"
///     grant = [{ permissions = ["SELECT", "INSERT"], schema = "sales" }]
///
///     [[principal]]
///     name = "orders-api"
///     kind = "managed-identity"
///     client_id = "${ORDERS_CLIENT_ID}"
///     roles = ["orders_app"]
/// "#;
/// let environment = Environment::from_pairs([(
///     "ORDERS_CLIENT_ID",
///     "00112233-4455-6677-8899-aabbccddeeff",
/// )]);
/// let manifest = Manifest::from_toml(text, "grants.toml", Path::new("."), &environment)?;
/// let desired = &manifest.databases()[0].desired;
/// assert_eq!(desired.permissions.len(), 2);
/// assert_eq!(desired.memberships[0].member.as_str(), "orders-api");
/// # Ok::<(), entrada::grants::ManifestError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Manifest {
    databases: Vec<DatabaseEntry>,
}

/// A database of a manifest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DatabaseEntry {
    /// What it is called in the file and in reports: `server/database`, or the
    /// name of its `[[database]]`; unique.
    pub label: String,
    /// The `[[server]]` that it belongs to, if any.
    pub server: Option<String>,
    /// Where its connection string comes from; `None` if the file names no
    /// database, so that the caller has to.
    pub connection: Option<Connection>,
    /// What it should have.
    pub desired: Desired,
    /// Whether the file allows what is dangerous to anybody of this database.
    pub allow_dangerous: bool,
}

impl Manifest {
    /// Reads a TOML file, and checks all that can be checked without a server.
    /// Paths in it are relative to its folder; `environment` has the variables
    /// that it names.
    ///
    /// # Errors
    /// [`ManifestError::File`] if it cannot be read, [`ManifestError::Mistakes`]
    /// with lines, columns and keys for all that is wrong in it.
    pub fn from_file(path: &Path, environment: &Environment) -> Result<Self, ManifestError> {
        let text = read_bounded(path, MAX_FILE).map_err(|source| ManifestError::File {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let origin = path.display().to_string();
        Self::from_toml(text.expose(), &origin, folder, environment)
    }

    /// Reads TOML text. `origin` names it in errors; paths in it are relative to
    /// `folder`.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub fn from_toml(
        text: &str,
        origin: &str,
        folder: &Path,
        environment: &Environment,
    ) -> Result<Self, ManifestError> {
        let document = Document::parse(text.trim_start_matches('\u{feff}'));
        let reading = Reading {
            folder,
            environment,
            room: Cell::new(MAX_ENTRIES),
        };
        let said = reading.manifest(document.root());
        let mut databases = Vec::new();
        // What a broken file seems to say would only add riddles.
        if document.is_sound() {
            let reach = check::check(&document, &said);
            if document.is_sound() {
                databases = entries(said, &reach);
            }
        }
        match document.into_problems() {
            problems if problems.is_empty() => Ok(Self { databases }),
            problems => Err(ManifestError::Mistakes {
                origin: origin.to_owned(),
                problems,
            }),
        }
    }

    /// The databases in the order of the file, at least one. A file that names
    /// none has one entry without a connection, called `default`.
    #[must_use]
    pub fn databases(&self) -> &[DatabaseEntry] {
        &self.databases
    }
}

fn entries(said: Said, reach: &[Vec<usize>]) -> Vec<DatabaseEntry> {
    let mut databases: Vec<_> = said.places.into_iter().map(DatabaseEntry::of).collect();
    if databases.is_empty() {
        databases.push(DatabaseEntry {
            label: DEFAULT_LABEL.to_owned(),
            server: None,
            connection: None,
            desired: Desired::default(),
            allow_dangerous: false,
        });
    }
    for (holder, reach) in said.holders.iter().zip(reach) {
        for place in reach {
            if let Some(database) = databases.get_mut(*place) {
                database.add(holder);
            }
        }
    }
    databases
}

impl DatabaseEntry {
    fn of(place: read::Place) -> Self {
        Self {
            label: place.label,
            server: place.server,
            connection: place.connection,
            desired: Desired::default(),
            allow_dangerous: false,
        }
    }

    fn add(&mut self, holder: &Holder) {
        let name = &holder.name.value;
        self.allow_dangerous |= holder.allow_dangerous;
        let desired = &mut self.desired;
        desired.principals.extend(check::principal(holder));
        if matches!(holder.what, What::Role) && !super::danger::is_public(name) {
            desired.roles.push(Role {
                name: name.clone(),
                authoritative: holder.authoritative,
            });
        }
        let memberships = holder.roles.iter().map(|role| Membership {
            role: role.value.clone(),
            member: name.clone(),
        });
        desired.memberships.extend(memberships);
        let given = holder.given.iter().map(|given| given.permission.clone());
        desired.permissions.extend(given);
    }
}
