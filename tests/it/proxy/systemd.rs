//! What systemd is told and hands over, without systemd.

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::process::Signal;
use tokio::net::UnixDatagram;
use tokio::process::Command;

use super::program::{Program, answers, client, command};
use super::{azure, connection};
use crate::raw_client::soon;

/// What the manager is told next.
async fn told(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let got = soon("a word to systemd", manager.recv(&mut buffer)).await;
    String::from_utf8(buffer[..got.unwrap()].to_vec()).unwrap()
}

/// The next of its messages that says so.
async fn told_of(manager: &UnixDatagram, word: &str) -> String {
    soon(word, async {
        loop {
            let message = told(manager).await;
            if message.lines().any(|line| line == word) {
                return message;
            }
        }
    })
    .await
}

#[tokio::test]
async fn the_manager_hears_of_each_step() {
    let emulator = azure().await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    let connection = connection(&emulator);
    let mut command = command(
        &emulator,
        &[&connection, "--listen", "127.0.0.1:0", "--tls", "off"],
    );
    command.env("NOTIFY_SOCKET", &socket);
    command.env("WATCHDOG_USEC", "200000");
    let mut program = Program::start_as(command).await;
    let first = told(&manager).await;
    assert!(first.starts_with("READY=1\nSTATUS=0 clients"), "{first}");
    let client = client(program.address(), "x").await;
    soon("the status", async {
        while !told_of(&manager, "WATCHDOG=1")
            .await
            .contains("STATUS=1 client\n")
        {}
    })
    .await;

    program.signal(Signal::HUP);
    let reloading = told_of(&manager, "RELOADING=1").await;
    let time = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(time.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    told_of(&manager, "READY=1").await;

    program.signal(Signal::TERM);
    told_of(&manager, "STOPPING=1").await;
    drop(client);
    assert!(program.ends().await.success());
}

#[tokio::test]
async fn sockets_are_taken_by_their_names_and_survive_a_reload() {
    let emulator = azure().await;
    let connection = connection(&emulator);
    // The second of two, so that the name counts and not the order.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let mut command = command(
        &emulator,
        &[&connection, "--listen", "systemd:shop", "--tls", "off"],
    )
    .into_std();
    let mapping = |parent_fd, child_fd| FdMapping {
        parent_fd,
        child_fd,
    };
    command
        .fd_mappings(vec![
            mapping(other.into(), 3),
            mapping(socket.try_clone().unwrap().into(), 4),
        ])
        .unwrap();
    command
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", "other:shop");
    let mut program = Program::start_as(Command::from(command)).await;
    assert_eq!(program.address(), at);
    let mut before = client(at, "before").await;
    program.signal(Signal::HUP);
    program.logs("the configuration was read again").await;
    assert!(answers(&mut before, "SELECT DB_NAME()", "shop").await);
    let mut after = client(at, "after").await;
    assert!(answers(&mut after, "SELECT DB_NAME()", "shop").await);
    drop((before, after));
    program.signal(Signal::TERM);
    assert!(program.ends().await.success());
}
