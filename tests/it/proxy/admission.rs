//! Who is let in, who is not, and what each is told.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use entrada::Secret;
use entrada::proxy::config::{Admission, Config, ListenAddress, RuleConfig, TlsMode, UserConfig};
use entrada::proxy::{BoundAddress, Inherited, InheritedSocket, Proxy, ProxyError, hash_password};
use entrada::tds::{Encryption, Feature, FeatureId, Login7, option_flags2, option_flags3};
use entrada::token::{Environment, Sources};
use tracing::Level;

use super::{address, azure, config, sources};
use crate::raw_client::{LoginAnswer, RawClient, soon};
use crate::support::log::Log;

const PASSWORD: &str = "pässword-marker 🗝";

/// A server that nobody may connect to: it counts who does.
struct Upstream(TcpListener);

impl Upstream {
    fn new() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    /// One listener on a free port that leads here.
    fn config(&self) -> Config {
        let port = self.0.local_addr().unwrap().port();
        let mut config = Config::for_connection(format!(
            "Server=127.0.0.1,{port};Database=shop;User ID=upstream;Password=upstream-marker;\
             TrustServerCertificate=true;Connect Timeout=2"
        ));
        config.listeners[0].address = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
        config
    }

    fn has_been_dialled(&self) -> bool {
        self.0.accept().is_ok()
    }
}

fn no_sources() -> Sources {
    Sources::new(Environment::from_pairs::<String, String>([]))
}

async fn start(config: Config) -> Proxy {
    Proxy::start(config, no_sources()).await.unwrap()
}

/// A hash of [`PASSWORD`]; as costly as users' hashes are.
fn user(name: &str) -> UserConfig {
    UserConfig::new(name, hash_password(&Secret::new(PASSWORD)).unwrap())
}

fn login(user: &str, password: &str) -> Login7 {
    Login7 {
        user_name: user.to_owned(),
        password: Secret::new(password),
        ..Login7::default()
    }
}

async fn try_login(at: SocketAddr, login: &Login7) -> LoginAnswer {
    soon("the login", async {
        let mut client = RawClient::tcp(at).await;
        client.prelogin(Encryption::NOT_SUP, None).await;
        client.login(login).await
    })
    .await
}

