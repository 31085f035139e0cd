//! Programs that print tokens: found, run without a shell, and bounded.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::Environment;
use super::error::Coarse;

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

/// Why a program gave no token.
///
/// No variant holds what the program wrote to its standard output, and what it
/// wrote to its standard error is held without anything that looks like a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It ended with an error.
    #[error("{name} ended with {}{}", Status(*status), Said(said))]
    Failed {
        /// The program.
        name: String,
        /// Its exit code; `None` if a signal ended it.
        status: Option<i32>,
        /// What it wrote to its standard error, shortened.
        said: String,
    },
    /// Its output broke off.
    #[error("cannot read what {name} prints")]
    Io {
        /// The program.
        name: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// There is no such program.
    #[error("{name} is not installed, or not in a folder that PATH names by its full path")]
    NotFound {
        /// The program.
        name: String,
    },
    /// The program is named by a relative path.
    #[error(
        "the program {name:?} is named by a relative path; give its full path, or a name on PATH"
    )]
    Relative {
        /// As it was given.
        name: String,
    },
    /// It cannot be started.
    #[error("cannot start {name}")]
    Start {
        /// The program.
        name: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// It took too long, and was ended.
    #[error("{name} did not finish within {}; try it by hand, as it may wait for an answer", Coarse(*after))]
    Timeout {
        /// The program.
        name: String,
        /// The time that it may take.
        after: Duration,
    },
    /// It printed more than a token can be, and was ended.
    #[error("{name} printed more than {max} bytes, so it is not a token")]
    TooLarge {
        /// The program.
        name: String,
        /// The limit.
        max: usize,
    },
}

impl ProgramError {
    /// Whether the same call may succeed soon with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Io { .. })
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

/// One line of what a program said, at most 300 characters, with a mark in place
/// of everything that may be a token or a password.
pub(super) fn presentable(text: &str) -> String {
    let mut shown = String::new();
    let mut is_value = false;
    let mut rest = text;
    while !rest.is_empty() {
        let (word, tail) = split(rest, |c| !is_token_character(c));
        let (gap, next) = split(tail, is_token_character);
        let hidden =
            !word.is_empty() && (is_value || word.starts_with("eyJ") || word.len() >= LONG);
        shown.push_str(if hidden { "[hidden]" } else { word });
        shown.push_str(gap);
        // Prose about a token is no secret, so it takes a sign between name and value.
        let is_name = names_secret(word) && gap.contains([':', '=']);
        is_value = is_name || word.eq_ignore_ascii_case("bearer");
        rest = next;
    }
    let words: Vec<_> = shown
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    let words = words.iter().filter(|word| !word.is_empty());
    tidy(&words.copied().collect::<Vec<_>>().join(" "))
}

fn split(text: &str, at: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(at).unwrap_or(text.len()))
}

fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.~+/".contains(c)
}

fn names_secret(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["token", "secret", "password", "authorization"]
        .iter()
        .any(|end| word.ends_with(end))
}

fn tidy(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(300).collect()
}

struct Status(Option<i32>);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(code) => write!(f, "exit code {code}"),
            None => f.write_str("a signal"),
        }
    }
}

struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            said => write!(f, ": {said}"),
        }
    }
}

/// As long as a cold Azure CLI may need, and some more.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// How long the output of a program is awaited that has ended.
const LEFTOVER: Duration = Duration::from_millis(500);

/// Some times what the longest tokens need.
const MAX_OUTPUT: usize = 256 * 1024;

/// Words as long as this are hidden, as few but secrets are.
const LONG: usize = 64;

