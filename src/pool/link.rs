//! The stream under the driver, and the pool's own hold on it.
//!
//! The driver owns its stream for good and shows it to nobody. So the stream
//! proper is shared: the driver reads and writes through one [`Link`], the pool
//! looks after the session through another.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::{Doubt, Wire, WireFault};
use crate::front::{Event, Front, FrontError, State};
use crate::session::{LoginInfo, Session, SessionStream};
use crate::tds::HEADER_LEN;

/// Bytes read from the server at a time: four of the driver's own reads.
const READ_AHEAD: usize = 32 * 1024;

/// One end of a session's stream: `AsyncRead` and `AsyncWrite` for the driver,
/// with its login answered from memory.
#[derive(Debug, Clone)]
pub struct Link {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    /// `None` once the session is closed.
    stream: Option<SessionStream>,
    login: Option<Box<Login>>,
    wire: Wire,
    received: Received,
    /// The part of a request packet that could not be written as it stood.
    unsent: Unsent,
}

/// The driver's login, while it lasts.
#[derive(Debug)]
struct Login {
    front: Front,
    info: Arc<LoginInfo>,
    answer: Vec<u8>,
    answered: usize,
}

/// Whether a session that nobody uses can still be used.
#[derive(Debug)]
pub(super) enum Pulse {
    /// Nothing has come, and the socket is open.
    Alive,
    /// The server has closed it.
    Closed,
    /// It sent something that nobody asked for.
    Unsolicited,
    /// The socket is broken.
    Broken(io::Error),
}

impl Link {
    /// The stream of a session that has just logged in.
    pub(super) fn new(session: Session) -> (Self, Arc<LoginInfo>) {
        let (stream, info) = session.into_parts();
        let info = Arc::new(info);
        let shared = Shared {
            stream: Some(stream),
            login: Some(Box::new(Login {
                front: Front::new(info.server_version),
                info: Arc::clone(&info),
                answer: Vec::new(),
                answered: 0,
            })),
            wire: Wire::new(info.packet_size),
            received: Received::default(),
            unsent: Unsent::default(),
        };
        let link = Self {
            shared: Arc::new(Mutex::new(shared)),
        };
        (link, info)
    }

    /// Looks at or changes what is known of the session.
    pub(super) fn with_wire<T>(&self, look: impl FnOnce(&mut Wire) -> T) -> T {
        look(&mut self.lock().wire)
    }

    /// Closes the socket at once.
    pub(super) fn close(&self) {
        let mut shared = self.lock();
        shared.stream = None;
        shared.wire.condemn(Doubt::Closed);
    }

    /// Feels whether the server is still there, without a round trip.
    pub(super) fn poll_pulse(&self, cx: &mut Context<'_>) -> Pulse {
        self.lock().pulse(cx)
    }

