//! Ctrl-C, and what else asks the program to end.

use std::io;

use tokio_util::sync::{CancellationToken, DropGuard};

/// Cancelled when the program is asked to end.
pub(super) struct Interrupt {
    stop: CancellationToken,
    _listening: DropGuard,
}

impl Interrupt {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        let stop = CancellationToken::new();
        let over = CancellationToken::new();
        tokio::spawn(cancel(signals()?, stop.clone(), over.clone()));
        Ok(Self {
            stop,
            _listening: over.drop_guard(),
        })
    }

    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}

async fn cancel(asked: impl Future<Output = ()>, stop: CancellationToken, over: CancellationToken) {
    tokio::select! {
        () = asked => stop.cancel(),
        () = over.cancelled() => {}
    }
}

#[cfg(unix)]
fn signals() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signals() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
