//! The end of a proxy, and of its clients.

use std::time::Duration;

use rustix::process::Signal;
use tokio::net::TcpStream;

use super::program::{Program, answers, client};
use super::{address, azure, connection, proxy};
use crate::raw_client::{PATIENCE, soon};

#[tokio::test]
async fn clients_finish_and_nobody_new_is_let_in() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let at = address(&proxy);
    let mut staying = client(at, "staying").await;
    let leaving = client(at, "leaving").await;
    let end = tokio::spawn(proxy.shutdown(PATIENCE));
    soon("the closing", async {
        while TcpStream::connect(at).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(answers(&mut staying, "SELECT DB_NAME()", "shop").await);
    drop(leaving);
    assert!(answers(&mut staying, "SELECT DB_NAME()", "shop").await);
    drop(staying);
    let drained = soon("the drain", end).await.unwrap();
    assert_eq!((drained.clients, drained.cut), (2, 0));
}

#[tokio::test]
async fn those_who_stay_too_long_are_cut_off() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let mut client = client(address(&proxy), "stays").await;
    let drained = soon("the drain", proxy.shutdown(Duration::ZERO)).await;
    assert_eq!((drained.clients, drained.cut), (1, 1));
    assert!(soon("the end", client.receive()).await.is_none());
}

#[tokio::test]
async fn a_dropped_proxy_ends_its_clients() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let at = address(&proxy);
    let mut client = client(at, "stays").await;
    drop(proxy);
    assert!(soon("the end", client.receive()).await.is_none());
    soon("the closing", async {
        while TcpStream::connect(at).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn terminate_waits_for_clients_and_a_second_one_does_not() {
    let emulator = azure().await;
    let connection = connection(&emulator);
    let arguments = [&*connection, "--listen", "127.0.0.1:0", "--tls", "off"];
    for twice in [false, true] {
        let mut program = Program::start(&emulator, &arguments).await;
        let mut client = client(program.address(), "x").await;
        program.signal(Signal::TERM);
        program.logs("asked to stop: clients may finish").await;
        assert!(answers(&mut client, "SELECT DB_NAME()", "shop").await);
        if twice {
            program.signal(Signal::INT);
            program.logs("asked twice to stop").await;
            assert!(soon("the end", client.receive()).await.is_none());
        } else {
            drop(client);
            program.logs("stopped: the one client has left").await;
        }
        assert_eq!(program.ends().await.code(), Some(0));
    }
}
