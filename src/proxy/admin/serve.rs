//! Serves HTTP/1.1 with a bound to everything that a client could draw out.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 64;
/// How long a connection may be without a request's whole head.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// How long a connection is kept in all, since a client that reads nothing
/// would stay for ever; then the answer under way is finished.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);
const FAREWELL: Duration = Duration::from_secs(10);
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_FIELDS: usize = 64;
/// When nothing can be accepted: out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `stop`, which ends them too.
pub(super) async fn serve(socket: TcpListener, router: Router, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let accepting = async {
        while let Ok(place) = Arc::clone(&room).acquire_owned().await {
            let Ok((stream, _)) = socket.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (router, stop) = (router.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = connection(stream, router) => {}
                }
                drop(place);
            });
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accepting => {}
    }
}

async fn connection<S>(stream: S, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service =
        service_fn(move |call: Request<Incoming>| router.clone().oneshot(call.map(Body::new)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let mut outcome = timeout(CONNECTION_LIFE, served.as_mut()).await;
    if outcome.is_err() {
        served.as_mut().graceful_shutdown();
        outcome = timeout(FAREWELL, served).await;
    }
    if let Ok(Err(error)) = outcome {
        tracing::debug!(%error, "an admin connection has ended early");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    use super::*;

    fn router(answer: &'static str) -> Router {
        Router::new().route("/", get(move || async move { answer.repeat(100_000) }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_in_has_a_deadline() {
        let (mut client, server) = duplex(1024);
        let served = tokio::spawn(connection(server, router("a")));
        let trickle = async {
            let mut sent = client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx: ").await;
            while sent.is_ok() {
                sleep(Duration::from_secs(1)).await;
                sent = client.write_all(b"y").await;
            }
        };
        timeout(2 * HEAD_PATIENCE, trickle)
            .await
            .expect("it is cut off");
        served.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_not_kept() {
        let (mut client, server) = duplex(1024);
        let served = tokio::spawn(connection(server, router("a")));
        let call = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        client.write_all(call).await.unwrap();
        let begin = Instant::now();
        served.await.unwrap();
        assert_eq!(
            begin.elapsed().as_secs(),
            (CONNECTION_LIFE + FAREWELL).as_secs()
        );
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let (mut client, server) = duplex(1024);
        let served = tokio::spawn(connection(server, router("a")));
        let head = format!(
            "GET / HTTP/1.1\r\nx: {}\r\n\r\n",
            "y".repeat(2 * HEAD_BYTES)
        );
        // What is left unsent when the answer comes does not matter.
        let (mut reading, mut writing) = tokio::io::split(&mut client);
        let mut answer = Vec::new();
        let (_, read) = tokio::join!(
            writing.write_all(head.as_bytes()),
            reading.read_to_end(&mut answer)
        );
        read.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 431 "));
        served.await.unwrap();
    }
}
