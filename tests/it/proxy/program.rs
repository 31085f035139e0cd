//! `entrada proxy` as a process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use entrada::emulator::Emulator;
use entrada::tds::{Encryption, Login7};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::raw_client::{RawClient, soon};

/// A running proxy. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    /// Kept open, so that it may write.
    _out: Lines<BufReader<ChildStdout>>,
    log: Lines<BufReader<ChildStderr>>,
    /// What it said when it was ready.
    pub(crate) ready: Value,
    /// All of its log that has been read.
    pub(crate) logged: Vec<String>,
}

impl Program {
    /// Starts it with the emulator's identity endpoints, and waits until it is ready.
    pub(crate) async fn start(emulator: &Emulator, arguments: &[&str]) -> Self {
        Self::start_as(command(emulator, arguments)).await
    }

    pub(crate) async fn start_as(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = soon("the start", out.next_line()).await.unwrap();
        let mut program = Self {
            child,
            _out: out,
            log,
            ready: Value::Null,
            logged: Vec::new(),
        };
        match line {
            Some(line) => program.ready = serde_json::from_str(&line).unwrap(),
            None => panic!("it ended: {}", program.rest_of_log().await),
        }
        program
    }

    /// Where its first listener listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let address = self.ready["listeners"][0]["address"].as_str().unwrap();
        address.parse().unwrap()
    }

    /// The next line of its log that has these words.
    pub(crate) async fn logs(&mut self, words: &str) -> String {
        let work = async {
            loop {
                match self.log.next_line().await.unwrap() {
                    Some(line) => {
                        self.logged.push(line.clone());
                        if line.contains(words) {
                            return line;
                        }
                    }
                    None => panic!("it never logs {words:?}: {:#?}", self.logged),
                }
            }
        };
        soon(words, work).await
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("a program that runs")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let status = soon("the end", self.child.wait()).await.unwrap();
        self.rest_of_log().await;
        status
    }

    async fn rest_of_log(&mut self) -> String {
        while let Some(line) = self.log.next_line().await.unwrap() {
            self.logged.push(line);
        }
        self.logged.join("\n")
    }
}

/// The program with nothing of this process's environment but the emulator's
/// identity endpoints.
pub(crate) fn command(emulator: &Emulator, arguments: &[&str]) -> Command {
    let mut command = bare(arguments);
    command.args(["--format", "json", "--log-format", "json"]);
    command.envs(emulator.imds_environment());
    command
}

pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_entrada"));
    command.env_clear().arg("proxy").args(arguments);
    command
}

/// A run that ends by itself: its exit code, output and errors.
pub(crate) async fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = bare(arguments);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = soon("the run", command.output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A client that has logged in.
pub(crate) async fn client(address: SocketAddr, application: &str) -> RawClient {
    let mut client = RawClient::tcp(address).await;
    client.prelogin(Encryption::NOT_SUP, None).await;
    let login = Login7 {
        user_name: "legacy".to_owned(),
        app_name: application.to_owned(),
        ..Login7::default()
    };
    let answer = client.login(&login).await;
    assert!(answer.ack.is_some(), "{:?}", answer.errors);
    client
}

/// Whether a text in UTF-16 is somewhere in the answer to a query.
pub(crate) async fn answers(client: &mut RawClient, sql: &str, wanted: &str) -> bool {
    let answer = client.batch(sql).await;
    let wanted: Vec<u8> = wanted.encode_utf16().flat_map(u16::to_le_bytes).collect();
    answer.windows(wanted.len()).any(|window| window == wanted)
}
