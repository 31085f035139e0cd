//! Bytes between a client and its session.

use std::io;

use tokio::io::copy_bidirectional;

use super::registry::Entry;
use super::upstream::Lease;
use crate::session::SessionStream;

/// How a relay ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client left between requests: the session can serve another.
    Left,
    /// One of the two broke off.
    Broken(io::Error),
}

/// Relays until one side is done. `early` is what the client sent behind its LOGIN7.
pub(super) async fn run(
    client: &mut SessionStream,
    lease: &mut Lease,
    _early: Vec<u8>,
    _entry: &Entry,
) -> End {
    match copy_bidirectional(client, lease.stream_mut()).await {
        Ok(_) => End::Left,
        Err(error) => End::Broken(error),
    }
}
