//! A dial may be dropped at any of its awaits.

use std::pin::Pin;
use std::task::{Context, Poll};

use entrada::target::Encrypt;
use entrada::tds::Encryption;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::support::fake_server::{Conn, FakeServer, granted};

/// A future that is dropped after so many polls.
struct Polls<F> {
    inner: Option<Pin<Box<F>>>,
    left: usize,
}

impl<F: Future> Future for Polls<F> {
    /// `None` if it was dropped before it was done.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(inner) = &mut self.inner
            && let Poll::Ready(output) = inner.as_mut().poll(cx)
        {
            return Poll::Ready(Some(output));
        }
        self.left -= 1;
        if self.left == 0 {
            self.inner = None;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}

async fn serve(conn: &mut Conn, config: &Arc<ServerConfig>, strict: bool) -> std::io::Result<()> {
    let login = if strict {
        conn.tls_first(config).await?;
        conn.prelogin(Encryption::ON, Some(1)).await?;
        conn.login().await?
    } else {
        conn.until_login(config).await?
    };
    conn.tokens(&granted(&login)).await
}

/// Whether so many polls are enough for a dial. Returns when the server has
/// seen every socket closed.
async fn ends_within(polls: usize, strict: bool) -> bool {
    let certificates = localhost();
    let config = if strict {
        tls_strict(&certificates)
    } else {
        tls12(&certificates)
    };
    let server = FakeServer::start(2, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            let _ = serve(&mut conn, &config, strict).await;
            conn.until_closed().await;
        }
    })
    .await;
    let mut target = target(server.address.port(), &certificates);
    if strict {
        target.tls.encrypt = Encrypt::Strict;
    }
    // In hand before, so that all polls are the dialer's own.
    let slot = slot();
    slot.get().await.unwrap();
    let dialer = Dialer::new(target, Some(slot)).unwrap();
    let outcome = Polls {
        inner: Some(Box::pin(async move { dialer.dial().await })),
        left: polls,
    }
    .await;
    let done = outcome.map(|session| drop(session.unwrap())).is_some();

    // Connections are served in order: this one's turn comes when the dialer's
    // socket, if there was one, has been seen closed.
    let mut fence = TcpStream::connect(server.address).await.unwrap();
    fence.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let waited = tokio::time::timeout(Duration::from_secs(10), fence.read_to_end(&mut rest)).await;
    waited.expect("the dialer's socket is closed").unwrap();
    server.stop();
    done
}

#[tokio::test]
async fn dropping_a_dial_after_any_poll_closes_its_socket() {
    for strict in [false, true] {
        let mut polls = 1;
        while !ends_within(polls, strict).await {
            polls += 1;
        }
        assert!(
            polls > 4,
            "a dial has several awaits, and {polls} polls are too few"
        );
    }
}
