//! TLS inside PRELOGIN packets: the shape of a TLS handshake in TDS 7.x, for
//! either side of it.

mod ahead;
#[cfg(feature = "proxy")]
mod record;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tds::{
    DEFAULT_PACKET_SIZE, HEADER_LEN, PacketHeader, PacketStatus, PacketType, write_message,
};

/// A handshake is a few kilobytes; whoever sends more than this means none.
const MAX_HANDSHAKE: usize = 128 * 1024;

/// A socket which wraps what it carries in TDS packets until told to stop.
///
/// MS-TDS 2.2.6.5: the handshake travels as the payload of PRELOGIN packets;
/// from its end on, TLS records stand bare on the wire. Reading takes exactly
/// the packet at hand and not one byte more, so nothing is lost at the switch.
#[derive(Debug)]
pub(crate) struct Tunnel<S> {
    socket: S,
    shape: Shape,
    /// Handshake bytes that wait for the end of their flight.
    flight: Vec<u8>,
    /// Packets on their way out, and how much of them is out.
    packets: Vec<u8>,
    sent: usize,
    /// The header being read, and how much of it is there.
    header: [u8; HEADER_LEN],
    header_filled: usize,
    /// Payload still to come in the packet being read.
    payload_left: usize,
    received: usize,
}

/// What stands on the wire.
#[derive(Debug)]
enum Shape {
    /// TDS packets with the handshake inside.
    Wrapping,
    /// Whatever comes.
    Bare,
    /// The same, in large pieces: TLS by itself asks for 4 KiB at a time.
    Ahead(Option<ahead::Piece>),
    /// TLS records, which are read one by one: TLS will end with one of them.
    #[cfg(feature = "proxy")]
    Records(record::Progress),
}

impl<S> Tunnel<S> {
    /// Wraps from now on until [`Tunnel::unwrap_records`].
    pub(crate) fn wrapping(socket: S) -> Self {
        Self {
            shape: Shape::Wrapping,
            ..Self::bare(socket)
        }
    }

    /// Never wraps: TLS comes first (TDS 8.0).
    pub(crate) fn bare(socket: S) -> Self {
        Self {
            socket,
            shape: Shape::Bare,
            flight: Vec::new(),
            packets: Vec::new(),
            sent: 0,
            header: [0; HEADER_LEN],
            header_filled: 0,
            payload_left: 0,
            received: 0,
        }
    }

    /// Ends the wrapping; fails if a packet is only half read or half written.
    pub(crate) fn unwrap_records(&mut self) -> io::Result<()> {
        let whole = self.payload_left == 0 && self.header_filled == 0;
        if !whole || !self.flight.is_empty() || self.sent < self.packets.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the TLS handshake ended within a packet",
            ));
        }
        self.shape = Shape::Bare;
        self.packets = Vec::new();
        Ok(())
    }

    /// Reads in large pieces from now on. For TLS that never ends: the socket
    /// cannot be taken back out then, since bytes of it may be here.
    pub(crate) fn read_ahead(&mut self) {
        debug_assert!(matches!(self.shape, Shape::Bare), "the wrapping has ended");
        self.shape = Shape::Ahead(None);
    }

    /// As [`Tunnel::unwrap_records`], and reads no byte beyond the record that
    /// TLS is at: what follows the last one is left for others to read.
    #[cfg(feature = "proxy")]
    pub(crate) fn unwrap_one_by_one(&mut self) -> io::Result<()> {
        self.unwrap_records()?;
        self.shape = Shape::Records(record::Progress::default());
        Ok(())
    }

    /// The socket. A byte that [`Tunnel::peek`] saw is lost.
    pub(crate) fn into_inner(self) -> S {
        self.socket
    }
}

#[cfg(feature = "proxy")]
impl<S: AsyncRead + Unpin> Tunnel<S> {
    /// The first byte of what follows the last record, left in place for TLS;
    /// `None` at the end of the stream, and unless records are read one by one.
    pub(crate) async fn peek(&mut self) -> io::Result<Option<u8>> {
        match &mut self.shape {
            Shape::Records(progress) => progress.peek(&mut self.socket).await,
            Shape::Wrapping | Shape::Bare | Shape::Ahead(_) => Ok(None),
        }
    }
}

