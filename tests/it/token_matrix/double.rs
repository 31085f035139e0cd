//! An endpoint that does as a test says: one port for plain HTTP and for TLS.

use std::io;
use std::net::{Ipv4Addr, TcpListener as Blocking};
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tempfile::{NamedTempFile, TempPath};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::certificates::Certificates;

/// Answers requests by a script until it is dropped.
pub(crate) struct Double {
    pub(crate) port: u16,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Answer(Answer),
    /// Keeps the connection open and says nothing.
    Stall,
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        let kind = "application/json".to_owned();
        Self {
            status,
            headers: vec![("content-type", kind)],
            body: body.into(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let length = self.body.len();
        let mut head = format!(
            "HTTP/1.1 {} Scripted\r\nconnection: close\r\ncontent-length: {length}\r\n",
            self.status
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        format!("{head}\r\n{}", self.body).into_bytes()
    }
}

type Script = dyn Fn(&Asked) -> Action + Send + Sync;

struct State {
    script: Box<Script>,
    seen: Mutex<Vec<Asked>>,
    stalled: Notify,
    hung_up: Notify,
}

impl Double {
    pub(crate) async fn start(script: impl Fn(&Asked) -> Action + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            script: Box::new(script),
            seen: Mutex::default(),
            stalled: Notify::new(),
            hung_up: Notify::new(),
        });
        let tls = TlsAcceptor::from(TLS.certificates.server_config(rustls::DEFAULT_VERSIONS));
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                // A client may hang up at any time; what it sees is what counts.
                tokio::spawn(async move { connection(socket, tls, &state).await.ok() });
            }
        });
        Self {
            port,
            state,
            accepting,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Asked> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Waits until a request has come that is left without an answer.
    pub(crate) async fn stalled(&self) {
        self.state.stalled.notified().await;
    }

    /// Waits until whoever was left without an answer has hung up.
    pub(crate) async fn hung_up(&self) {
        self.state.hung_up.notified().await;
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connection(socket: TcpStream, tls: TlsAcceptor, state: &State) -> io::Result<()> {
    let mut first = [0];
    socket.peek(&mut first).await?;
    // The type of a TLS record that begins a handshake.
    match first == [22] {
        true => answer(tls.accept(socket).await?, state).await,
        false => answer(socket, state).await,
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut io: S, state: &State) -> io::Result<()> {
    let asked = request(&mut io).await?;
    state.seen.lock().unwrap().push(asked.clone());
    match (state.script)(&asked) {
        Action::Answer(answer) => {
            io.write_all(&answer.bytes()).await?;
            io.shutdown().await
        }
        Action::Stall => {
            state.stalled.notify_one();
            // Ends in whatever way the client ends it.
            let _ = io.read(&mut [0]).await;
            state.hung_up.notify_one();
            Ok(())
        }
    }
}

async fn request<S: AsyncRead + Unpin>(io: &mut S) -> io::Result<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    io.read_exact(&mut body).await?;
    let target = head.split(' ').nth(1).unwrap();
    Ok(Asked {
        path: target.split('?').next().unwrap().to_owned(),
        head,
        body: String::from_utf8(body).unwrap(),
    })
}

/// What every double shows, and the file by which clients trust it.
pub(crate) struct Tls {
    certificates: Certificates,
    ca_file: TempPath,
}

impl Tls {
    pub(crate) fn ca_file(&self) -> String {
        self.ca_file.to_str().unwrap().to_owned()
    }

    /// SHA-1 of the certificate, as Service Fabric pins it.
    pub(crate) fn thumbprint(&self) -> String {
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.certificates.leaf);
        hash.as_ref().iter().map(|b| format!("{b:02X}")).collect()
    }
}

pub(crate) static TLS: LazyLock<Tls> = LazyLock::new(|| {
    let certificates = Certificates::for_names(&["localhost", "127.0.0.1"]);
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &certificates.ca_pem).unwrap();
    Tls {
        certificates,
        ca_file: file.into_temp_path(),
    }
});

/// A port that nobody may connect to.
pub(crate) struct Trap(Blocking);

impl Trap {
    pub(crate) fn set() -> Self {
        let listener = Blocking::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Whether a connection has come in.
    pub(crate) fn is_sprung(&self) -> bool {
        self.0.accept().is_ok()
    }
}
