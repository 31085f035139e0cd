//! Bytes between a client and its session.
//!
//! One task moves both directions ([`pump`]). Packet headers are followed
//! ([`track`]), so that at the client's end it is known whether the session can
//! serve another; a session that is not at rest is brought to rest if there is a
//! safe way ([`rescue`]). No token is parsed, with one exception: the last DONE
//! of an answer while an attention is unanswered.
//!
//! For a client of a version before 7.3.B, and for no other, a [`Bridge`] stands
//! between ([`old`]) and rewrites all that passes.

mod bridge;
mod end;
mod flow;
mod old;
mod pump;
mod rescue;
mod track;

use std::future::poll_fn;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

pub(super) use self::bridge::Bridge;
pub(super) use self::end::End;
use self::pump::Pump;
use super::refusal;
use super::registry::Entry;
use super::stats::Stats;
use super::upstream::{Condition, Lease};
use crate::session::SessionStream;

/// How long a client may take to read the last that it is told.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a relay ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) end: End,
    /// What state the session is in, if it can serve another client.
    pub(super) session: Option<Condition>,
}

/// Relays until one side is done. `early` is what the client sent behind its
/// LOGIN7; a client that is silent between requests for longer than `idle` is
/// ended. A client of an older version comes with its `bridge`.
///
/// # Cancel safety
/// Dropping the future leaves both streams at an unknown place: they are to be
/// closed then.
pub(super) async fn run(
    client: &mut SessionStream,
    lease: &mut Lease,
    early: Vec<u8>,
    bridge: Option<Box<Bridge>>,
    idle: Option<Duration>,
    (entry, stats): (&Entry, &Stats),
) -> Outcome {
    let (packet_size, spid) = lease.packet_size_and_spid();
    let meters = (&entry.traffic, stats);
    let server = lease.stream_mut();
    let mut pump = Pump::new(client, server, packet_size, early, meters).idle_after(idle);
    pump.bridge = bridge;
    pump.spid = spid;
    let end = poll_fn(|cx| pump.poll(cx)).await;
    // A client is idle for long and ends once: what only its end needs has no
    // place in what it holds meanwhile.
    Box::pin(wind_up(&mut pump, end)).await
}

/// Tells the client if it must be told, and brings the session to rest.
async fn wind_up(pump: &mut Pump<'_>, end: End) -> Outcome {
    // A client that waits for nothing is best told by the close, which is what
    // the pools of drivers look for.
    let waits = pump.track.answers_due() || end.is_breach();
    let message = refusal::of_end(&end).filter(|_| waits);
    if let Some(message) = &message {
        let _ = timeout(LAST_WORDS, rescue::tell(pump, message)).await;
    }
    let session = if end.is_servers() {
        None
    } else {
        // The client need not wait for that.
        let _ = timeout(LAST_WORDS, pump.client.shutdown()).await;
        rescue::rescue(pump).await
    };
    if message.is_some() {
        farewell(pump.client).await;
    }
    Outcome { end, session }
}

/// Closes, and reads on for a moment: a socket that is closed with bytes unread
/// takes back what it has sent last.
pub(super) async fn farewell(stream: &mut SessionStream) {
    let _ = timeout(LAST_WORDS, async {
        stream.shutdown().await?;
        let mut sink = [0; 512];
        while stream.read(&mut sink).await? > 0 {}
        std::io::Result::Ok(())
    })
    .await;
}

#[cfg(test)]
mod tests;
