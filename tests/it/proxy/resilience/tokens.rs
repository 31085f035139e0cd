//! An identity endpoint that fails, and recovers.

use std::net::{Ipv4Addr, SocketAddr};

use entrada::emulator::Emulator;
use entrada::proxy::Proxy;
use entrada::tds::{Encryption, Login7};
use entrada::token::{Environment, Sources};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::{address, azure, config, connection};
use super::numbers::{Numbers, page};
use crate::raw_client::{LoginAnswer, RawClient, soon};

/// What the endpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Serves,
    /// Breaks each connection.
    Down,
    /// Takes requests and says nothing.
    Slow,
    /// Answers as a captive portal does.
    Html,
    /// Answers 429.
    TooMany,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_endpoint_that_fails_hurts_only_who_needs_a_token() {
    let emulator = azure().await;
    let cases = [
        (Mode::Down, "/metadata/identity"),
        (Mode::Slow, "getting a token"),
        (Mode::Html, "no JSON"),
        (Mode::TooMany, "429"),
    ];
    join_all(cases.map(|(mode, word)| fails_and_recovers(&emulator, mode, word))).await;
}

async fn fails_and_recovers(emulator: &Emulator, mode: Mode, word: &str) {
    let endpoint = Endpoint::start(emulator, mode).await;
    let mut config = config(emulator);
    let connection = connection(emulator);
    config.targets[0].connection =
        format!("{connection};Connect Timeout=3;ConnectRetryCount=0").into();
    config.admin.listen = Some((Ipv4Addr::LOCALHOST, 0).into());
    let proxy = Proxy::start(config, endpoint.sources(emulator))
        .await
        .unwrap();
    let admin = proxy.admin_address().unwrap();

    // From the start on: the client is told, and so is whoever looks after it.
    let answer = login(&proxy, "first").await.1;
    let (number, text) = answer.refusal().expect("a refusal");
    assert!(
        [18456, 10060].contains(&number),
        "{mode:?}: {number} {text}"
    );
    assert!(text.contains("token"), "{mode:?}: {text}");
    assert!(text.contains(word), "{mode:?}: {text}");
    let (status, report) = page(admin, "/readyz").await;
    assert_eq!(status, 503, "{mode:?}: {report}");
    assert!(report.contains("token"), "{mode:?}: {report}");
    assert_eq!(page(admin, "/livez").await.0, 200);
    let numbers = Numbers::read(admin).await;
    assert_eq!(numbers.logins("failed"), 1, "{mode:?}: {numbers}");

    // It comes back, and nobody has to do anything.
    endpoint.is(Mode::Serves);
    soon("the recovery", async {
        while login(&proxy, "second").await.1.ack.is_none() {}
    })
    .await;
    soon("readiness", async {
        while page(admin, "/readyz").await.0 != 200 {}
    })
    .await;

    // With a token in hand the endpoint is not missed: not by new sessions either.
    endpoint.is(mode);
    let opened = Numbers::read(admin).await.sum("upstream_opened_total", &[]);
    let (mut client, answer) = login(&proxy, "third").await;
    assert!(answer.ack.is_some(), "{mode:?}: {:?}", answer.errors);
    client.batch("SELECT 1").await;
    let numbers = Numbers::read(admin).await;
    let now = numbers.sum("upstream_opened_total", &[]);
    assert_eq!(now, opened + 1, "{mode:?}: {numbers}");
    assert_eq!(page(admin, "/readyz").await.0, 200, "{mode:?}");
}

async fn login(proxy: &Proxy, application: &str) -> (RawClient, LoginAnswer) {
    let mut client = RawClient::tcp(address(proxy)).await;
    client.prelogin(Encryption::NOT_SUP, None).await;
    let login = Login7 {
        user_name: "legacy".to_owned(),
        app_name: application.to_owned(),
        ..Login7::default()
    };
    let answer = soon("the login", client.login(&login)).await;
    (client, answer)
}

/// Stands before the emulator's identity endpoint.
struct Endpoint {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Endpoint {
    async fn start(emulator: &Emulator, mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind = url(emulator).1;
        let (mode, is) = watch::channel(mode);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let mut is = is.clone();
                tokio::spawn(async move {
                    let mode = *is.borrow_and_update();
                    // A connection does not outlive what it was made under.
                    tokio::select! {
                        _ = serve(socket, mode, behind) => {}
                        _ = is.changed() => {}
                    }
                });
            }
        });
        Self { address, mode }
    }

    fn is(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// The emulator's, with this in front.
    fn sources(&self, emulator: &Emulator) -> Sources {
        let (name, _) = url(emulator);
        let mut environment = emulator.imds_environment();
        for (key, value) in &mut environment {
            if *key == name {
                *value = format!("http://{}", self.address);
            }
        }
        Sources::new(Environment::from_pairs(environment))
    }
}

/// Which variable says where the endpoint is, and where that is.
fn url(emulator: &Emulator) -> (String, SocketAddr) {
    let environment = emulator.imds_environment();
    let urls = environment.into_iter().filter_map(|(name, value)| {
        let address = value.strip_prefix("http://")?.trim_end_matches('/').parse();
        Some((name.to_string(), address.ok()?))
    });
    let urls: Vec<_> = urls.collect();
    let [(name, address)] = &urls[..] else {
        panic!("one URL is expected, not {urls:?}");
    };
    (name.clone(), *address)
}

async fn serve(mut socket: TcpStream, mode: Mode, behind: SocketAddr) -> std::io::Result<()> {
    let mut request = [0; 4096];
    match mode {
        Mode::Serves => {
            let mut server = TcpStream::connect(behind).await?;
            copy_bidirectional(&mut socket, &mut server).await?;
        }
        Mode::Down => socket.set_zero_linger()?,
        Mode::Slow => while socket.read(&mut request).await? > 0 {},
        Mode::Html => answer(socket, "200 OK", "text/html", "<html>Please log in</html>").await?,
        Mode::TooMany => {
            let body = r#"{"error":"Too many requests"}"#;
            answer(socket, "429 Too Many Requests", "application/json", body).await?;
        }
    }
    Ok(())
}

async fn answer(
    mut socket: TcpStream,
    status: &str,
    kind: &str,
    body: &str,
) -> std::io::Result<()> {
    let mut request = [0; 4096];
    if socket.read(&mut request).await? == 0 {
        return Ok(());
    }
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    socket.write_all(head.as_bytes()).await?;
    socket.shutdown().await?;
    while socket.read(&mut request).await? > 0 {}
    Ok(())
}
