//! Clients and servers that leave, in every way.

use entrada::tds::{DoneStatus, Encryption, PacketStatus, PacketType};
use tokio::io::AsyncReadExt;

use super::address;
use super::scripted::{before, client, errors, let_in, login, reply};
use crate::raw_client::{RawClient, soon};
use crate::support::fake_server::FakeServer;

#[tokio::test]
async fn a_client_that_dies_in_an_answer_has_it_cancelled() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        conn.message().await.unwrap();
        let part = reply(100_000, DoneStatus::FINAL);
        // Whole packets without an end, until somebody cancels.
        loop {
            tokio::select! {
                message = conn.message() => return message.unwrap().packet_type,
                () = tokio::task::yield_now() => {}
            }
            if conn.raw(&part[..20 * 4096]).await.is_err() {
                return PacketType(0);
            }
        }
    })
    .await;
    let proxy = before(&server).await;
    soon("the end", async {
        let mut client = client(&proxy).await;
        client.send_batch("SELECT", PacketStatus::NORMAL).await;
        let mut some = vec![0; 10_000];
        client.tcp.read_exact(&mut some).await.unwrap();
        client.tcp.set_zero_linger().unwrap();
        drop(client);
        assert_eq!(server.outcomes().await, [PacketType::ATTENTION]);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_dies_in_a_request_has_it_taken_back() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        let message = conn.message().await.unwrap();
        conn.raw(&reply(0, DoneStatus::ERROR)).await.unwrap();
        (message.packet_type, message.status)
    })
    .await;
    let proxy = before(&server).await;
    soon("the end", async {
        let mut client = client(&proxy).await;
        let mut packet = vec![0x03, 0x00, 0x10, 0x00, 0, 0, 1, 0];
        packet.resize(4096 + 700, b' ');
        client.send_raw(&packet).await;
        drop(client);
        let ignored = PacketStatus(PacketStatus::EOM.0 | PacketStatus::IGNORE.0);
        assert_eq!(server.outcomes().await, [(PacketType::RPC, ignored)]);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_goes_with_an_answer_due_is_told_as_an_error() {
    let server = FakeServer::start(2, |number, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        conn.message().await.unwrap();
        match number {
            0 => conn.reset(),
            _ => conn.raw(b"HTTP/1.1 500 Oh\r\n").await.unwrap(),
        }
    })
    .await;
    let proxy = before(&server).await;
    soon("the errors", async {
        for said in ["the connection to the server broke", "no answer"] {
            let mut client = client(&proxy).await;
            client.send_batch("SELECT 1", PacketStatus::NORMAL).await;
            let told = client.receive().await.unwrap();
            let error = &errors(&told)[0];
            assert_eq!((error.number, error.class), (10054, 20));
            assert!(error.message.contains(said), "{error}");
            assert!(client.receive().await.is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn an_idle_client_is_closed_when_its_server_goes() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
    })
    .await;
    let proxy = before(&server).await;
    soon("the end", async {
        let mut client = client(&proxy).await;
        assert!(client.receive().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_for_a_session_is_gone_at_once() {
    let (reached, mut asked) = tokio::sync::watch::channel(false);
    let server = FakeServer::start(1, move |_, mut conn| {
        let reached = reached.clone();
        async move {
            conn.prelogin(Encryption::NOT_SUP, None).await.unwrap();
            conn.login().await.unwrap();
            reached.send_replace(true);
            // No answer ever.
            conn.until_closed().await
        }
    })
    .await;
    let proxy = before(&server).await;
    soon("the end", async {
        let mut client = RawClient::tcp(address(&proxy)).await;
        client.prelogin(Encryption::NOT_SUP, None).await;
        client.send_login(&login()).await;
        asked.wait_for(|asked| *asked).await.unwrap();
        assert_eq!(proxy.clients(), 1);
        drop(client);
        while proxy.clients() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.stop();
}
