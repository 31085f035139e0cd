//! Programs that print tokens: found, run without a shell, and bounded.

mod error;
mod shown;

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

pub use error::ProgramError;
pub(super) use shown::presentable;
use shown::tidy;

use super::Environment;

/// A program at an absolute path.
///
/// It is run with its arguments as they stand, never through a shell of ours.
/// Windows passes `.cmd` files to `cmd.exe`, whose quoting is a trap: the
/// standard library refuses arguments that it cannot quote safely, and callers
/// let none through but plain letters, digits and a few signs.
#[derive(Debug, Clone)]
pub(super) struct Program {
    name: String,
    path: PathBuf,
}

impl Program {
    /// Finds a program by its bare name on the environment's `PATH`, or takes an
    /// absolute path.
    ///
    /// Entries of `PATH` that are empty or relative are passed over, since they
    /// mean the current directory, where anybody may have put an `az`. For the
    /// same reason a relative path is an error.
    pub(super) fn find(env: &Environment, name: &str) -> Result<Self, ProgramError> {
        let given = Path::new(name);
        let found = if given.is_absolute() {
            is_program(given).then(|| given.to_owned())
        } else if !is_bare(name) {
            return Err(ProgramError::Relative { name: tidy(name) });
        } else {
            let folders = env.path();
            let folders = folders.iter().filter(|folder| folder.is_absolute());
            folders
                .flat_map(|folder| candidates(folder, name))
                .find(|path| is_program(path))
        };
        let path = found.ok_or_else(|| ProgramError::NotFound { name: tidy(name) })?;
        Ok(Self {
            name: tidy(name),
            path,
        })
    }

    /// Where it was found.
    #[cfg(any(feature = "cli", test))]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs it to its end, with nothing on its standard input.
    ///
    /// Dropping the future, and each of its errors, ends the program and on Unix
    /// all that it has started; on Windows only the program itself.
    pub(super) async fn run(
        &self,
        env: &Environment,
        call: Call<'_>,
    ) -> Result<Finished, ProgramError> {
        let limit = call.limit;
        let running = self.run_on(env, call);
        timeout(limit, running).await.unwrap_or_else(|_| {
            Err(ProgramError::Timeout {
                name: self.name.clone(),
                after: limit,
            })
        })
    }

    async fn run_on(&self, env: &Environment, call: Call<'_>) -> Result<Finished, ProgramError> {
        let start = |cause| ProgramError::Start {
            name: self.name.clone(),
            cause,
        };
        let broken = |cause| ProgramError::Io {
            name: self.name.clone(),
            cause,
        };
        let mut running = Running(self.command(env, &call).spawn().map_err(start)?);
        let (mut out, mut err) = (Vec::new().into(), Vec::new().into());
        let (from_out, from_err) = (running.0.stdout.take(), running.0.stderr.take());
        let status = {
            let reading = async {
                tokio::try_join!(
                    collect(from_out, &mut out, Beyond::Fails),
                    collect(from_err, &mut err, Beyond::IsDropped),
                )
            };
            tokio::pin!(reading);
            let mut status = None;
            let read = tokio::select! {
                read = &mut reading => read,
                ended = running.0.wait() => {
                    status = Some(ended.map_err(broken)?);
                    // What it left running may keep the pipes open for long.
                    timeout(LEFTOVER, &mut reading).await.unwrap_or(Ok(((), ())))
                }
            };
            read.map_err(|unread| match unread {
                Unread::TooMuch => ProgramError::TooLarge {
                    name: self.name.clone(),
                    max: MAX_OUTPUT,
                },
                Unread::Io(cause) => broken(cause),
            })?;
            status
        };
        let status = match status {
            Some(status) => status,
            None => running.0.wait().await.map_err(broken)?,
        };
        Ok(Finished {
            name: self.name.clone(),
            status,
            stdout: out,
            stderr: err,
        })
    }

    fn command(&self, env: &Environment, call: &Call<'_>) -> Command {
        let mut command = Command::new(&self.path);
        if let Some(variables) = env.instead_of_own() {
            command.env_clear().envs(variables);
        }
        command
            .args(&call.args)
            .envs(call.variables.iter().copied())
            .current_dir(safe_folder(env))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        command
    }
}

/// How a program is called.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    /// What it is given after its own name.
    pub(super) args: Vec<String>,
    /// Variables that it gets beside its environment.
    pub(super) variables: &'a [(&'a str, &'a str)],
    /// How long it may run.
    pub(super) limit: Duration,
}

impl Call<'_> {
    /// A call with these arguments, which may take [`LIMIT`].
    pub(super) fn new(args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            variables: PLAIN,
            limit: LIMIT,
        }
    }
}

