//! Reload and drain of the program while clients work.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use entrada::emulator::Emulator;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::super::program::{Program, answers, client};
use super::super::{azure, connection};
use super::numbers::Numbers;
use crate::raw_client::soon;

/// Clients that ask one question after the other.
const CLIENTS: usize = 50;
/// Those among them that stay until they are cut off.
const STAY: usize = 5;
const RELOADS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_disturb_nobody_and_a_drain_lets_clients_finish() {
    let emulator = azure().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    configure(&file, folder.path(), &emulator, 0);
    let mut program = Program::start(&emulator, &["--config", file.to_str().unwrap()]).await;
    let (at, admin) = (program.address(), admin(&program));
    let state = listing(&folder.path().join("state"));
    let work = Arc::new(Work::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(asks(at, number, Arc::clone(&work)));
    }
    let mut comers = JoinSet::new();
    comers.spawn(comes_and_goes(at, Arc::clone(&work)));

    for number in 1..=RELOADS {
        work.goes_on(&mut program, CLIENTS as u64).await;
        configure(&file, folder.path(), &emulator, number);
        program.signal(Signal::HUP);
        program.logs("the configuration was read again").await;
    }
    work.goes_on(&mut program, CLIENTS as u64).await;
    work.nobody_comes.store(true, Ordering::SeqCst);
    comers.join_next().await.unwrap().unwrap();
    let all_here = |numbers: &Numbers| numbers.sum("clients", &[]) == CLIENTS as u64;
    let numbers = Numbers::once(admin, "those who come and go", all_here).await;
    let applied = numbers.sum("config_reloads_total", &["applied"]);
    assert_eq!(applied, RELOADS as u64, "{numbers}");
    assert_eq!(numbers.logins("failed"), 0, "{numbers}");

    program.signal(Signal::TERM);
    program.logs("asked to stop: clients may finish").await;
    work.goes_on(&mut program, CLIENTS as u64).await;
    assert!(TcpStream::connect(at).await.is_err(), "nobody is let in");
    work.go.store(true, Ordering::SeqCst);
    let said = program.logs("stopped: ").await;
    let expected = format!(
        "{} of {CLIENTS} clients have left, {STAY} were cut off",
        CLIENTS - STAY
    );
    assert!(said.contains(&expected), "{said}");
    assert_eq!(program.ends().await.code(), Some(0));
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert_eq!(listing(&folder.path().join("state")), state);
    assert_eq!(listing(folder.path()), ["proxy.toml", "state"]);
    soon("the end of the sessions", async {
        while !emulator.sessions().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// What the clients have done, and what they shall do.
#[derive(Default)]
struct Work {
    answered: AtomicU64,
    nobody_comes: AtomicBool,
    go: AtomicBool,
}

impl Work {
    /// Waits until so many more questions are answered.
    async fn goes_on(&self, _program: &mut Program, more: u64) {
        let goal = self.answered.load(Ordering::SeqCst) + more;
        soon("the work", async {
            while self.answered.load(Ordering::SeqCst) < goal {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// Asks until told to go; the first few do not hear that.
async fn asks(at: SocketAddr, number: usize, work: Arc<Work>) {
    let mut client = client(at, &format!("app-{}", number % 3)).await;
    for question in 0.. {
        if number >= STAY && work.go.load(Ordering::SeqCst) {
            return;
        }
        if work.go.load(Ordering::SeqCst) {
            // Cut off between two questions: the end of the stream.
            assert!(client.receive().await.is_none());
            return;
        }
        let word = format!("{number}-{question}");
        let sql = format!("SELECT '{word}' + DB_NAME()");
        assert!(answers(&mut client, &sql, &format!("{word}shop")).await);
        work.answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// Connects and leaves, again and again.
async fn comes_and_goes(at: SocketAddr, work: Arc<Work>) {
    while !work.nobody_comes.load(Ordering::SeqCst) {
        let mut client = client(at, "comes and goes").await;
        assert!(answers(&mut client, "SELECT DB_NAME()", "shop").await);
        work.answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// Each configuration differs from the one before in all that may change.
fn configure(file: &Path, folder: &Path, emulator: &Emulator, number: usize) {
    let connection = connection(emulator);
    let mut text = format!(
        "state_dir = '{state}'\ndrain_timeout = \"8s\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [limits]\nconnections = {limit}\n\
         [[target]]\nname = \"shop\"\nconnection = '''{connection}'''\n\
         [target.pool]\nmax = {max}\n\
         [[listener]]\nname = \"tcp\"\nlisten = \"127.0.0.1:0\"\ntarget = \"shop\"\n",
        state = folder.join("state").display(),
        limit = 1000 + number,
        // Every third is another target: its sessions are retired.
        max = 100 + number / 3,
    );
    if number % 2 == 1 {
        write!(
            text,
            "[[listener]]\nname = \"unix\"\nlisten = \"unix:{}\"\ntarget = \"more\"\n\
             [[target]]\nname = \"more\"\nconnection = '''{connection}'''\n",
            folder.join("socket").display()
        )
        .unwrap();
    }
    fs::write(file, text).unwrap();
}

fn admin(program: &Program) -> SocketAddr {
    let url = program.ready["admin"].as_str().unwrap();
    let address = url.strip_prefix("http://").unwrap();
    address.trim_end_matches('/').parse().unwrap()
}

/// The names in a folder and below.
fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
