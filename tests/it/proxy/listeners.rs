//! Listening sockets: their files, their neighbours, and a system short of
//! descriptors.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use entrada::emulator::Emulator;
use entrada::proxy::config::{Config, ListenAddress};
use entrada::proxy::{BoundAddress, Inherited, InheritedSocket, Proxy};
use entrada::tds::{Encryption, Login7};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::Instant;

use super::{address, azure, config, connection, sources};
use crate::raw_client::{RawClient, soon};

fn at(config: &mut Config, path: &Path, mode: u32) {
    config.listeners[0].address = ListenAddress::Unix {
        path: path.to_owned(),
        mode,
    };
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A client on a Unix socket, through a TCP connection of its own.
async fn unix_client(path: &Path) -> RawClient {
    let bridge = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut far = UnixStream::connect(path).await.unwrap();
    let client = RawClient::tcp(bridge.local_addr().unwrap()).await;
    let (mut near, _) = bridge.accept().await.unwrap();
    tokio::spawn(async move {
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    client
}

async fn log_in(mut client: RawClient) {
    soon("the login", async {
        client.prelogin(Encryption::NOT_SUP, None).await;
        let answer = client.login(&Login7::default()).await;
        assert_eq!(answer.database(), Some("shop"), "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn a_unix_socket_has_its_mode_serves_and_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = azure().await;
    for wanted in [0o600, 0o660, 0o666] {
        let path = folder.path().join("sql");
        let mut config = config(&emulator);
        at(&mut config, &path, wanted);
        let proxy = Proxy::start(config, sources(&emulator)).await.unwrap();
        assert_eq!(mode(&path), wanted);
        log_in(unix_client(&path).await).await;
        proxy.shutdown(Duration::ZERO).await;
        assert!(!path.exists(), "the file is removed");
    }
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sql");
    let emulator = azure().await;
    let mut config = config(&emulator);
    at(&mut config, &path, 0o600);
    // Closing a socket leaves its file, as a process that crashes does.
    drop(UnixListener::bind(&path).unwrap());
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    let proxy = Proxy::start(config.clone(), sources(&emulator))
        .await
        .unwrap();
    log_in(unix_client(&path).await).await;

    let second = Proxy::start(config.clone(), sources(&emulator)).await;
    let error = chain(&second.unwrap_err());
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    log_in(unix_client(&path).await).await;
    proxy.shutdown(Duration::ZERO).await;

    fs::write(&path, "precious").unwrap();
    let third = Proxy::start(config, sources(&emulator)).await;
    let error = chain(&third.unwrap_err());
    assert!(error.contains("is no socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn somebody_elses_file_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sql");
    let emulator = azure().await;
    let mut config = config(&emulator);
    at(&mut config, &path, 0o600);
    let proxy = Proxy::start(config, sources(&emulator)).await.unwrap();
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    proxy.shutdown(Duration::ZERO).await;
    assert!(path.exists());
}

#[tokio::test]
async fn a_reload_keeps_sockets_that_stay_and_closes_those_that_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sql");
    let emulator = azure().await;
    let first = config(&emulator);
    let proxy = Proxy::start(first.clone(), sources(&emulator))
        .await
        .unwrap();
    let tcp = address(&proxy);

    let mut both = first.clone();
    let mut unix = first.listeners[0].clone();
    unix.name = "unix".to_owned();
    unix.address = ListenAddress::Unix {
        path: path.clone(),
        mode: 0o600,
    };
    both.listeners.push(unix);
    both.listeners[0].name = "renamed".to_owned();
    proxy.reload(both.clone()).await.unwrap();
    let addresses = proxy.addresses();
    assert_eq!(addresses[0], ("renamed".to_owned(), BoundAddress::Tcp(tcp)));
    assert_eq!(addresses[1].1, BoundAddress::Unix(path.clone()));
    log_in(RawClient::tcp(tcp).await).await;
    log_in(unix_client(&path).await).await;

    both.listeners[1].address = ListenAddress::Unix {
        path: path.clone(),
        mode: 0o660,
    };
    proxy.reload(both.clone()).await.unwrap();
    assert_eq!(mode(&path), 0o660);
    log_in(unix_client(&path).await).await;

    // What cannot be done changes nothing.
    let mut wrong = both.clone();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    wrong.listeners[0].address = ListenAddress::Tcp(busy.local_addr().unwrap());
    proxy.reload(wrong).await.unwrap_err();
    log_in(RawClient::tcp(tcp).await).await;
    log_in(unix_client(&path).await).await;

    proxy.reload(first).await.unwrap();
    soon("the socket's end", async {
        while path.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    log_in(RawClient::tcp(tcp).await).await;
}

#[tokio::test]
async fn all_sockets_that_were_inherited_under_a_name_serve() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sql");
    let emulator = azure().await;
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = tcp.local_addr().unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let mut inherited = Inherited::none();
    inherited.add("sql", InheritedSocket::Tcp(tcp)).unwrap();
    inherited.add("sql", InheritedSocket::Unix(unix)).unwrap();
    let mut config = config(&emulator);
    config.listeners[0].address = ListenAddress::Systemd("sql".to_owned());
    let proxy = Proxy::start_with(config.clone(), sources(&emulator), inherited)
        .await
        .unwrap();
    log_in(RawClient::tcp(at).await).await;
    log_in(unix_client(&path).await).await;
    proxy.reload(config.clone()).await.unwrap();
    log_in(RawClient::tcp(at).await).await;
    log_in(unix_client(&path).await).await;
    config.listeners[0].address = ListenAddress::Systemd("other".to_owned());
    let error = chain(&proxy.reload(config).await.unwrap_err());
    assert!(error.contains("there are: sql, sql"), "{error}");
    proxy.shutdown(Duration::ZERO).await;
    assert!(path.exists(), "the file is not ours");
}

/// The program with few descriptors meets more clients than it can have; it
/// waits, and goes on when there are fewer.
#[tokio::test(flavor = "multi_thread")]
async fn running_out_of_descriptors_is_survived_without_spinning() {
    const DESCRIPTORS: usize = 64;
    let emulator = azure().await;
    let (mut program, at, admin) = limited_program(&emulator, DESCRIPTORS).await;
    // One connection for all of it: there will be no descriptor for another.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(failures(&http, &admin).await, 0);
    log_in(RawClient::tcp(at).await).await;
    let begin = Instant::now();
    let mut crowd = Vec::new();
    for _ in 0..2 * DESCRIPTORS {
        crowd.push(TcpStream::connect(at).await.unwrap());
    }
    // It tries again, and not at once: within that time there can be no more
    // tries, however fast the machine is.
    let tries = soon("the shortage", async {
        loop {
            let tries = failures(&http, &admin).await;
            if tries >= 8 {
                return tries;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let most = tries_within(begin.elapsed());
    assert!(tries <= most, "{tries} tries, at most {most} are right");
    assert!(program.try_wait().unwrap().is_none(), "it lives");
    drop(crowd);
    log_in(RawClient::tcp(at).await).await;
    program.kill().await.unwrap();
}

/// How often a listener may fail to accept in that time: the pause between two
/// tries doubles. A client that leaves, as the first does, lets it begin anew.
fn tries_within(time: Duration) -> u64 {
    let mut pause = Duration::from_millis(5);
    let (mut tries, mut waited) = (1, Duration::ZERO);
    while waited < time {
        waited += pause;
        pause = (2 * pause).min(Duration::from_secs(1));
        tries += 1;
    }
    4 * tries
}

/// How often accepting has failed for want of descriptors.
async fn failures(http: &reqwest::Client, admin: &str) -> u64 {
    let asked = http.get(format!("{admin}/metrics")).send();
    let answer = soon("the metrics", asked).await.unwrap();
    let text = answer.text().await.unwrap();
    let name = "entrada_proxy_accept_errors_total{";
    let lines = text.lines().filter(|line| line.starts_with(name));
    let mut lines = lines.filter(|line| line.contains("\"descriptors-of-process\""));
    lines.next().map_or(0, |line| {
        let (_, value) = line.rsplit_once(' ').unwrap();
        value.parse().unwrap()
    })
}

/// `entrada proxy` with so many descriptors, where it listens, and its metrics.
async fn limited_program(
    emulator: &Emulator,
    descriptors: usize,
) -> (tokio::process::Child, std::net::SocketAddr, String) {
    let mut program = tokio::process::Command::new("bash")
        .args([
            "-c",
            "ulimit -n \"$1\"; exec \"$2\" proxy - --listen 127.0.0.1:0 --admin 127.0.0.1:0 \
             --format json",
        ])
        .args([
            "bash",
            &descriptors.to_string(),
            env!("CARGO_BIN_EXE_entrada"),
        ])
        .envs(emulator.imds_environment())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    let text = connection(emulator);
    tokio::io::AsyncWriteExt::write_all(&mut input, text.as_bytes())
        .await
        .unwrap();
    drop(input);
    let output = BufReader::new(program.stdout.as_mut().unwrap());
    let line = soon("the ready message", output.lines().next_line()).await;
    let line = line.unwrap().expect("a ready message");
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let at = ready["listeners"][0]["address"].as_str().unwrap();
    let admin = ready["admin"].as_str().unwrap().to_owned();
    (program, at.parse().unwrap(), admin)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}