/// Asks for text that is meant for a program to read: <https://no-color.org>.
const PLAIN: &[(&str, &str)] = &[("NO_COLOR", "1")];

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use tokio::net::unix::pipe::OpenOptions;

    use super::super::testing::TempPath;
    use super::*;

    fn call(limit: Duration) -> Call<'static> {
        Call {
            limit,
            ..Call::new(["one two", "$HOME", "'"])
        }
    }

    async fn run(body: &str) -> Result<Finished, ProgramError> {
        let folder = TempPath::new();
        folder.put("tool", body);
        let env = folder.environment();
        Program::find(&env, "tool")
            .unwrap()
            .run(&env, call(LIMIT))
            .await
    }

    #[tokio::test]
    async fn arguments_reach_the_program_as_they_stand_and_no_input_does() {
        let done = run(
            "printf '%s|' \"$@\"; cat; echo $NO_COLOR; [ . -ef /bin ] && echo bin; echo warned >&2",
        )
        .await
        .unwrap();
        assert!(done.success());
        assert_eq!(&done.stdout[..], b"one two|$HOME|'|1\nbin\n".as_slice());
        assert_eq!(done.said(), "warned");
    }

    #[tokio::test]
    async fn given_variables_are_all_there_are() {
        let done = run("/usr/bin/env").await.unwrap();
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(text.contains("PATH=") && !text.contains("CARGO"), "{text}");
    }

    #[tokio::test]
    async fn a_failure_tells_the_code_and_what_was_said_without_tokens() {
        let jwt = "eyJ0eXAi.eyJhdWQi.MARKER";
        let done = run(&format!(
            "echo {jwt}; echo \"oops {jwt} accessToken: MARKER\" >&2; exit 7"
        ))
        .await;
        let done = done.unwrap();
        assert!(!done.success());
        let error = done.failure();
        assert_eq!(
            error.to_string(),
            "tool ended with exit code 7: oops [hidden] accessToken: [hidden]"
        );
        assert!(!format!("{error:?}{done:?}").contains("MARKER"));
    }

    #[tokio::test]
    async fn a_flood_ends_the_program_or_is_cut() {
        let error = run("yes").await.unwrap_err();
        assert!(matches!(error, ProgramError::TooLarge { .. }), "{error:?}");
        let done = run("yes | head -c 3000000 >&2; echo end").await.unwrap();
        assert_eq!(
            (&done.stdout[..], done.stderr.len()),
            (b"end\n".as_slice(), MAX_OUTPUT)
        );
    }

    #[tokio::test]
    async fn one_that_hangs_is_an_error() {
        let folder = TempPath::new();
        folder.put("tool", "exec sleep 1000");
        let env = folder.environment();
        let tool = Program::find(&env, "tool").unwrap();
        let error = tool
            .run(&env, call(Duration::from_millis(50)))
            .await
            .unwrap_err();
        assert!(
            matches!(error, ProgramError::Timeout { .. }) && error.is_transient(),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn giving_up_ends_the_program_and_what_it_started() {
        let folder = TempPath::new();
        let fifo = folder.path().join("fifo");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .await
                .unwrap()
                .success()
        );
        folder.put(
            "tool",
            &format!(
                "exec 3>'{}'; (echo started >&3; exec sleep 1000) & wait",
                fifo.display()
            ),
        );
        let mut seen = OpenOptions::new().open_receiver(&fifo).unwrap();
        // Without a writer the pipe would seem to have ended already.
        let writer = OpenOptions::new().open_sender(&fifo).unwrap();
        let env = folder.environment();
        let tool = Program::find(&env, "tool").unwrap();
        let mut started = [0; 8];
        tokio::select! {
            _ = tool.run(&env, call(LIMIT)) => panic!("it ended by itself"),
            read = seen.read_exact(&mut started) => assert_eq!(read.unwrap(), 8),
        }
        drop(writer);
        // The end comes when nobody holds the other side any more.
        assert_eq!(seen.read(&mut started).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_a_program_leaves_behind_does_not_hold_its_answer_up() {
        let done = run("echo token; sleep 1000 & ").await.unwrap();
        assert_eq!(&done.stdout[..], b"token\n".as_slice());
    }

    #[test]
    fn only_full_folders_of_the_path_are_looked_into() {
        let folder = TempPath::new();
        folder.put("tool", "true");
        fs::write(folder.path().join("text"), "no program").unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let find = |path: &str, name: &str| {
            let env = Environment::from_pairs([("PATH", path)]);
            Program::find(&env, name).map(|program| program.path().to_owned())
        };
        let full = folder.path().to_str().unwrap();
        assert_eq!(
            find(&format!(":.:relative:/nowhere:{full}"), "tool").unwrap(),
            folder.path().join("tool")
        );
        for name in ["text", "folder", "absent"] {
            assert!(
                matches!(find(full, name), Err(ProgramError::NotFound { .. })),
                "{name}"
            );
        }
        // The tests' own directory has this folder, and this file.
        for path in ["", ".", "./target", ":", "tests"] {
            assert!(find(path, "tool").is_err());
        }
        for name in ["./tool", "../tool", "a/tool", ".", "..", "", r"a\tool"] {
            assert!(
                matches!(find(full, name), Err(ProgramError::Relative { .. })),
                "{name}"
            );
        }
        let absolute = folder.path().join("tool");
        assert_eq!(find("", absolute.to_str().unwrap()).unwrap(), absolute);
    }

    #[test]
    fn what_is_shown_has_no_secrets_in_it() {
        for (said, shown) in [
            (
                "ERROR: token expired,\r\n\u{1b}[31mlog in",
                "ERROR: token expired, [31mlog in",
            ),
            (
                "Authorization: Bearer abc",
                "Authorization: [hidden] [hidden]",
            ),
            ("password=abc\"", "password=[hidden]\""),
            ("{\"token\":\"abc\"}", "{\"token\":\"[hidden]\"}"),
            ("see https://aka.ms/x?y=1", "see https://aka.ms/x?y=1"),
        ] {
            assert_eq!(presentable(said), shown);
        }
        assert_eq!(
            presentable(&format!("a {} b", "x".repeat(64))),
            "a [hidden] b"
        );
        assert_eq!(presentable(&"word ".repeat(500)).chars().count(), 300);
        assert_eq!(presentable(""), "");
    }
}
