//! What was done in an earlier run, so that the next does only the rest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// A record of a hundred thousand databases fits.
const MAX_FILE: u64 = 32 * 1024 * 1024;

const VERSION: u32 = 1;

/// A file that says of each database how its last run ended.
///
/// It is replaced as a whole after each database, so that whatever ends the
/// program leaves the old text or the new one. It holds names and hashes, and no
/// secret.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    kept: Kept,
}

/// What was to be done in a database: a hash of the place, the mode and all that
/// the database should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(String);

/// How the last run ended in one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// What was to be done.
    pub ticket: Ticket,
    /// Whether it was.
    pub done: bool,
    /// The fingerprint of the plan that was carried out, if it came to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// When, in UTC (RFC 3339).
    pub at: String,
}

/// Why there is no journal, or no more of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file holds something else, or what a later version wrote.
    #[error(
        "{} is no journal of this version; name another file, or delete it to begin anew",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong, if it is JSON's grammar.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The file cannot be read.
    #[error("the journal {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("the journal {} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    version: u32,
    databases: BTreeMap<String, Entry>,
}

impl Journal {
    /// Begins anew, in place of what the file says by now.
    ///
    /// # Errors
    /// [`JournalError::Write`], before anything is done that could not be noted;
    /// [`JournalError::Foreign`] rather than to write over a file of another kind.
    pub fn begin(path: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let mut journal = Self::resume(path)?;
        journal.kept.databases.clear();
        journal.write()?;
        Ok(journal)
    }

    /// Goes on with what the file says, or begins if there is none.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn resume(path: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let path = path.into();
        let kept = read(&path)?;
        let journal = Self { path, kept };
        journal.write()?;
        Ok(journal)
    }

    /// What the file says of a database where this very thing has been done.
    #[must_use]
    pub fn done(&self, label: &str, ticket: &Ticket) -> Option<&Entry> {
        let entry = self.kept.databases.get(label)?;
        (entry.done && entry.ticket == *ticket).then_some(entry)
    }

    /// Notes how it ended in a database, and returns once that is on the disk.
    ///
    /// # Errors
    /// [`JournalError::Write`]; what was noted before stands.
    pub fn note(
        &mut self,
        label: &str,
        ticket: Ticket,
        done: bool,
        plan: Option<String>,
    ) -> Result<(), JournalError> {
        let at = jiff::Timestamp::now();
        let entry = Entry {
            ticket,
            done,
            plan,
            at: format!("{at:.0}"),
        };
        self.kept.databases.insert(label.to_owned(), entry);
        self.write()
    }

    fn write(&self) -> Result<(), JournalError> {
        replace(&self.path, &self.kept).map_err(|source| JournalError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

impl Ticket {
    /// For these parts, in this order.
    #[must_use]
    pub fn of<'p>(parts: impl IntoIterator<Item = &'p str>) -> Self {
        let mut hash = Context::new(&SHA256);
        for part in parts {
            // With its length in front, no part can pass for two.
            hash.update(&part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        let digits = hash.finish();
        let digits = digits.as_ref().iter().map(|byte| format!("{byte:02x}"));
        Self(digits.collect())
    }
}

fn read(path: &Path) -> Result<Kept, JournalError> {
    let nothing = Kept {
        version: VERSION,
        databases: BTreeMap::new(),
    };
    let failed = |source| JournalError::Read {
        path: path.to_owned(),
        source,
    };
    let foreign = |source| JournalError::Foreign {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(nothing),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(foreign(None));
    }
    if bytes.is_empty() {
        return Ok(nothing);
    }
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| foreign(Some(error)))?;
    if kept.version != VERSION {
        return Err(foreign(None));
    }
    Ok(kept)
}

fn replace(path: &Path, kept: &Kept) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, kept)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(text: &str) -> Ticket {
        Ticket::of([text, "additive"])
    }

    #[test]
    fn only_what_was_done_as_it_is_wanted_now_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.json");
        let mut journal = Journal::begin(&path).unwrap();
        let plan = Some("abc".to_owned());
        journal
            .note("eu/orders", ticket("1"), true, plan.clone())
            .unwrap();
        journal.note("eu/bills", ticket("1"), false, None).unwrap();
        drop(journal);
        let journal = Journal::resume(&path).unwrap();
        let entry = journal.done("eu/orders", &ticket("1")).unwrap();
        assert_eq!(entry.plan, plan);
        assert_eq!(journal.done("eu/orders", &ticket("2")), None);
        assert_eq!(journal.done("eu/bills", &ticket("1")), None);
        assert_eq!(journal.done("us/orders", &ticket("1")), None);
        drop(journal);
        let journal = Journal::begin(&path).unwrap();
        assert_eq!(journal.done("eu/orders", &ticket("1")), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "temporary files are left");
    }

    #[test]
    fn a_file_of_another_kind_is_neither_believed_nor_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        for text in ["dear diary", "{\"version\":2,\"databases\":{}}"] {
            std::fs::write(&path, text).unwrap();
            let opened = [Journal::begin(&path), Journal::resume(&path)];
            for journal in opened {
                assert!(
                    matches!(journal, Err(JournalError::Foreign { .. })),
                    "{journal:?}"
                );
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let nowhere = Journal::begin(folder.path().join("no/journal"));
        assert!(
            matches!(nowhere, Err(JournalError::Write { .. })),
            "{nowhere:?}"
        );
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(Ticket::of(["ab", "c"]), Ticket::of(["a", "bc"]));
    }
}
