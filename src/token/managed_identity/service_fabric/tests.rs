//! What is asked of Service Fabric, and of whom: against a TLS server of our own.

use std::net::Ipv4Addr;
use std::time::Duration;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::super::super::testing::{Answer, ScriptedHttp};
use super::super::super::{AccessToken, Resource};
use super::super::selector::Selector;
use super::super::variable::Variable;
use super::super::{Endpoint as _, PlatformError};
use super::*;

const SECRET: &str = "MARKER-header";

const TOKEN: &str =
    r#"{"token_type":"Bearer","access_token":"t","expires_on":4072224252,"resource":"r"}"#;

fn scripted(script: Vec<Answer>) -> (Variable, Arc<ScriptedHttp>) {
    let http = Arc::new(ScriptedHttp::new(script));
    let env = Environment::from_pairs([
        (
            "IDENTITY_ENDPOINT",
            "https://10.0.0.4:2377/metadata/identity/oauth2/token",
        ),
        ("IDENTITY_HEADER", SECRET),
    ]);
    let transport = Arc::clone(&http) as Arc<dyn Transport>;
    (
        Variable::new(&SERVICE_FABRIC, &env, transport).unwrap(),
        http,
    )
}

async fn ask(source: &Variable) -> Result<AccessToken, FetchError> {
    source
        .fetch(&Selector::Unnamed, &Resource::new("https://r/"))
        .await
}

#[tokio::test]
async fn the_request_is_exact() {
    let (source, http) = scripted(vec![Answer::json(200, TOKEN)]);
    ask(&source).await.unwrap();
    let (_, request) = &http.seen()[0];
    assert_eq!(
        request.url.as_str(),
        "https://10.0.0.4:2377/metadata/identity/oauth2/token\
         ?api-version=2019-07-01-preview&resource=https%3A%2F%2Fr%2F"
    );
    let headers = request.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| (*name, value.expose()))
        .collect();
    assert_eq!(headers, [("secret", SECRET)]);
    assert!(!format!("{source:?} {request:?}").contains("MARKER"));
}

#[tokio::test]
async fn times_may_be_texts_and_numbers() {
    for time in ["4072224252", "\"4072224252\""] {
        let body = format!(r#"{{"access_token":"t","expires_on":{time}}}"#);
        let (source, _) = scripted(vec![Answer::json(200, body)]);
        let left = ask(&source).await.unwrap().remaining();
        assert!(left > Duration::from_secs(30_000_000), "{time}: {left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_throttling_and_gateways_are_tried_again() {
    let error = |code: &str| {
        format!(r#"{{"error":{{"correlationId":"i","code":"{code}","message":"m"}}}}"#)
    };
    for (status, code, tries) in [
        (429, "TooManyRequests", 6),
        (502, "x", 6),
        (503, "x", 6),
        (504, "x", 6),
        (500, "InternalServerError", 1),
        (404, "ManagedIdentityNotFound", 1),
        (400, "ArgumentNullOrEmpty", 1),
        (400, "InvalidApiVersion", 1),
        (401, "SecretHeaderNotFound", 1),
    ] {
        let (source, http) = scripted(vec![Answer::json(status, error(code)); 6]);
        let error = ask(&source).await.unwrap_err();
        let text = error.last().to_string();
        assert!(text.contains(code), "{text}");
        let times: Vec<_> = http.seen().iter().map(|(at, _)| *at).collect();
        assert_eq!(times.len(), tries, "{status}");
        let waits = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64());
        for (wait, base) in waits.zip([1.0, 2.0, 4.0, 8.0, 16.0]) {
            assert!((base..=base * 1.25 + 0.01).contains(&wait), "{wait}");
        }
    }
    let (source, _) = scripted(vec![Answer::json(404, error("ManagedIdentityNotFound"))]);
    let error = ask(&source).await.unwrap_err();
    assert!(
        !error.is_transient() && error.to_string().contains("manifest"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_token_is_named() {
    for (status, body) in [(302, "<html>"), (200, "<html>"), (404, "nginx")] {
        let (source, _) = scripted(vec![Answer::json(status, body)]);
        let error = ask(&source).await.unwrap_err();
        assert!(
            matches!(error, FetchError::NotATokenEndpoint { .. }),
            "{error:?}"
        );
    }
    let (source, _) = scripted(vec![Answer::json(200, "{}")]);
    assert!(matches!(
        ask(&source).await,
        Err(FetchError::Malformed { .. })
    ));
}

#[test]
fn a_thumbprint_is_read_as_people_write_it() {
    let expected = Thumbprint([0xAB; 20]);
    for text in [
        "AB".repeat(20),
        "ab".repeat(20),
        ["aB"; 20].join(":"),
        format!("\u{200e}{}", ["Ab"; 20].join(" ")),
    ] {
        assert_eq!(Thumbprint::parse(&text), Some(expected), "{text:?}");
    }
    for text in [
        "",
        "AB",
        &"AB".repeat(19),
        &"AB".repeat(21),
        &"AG".repeat(20),
        &"é".repeat(40),
    ] {
        assert_eq!(Thumbprint::parse(text), None, "{text:?}");
    }
    assert_eq!(expected.to_string(), "AB".repeat(20));
    // FIPS 180-4's example.
    let abc = "A9993E364706816ABA3E25717850C26C9CD0D89D";
    assert_eq!(Thumbprint::of(b"abc").to_string(), abc);
}

/// What a server saw of one client: what it sent once the handshake was over.
type Heard = Option<String>;

/// A server with this certificate and key that gives everyone a token.
async fn serve(
    certificate: &CertifiedKey<KeyPair>,
    key: &KeyPair,
) -> (u16, mpsc::UnboundedReceiver<Heard>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let shown = sign::CertifiedKey::new(vec![certificate.cert.der().clone()], key);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(shown))));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                let _ = tell.send(None);
                continue;
            };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read_buf(&mut request).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
            let _ = tell.send(Some(String::from_utf8(request).unwrap()));
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length";
            let reply = format!("{head}: {}\r\n\r\n{TOKEN}", TOKEN.len());
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, heard)
}

/// Shows its certificate with whatever key it was given, as an impostor would.
#[derive(Debug)]
struct Always(Arc<sign::CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["fabric".to_owned()]).unwrap()
}

