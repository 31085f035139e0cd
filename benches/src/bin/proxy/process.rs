//! Processes: the proxy, its peers, and what `/proc` says of them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Outcome;

/// Room for more clients than are measured, and one session for each.
const CONFIGURATION: &str = r#"
[[target]]
connection = "env:CONNECTION"
pool = { max = 20000 }
[[listener]]
listen = "127.0.0.1:0"
tls = "off"
admission = "any"
[limits]
connections = 20000
"#;

/// Ended when dropped.
pub(crate) struct Process {
    child: Child,
    /// Whose memory and time count; not the child itself if that is a wrapper.
    pid: u32,
    pub(crate) port: u16,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.pid.to_string()).status();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts a program, and waits until it listens on the port.
    pub(crate) fn listening(command: &mut Command, port: u16) -> Outcome<Self> {
        let child = command.stdin(Stdio::null()).spawn().map_err(|error| {
            format!("cannot start {}: {error}", command.get_program().display())
        })?;
        let pid = child.id();
        let process = Self { child, pid, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                return Err(format!("{} does not listen", command.get_program().display()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(process)
    }

    /// The proxy for a connection string, with room for many clients.
    pub(crate) fn entrada(connection: &str, environment: &[(String, String)]) -> Outcome<Self> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(CONFIGURATION.as_bytes())?;
        let mut child = many_files(&entrada_program()?)
            .args(["proxy", "--format", "json", "--config"])
            .arg(file.path())
            .env("CONNECTION", connection)
            .env("RUST_LOG", "error")
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("the proxy has no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: serde_json::Value = serde_json::from_str(&line)?;
        let address = ready["listeners"][0]["address"]
            .as_str()
            .ok_or("no address in the proxy's first line")?;
        let port = address.rsplit(':').next().unwrap_or_default().parse()?;
        let pid = child.id();
        Ok(Self { child, pid, port })
    }

    /// The canned server.
    pub(crate) fn server(arguments: &[&str]) -> Outcome<Self> {
        let port = free_port()?;
        let mut command = many_files(&std::env::current_exe()?);
        Self::listening(
            command.arg("serve").arg(port.to_string()).args(arguments),
            port,
        )
    }

    /// Counts the process with this id in place of the one started.
    pub(crate) fn with_pid(mut self, file: &Path) -> Outcome<Self> {
        self.pid = fs::read_to_string(file)?.trim().parse()?;
        Ok(self)
    }

    /// CPU time in seconds so far, by the clock's ticks of 10 ms.
    pub(crate) fn cpu(&self) -> Outcome<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let fields: Vec<&str> = text
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |index: usize| {
            fields
                .get(index)
                .and_then(|field| field.parse::<f64>().ok())
        };
        let (user, system) = ticks(11).zip(ticks(12)).ok_or("no CPU time in /proc")?;
        Ok((user + system) / 100.0)
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Outcome<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .ok_or("no VmRSS in /proc")?;
        let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024.0)
    }
}

/// A program that may open many files.
fn many_files(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n \"$(ulimit -Hn)\" && exec \"$0\" \"$@\""])
        .arg(program);
    command
}

/// A port that is free now.
pub(crate) fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The release build of the program, made if need be.
fn entrada_program() -> Outcome<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = Command::new("cargo")
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--bin",
            "entrada",
        ])
        .current_dir(&root)
        .status()?;
    if !built.success() {
        return Err("the program does not build".into());
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/entrada"))
}
