//! One direction of a relay: what was read and could not be passed on yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::session::SessionStream;

/// What of one direction is on hold. Holds no memory while nothing is.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The beginning of a packet, or of a header, whose rest has not come.
    pub(super) held: Vec<u8>,
    /// What the receiver has not taken, and how much of it it has.
    unsent: Vec<u8>,
    sent: usize,
    /// The receiver's TLS may hold some, too.
    unflushed: bool,
    /// Writes packets one by one, so that each is a TLS record of its own, as
    /// SQL Server expects.
    by_packet: bool,
    /// Of the packet being written, what is still to come.
    packet_left: usize,
    /// Why there will be no more to read; what came before it is gone already.
    broken: Option<io::Error>,
}

/// What reading gave.
pub(super) struct Filled {
    /// Bytes in the buffer, those that were held included.
    pub(super) length: usize,
    /// Whether the sender has ended.
    pub(super) ended: bool,
}

impl Flow {
    pub(super) fn new(by_packet: bool) -> Self {
        Self {
            by_packet,
            ..Self::default()
        }
    }

    /// Whether all that was given to [`send`](Self::send) is on its way.
    pub(super) fn is_sent(&self) -> bool {
        self.unsent.is_empty() && !self.unflushed
    }

    /// Reads into `buffer`, behind what is held: until it is full, or nothing
    /// more is there. What was held is in the buffer then.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut SessionStream,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Filled>> {
        /// Another read is worth it while there is so much room.
        const ROOM: usize = 8 * 1024;

        if let Some(error) = self.broken.take() {
            return Poll::Ready(Err(error));
        }
        let held = self.held.len();
        let mut room = ReadBuf::new(buffer);
        room.put_slice(&self.held);
        let mut ended = false;
        loop {
            let before = room.filled().len();
            match Pin::new(&mut *from).poll_read(cx, &mut room) {
                Poll::Ready(Ok(())) if room.filled().len() == before => ended = true,
                Poll::Ready(Ok(())) if room.remaining() >= ROOM => continue,
                Poll::Ready(Ok(())) => {}
                // An end without TLS's farewell is an end all the same: that no
                // message is cut short is seen by its packets.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    ended = true;
                }
                // What came before the error is still worth something.
                Poll::Ready(Err(error)) if before == held => return Poll::Ready(Err(error)),
                // A socket tells of it only once.
                Poll::Ready(Err(error)) => self.broken = Some(error),
                Poll::Pending if before == held => return Poll::Pending,
                Poll::Pending => {}
            }
            self.held = Vec::new();
            return Poll::Ready(Ok(Filled {
                length: room.filled().len(),
                ended,
            }));
        }
    }

    /// Sends what the receiver takes at once and keeps the rest. Only after
    /// [`poll_send`](Self::poll_send) was ready.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut SessionStream,
        mut bytes: &[u8],
    ) -> io::Result<()> {
        debug_assert!(self.unsent.is_empty(), "bytes would overtake others");
        self.unflushed |= !bytes.is_empty();
        while !bytes.is_empty() {
            match self.poll_write(cx, to, bytes) {
                Poll::Ready(count) => bytes = bytes.get(count?..).unwrap_or_default(),
                Poll::Pending => {
                    self.unsent = bytes.to_vec();
                    return Ok(());
                }
            }
        }
        match self.poll_send(cx, to) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends what is left over. Ready when nothing is.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut SessionStream,
    ) -> Poll<io::Result<()>> {
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let outcome = loop {
                let rest = unsent.get(self.sent..).unwrap_or_default();
                if rest.is_empty() {
                    break Poll::Ready(Ok(()));
                }
                match self.poll_write(cx, to, rest) {
                    Poll::Ready(Ok(count)) => self.sent += count,
                    Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                    Poll::Pending => break Poll::Pending,
                }
            };
            match outcome {
                Poll::Pending => {
                    self.unsent = unsent;
                    return Poll::Pending;
                }
                Poll::Ready(outcome) => {
                    self.sent = 0;
                    outcome?;
                }
            }
        }
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut SessionStream,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut chunk = bytes;
        if self.by_packet {
            if let ([_, _, high, low, ..], 0) = (bytes, self.packet_left) {
                self.packet_left = usize::from(u16::from_be_bytes([*high, *low]));
            }
            chunk = bytes.get(..self.packet_left).unwrap_or(bytes);
        }
        let count = ready!(Pin::new(to).poll_write(cx, chunk))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.packet_left = self.packet_left.saturating_sub(count);
        Poll::Ready(Ok(count))
    }
}