impl<S> Tunnel<S> {
    /// Adds to the flight, which goes out as a whole.
    fn take_up(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.flight.len() + bytes.len() > MAX_HANDSHAKE {
            return Err(invalid("the TLS handshake does not end".to_owned()));
        }
        self.flight.extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl<S: AsyncRead + Unpin> Tunnel<S> {
    /// Fills the header at hand; `false` at a clean end of the stream.
    fn poll_header(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.header_filled < HEADER_LEN {
            let mut room = ReadBuf::new(
                self.header
                    .get_mut(self.header_filled..)
                    .unwrap_or_default(),
            );
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut room))?;
            let read = room.filled().len();
            if read == 0 {
                return Poll::Ready(if self.header_filled == 0 {
                    Ok(false)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                });
            }
            self.header_filled += read;
        }
        self.header_filled = 0;
        let header =
            PacketHeader::decode(&self.header).map_err(|error| invalid(error.to_string()))?;
        // Servers use either type, clients the first; the specification has both (MS-TDS 2.2.6.5).
        if ![PacketType::PRELOGIN, PacketType::TABULAR_RESULT].contains(&header.packet_type) {
            return Poll::Ready(Err(invalid(format!(
                "where the TLS handshake belongs, there came bytes that are no handshake (first byte {:#04x})",
                header.packet_type.0
            ))));
        }
        self.received += usize::from(header.length);
        if self.received > MAX_HANDSHAKE {
            return Poll::Ready(Err(invalid(format!(
                "the TLS handshake is longer than {MAX_HANDSHAKE} bytes"
            ))));
        }
        self.payload_left = usize::from(header.length).saturating_sub(HEADER_LEN);
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tunnel<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.shape {
            Shape::Wrapping => {}
            Shape::Bare => return Pin::new(&mut this.socket).poll_read(cx, buf),
            Shape::Ahead(piece) => return ahead::poll_read(piece, &mut this.socket, cx, buf),
            #[cfg(feature = "proxy")]
            Shape::Records(progress) => return progress.poll_read(&mut this.socket, cx, buf),
        }
        while this.payload_left == 0 {
            if !ready!(this.poll_header(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        let wanted = this.payload_left.min(buf.remaining());
        let mut room = ReadBuf::new(buf.initialize_unfilled_to(wanted));
        ready!(Pin::new(&mut this.socket).poll_read(cx, &mut room))?;
        let read = room.filled().len();
        if read == 0 && wanted > 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        buf.advance(read);
        this.payload_left -= read;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tunnel<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !matches!(this.shape, Shape::Wrapping) {
            return Pin::new(&mut this.socket).poll_write(cx, buf);
        }
        Poll::Ready(this.take_up(buf))
    }

    /// TLS hands over all records that it has at once: they need one system call,
    /// and an alert at the end of a flight is not left behind.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !matches!(this.shape, Shape::Wrapping) {
            return Pin::new(&mut this.socket).poll_write_vectored(cx, bufs);
        }
        Poll::Ready(bufs.iter().map(|buf| this.take_up(buf)).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.shape, Shape::Wrapping) {
            if !this.flight.is_empty() {
                let flight = std::mem::take(&mut this.flight);
                write_message(
                    PacketType::PRELOGIN,
                    PacketStatus::default(),
                    &flight,
                    DEFAULT_PACKET_SIZE,
                    &mut this.packets,
                );
            }
            while let Some(rest) = this
                .packets
                .get(this.sent..)
                .filter(|rest| !rest.is_empty())
            {
                let written = ready!(Pin::new(&mut this.socket).poll_write(cx, rest))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                this.sent += written;
            }
            this.packets.clear();
            this.sent = 0;
        }
        Pin::new(&mut this.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn packets(payload: &[u8], packet_type: PacketType, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        write_message(
            packet_type,
            PacketStatus::default(),
            payload,
            size,
            &mut out,
        );
        out
    }

    #[tokio::test]
    async fn a_flight_is_wrapped_once_and_cut_at_4096() {
        let (near, mut far) = duplex(64 * 1024);
        let mut tunnel = Tunnel::wrapping(near);
        tunnel.write_all(&[7; 3000]).await.unwrap();
        tunnel.write_all(&[8; 3000]).await.unwrap();
        tunnel.flush().await.unwrap();
        tunnel.unwrap_records().unwrap();
        tunnel.write_all(b"bare").await.unwrap();
        drop(tunnel);
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        let mut expected = packets(&[[7; 3000], [8; 3000]].concat(), PacketType::PRELOGIN, 4096);
        assert_eq!(expected[..4], [0x12, 0, 0x10, 0]);
        expected.extend_from_slice(b"bare");
        assert_eq!(seen, expected);
    }

    #[tokio::test]
    async fn reading_is_a_stream_and_takes_nothing_of_what_follows() {
        for packet_type in [PacketType::PRELOGIN, PacketType::TABULAR_RESULT] {
            // A pipe of one byte splits everything everywhere.
            let (near, mut far) = duplex(1);
            let mut wire = packets(&[1; 700], packet_type, 512);
            wire.extend(packets(&[], packet_type, 512));
            wire.extend(packets(&[2; 5], packet_type, 512));
            wire.extend_from_slice(b"after");
            let sender = tokio::spawn(async move { far.write_all(&wire).await.unwrap() });
            let mut tunnel = Tunnel::wrapping(near);
            let mut handshake = vec![0; 705];
            tunnel.read_exact(&mut handshake).await.unwrap();
            assert_eq!(handshake, [vec![1; 700], vec![2; 5]].concat());
            tunnel.unwrap_records().unwrap();
            let mut rest = Vec::new();
            tunnel.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"after");
            sender.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_half_read_packet_cannot_be_left() {
        let (near, mut far) = duplex(1024);
        far.write_all(&packets(&[1; 10], PacketType::PRELOGIN, 512))
            .await
            .unwrap();
        let mut tunnel = Tunnel::wrapping(near);
        tunnel.read_exact(&mut [0; 4]).await.unwrap();
        assert!(tunnel.unwrap_records().is_err());
    }

    #[tokio::test]
    async fn foreign_bytes_and_endless_handshakes_are_refused() {
        let cases = [
            b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
            vec![0x12, 1, 0, 7, 0, 0, 0, 0],
            packets(&[0; 200_000], PacketType::PRELOGIN, 32_000),
            packets(&[], PacketType::PRELOGIN, 512).repeat(20_000),
            vec![0x12, 1, 0],
            vec![0x12, 1, 0, 20, 0, 0, 1, 0, 9],
        ];
        for wire in cases {
            let (near, mut far) = duplex(512 * 1024);
            far.write_all(&wire).await.unwrap();
            drop(far);
            let mut tunnel = Tunnel::wrapping(near);
            let mut sink = Vec::new();
            assert!(tunnel.read_to_end(&mut sink).await.is_err());
        }
    }
}
