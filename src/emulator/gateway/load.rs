//! A bulk load on its way from the client to the backend, a few packets at a time.

use tokio::sync::mpsc;

use super::incoming::LoadPart;
use crate::emulator::engine::{BodyCancelled, RequestBody};

/// Packets that wait for the backend; the client is not read when it is full.
const PARTS: usize = 4;

/// The two ends of a load that begins with `first`.
pub(super) fn load(first: LoadPart) -> (Feed, LoadBody) {
    let (sender, parts) = mpsc::channel(PARTS);
    let feed = Feed {
        sender: Some(sender),
        waiting: Some(first),
    };
    (
        feed,
        LoadBody {
            parts,
            ended: false,
        },
    )
}

/// The reading side's end. Dropped before the last part, it cancels the load.
pub(super) struct Feed {
    sender: Option<mpsc::Sender<LoadPart>>,
    waiting: Option<LoadPart>,
}

impl Feed {
    /// Whether a part is to be passed on before another may be read.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether more parts are to come.
    pub(super) fn is_open(&self) -> bool {
        self.sender.is_some()
    }

    pub(super) fn put(&mut self, part: LoadPart) {
        self.waiting = Some(part);
    }

    /// The rest will not come.
    pub(super) fn cancel(&mut self) {
        self.sender = None;
        self.waiting = None;
    }

    /// Passes the waiting part on as soon as there is room.
    ///
    /// # Cancel safety
    /// Safe: the part waits on.
    pub(super) async fn pass_on(&mut self) {
        let Some(sender) = &self.sender else {
            self.waiting = None;
            return;
        };
        let permit = sender.reserve().await;
        let Some(part) = self.waiting.take() else {
            return;
        };
        let last = part.last;
        // A backend that has seen enough of the load takes no more: the rest is thrown away.
        if let (Ok(permit), false) = (permit, part.ignored) {
            permit.send(part);
        }
        if last {
            self.sender = None;
        }
    }
}

/// The backend's end.
pub(super) struct LoadBody {
    parts: mpsc::Receiver<LoadPart>,
    ended: bool,
}

impl RequestBody for LoadBody {
    fn next(&mut self) -> Result<Option<Vec<u8>>, BodyCancelled> {
        if self.ended {
            return Ok(None);
        }
        let part = self.parts.blocking_recv().ok_or(BodyCancelled)?;
        self.ended = part.last;
        Ok(Some(part.data))
    }
}
