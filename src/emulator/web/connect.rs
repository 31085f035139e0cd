//! CONNECT: a proxy that leads to the HTTPS listener, whatever name it is asked for, and nowhere else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::hosts::is_played;

/// Tunnels that are open at a time.
const MOST: usize = 512;
/// How long each side may keep the other waiting.
const IDLE: Duration = Duration::from_secs(300);
/// How long the HTTPS listener and the client's end of the request may take.
const PATIENCE: Duration = Duration::from_secs(10);
const HTTPS_PORT: u16 = 443;
const CHUNK: usize = 16 * 1024;

/// Opens tunnels to the HTTPS listener.
#[derive(Clone, Debug)]
pub(super) struct Tunnels {
    to: SocketAddr,
    places: Arc<Semaphore>,
    cut: CancellationToken,
}

impl Tunnels {
    pub(super) fn new(https: SocketAddr, cut: CancellationToken) -> Self {
        let mut to = https;
        if to.ip().is_unspecified() {
            to.set_ip(match to {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        Self {
            to,
            places: Arc::new(Semaphore::new(MOST)),
            cut,
        }
    }

    /// Answers a CONNECT. What comes after the answer goes through the tunnel.
    pub(super) fn open(&self, mut call: Request) -> Response {
        if !self.leads_to(call.uri()) {
            return refused(call.uri());
        }
        let Some(upgrade) = call.extensions_mut().remove::<OnUpgrade>() else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let (to, cut) = (self.to, self.cut.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = tunnel(upgrade, to, place) => {}
            }
        });
        Response::new(Body::empty())
    }

    fn leads_to(&self, wanted: &Uri) -> bool {
        let (Some(host), Some(port)) = (wanted.host(), wanted.port_u16()) else {
            return false;
        };
        // Clients that are told of the HTTPS listener itself ask the proxy for that, too.
        let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        (port == HTTPS_PORT && is_played(host)) || (port == self.to.port() && local)
    }
}

fn refused(wanted: &Uri) -> Response {
    let words = format!(
        "The emulator's proxy leads to the hosts that the emulator plays, and {wanted} is none of \
         them; list it in NO_PROXY, or unset HTTPS_PROXY.\n"
    );
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (StatusCode::FORBIDDEN, plain, words).into_response()
}

async fn tunnel(upgrade: OnUpgrade, to: SocketAddr, _place: OwnedSemaphorePermit) {
    let opened = tokio::time::timeout(PATIENCE, async {
        let client = upgrade.await.ok()?;
        Some((TokioIo::new(client), TcpStream::connect(to).await.ok()?))
    });
    let Ok(Some((client, server))) = opened.await else {
        return;
    };
    let _ = server.set_nodelay(true);
    pass_on(client, server).await;
}

/// Passes bytes both ways until the server is done. A client that is done may still be answered, but
/// one that has more to say to a server that is gone must not keep its place.
async fn pass_on(client: impl AsyncRead + AsyncWrite, server: impl AsyncRead + AsyncWrite) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let requests = async {
        relay(from_client, to_server).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = requests => {}
        () = relay(from_server, to_client) => {}
    }
}

async fn relay(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = tokio::time::timeout(IDLE, from.read(&mut buffer)).await;
        let Ok(Ok(length @ 1..)) = read else {
            break;
        };
        let chunk = buffer.get(..length).unwrap_or_default();
        match tokio::time::timeout(IDLE, to.write_all(chunk)).await {
            Ok(Ok(())) => {}
            _ => break,
        }
    }
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_ends_with_the_server_and_not_with_the_client_s_last_word() {
        let (mut client, near) = duplex(64);
        let (far, mut server) = duplex(64);
        let tunnel = tokio::spawn(pass_on(near, far));
        client.write_all(b"ask").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        server.read_to_string(&mut heard).await.unwrap();
        server.write_all(b"answer").await.unwrap();
        drop(server);
        heard.clear();
        client.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "answer");
        tunnel.await.unwrap();
        // A client that says nothing and stays does not keep the tunnel of a server that is gone.
        let (_client, near) = duplex(64);
        let (far, server) = duplex(64);
        let tunnel = tokio::spawn(pass_on(near, far));
        drop(server);
        let soon = timeout(Duration::from_secs(1), tunnel).await;
        soon.expect("the place is free again").unwrap();
    }
}
