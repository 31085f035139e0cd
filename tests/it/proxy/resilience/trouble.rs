//! A server that fails, in every way at every step: the client is told in TDS
//! what has happened, and the next one is served.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use entrada::proxy::Proxy;
use entrada::proxy::config::{Config, ListenAddress};
use entrada::tds::{DoneStatus, Encryption, EnvChange, Login7, PacketStatus, Routing, Token};
use entrada::token::{Environment, Sources};
use futures_util::future::join_all;
use rustls::ServerConfig;
use rustls::version::TLS12;
use tokio::net::{TcpSocket, TcpStream};

use super::super::address;
use super::super::scripted::errors;
use super::numbers::Numbers;
use crate::raw_client::{LoginAnswer, RawClient, soon};
use crate::support::certificates::Certificates;
use crate::support::fake_server::{Conn, done, encode, granted, packets};

/// Where the server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Tcp,
    Prelogin,
    Tls,
    /// Before it has read LOGIN7.
    Login,
    /// In the middle of the answer to it.
    Answer,
    /// The login is sent to another address, which fails at once.
    Redirect,
    /// The first request after the login.
    Request,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Refused,
    Stalled,
    Reset,
    Closed,
    HalfClosed,
    Garbage,
    Html,
}

const STEPS: [Step; 6] = [
    Step::Prelogin,
    Step::Tls,
    Step::Login,
    Step::Answer,
    Step::Redirect,
    Step::Request,
];
const FAULTS: [Fault; 6] = [
    Fault::Stalled,
    Fault::Reset,
    Fault::Closed,
    Fault::HalfClosed,
    Fault::Garbage,
    Fault::Html,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_is_told_of_and_the_next_client_is_served() {
    let tls = Certificates::for_names(&["localhost"]).server_config(&[&TLS12]);
    let at_tcp = [Fault::Refused, Fault::Stalled].map(|fault| (Step::Tcp, fault));
    let later = STEPS
        .into_iter()
        .flat_map(|step| FAULTS.map(|fault| (step, fault)));
    let cases = at_tcp.into_iter().chain(later);
    let told = join_all(cases.map(|(step, fault)| {
        let tls = Arc::clone(&tls);
        async move { (step, fault, Case { step, fault, tls }.run().await) }
    }));
    let mut wrong = Vec::new();
    for (step, fault, (number, text)) in told.await {
        let (numbers, words) = expected(step, fault);
        if !numbers.contains(&number) || !words.iter().any(|words| text.contains(words)) {
            wrong.push(format!("{step:?} {fault:?}: {number} {text}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The number of the error, and words one of which its text has.
fn expected(step: Step, fault: Fault) -> (&'static [i32], &'static [&'static str]) {
    const UNREACHABLE: i32 = 10061;
    const TIMED_OUT: i32 = 10060;
    const BROKEN: i32 = 10054;
    const SETTING: i32 = 50_000;
    let numbers: &[i32] = match (step, fault) {
        // The request that is never answered is for its client to end.
        (Step::Request, Fault::Stalled) => &[0],
        (Step::Request, _) => &[BROKEN],
        (_, Fault::Refused) => &[UNREACHABLE],
        (_, Fault::Stalled) => &[TIMED_OUT],
        // Where the handshake of TCP ends and the next step begins is a race.
        (Step::Prelogin | Step::Redirect, Fault::Reset) => &[UNREACHABLE, BROKEN],
        (_, Fault::Reset | Fault::Closed | Fault::HalfClosed) => &[BROKEN],
        // It may pass for more of a packet, whose rest never comes.
        (Step::Answer, _) => &[SETTING, TIMED_OUT],
        _ => &[SETTING],
    };
    let words: &[&str] = match (step, fault) {
        (Step::Request, Fault::Stalled) => &[""],
        (Step::Request, Fault::Reset) => &["broke"],
        (Step::Request, Fault::Closed | Fault::HalfClosed) => &["the server closed the connection"],
        (Step::Request, _) => &["which is no answer"],
        (Step::Tcp, _) => &["127.0.0.1"],
        (Step::Prelogin | Step::Redirect, Fault::Html) => &["a web server"],
        (Step::Prelogin | Step::Redirect, Fault::Reset) => &["reset by peer"],
        (Step::Prelogin | Step::Redirect, _) => &["(PRELOGIN)"],
        (Step::Tls, _) => &["TLS handshake"],
        (Step::Login, Fault::Stalled) => &["the login's answer"],
        // What comes at once may be read with the end of the handshake.
        (Step::Login, _) => &["TLS handshake", "(LOGIN7)"],
        (Step::Answer, _) => &["(LOGIN7)", "the login's answer"],
    };
    (numbers, words)
}

struct Case {
    step: Step,
    fault: Fault,
    tls: Arc<ServerConfig>,
}

impl Case {
    /// What the client is told.
    async fn run(self) -> (i32, String) {
        let (step, fault) = (self.step, self.fault);
        let what = format!("{step:?} {fault:?}");
        let rig = Rig::new(self).await;
        let proxy = Proxy::start(rig.config(), no_sources()).await.unwrap();
        let told = soon(&what, unlucky(&proxy, step, fault)).await;
        rig.mend();
        soon(&format!("{what}: the next client"), async {
            let (mut client, answer) = login(&proxy, "lucky").await;
            assert!(answer.ack.is_some(), "{what}: {:?}", answer.errors);
            let answer = client.batch("SELECT 1").await;
            assert_eq!(answer, encode(&[done(DoneStatus::FINAL)]), "{what}");
        })
        .await;
        let admin = proxy.admin_address().unwrap();
        let ended = |numbers: &Numbers| numbers.sum("clients", &[]) == 0;
        let numbers = Numbers::once(admin, &what, ended).await;
        let failed = u64::from(step != Step::Request);
        assert_eq!(numbers.logins("failed"), failed, "{what}: {numbers}");
        assert_eq!(numbers.logins("accepted"), 2 - failed, "{what}: {numbers}");
        told
    }
}

/// The client that meets the failure.
async fn unlucky(proxy: &Proxy, step: Step, fault: Fault) -> (i32, String) {
    let (mut client, answer) = login(proxy, "unlucky").await;
    if step != Step::Request {
        let (number, text) = answer.refusal().expect("a refusal");
        let told = (number, text.to_owned());
        assert!(client.receive().await.is_none(), "it is closed after that");
        return told;
    }
    assert!(answer.ack.is_some());
    client.send_batch("SELECT 1", PacketStatus::NORMAL).await;
    if fault == Fault::Stalled {
        // How long a request may take is the client's business; it leaves.
        client.tcp.set_zero_linger().unwrap();
        return (0, String::new());
    }
    let told = client.receive().await.expect("an error");
    let error = errors(&told).remove(0);
    assert!(client.receive().await.is_none(), "it is closed after that");
    (error.number, error.message)
}

async fn login(proxy: &Proxy, application: &str) -> (RawClient, LoginAnswer) {
    let mut client = RawClient::tcp(address(proxy)).await;
    client.prelogin(Encryption::NOT_SUP, None).await;
    let login = Login7 {
        user_name: "legacy".to_owned(),
        app_name: application.to_owned(),
        ..Login7::default()
    };
    let answer = client.login(&login).await;
    (client, answer)
}

fn no_sources() -> Sources {
    Sources::new(Environment::from_pairs::<&str, &str>([]))
}

/// The server.
struct Rig {
    address: SocketAddr,
    mended: Arc<Mended>,
    /// Takes the only place that there is for connections.
    _filler: Option<TcpStream>,
}

#[derive(Default)]
struct Mended {
    yes: AtomicBool,
    now: tokio::sync::Notify,
}

impl Rig {
    async fn new(case: Case) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        let mended = Arc::new(Mended::default());
        let mending = Arc::clone(&mended);
        let full = (case.step, case.fault) == (Step::Tcp, Fault::Stalled);
        let (listens, listening) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            // Connections are refused until it listens.
            if case.fault == Fault::Refused {
                let _ = listens.send(());
                mending.now.notified().await;
                return serve(socket.listen(9).unwrap(), case, mending).await;
            }
            // A listener with one place, which the filler takes.
            let listener = socket.listen(if full { 0 } else { 9 }).unwrap();
            let _ = listens.send(());
            if full {
                mending.now.notified().await;
            }
            serve(listener, case, mending).await;
        });
        listening.await.unwrap();
        let filler = match full {
            true => Some(TcpStream::connect(address).await.unwrap()),
            false => None,
        };
        Self {
            address,
            mended,
            _filler: filler,
        }
    }

    /// From now on it serves.
    fn mend(&self) {
        self.mended.yes.store(true, Ordering::SeqCst);
        self.mended.now.notify_one();
    }

    fn config(&self) -> Config {
        let port = self.address.port();
        let mut config = Config::for_connection(format!(
            "Server=tcp:127.0.0.1,{port};Database=shop;User ID=u;Password=hunter2;\
             Encrypt=True;TrustServerCertificate=True;Connect Timeout=4;ConnectRetryCount=0"
        ));
        config.listeners[0].address = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
        config.admin.listen = Some((Ipv4Addr::LOCALHOST, 0).into());
        config
    }
}

async fn serve(listener: tokio::net::TcpListener, case: Case, mended: Arc<Mended>) {
    let (port, case) = (listener.local_addr().unwrap().port(), Arc::new(case));
    let mut redirected = false;
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let mut fails = !mended.yes.load(Ordering::SeqCst);
        // It is the second connection that fails.
        let redirects = fails && case.step == Step::Redirect && !redirected;
        if redirects {
            (redirected, fails) = (true, false);
        }
        let case = Arc::clone(&case);
        tokio::spawn(async move {
            let redirect = redirects.then_some(port);
            // However it ends, the proxy sees it.
            let _ = case.session(Conn::new(socket), fails, redirect).await;
        });
    }
}

impl Case {
    async fn session(&self, mut conn: Conn, fails: bool, redirect: Option<u16>) -> io::Result<()> {
        let fails_at = |step| fails && self.step == step;
        if fails_at(Step::Prelogin) || fails_at(Step::Redirect) {
            return self.fail(conn).await;
        }
        conn.prelogin(Encryption::ON, None).await?;
        if fails_at(Step::Tls) {
            return self.fail(conn).await;
        }
        conn.tls_in_prelogin(&self.tls).await?;
        if fails_at(Step::Login) {
            return self.fail(conn).await;
        }
        let mut answer = granted(&conn.login().await?);
        if let Some(port) = redirect {
            let elsewhere = Token::EnvChange(EnvChange::Routing(Routing {
                protocol: 0,
                port,
                server: "127.0.0.1".to_owned(),
                database: None,
            }));
            answer.insert(answer.len() - 1, elsewhere);
        }
        if fails_at(Step::Answer) {
            let answer = packets(&encode(&answer));
            conn.raw(&answer[..answer.len() / 2]).await?;
            return self.fail(conn).await;
        }
        conn.tokens(&answer).await?;
        loop {
            conn.message().await?;
            if fails_at(Step::Request) {
                return self.fail(conn).await;
            }
            conn.tokens(&[done(DoneStatus::FINAL)]).await?;
        }
    }

    async fn fail(&self, mut conn: Conn) -> io::Result<()> {
        match self.fault {
            Fault::Refused | Fault::Stalled => {}
            Fault::Reset => {
                conn.reset();
                return Ok(());
            }
            Fault::Closed => return Ok(()),
            Fault::HalfClosed => conn.half_close().await?,
            Fault::Garbage => conn.raw(&[0xA7; 300]).await?,
            Fault::Html => {
                conn.raw(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>no</html>")
                    .await?;
            }
        }
        conn.until_closed().await;
        Ok(())
    }
}