#[track_caller]
fn assert_refused(answer: &LoginAnswer, number: i32, part: &str) {
    let (actual, text) = answer.refusal().expect("a refusal");
    assert_eq!(actual, number, "{text}");
    assert!(text.contains(part), "{text}");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one row for each way to be denied")]
async fn every_denial_is_told_and_dials_nothing() {
    let upstream = Upstream::new();
    let plain = login("bob", "any");
    let by_password = || {
        let mut config = upstream.config();
        config.listeners[0].admission = Admission::Password;
        config.users = vec![user("bob")];
        config
    };
    let listed = |uids: Vec<u32>, gids: Vec<u32>| {
        let mut config = upstream.config();
        config.listeners[0].admission = Admission::Listed { uids, gids };
        config
    };
    let nowhere = || {
        let mut config = upstream.config();
        config.listeners[0].target = None;
        config.listeners[0].rules = vec![rule(Some("eve"), None, "default")];
        config
    };
    let not_admin = || {
        let mut config = upstream.config();
        config.admin.same_user = false;
        config
    };
    let flagged = |flags2, flags3| Login7 {
        option_flags2: flags2,
        option_flags3: flags3,
        ..login("bob", PASSWORD)
    };
    let with_token = Login7 {
        features: vec![Feature {
            id: FeatureId::FEDAUTH,
            data: vec![0x02, 0, 0, 0, 0],
        }],
        ..plain.clone()
    };
    let admin = Login7 {
        database: "Entrada".to_owned(),
        ..plain.clone()
    };
    let cases: Vec<(Config, Login7, &str)> = vec![
        (
            listed(vec![4_000_000], vec![]),
            plain.clone(),
            "not among them",
        ),
        (
            listed(vec![4_000_000], vec![0]),
            plain.clone(),
            "which group",
        ),
        (by_password(), login("bob", "wrong"), "user 'bob'."),
        (by_password(), login("eve", PASSWORD), "user 'eve'."),
        (by_password(), login("bob", ""), "no password came"),
        (by_password(), login("", PASSWORD), "user ''."),
        (
            by_password(),
            flagged(option_flags2::INTEGRATED_SECURITY, 0),
            "Windows",
        ),
        (
            by_password(),
            flagged(0, option_flags3::CHANGE_PASSWORD),
            "cannot be changed",
        ),
        (by_password(), with_token.clone(), "token"),
        (upstream.config(), with_token, "token"),
        (nowhere(), plain.clone(), "Nothing is set up here"),
        (not_admin(), admin, "admin database"),
    ];
    for (config, login, part) in cases {
        let proxy = start(config).await;
        let answer = try_login(address(&proxy), &login).await;
        assert_refused(&answer, 18456, part);
        let text = answer.refusal().unwrap().1;
        assert!(!text.contains("default"), "the target's name: {text}");
        proxy.shutdown(Duration::ZERO).await;
    }
    assert!(!upstream.has_been_dialled());
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_user_look_the_same() {
    let upstream = Upstream::new();
    let mut config = upstream.config();
    config.listeners[0].admission = Admission::Password;
    config.users = vec![user("bob")];
    let proxy = start(config).await;
    let wrong = try_login(address(&proxy), &login("bob", "wrong")).await;
    let nobody = try_login(address(&proxy), &login("bOb ", "wrong")).await;
    let text = |answer: &LoginAnswer| answer.refusal().unwrap().1.to_owned();
    assert_eq!(text(&wrong).replace("bob", "bOb "), text(&nobody));
    assert_eq!(wrong.errors[0].state, nobody.errors[0].state);
    assert!(!upstream.has_been_dialled());
}

#[tokio::test]
async fn the_right_password_leads_to_the_database() {
    let emulator = azure().await;
    let mut config = config(&emulator);
    config.listeners[0].admission = Admission::Password;
    config.users = vec![user("Bob")];
    let proxy = Proxy::start(config, sources(&emulator)).await.unwrap();
    let answer = try_login(address(&proxy), &login("bOB", PASSWORD)).await;
    assert_eq!(answer.database(), Some("shop"), "{answer:?}");
}

#[tokio::test]
async fn rules_choose_the_database_by_the_names_that_a_client_gives() {
    let emulator = azure().await;
    let mut config = config(&emulator);
    let mut by_rule = rule(Some("OLD"), Some("legacy"), "default");
    by_rule.database_as = Some("shop".to_owned());
    config.listeners[0].rules = vec![by_rule];
    config.listeners[0].target = None;
    let proxy = Proxy::start(config, sources(&emulator)).await.unwrap();
    let mut asked = login("old", "");
    asked.database = "Legacy".to_owned();
    let answer = try_login(address(&proxy), &asked).await;
    assert_eq!(answer.database(), Some("shop"), "{answer:?}");
    asked.user_name = "new".to_owned();
    let answer = try_login(address(&proxy), &asked).await;
    assert_refused(&answer, 18456, "Nothing is set up here");
}

#[tokio::test]
async fn who_guesses_too_often_is_not_heard_any_more() {
    let upstream = Upstream::new();
    let mut config = upstream.config();
    config.listeners[0].admission = Admission::Password;
    config.users = vec![user("bob")];
    config.limits.failed_logins_per_minute = 2;
    let proxy = start(config).await;
    let at = address(&proxy);
    for _ in 0..2 {
        assert_refused(
            &try_login(at, &login("bob", "wrong")).await,
            18456,
            "'bob'.",
        );
    }
    let right = try_login(at, &login("bob", PASSWORD)).await;
    assert_refused(&right, 18456, "Too many logins have failed");
    assert!(!upstream.has_been_dialled());
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let upstream = Upstream::new();
    for (all, of_peer, part) in [
        (1, None, "limits.connections)"),
        (100, Some(1), "may have: 1 (limits.connections_per_peer)"),
    ] {
        let mut config = upstream.config();
        config.limits.connections = all;
        config.limits.connections_per_peer = of_peer;
        let proxy = start(config).await;
        let at = address(&proxy);
        let mut first = RawClient::tcp(at).await;
        first.prelogin(Encryption::NOT_SUP, None).await;
        assert_refused(&try_login(at, &login("bob", "")).await, 17809, part);
        // Who leaves makes room.
        drop(first);
        soon("a free place", async {
            while proxy.clients() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let mut next = RawClient::tcp(at).await;
        next.prelogin(Encryption::NOT_SUP, None).await;
        let not_admin = Login7 {
            features: vec![Feature {
                id: FeatureId::FEDAUTH,
                data: vec![0x02, 0, 0, 0, 0],
            }],
            ..login("bob", "")
        };
        let answer = next.login(&not_admin).await;
        assert_refused(&answer, 18456, "token");
    }
    assert!(!upstream.has_been_dialled());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn programs_of_other_users_are_not_let_in() {
    if !rustix::process::geteuid().is_root() {
        skipped();
        return;
    }
    let upstream = Upstream::new();
    for listen in [
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
    ] {
        let mut config = upstream.config();
        config.listeners[0].address = ListenAddress::Tcp(listen);
        let proxy = start(config).await;
        let at = BoundAddress::Tcp(address(&proxy));
        let answer = as_user(12_345, &at, &login("bob", "")).await;
        assert_refused(&answer, 18456, "programs of the proxy's own user");
    }
    assert!(!upstream.has_been_dialled());

    // The same program is let in when its uid is listed, and then only.
    let emulator = azure().await;
    let mut config = config(&emulator);
    config.listeners[0].admission = Admission::Listed {
        uids: vec![12_345],
        gids: vec![],
    };
    let proxy = Proxy::start(config, sources(&emulator)).await.unwrap();
    let at = BoundAddress::Tcp(address(&proxy));
    let listed = as_user(12_345, &at, &login("bob", "")).await;
    assert_eq!(listed.database(), Some("shop"), "{listed:?}");
    let other = as_user(12_346, &at, &login("bob", "")).await;
    assert_refused(&other, 18456, "not among them");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn unix_sockets_tell_users_and_groups() {
    if !rustix::process::geteuid().is_root() {
        skipped();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), all).unwrap();
    let path = folder.path().join("sql");
    let emulator = azure().await;
    let mut config = config(&emulator);
    config.listeners[0].address = ListenAddress::Unix {
        path: path.clone(),
        mode: 0o666,
    };
    config.listeners[0].admission = Admission::Listed {
        uids: vec![],
        gids: vec![12_345],
    };
    let proxy = Proxy::start(config.clone(), sources(&emulator))
        .await
        .unwrap();
    let at = BoundAddress::Unix(path);
    assert_eq!(proxy.addresses()[0].1, at);
    let listed = as_user(12_345, &at, &login("bob", "")).await;
    assert_eq!(listed.database(), Some("shop"), "{listed:?}");
    let other = as_user(12_346, &at, &login("bob", "")).await;
    assert_refused(&other, 18456, "not among them");

    config.listeners[0].admission = Admission::SameUser;
    proxy.reload(config).await.unwrap();
    let other = as_user(12_345, &at, &login("bob", "")).await;
    assert_refused(&other, 18456, "programs of the proxy's own user");
}

/// Logs in from a process of that user and group.
#[cfg(target_os = "linux")]
async fn as_user(uid: u32, at: &BoundAddress, login: &Login7) -> LoginAnswer {
    use tokio::io::AsyncWriteExt;
    const CLIENT: &str = r#"
        use Socket;
        my ($kind, $at, $port) = @ARGV;
        my $to = $kind eq "unix" ? pack_sockaddr_un($at)
            : $kind eq "v4" ? pack_sockaddr_in($port, Socket::inet_pton(AF_INET, $at))
            : Socket::pack_sockaddr_in6($port, Socket::inet_pton(AF_INET6, $at));
        my $family = $kind eq "unix" ? AF_UNIX : $kind eq "v4" ? AF_INET : AF_INET6;
        socket(my $s, $family, SOCK_STREAM, 0) or die $!;
        connect($s, $to) or die $!;
        local $/; syswrite($s, <STDIN>); sysread($s, my $answer, 65536);
        syswrite(STDOUT, $answer);
    "#;
    let words = match at {
        BoundAddress::Tcp(it) => {
            let kind = if it.is_ipv4() { "v4" } else { "v6" };
            [kind.to_owned(), it.ip().to_string(), it.port().to_string()]
        }
        BoundAddress::Unix(path) => ["unix".to_owned(), path.display().to_string(), String::new()],
        other => panic!("{other}"),
    };
    let mut program = tokio::process::Command::new("perl")
        .args(["-e", CLIENT])
        .args(words)
        .uid(uid)
        .gid(uid)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("perl runs");
    let mut input = program.stdin.take().unwrap();
    // As jTDS does: LOGIN7 comes first.
    input
        .write_all(&RawClient::login_bytes(login))
        .await
        .unwrap();
    drop(input);
    let output = soon("the other user's client", program.wait_with_output()).await;
    RawClient::read_login_answer(&output.unwrap().stdout)
}

#[tokio::test]
async fn an_inherited_socket_beyond_loopback_is_refused_as_any_other() {
    let upstream = Upstream::new();
    let socket = TcpListener::bind("0.0.0.0:0").unwrap();
    let mut inherited = Inherited::none();
    inherited.add("sql", InheritedSocket::Tcp(socket)).unwrap();
    let mut config = upstream.config();
    config.listeners[0].address = ListenAddress::Systemd("sql".to_owned());
    let error = Proxy::start_with(config, no_sources(), inherited)
        .await
        .unwrap_err();
    assert!(matches!(error, ProxyError::Exposed { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("tls = \"required\""), "{text}");
    assert!(text.contains("admission = \"password\""), "{text}");
}

#[tokio::test]
async fn a_listener_beyond_loopback_needs_tls_and_passwords() {
    let upstream = Upstream::new();
    for (mode, admission) in [
        (TlsMode::Optional, Admission::Password),
        (TlsMode::Required, Admission::SameUser),
        (TlsMode::Required, Admission::Any),
        (TlsMode::Off, Admission::Any),
    ] {
        let mut config = upstream.config();
        config.users = vec![user("bob")];
        let listener = &mut config.listeners[0];
        listener.address = ListenAddress::Tcp((Ipv4Addr::UNSPECIFIED, 0).into());
        listener.tls.mode = mode;
        listener.admission = admission;
        Proxy::start(config, no_sources()).await.unwrap_err();
    }
    let mut config = upstream.config();
    config.users = vec![user("bob")];
    let listener = &mut config.listeners[0];
    listener.address = ListenAddress::Tcp((Ipv4Addr::UNSPECIFIED, 0).into());
    listener.tls.mode = TlsMode::Required;
    listener.admission = Admission::Password;
    start(config).await;
}

#[tokio::test]
async fn nothing_secret_is_logged_at_any_level() {
    let log = Log::start(Level::TRACE);
    let upstream = Upstream::new();
    let mut config = upstream.config();
    config.listeners[0].admission = Admission::Password;
    let user = user("bob");
    let hash = user.password_hash.expose().to_owned();
    config.users = vec![user];
    let proxy = start(config).await;
    let at = address(&proxy);
    try_login(at, &login("bob", "wrong-marker")).await;
    try_login(at, &login("e\nve\u{1b}[2J", PASSWORD)).await;
    proxy.shutdown(Duration::ZERO).await;
    let log = log.text();
    let denied: Vec<_> = log
        .lines()
        .filter(|line| line.contains("client denied"))
        .collect();
    assert_eq!(denied.len(), 2, "one line for each:\n{log}");
    assert!(denied[0].contains("reason=\"password\""), "{}", denied[0]);
    assert!(denied[0].contains("wrong password"), "{}", denied[0]);
    assert!(denied[1].contains("no such user"), "{}", denied[1]);
    for secret in ["marker", "argon2id", &hash[hash.len() - 20..], "\u{1b}"] {
        assert!(!log.contains(secret), "{secret}:\n{log}");
    }
}

fn rule(login: Option<&str>, database: Option<&str>, target: &str) -> RuleConfig {
    let mut rule = RuleConfig::default();
    rule.login = login.map(str::to_owned);
    rule.database = database.map(str::to_owned);
    rule.target = target.to_owned();
    rule
}

/// Says loudly that a test was not run.
#[expect(clippy::print_stderr, reason = "whoever runs the tests shall see it")]
fn skipped() {
    eprintln!("SKIPPED: only root can run a client as another user");
}
