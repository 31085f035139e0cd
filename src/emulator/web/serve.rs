//! Serves HTTP/1.1 on the connections of a listener. axum's own loop lets a client take its time.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::listeners::{Line, Lined};

/// How long a connection may be without a request's whole head: at its start, and between requests.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);

/// Accepts connections until `cut`, which the connections themselves end by.
pub(super) async fn serve<L>(mut listener: L, router: Router, cut: CancellationToken)
where
    L: Listener<Io: Lined>,
{
    loop {
        let (io, _) = tokio::select! {
            () = cut.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let line = io.line();
        tokio::spawn(connection(io, line, router.clone()));
    }
}

async fn connection<I>(io: I, line: Line, router: Router)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |call: Request<Incoming>| {
        let mut call = call.map(Body::new);
        call.extensions_mut().insert(ConnectInfo(line.clone()));
        router.clone().oneshot(call)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection has ended early");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn router() -> Router {
        Router::new().route("/", get(|| async { "here" }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_in_has_a_deadline() {
        let (mut client, server) = duplex(1024);
        let served = tokio::spawn(connection(server, Line::default(), router()));
        let trickle = async {
            let mut sent = client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx: ").await;
            while sent.is_ok() {
                sleep(Duration::from_secs(5)).await;
                sent = client.write_all(b"y").await;
            }
        };
        timeout(HOUR, trickle).await.expect("it is cut off");
        served.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_between_requests_but_not_for_ever() {
        let (mut client, server) = duplex(4096);
        let served = tokio::spawn(connection(server, Line::default(), router()));
        for _ in 0..2 {
            let call = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
            client.write_all(call).await.unwrap();
            let mut answer = vec![0; 1024];
            let length = client.read(&mut answer).await.unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"));
            sleep(HEAD_PATIENCE / 2).await;
        }
        let begin = Instant::now();
        timeout(HOUR, served).await.expect("it ends").unwrap();
        assert!(begin.elapsed() <= HEAD_PATIENCE);
    }
}
