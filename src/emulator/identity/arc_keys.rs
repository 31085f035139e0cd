//! The key files of Azure Arc's agent: who can read one may have a token.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::Secret;
use crate::emulator::ArcChallenge;

/// The agent's own folder, outside of which clients read no key.
#[cfg(not(windows))]
const AGENTS_FOLDER: &str = "/var/opt/azcmagent/tokens";
#[cfg(windows)]
const AGENTS_FOLDER: &str = r"C:\ProgramData\AzureConnectedMachineAgent\Tokens";

/// How long a key is good, in seconds of the emulator's clock.
const LIFE: i64 = 120;
/// Keys that are good at a time.
const MOST: usize = 64;
/// One byte more than clients read.
const TOO_BIG: usize = 4097;

/// The key files that are good at present. They vanish with this.
#[derive(Debug, Default)]
pub(crate) struct ArcKeys {
    wanted: Option<PathBuf>,
    /// The emulator's own folder.
    own: PathBuf,
    chosen: Mutex<Option<PathBuf>>,
    live: Mutex<Vec<Key>>,
}

#[derive(Debug)]
struct Key {
    files: Vec<PathBuf>,
    content: Secret,
    since: i64,
}

impl ArcKeys {
    /// Key files go to the folder `wanted`; else to the agent's, if it can be written to; else to
    /// one below `own`.
    pub(super) fn new(wanted: Option<PathBuf>, own: PathBuf) -> Self {
        Self {
            wanted,
            own,
            chosen: Mutex::default(),
            live: Mutex::default(),
        }
    }

    /// The folder of the key files, which exists then. Reads and writes files.
    pub(crate) fn folder(&self) -> io::Result<PathBuf> {
        let mut chosen = lock(&self.chosen);
        if let Some(folder) = &*chosen {
            return Ok(folder.clone());
        }
        let folder = match &self.wanted {
            Some(folder) => {
                make(folder)?;
                folder.clone()
            }
            None if can_write_to(Path::new(AGENTS_FOLDER)) => AGENTS_FOLDER.into(),
            None => {
                let own = self.own.join("arc-tokens");
                make(&own)?;
                own
            }
        };
        Ok(chosen.insert(folder).clone())
    }

    /// Makes a new key and its file, and gives the path for the challenge. Writes files.
    pub(super) fn challenge(&self, fault: Option<ArcChallenge>, now: i64) -> io::Result<PathBuf> {
        self.forget_stale(now);
        let folder = self.folder()?;
        let stem = Uuid::new_v4().to_string();
        let mut content = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        if fault == Some(ArcChallenge::Big) {
            content = content.repeat(TOO_BIG.div_ceil(content.len()));
            content.truncate(TOO_BIG);
        }
        let content = Secret::new(content);
        let name = format!("{stem}.key");
        let mut files = Vec::new();
        let told = match fault {
            Some(ArcChallenge::DotDot) => {
                files.push(folder.parent().unwrap_or(&folder).join(&name));
                folder.join("..").join(&name)
            }
            Some(ArcChallenge::Missing) => folder.join(&name),
            Some(ArcChallenge::Outside | ArcChallenge::Symlink) => {
                let elsewhere = self.own.join("arc-elsewhere");
                make(&elsewhere)?;
                files.push(elsewhere.join(&name));
                elsewhere.join(&name)
            }
            Some(ArcChallenge::Txt) => {
                files.push(folder.join(format!("{stem}.txt")));
                folder.join(format!("{stem}.txt"))
            }
            _ => {
                files.push(folder.join(&name));
                folder.join(&name)
            }
        };
        for file in &files {
            write_private(file, content.expose())?;
        }
        #[cfg(unix)]
        let told = match fault {
            Some(ArcChallenge::Symlink) => {
                let link = folder.join(&name);
                std::os::unix::fs::symlink(&told, &link)?;
                files.push(link.clone());
                link
            }
            _ => told,
        };
        let mut live = lock(&self.live);
        if live.len() >= MOST {
            remove(&live.remove(0));
        }
        live.push(Key {
            files,
            content,
            since: now,
        });
        Ok(told)
    }

    /// Whether a key of this content is good. Removes the files of those that are not any more.
    pub(super) fn accept(&self, content: &Secret, now: i64) -> bool {
        self.forget_stale(now);
        lock(&self.live).iter().any(|key| key.content == *content)
    }

    fn forget_stale(&self, now: i64) {
        let fresh = |key: &Key| (key.since..key.since.saturating_add(LIFE)).contains(&now);
        let stale: Vec<Key> = lock(&self.live).extract_if(.., |key| !fresh(key)).collect();
        stale.iter().for_each(remove);
    }
}

impl Drop for ArcKeys {
    fn drop(&mut self) {
        lock(&self.live).iter().for_each(remove);
    }
}

fn remove(key: &Key) {
    for file in &key.files {
        let _ = fs::remove_file(file);
    }
}

fn can_write_to(folder: &Path) -> bool {
    let probe = folder.join(format!(".{}", Uuid::new_v4()));
    let tried = make(folder).and_then(|()| write_private(&probe, ""));
    tried.and_then(|()| fs::remove_file(&probe)).is_ok()
}

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    builder.create(folder)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn each_challenge_has_a_key_of_its_own_that_ends() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("tokens");
        let keys = ArcKeys::new(Some(folder.clone()), base.path().join("own"));
        let (first, second) = (keys.challenge(None, 0), keys.challenge(None, 60));
        let read =
            |path: io::Result<PathBuf>| Secret::new(fs::read_to_string(path.unwrap()).unwrap());
        let (first, second) = (read(first), read(second));
        assert!(first != second && files(&folder) == 2);
        assert!(keys.accept(&first, 119) && keys.accept(&second, 119));
        assert!(!keys.accept(&Secret::new("guessed"), 119));
        assert!(!keys.accept(&first, 120) && keys.accept(&second, 120));
        assert_eq!(files(&folder), 1, "a stale key has no file");
        for _ in 0..2 * MOST {
            keys.challenge(None, 120).unwrap();
        }
        assert_eq!(files(&folder), MOST);
        drop(keys);
        assert_eq!(files(&folder), 0);
    }

    #[cfg(unix)]
    #[test]
    fn key_files_are_for_their_owner_and_faulty_ones_are_readable_too() {
        use std::os::unix::fs::PermissionsExt as _;
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("agent/tokens");
        let keys = ArcKeys::new(Some(folder.clone()), base.path().join("own"));
        let good = keys.challenge(None, 0).unwrap();
        let mode = fs::metadata(&good).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, good.parent()), (0o600, Some(&*folder)));
        for fault in [
            ArcChallenge::Big,
            ArcChallenge::DotDot,
            ArcChallenge::Outside,
            ArcChallenge::Symlink,
            ArcChallenge::Txt,
        ] {
            let told = keys.challenge(Some(fault), 0).unwrap();
            let content = fs::read_to_string(&told).unwrap();
            assert!(keys.accept(&Secret::new(&*content), 0), "{fault:?}");
            assert_eq!(content.len() > 4096, fault == ArcChallenge::Big);
            let link = fs::symlink_metadata(&told).unwrap().is_symlink();
            assert_eq!(link, fault == ArcChallenge::Symlink);
        }
        let missing = keys.challenge(Some(ArcChallenge::Missing), 0).unwrap();
        assert!(!missing.exists());
        drop(keys);
        assert!(!good.exists() && files(&folder) == 0);
        assert_eq!(files(&base.path().join("own/arc-elsewhere")), 0);
    }
}