fn environment(port: u16, thumbprint: &str) -> Environment {
    let endpoint = format!("https://127.0.0.1:{port}/token");
    Environment::from_pairs([
        ("IDENTITY_ENDPOINT", endpoint.as_str()),
        ("IDENTITY_HEADER", SECRET),
        ("IDENTITY_SERVER_THUMBPRINT", thumbprint),
    ])
}

fn pinned(port: u16, thumbprint: &str) -> Variable {
    let env = environment(port, thumbprint);
    let http = Arc::new(PinnedHttp::new(&env).unwrap());
    Variable::new(&SERVICE_FABRIC, &env, http).unwrap()
}

#[tokio::test]
async fn the_server_with_the_pinned_certificate_is_sent_the_secret() {
    let own = certificate();
    let (port, mut heard) = serve(&own, &own.signing_key).await;
    let thumbprint = Thumbprint::of(own.cert.der()).to_string();
    let source = pinned(port, &thumbprint.to_lowercase());
    for _ in 0..2 {
        assert_eq!(ask(&source).await.unwrap().secret().expose(), "t");
        let request = heard.recv().await.unwrap().unwrap();
        assert!(request.contains(&format!("secret: {SECRET}")), "{request}");
    }
}

#[tokio::test]
async fn a_server_with_another_certificate_is_sent_nothing() {
    let (own, other) = (certificate(), certificate());
    let (port, mut heard) = serve(&other, &other.signing_key).await;
    let thumbprint = Thumbprint::of(own.cert.der()).to_string();
    let error = ask(&pinned(port, &thumbprint)).await.unwrap_err();
    let FetchError::Platform(PlatformError::WrongCertificate { pinned, shown, .. }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*pinned, thumbprint);
    assert_eq!(*shown, Thumbprint::of(other.cert.der()).to_string());
    assert!(!error.is_transient() && !format!("{error} {error:?}").contains("MARKER"));
    // The handshake itself failed: there was one, and no request came through it.
    assert_eq!(heard.recv().await.unwrap(), None);
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn whoever_shows_the_certificate_must_hold_its_key() {
    let (own, other) = (certificate(), certificate());
    let (port, mut heard) = serve(&own, &other.signing_key).await;
    let thumbprint = Thumbprint::of(own.cert.der()).to_string();
    let http = PinnedHttp::new(&environment(port, &thumbprint)).unwrap();
    let url = format!("https://127.0.0.1:{port}/token").parse().unwrap();
    // Once, as a connection that fails is tried again elsewhere.
    let sent = http
        .send(HttpRequest::get(url).header("secret", SECRET))
        .await;
    let error = sent.err().unwrap();
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
    assert_eq!(heard.recv().await.unwrap(), None);
    assert!(heard.try_recv().is_err());
}
