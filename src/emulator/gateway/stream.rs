//! Byte streams below TDS: the client's socket, and TLS records inside of PRELOGIN packets.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::tds::{
    HEADER_LEN, MAX_PACKET_SIZE, PacketHeader, PacketStatus, PacketType, write_message,
};

/// What TDS packets travel over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A client's socket, which can be slow and can end with a reset.
pub(super) struct ClientStream {
    tcp: TcpStream,
    pace: Option<Pace>,
    reset: ResetSwitch,
}

/// Makes the socket end with RST in place of FIN.
#[derive(Clone, Debug, Default)]
pub(super) struct ResetSwitch(Arc<AtomicBool>);

/// Sends one byte at a time.
struct Pace {
    pause: Duration,
    next: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(tcp: TcpStream, pause: Option<Duration>) -> Self {
        Self {
            tcp,
            pace: pause.map(|pause| Pace { pause, next: None }),
            reset: ResetSwitch::default(),
        }
    }

    pub(super) fn reset_switch(&self) -> ResetSwitch {
        self.reset.clone()
    }

    /// The first byte that the client sends, left in place; `None` if it sends nothing and goes.
    pub(super) async fn peek(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        let got = self.tcp.peek(&mut byte).await?;
        Ok((got == 1).then_some(byte[0]))
    }
}

impl ResetSwitch {
    pub(super) fn turn_on(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if self.reset.0.load(Ordering::Relaxed) {
            let _ = socket2::SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let Some(pace) = &mut this.pace else {
            return Pin::new(&mut this.tcp).poll_write(cx, buf);
        };
        if let Some(wait) = &mut pace.next {
            ready!(wait.as_mut().poll(cx));
            pace.next = None;
        }
        let one = buf.get(..1).unwrap_or_default();
        let written = ready!(Pin::new(&mut this.tcp).poll_write(cx, one))?;
        pace.next = Some(Box::pin(sleep(pace.pause)));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Where in a TLS record the reading is (RFC 5246, 6.2.1).
#[derive(Default)]
struct Record {
    header: [u8; 5],
    header_len: usize,
    body_left: usize,
}

impl Record {
    /// How many bytes may be read at once.
    fn wants(&self) -> usize {
        match self.body_left {
            0 => self.header.len() - self.header_len,
            left => left,
        }
    }

    fn took(&mut self, bytes: &[u8]) {
        if self.body_left > 0 {
            self.body_left -= bytes.len();
            return;
        }
        let end = self.header_len + bytes.len();
        if let Some(part) = self.header.get_mut(self.header_len..end) {
            part.copy_from_slice(bytes);
        }
        self.header_len = end;
        if end == self.header.len() {
            let [.., high, low] = self.header;
            self.body_left = usize::from(u16::from_be_bytes([high, low]));
            self.header_len = 0;
        }
    }
}

/// Carries TLS records in PRELOGIN packets until told that the handshake is over, and then as they
/// are (MS-TDS 2.2.6.5).
pub(super) struct Tunnel<S> {
    inner: S,
    open: bool,
    /// The TLS record that is being read, so that not a byte beyond it is.
    record: Record,
    /// Header bytes of the packet that is being read.
    header: [u8; HEADER_LEN],
    header_len: usize,
    /// Data bytes of that packet which TLS has not taken yet.
    packet_left: usize,
    /// TLS records waiting for a flush, and the packets that a flush made of them.
    records: Vec<u8>,
    packets: Vec<u8>,
    sent: usize,
}

impl<S> Tunnel<S> {
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            open: false,
            record: Record::default(),
            header: [0; HEADER_LEN],
            header_len: 0,
            packet_left: 0,
            records: Vec::new(),
            packets: Vec::new(),
            sent: 0,
        }
    }

    /// The handshake is over: from here on nothing is wrapped.
    pub(super) fn open(&mut self) {
        self.open = true;
    }

    pub(super) fn inner(&self) -> &S {
        &self.inner
    }

    /// The stream below, of which nothing was read that was not given out.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: AsyncRead + Unpin> Tunnel<S> {
    /// Reads up to the data of the next packet; false at the end of the stream.
    fn poll_header(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.packet_left == 0 {
            let mut buf = ReadBuf::new(&mut self.header[self.header_len..]);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf))?;
            match buf.filled().len() {
                0 => return Poll::Ready(Ok(false)),
                got => self.header_len += got,
            }
            if self.header_len == HEADER_LEN {
                self.header_len = 0;
                self.packet_left = handshake_data(&self.header)?;
            }
        }
        Poll::Ready(Ok(true))
    }
}

/// How many bytes of TLS the packet carries.
fn handshake_data(header: &[u8; HEADER_LEN]) -> io::Result<usize> {
    let wrong =
        |e: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, e.to_string());
    let header = PacketHeader::decode(header).map_err(|e| wrong(&e))?;
    if header.packet_type != PacketType::PRELOGIN || header.data_len() > MAX_PACKET_SIZE {
        return Err(wrong(
            &"the TLS handshake is not wrapped in PRELOGIN packets",
        ));
    }
    Ok(header.data_len())
}

impl<S: AsyncRead + Unpin> Tunnel<S> {
    /// Reads part of a bare record. TLS may end with any, as it does after a login.
    fn poll_record(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let want = self.record.wants().min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(want));
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
        self.record.took(part.filled());
        let got = part.filled().len();
        buf.advance(got);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tunnel<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.open && this.packet_left == 0 {
            return this.poll_record(cx, buf);
        }
        if !ready!(this.poll_header(cx))? {
            return Poll::Ready(Ok(()));
        }
        // Not a byte beyond the packet: after the handshake the next one is no header.
        let want = this.packet_left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(want));
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        let got = part.filled().len();
        this.packet_left -= got;
        buf.advance(got);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Tunnel<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self
            .packets
            .get(self.sent..)
            .filter(|rest| !rest.is_empty())
        {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.sent += n,
            }
        }
        self.packets.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tunnel<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.open {
            return Pin::new(&mut self.inner).poll_write(cx, buf);
        }
        self.records.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_send(cx))?;
        if !this.records.is_empty() {
            let records = std::mem::take(&mut this.records);
            let status = PacketStatus::NORMAL;
            let size = crate::tds::DEFAULT_PACKET_SIZE;
            write_message(
                PacketType::PRELOGIN,
                status,
                &records,
                size,
                &mut this.packets,
            );
            ready!(this.poll_send(cx))?;
        }
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
