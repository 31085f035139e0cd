//! Where in a stream of TLS records the reading is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Type 1, version 2, length 2 bytes, and the length counts what follows them
/// (RFC 5246, 6.2.1).
const HEADER_LEN: usize = 5;

/// How much of a record has been read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    header: [u8; HEADER_LEN],
    header_filled: usize,
    body_left: usize,
    /// The first byte of the next record, seen already and not yet read.
    seen: Option<u8>,
}

impl Progress {
    /// The byte after the last record, left in place; `None` at the end.
    pub(super) async fn peek(
        &mut self,
        socket: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Option<u8>> {
        if self.seen.is_none() {
            let mut byte = [0];
            if socket.read(&mut byte).await? > 0 {
                let [byte] = byte;
                self.seen = Some(byte);
            }
        }
        Ok(self.seen)
    }

    /// Reads no further than to the end of a record's header or body.
    pub(super) fn poll_read(
        &mut self,
        socket: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(byte) = self.seen.take()
        {
            self.took(&[byte]);
            buf.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        let wanted = match self.body_left {
            0 => HEADER_LEN.saturating_sub(self.header_filled),
            left => left,
        };
        let wanted = wanted.min(buf.remaining());
        let mut room = ReadBuf::new(buf.initialize_unfilled_to(wanted));
        ready!(Pin::new(socket).poll_read(cx, &mut room))?;
        let read = room.filled().len();
        self.took(room.filled());
        buf.advance(read);
        Poll::Ready(Ok(()))
    }

    fn took(&mut self, bytes: &[u8]) {
        if self.body_left > 0 {
            self.body_left = self.body_left.saturating_sub(bytes.len());
            return;
        }
        for (place, byte) in self.header.iter_mut().skip(self.header_filled).zip(bytes) {
            *place = *byte;
        }
        self.header_filled += bytes.len();
        if self.header_filled >= HEADER_LEN {
            let [.., high, low] = self.header;
            self.body_left = usize::from(u16::from_be_bytes([high, low]));
            self.header_filled = 0;
        }
    }
}
