//! Clients that take what they asked for slowly, or never.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use entrada::proxy::Proxy;
use entrada::proxy::config::{Config, ListenAddress};
use entrada::tds::{Encryption, Login7, PacketStatus};
use entrada::token::{Environment, Sources};
use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;

use super::super::address;
use super::super::program::{Program, bare, client};
use super::echo::{Echo, HUGE, Said};
use super::numbers::Numbers;
use crate::raw_client::{RawClient, soon};

/// Clients that ask for a huge result and read nothing.
const SLOW: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_nobody_reads_are_not_held() {
    let echo = Echo::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    let text = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[target]]\nname = \"echo\"\nconnection = '{}'\n[target.pool]\nmax = {}\n\
         [[listener]]\nlisten = \"127.0.0.1:0\"\ntls = \"off\"\ntarget = \"echo\"\n",
        echo.connection(),
        SLOW + 10
    );
    fs::write(&file, text).unwrap();
    let mut command = bare(&["--config", file.to_str().unwrap()]);
    command.args(["--format", "json", "--log-format", "json"]);
    // Nobody reads its log here.
    command.env("RUST_LOG", "warn");
    let program = Program::start_as(command).await;
    let at = program.address();
    let mut quick = client(at, "quick").await;
    let slow = join_all((0..SLOW).map(|_| reads_nothing(at))).await;
    assert_eq!(echo.open(), SLOW + 1);
    let before = resident(&program);
    let slow = join_all(slow.into_iter().map(|mut client| async move {
        client.send_batch("HUGE 1", PacketStatus::NORMAL).await;
        client
    }))
    .await;

    // Nothing moves any more when the server cannot write although others are served.
    let mut written = 0;
    soon("the standstill", async {
        while echo.huge_begun() < SLOW || echo.huge_written() > written {
            written = echo.huge_written();
            for number in 0..50 {
                ask(&mut quick, &format!("ECHO {number}")).await;
            }
        }
    })
    .await;
    let held = resident(&program).saturating_sub(before);
    assert!(written < SLOW * HUGE / 2, "{written} bytes left the server");
    assert!(held < 32 << 20, "{held} bytes are held for {SLOW} clients");

    // They go without having read, and their sessions serve others.
    for client in slow {
        client.tcp.set_zero_linger().unwrap();
    }
    let admin = admin(&program);
    let gone = |numbers: &Numbers| numbers.busy() == 2;
    let numbers = Numbers::once(admin, "the end of the slow", gone).await;
    let closed = numbers.sum("upstream_closed_total", &[]);
    assert_eq!((closed, echo.open()), (0, SLOW + 1), "{numbers}");
    ask(&mut quick, "ECHO again").await;
}

/// A client that has logged in, and whose socket holds little.
async fn reads_nothing(at: SocketAddr) -> RawClient {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = RawClient::over(socket.connect(at).await.unwrap());
    client.prelogin(Encryption::NOT_SUP, None).await;
    let login = Login7 {
        app_name: "slow".to_owned(),
        ..Login7::default()
    };
    let answer = client.login(&login).await;
    assert!(answer.ack.is_some(), "{:?}", answer.errors);
    client
}

async fn ask(client: &mut RawClient, words: &str) {
    let answer = client.batch(words).await;
    assert_eq!(Said::of(&answer).batch, words);
}

fn admin(program: &Program) -> SocketAddr {
    let url = program.ready["admin"].as_str().unwrap();
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// Memory of the program, in bytes.
fn resident(program: &Program) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_ascii_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn logins_that_never_end_are_ended_and_their_places_are_free() {
    const PLACES: usize = 20;
    let echo = Echo::start().await;
    let mut config = Config::for_connection(echo.connection());
    config.listeners[0].address = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    config.admin.listen = Some((Ipv4Addr::LOCALHOST, 0).into());
    config.limits.connections = PLACES;
    config.limits.login_timeout = Duration::from_secs(2);
    let sources = Sources::new(Environment::from_pairs::<&str, &str>([]));
    let proxy = Proxy::start(config, sources).await.unwrap();
    let dawdlers = join_all((0..PLACES).map(|number| dawdles(address(&proxy), number))).await;
    let ends = dawdlers.into_iter().map(|mut client| async move {
        let mut rest = Vec::new();
        // Reset or not: it is over.
        let _ = client.tcp.read_to_end(&mut rest).await;
    });
    soon("the end of the logins", join_all(ends)).await;
    let admin = proxy.admin_address().unwrap();
    let gone = |numbers: &Numbers| numbers.sum("clients", &[]) == 0;
    let numbers = Numbers::once(admin, "their places", gone).await;
    assert_eq!(numbers.logins("timeout"), PLACES as u64, "{numbers}");
    assert_eq!(echo.opened(), 0, "nothing was dialled for them");
    let mut clients = Vec::new();
    for _ in 0..PLACES {
        clients.push(client(address(&proxy), "quick").await);
    }
}

/// Gets as far as it likes with its login, and stops.
async fn dawdles(at: SocketAddr, number: usize) -> RawClient {
    let mut client = RawClient::tcp(at).await;
    match number % 4 {
        0 => {}
        1 => client.send_raw(&[0x12]).await,
        2 => {
            client
                .send_raw(&[0x12, 0x01, 0x00, 0x2F, 0, 0, 1, 0, 0])
                .await
        }
        _ => {
            client.prelogin(Encryption::NOT_SUP, None).await;
            let login = RawClient::login_bytes(&Login7::default());
            client.send_raw(&login[..login.len() - 1]).await;
        }
    }
    client
}