    // A panic elsewhere leaves nothing half done here that `condemn` and
    // `doubt` would not tell.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.lock().poll_read(cx, buf)
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.lock().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.lock();
        shared.wire.condemn(Doubt::Closed);
        match &mut shared.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Shared {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        driver: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(login) = &mut self.login {
            let over = login.read(driver)?;
            if over {
                self.login = None;
            }
            return Poll::Ready(Ok(()));
        }
        let before = driver.filled().len();
        loop {
            let consumed = self
                .wire
                .hand_over(self.received.unread(), driver)
                .map_err(|fault| self.fail(fault))?;
            self.received.consume(consumed);
            // With nothing asked there is nothing to wait for. The driver gets
            // here when it failed to put a request into words and believes that
            // it was sent; the end of a stream sets it right.
            if driver.filled().len() > before || self.wire.is_idle() {
                return Poll::Ready(Ok(()));
            }
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(Err(closed_here()));
            };
            if ready!(self.received.poll_fill(stream, cx))? == 0 {
                self.wire.condemn(Doubt::Closed);
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(login) = &mut self.login {
            return Poll::Ready(login.write(buf));
        }
        ready!(self.poll_unsent(cx))?;
        let left = self.wire.request_left();
        if left == 0 {
            return self.poll_write_packet(cx, buf);
        }
        let rest = &buf[..left.min(buf.len())];
        let written = ready!(Pin::new(self.stream()?).poll_write(cx, rest))?;
        self.wire.follow_request(&rest[..written]);
        Poll::Ready(Ok(written))
    }

    /// Writes from the beginning of a packet. Never more than one packet at a
    /// time goes to the server, so that each has a TLS record of its own: SQL
    /// Server expects no less.
    fn poll_write_packet(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Some(begun) = buf.first_chunk::<HEADER_LEN>() else {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "less than a packet header was written at once",
            )));
        };
        self.stream()?;
        let mut header = *begun;
        let changed = self
            .wire
            .begin_request_packet(&mut header)
            .map_err(|fault| self.fail(fault))?;
        let packet = &buf[..buf.len().min(HEADER_LEN + self.wire.request_left())];
        let payload = &packet[HEADER_LEN..];
        if !changed {
            match Pin::new(self.stream()?).poll_write(cx, packet) {
                Poll::Ready(Ok(written)) if written >= HEADER_LEN => {
                    self.wire.follow_request(&packet[HEADER_LEN..written]);
                    return Poll::Ready(Ok(written));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // The packet has been taken note of, so it must be taken.
                Poll::Ready(Ok(written)) => self.unsent.put(&[&packet[written..]]),
                Poll::Pending => self.unsent.put(&[packet]),
            }
        } else {
            self.unsent.put(&[&header, payload]);
        }
        self.wire.follow_request(payload);
        match self.poll_unsent(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(packet.len())),
        }
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(Err(closed_here()));
            };
            let written = ready!(Pin::new(stream).poll_write(cx, self.unsent.bytes()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.consume(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.login.is_some() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_unsent(cx))?;
        Pin::new(self.stream()?).poll_flush(cx)
    }

    fn pulse(&mut self, cx: &mut Context<'_>) -> Pulse {
        if !self.received.unread().is_empty() {
            return Pulse::Unsolicited;
        }
        let Some(stream) = &mut self.stream else {
            return Pulse::Closed;
        };
        match self.received.poll_fill(stream, cx) {
            Poll::Pending => Pulse::Alive,
            Poll::Ready(Ok(0)) => Pulse::Closed,
            Poll::Ready(Ok(_)) => Pulse::Unsolicited,
            Poll::Ready(Err(error)) => Pulse::Broken(error),
        }
    }

    fn stream(&mut self) -> io::Result<&mut SessionStream> {
        self.stream.as_mut().ok_or_else(closed_here)
    }

    /// Nothing good can come of this session any more.
    fn fail(&mut self, fault: WireFault) -> io::Error {
        self.stream = None;
        io::Error::new(io::ErrorKind::InvalidData, fault)
    }
}

impl Login {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let asked = self.front.receive(bytes).map_err(refused)?;
        if let Some(Event::LoginRequested(_)) = asked {
            self.front
                .accept(&self.info, self.info.packet_size)
                .map_err(refused)?;
        }
        self.answer.extend(self.front.take_output());
        Ok(bytes.len())
    }

    /// Returns whether the login is over.
    fn read(&mut self, driver: &mut ReadBuf<'_>) -> io::Result<bool> {
        let unread = &self.answer[self.answered..];
        if unread.is_empty() {
            // There is nobody to wait for: the answer is made when the driver
            // writes.
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the driver waits for an answer to nothing",
            ));
        }
        let len = unread.len().min(driver.remaining());
        driver.put_slice(&unread[..len]);
        self.answered += len;
        Ok(self.front.state() == State::LoggedIn && self.answered == self.answer.len())
    }
}

/// What has been read from the server and not been used up.
#[derive(Debug, Default)]
struct Received {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Received {
    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn consume(&mut self, len: usize) {
        self.start += len;
    }

    /// Reads more. What is unread by then is less than a token: it is moved to
    /// the front.
    fn poll_fill(
        &mut self,
        stream: &mut SessionStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() {
            self.buffer.resize(READ_AHEAD, 0);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let mut room = ReadBuf::new(&mut self.buffer[self.end..]);
        ready!(Pin::new(stream).poll_read(cx, &mut room))?;
        let read = room.filled().len();
        self.end += read;
        Poll::Ready(Ok(read))
    }
}

/// Bytes that are as good as written for the driver, and not yet for us.
#[derive(Debug, Default)]
struct Unsent {
    buffer: Vec<u8>,
    written: usize,
}

impl Unsent {
    fn put(&mut self, parts: &[&[u8]]) {
        self.buffer.clear();
        self.written = 0;
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
    }

    fn is_empty(&self) -> bool {
        self.written == self.buffer.len()
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.written..]
    }

    fn consume(&mut self, len: usize) {
        self.written += len;
    }
}

fn refused(error: FrontError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn closed_here() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "the session has been closed by the pool",
    )
}

#[cfg(test)]
mod tests;
