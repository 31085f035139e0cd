//! The end of a proxy: clients finish what they do, within bounds.

use std::fmt;
use std::time::Duration;

use tokio::time::timeout;

use super::shared::Shared;

/// How long clients that were told to end may take to be gone: their tasks have
/// nothing left to wait for but a last write.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How a [`shutdown`](super::Proxy::shutdown) went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Clients that were connected when it began.
    pub clients: usize,
    /// Those among them that were cut off at the deadline.
    pub cut: usize,
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.clients, self.cut) {
            (0, _) => f.write_str("no client was connected"),
            (1, 0) => f.write_str("the one client has left"),
            (all, 0) => write!(f, "all {all} clients have left"),
            (all, cut) => write!(
                f,
                "{} of {all} clients have left, {cut} were cut off",
                all - cut
            ),
        }
    }
}

/// Waits for clients to leave, then ends those that are left and the sessions.
pub(super) async fn drain(shared: &Shared, within: Duration) -> Drained {
    let registry = &shared.registry;
    let clients = registry.len();
    if clients > 0 {
        tracing::info!(
            clients,
            seconds = within.as_secs_f64(),
            "asked to stop: clients may finish"
        );
    }
    let cut = match timeout(within, registry.empty()).await {
        Ok(()) => 0,
        Err(_) => {
            let left = registry.entries();
            for entry in &left {
                tracing::warn!(
                    id = entry.id,
                    listener = &*entry.listener,
                    peer = entry.peer,
                    "cut off: its time to finish is over"
                );
                entry.kill.ask();
            }
            // One that hangs all the same ends with the process.
            let _ = timeout(LAST_WORDS, registry.empty()).await;
            left.len()
        }
    };
    shared.upstreams.close().await;
    Drained { clients, cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_become_of_the_clients_is_told() {
        let said = |clients, cut| Drained { clients, cut }.to_string();
        assert_eq!(said(0, 0), "no client was connected");
        assert_eq!(said(1, 0), "the one client has left");
        assert_eq!(said(7, 0), "all 7 clients have left");
        assert_eq!(said(7, 2), "5 of 7 clients have left, 2 were cut off");
    }
}