/// What a program left behind. Both outputs may hold a token, and are wiped on drop.
pub(super) struct Finished {
    name: String,
    status: ExitStatus,
    pub(super) stdout: Zeroizing<Vec<u8>>,
    pub(super) stderr: Zeroizing<Vec<u8>>,
}

impl Finished {
    /// Whether it ended well.
    pub(super) fn success(&self) -> bool {
        self.status.success()
    }

    /// What it said on its standard error, fit to be shown.
    pub(super) fn said(&self) -> String {
        presentable(&String::from_utf8_lossy(&self.stderr))
    }

    /// As [`said`](Self::said), of the lines with this word alone if there are any.
    pub(super) fn said_in_lines_with(&self, word: &str) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let lines: Vec<_> = text.lines().filter(|line| line.contains(word)).collect();
        if lines.is_empty() {
            return self.said();
        }
        presentable(&lines.join("\n"))
    }

    /// That it ended badly, with what it said.
    pub(super) fn failure(&self) -> ProgramError {
        self.failure_saying(self.said())
    }

    /// That it ended badly, with what its reader made of what it said.
    pub(super) fn failure_saying(&self, said: String) -> ProgramError {
        ProgramError::Failed {
            name: self.name.clone(),
            status: self.status.code(),
            said,
        }
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished")
            .field("name", &self.name)
            .field("status", &self.status)
            .field("stdout", &self.stdout.len())
            .field("stderr", &self.stderr.len())
            .finish()
    }
}

/// A child that takes its whole process group with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The id is there until the child was waited for, so it cannot be
        // another process's by now; the child itself is ended by `kill_on_drop`.
        #[cfg(unix)]
        if let Some(group) = self
            .0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw)
        {
            // That nobody is left is as good.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// What becomes of output beyond the limit.
#[derive(Clone, Copy)]
enum Beyond {
    Fails,
    IsDropped,
}

enum Unread {
    TooMuch,
    Io(io::Error),
}

/// Reads to the end, keeping [`MAX_OUTPUT`] bytes. The room is taken at once, for a
/// growing vector would leave copies of a token in memory.
async fn collect(
    from: Option<impl AsyncRead + Unpin>,
    into: &mut Zeroizing<Vec<u8>>,
    beyond: Beyond,
) -> Result<(), Unread> {
    let Some(mut from) = from else { return Ok(()) };
    into.reserve_exact(MAX_OUTPUT);
    let mut block = Zeroizing::new([0; 4096]);
    loop {
        let n = from.read(&mut *block).await.map_err(Unread::Io)?;
        if n == 0 {
            return Ok(());
        }
        let room = MAX_OUTPUT - into.len();
        if n > room && matches!(beyond, Beyond::Fails) {
            return Err(Unread::TooMuch);
        }
        into.extend_from_slice(&block[..n.min(room)]);
    }
}

/// Whether a name is no path: not even `..`.
fn is_bare(name: &str) -> bool {
    let first = Path::new(name).components().next();
    matches!(first, Some(Component::Normal(_))) && !name.contains(['/', '\\'])
}

/// The files that a bare name may mean in a folder.
fn candidates(folder: &Path, name: &str) -> Vec<PathBuf> {
    if !cfg!(windows) || Path::new(name).extension().is_some() {
        return vec![folder.join(name)];
    }
    // Of what PATHEXT usually holds, what tools come as.
    ["exe", "cmd"]
        .iter()
        .map(|ending| folder.join(format!("{name}.{ending}")))
        .collect()
}

fn is_program(path: &Path) -> bool {
    let Ok(data) = path.metadata() else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if data.permissions().mode() & 0o111 == 0 {
            return false;
        }
    }
    data.is_file()
}

/// A folder where nobody but the administrator puts programs, since some tools
/// look into the current directory for their parts.
fn safe_folder(env: &Environment) -> PathBuf {
    if cfg!(windows) {
        let root = env
            .var("SYSTEMROOT")
            .unwrap_or_else(|| r"C:\Windows".to_owned());
        return root.into();
    }
    PathBuf::from("/bin")
}

/// As long as a cold Azure CLI may need, and some more.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// How long the output of a program is awaited that has ended.
const LEFTOVER: Duration = Duration::from_millis(500);

/// Some times what the longest tokens need.
const MAX_OUTPUT: usize = 256 * 1024;

/// Asks for text that is meant for a program to read: <https://no-color.org>.
const PLAIN: &[(&str, &str)] = &[("NO_COLOR", "1")];

#[cfg(all(test, unix))]
mod tests;
