use std::fs;

use rcgen::{CertificateParams, CertifiedIssuer, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, pki_types};

use super::super::testing::told;
use super::*;

fn proxy(pairs: &[(&str, &str)]) -> Result<Option<TokenProxy>, TokenProxyError> {
    TokenProxy::new(&Environment::from_pairs(pairs.iter().copied()))
}

#[test]
fn each_fault_of_the_configuration_is_named() {
    let good = (ADDRESS, "https://proxy.example/p/");
    let ca = Authority::new();
    for (pairs, word) in [
        (
            vec![(SNI_NAME, "n")],
            "AZURE_KUBERNETES_SNI_NAME is set without",
        ),
        (
            vec![(CA_FILE, "f")],
            "AZURE_KUBERNETES_CA_FILE is set without",
        ),
        (
            vec![(CA_DATA, "d")],
            "AZURE_KUBERNETES_CA_DATA is set without",
        ),
        (
            vec![(ADDRESS, "http://proxy.example/")],
            "does not begin with https",
        ),
        (vec![(ADDRESS, "proxy.example")], "cannot be parsed"),
        (vec![(ADDRESS, "https://u@proxy.example/")], "has a user"),
        (
            vec![(ADDRESS, "https://:MARKER@proxy.example/")],
            "has a user",
        ),
        (
            vec![(ADDRESS, "https://proxy.example/?MARKER")],
            "has a query",
        ),
        (
            vec![(ADDRESS, "https://proxy.example/#f")],
            "has a fragment",
        ),
        (vec![good, (CA_FILE, "f"), (CA_DATA, "d")], "are both set"),
        (
            vec![good, (CA_DATA, "MARKER")],
            "AZURE_KUBERNETES_CA_DATA has no certificate",
        ),
        (vec![good, (SNI_NAME, "127.0.0.1")], "is no DNS name"),
        (vec![good, (SNI_NAME, "a name")], "is no DNS name"),
    ] {
        let text = told(&proxy(&pairs).unwrap_err());
        assert!(text.contains(word), "{text}");
    }
    assert!(proxy(&[]).unwrap().is_none());
    let whole = [good, (SNI_NAME, "n.example"), (CA_DATA, &*ca.pem)];
    assert!(proxy(&whole).unwrap().is_some());
}

#[tokio::test]
async fn the_path_is_appended_and_tls_asks_for_the_name_given() {
    let ca = Authority::new();
    let server = Server::start(&ca, "proxy.internal").await;
    let address = format!("https://127.0.0.1:{}/base/", server.port);
    let pairs = [
        (ADDRESS, &*address),
        (SNI_NAME, "proxy.internal"),
        (CA_DATA, &*ca.pem),
    ];
    let proxy = proxy(&pairs).unwrap().unwrap();
    let reply = proxy.send(request()).await.unwrap();
    assert_eq!((reply.status, &**reply.body), (200, &b"{}"[..]));
    let seen = server.last().await;
    assert!(
        seen.starts_with("POST /base/tenant/oauth2/v2.0/token HTTP/1.1"),
        "{seen}"
    );
    assert!(
        seen.contains(&format!("host: 127.0.0.1:{}", server.port)),
        "{seen}"
    );
    assert!(seen.ends_with("client_assertion=MARKER"), "{seen}");
}

#[tokio::test]
async fn another_name_or_authority_is_not_trusted() {
    let (ca, other) = (Authority::new(), Authority::new());
    let server = Server::start(&ca, "proxy.internal").await;
    let address = format!("https://127.0.0.1:{}/", server.port);
    for (name, pem) in [("other.internal", &ca.pem), ("proxy.internal", &other.pem)] {
        let proxy = proxy(&[(ADDRESS, &*address), (SNI_NAME, name), (CA_DATA, pem)]);
        let error = proxy.unwrap().unwrap().send(request()).await.err().unwrap();
        assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
        told(&error);
    }
}

#[tokio::test]
async fn the_file_with_authorities_may_change_and_be_empty_for_a_moment() {
    let (old, new) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    let with = |server: &Server| format!("https://127.0.0.1:{}/", server.port);
    let before = Server::start(&old, "proxy.internal").await;
    let path = file.to_str().unwrap();
    let pairs = [
        (ADDRESS, &*with(&before)),
        (SNI_NAME, "proxy.internal"),
        (CA_FILE, path),
    ];
    let mut proxy = proxy(&pairs).unwrap().unwrap();

    let error = told(&proxy.send(request()).await.err().unwrap());
    assert!(
        error.contains("ca.crt") && error.contains("cannot be read"),
        "{error}"
    );
    fs::write(&file, "").unwrap();
    let error = told(&proxy.send(request()).await.err().unwrap());
    assert!(
        error.contains("AZURE_KUBERNETES_CA_FILE has no certificate"),
        "{error}"
    );

    fs::write(&file, &old.pem).unwrap();
    proxy.send(request()).await.unwrap();
    fs::write(&file, "").unwrap();
    proxy.send(request()).await.unwrap();

    // The same service, with a certificate of the next authority.
    let after = Server::start(&new, "proxy.internal").await;
    proxy.base.set_port(Some(after.port)).unwrap();
    assert!(proxy.send(request()).await.is_err());
    fs::write(&file, &new.pem).unwrap();
    proxy.send(request()).await.unwrap();
}

fn request() -> HttpRequest {
    let url = Url::parse("https://login.microsoftonline.com/tenant/oauth2/v2.0/token").unwrap();
    HttpRequest::post_form(url, &[("client_assertion", "MARKER")])
}

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pem = issuer.pem();
        Self { issuer, pem }
    }

    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let issuer: &Issuer<'_, KeyPair> = &self.issuer;
        let certificate = params.signed_by(&key, issuer).unwrap();
        let key = pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Answers each request with an empty object, and keeps it.
struct Server {
    port: u16,
    seen: tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<String>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(ca: &Authority, name: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = ca.acceptor(name);
        let (tell, seen) = tokio::sync::mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let Ok(mut tls) = acceptor.accept(tcp).await else {
                    continue;
                };
                let mut request = Vec::new();
                while !request.ends_with(b"MARKER") {
                    if tls.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                let _ = tell.send(String::from_utf8(request).unwrap());
                let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                let _ = tls.write_all(reply).await;
                let _ = tls.shutdown().await;
            }
        });
        let seen = tokio::sync::Mutex::new(seen);
        Self { port, seen, task }
    }

    async fn last(&self) -> String {
        self.seen.lock().await.recv().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
