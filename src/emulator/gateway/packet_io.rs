//! Messages over a byte stream: reading with bounds, writing in packets as the bytes come.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::timeout;

use super::error::ConnectionError;
use super::incoming::{Assembler, Incoming};
use super::stream::Stream;
use crate::emulator::GatewayStep;
use crate::tds::{
    DEFAULT_PACKET_SIZE, HEADER_LEN, Message, PacketHeader, PacketStatus, PacketType,
};

/// LOGIN7 holds less than 128 KiB, and so do PRELOGIN and the token message.
pub(super) const MAX_LOGIN_MESSAGE: usize = 128 * 1024;

/// Both directions of a connection.
pub(super) struct PacketIo<S> {
    pub(super) reader: PacketReader<ReadHalf<S>>,
    pub(super) writer: PacketWriter<WriteHalf<S>>,
}

/// Messages from the client.
pub(super) struct PacketReader<R> {
    inner: R,
    messages: Assembler,
}

/// Messages to the client, all of them of the type that servers send.
pub(super) struct PacketWriter<W> {
    inner: W,
    packet_size: usize,
    spid: u16,
    patience: Duration,
    pending: Vec<u8>,
    packet_id: u8,
    cut: Option<Cut>,
}

/// Ends the connection after so many bytes.
struct Cut {
    left: usize,
    step: GatewayStep,
}

impl<S: Stream> PacketIo<S> {
    /// A connection before its login. Writing gives up when the client does not read for
    /// `patience`.
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        let (read, write) = split(stream);
        Self {
            reader: PacketReader {
                inner: read,
                messages: Assembler::new(DEFAULT_PACKET_SIZE, MAX_LOGIN_MESSAGE),
            },
            writer: PacketWriter {
                inner: write,
                packet_size: DEFAULT_PACKET_SIZE,
                spid: 0,
                patience,
                pending: Vec::new(),
                packet_id: 1,
                cut: None,
            },
        }
    }

    /// Puts bytes in front of what is yet to be read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.reader.messages.push(bytes);
    }

    /// The stream, and whether the client had sent more than what was read.
    pub(super) fn into_stream(self) -> (S, bool) {
        let more = self.reader.messages.is_mid_message();
        (self.reader.inner.unsplit(self.writer.inner), more)
    }

    /// The login is done: other bounds hold from the next message on.
    pub(super) fn after_login(&mut self, packet_size: usize, max_message: usize) {
        self.reader.messages.after_login(packet_size, max_message);
        self.writer.packet_size = packet_size;
    }

    /// The next message, which must be there.
    pub(super) async fn expect(&mut self, wanted: PacketType) -> Result<Message, ConnectionError> {
        match self.reader.next().await?.ok_or(ConnectionError::Eof)? {
            Incoming::Message(message) if message.packet_type == wanted => Ok(message),
            Incoming::Message(message) => Err(ConnectionError::Unexpected(message.packet_type)),
            Incoming::Load(_) => Err(ConnectionError::Unexpected(PacketType::BULK_LOAD)),
        }
    }
}

impl<R: AsyncRead + Unpin> PacketReader<R> {
    /// The next message, or part of a bulk load; `None` if the client closed the connection between messages.
    ///
    /// # Cancel safety
    /// Safe: bytes that were read are kept for the next call.
    pub(super) async fn next(&mut self) -> Result<Option<Incoming>, ConnectionError> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(incoming) = self.messages.next()? {
                return Ok(Some(incoming));
            }
            // Nothing is between the read and the push that could lose its bytes.
            let got = match self.inner.read(&mut chunk).await {
                Ok(got) => got,
                // Drivers close TLS without saying goodbye.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                Err(error) => return Err(error.into()),
            };
            if got == 0 {
                return if self.messages.is_mid_message() {
                    Err(ConnectionError::Eof)
                } else {
                    Ok(None)
                };
            }
            self.messages.push(chunk.get(..got).unwrap_or_default());
        }
    }
}

impl<R: AsyncRead + Unpin> PacketReader<R> {
    /// The next packet as it stands; `None` if the client closed the connection between packets.
    ///
    /// # Cancel safety
    /// Safe: bytes that were read are kept for the next call.
    pub(super) async fn packet(
        &mut self,
    ) -> Result<Option<(PacketHeader, Vec<u8>)>, ConnectionError> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(packet) = self.messages.next_packet()? {
                return Ok(Some(packet));
            }
            let got = match self.inner.read(&mut chunk).await {
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                Err(error) => return Err(error.into()),
            };
            match got {
                0 if !self.messages.is_mid_message() => return Ok(None),
                0 => return Err(ConnectionError::Eof),
                got => self.messages.push(chunk.get(..got).unwrap_or_default()),
            }
        }
    }

    /// Throws away what the client sends until it goes.
    pub(super) async fn until_gone(&mut self) {
        let mut chunk = [0; 4096];
        while matches!(self.inner.read(&mut chunk).await, Ok(got) if got > 0) {}
    }
}

impl<W: AsyncWrite + Unpin> PacketWriter<W> {
    /// Sends a whole message.
    pub(super) async fn message(&mut self, payload: &[u8]) -> Result<(), ConnectionError> {
        self.write(payload).await?;
        self.finish().await
    }

    /// Adds to the message; whole packets go out as they fill.
    pub(super) async fn write(&mut self, mut payload: &[u8]) -> Result<(), ConnectionError> {
        let room = self.packet_size - HEADER_LEN;
        // A full packet waits until more comes, since the last one must say that it is.
        while self.pending.len() + payload.len() > room {
            let (now, later) = payload.split_at(room - self.pending.len());
            self.pending.extend_from_slice(now);
            payload = later;
            self.packet(PacketStatus::NORMAL).await?;
        }
        self.pending.extend_from_slice(payload);
        Ok(())
    }

    /// Ends the message.
    pub(super) async fn finish(&mut self) -> Result<(), ConnectionError> {
        self.packet(PacketStatus::EOM).await?;
        self.packet_id = 1;
        self.flush().await
    }

    /// Sends what there is of the message as a packet of its own.
    pub(super) async fn flush_packet(&mut self) -> Result<(), ConnectionError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.packet(PacketStatus::NORMAL).await?;
        self.flush().await
    }

    /// Puts the session's id into the headers from now on.
    pub(super) fn set_spid(&mut self, spid: u16) {
        self.spid = spid;
    }

    /// Says goodbye, in TLS too.
    pub(super) async fn close(&mut self) {
        let _ = timeout(self.patience, self.inner.shutdown()).await;
    }

    /// Sends bytes that are no packet.
    pub(super) async fn raw(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        self.send(bytes).await?;
        self.flush().await
    }

    /// Has the connection end once `bytes` more have been sent.
    pub(super) fn cut_after(&mut self, bytes: usize, step: GatewayStep) {
        self.cut = Some(Cut { left: bytes, step });
    }

    async fn packet(&mut self, status: PacketStatus) -> Result<(), ConnectionError> {
        let header = PacketHeader {
            packet_type: PacketType::TABULAR_RESULT,
            status,
            length: u16::try_from(self.pending.len() + HEADER_LEN).unwrap_or(u16::MAX),
            spid: self.spid,
            packet_id: self.packet_id,
            window: 0,
        };
        self.packet_id = self.packet_id.wrapping_add(1);
        // One write, so that a packet is one TLS record.
        let mut packet = Vec::with_capacity(HEADER_LEN + self.pending.len());
        packet.extend_from_slice(&header.encode());
        packet.append(&mut self.pending);
        let Some(cut) = &mut self.cut else {
            return self.send(&packet).await;
        };
        let (step, part) = (cut.step, cut.left.min(packet.len()));
        cut.left -= part;
        if part == packet.len() {
            return self.send(&packet).await;
        }
        self.raw(packet.get(..part).unwrap_or_default()).await?;
        Err(ConnectionError::Injected(step))
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let sent = timeout(self.patience, self.inner.write_all(bytes)).await;
        Ok(sent.map_err(|_| ConnectionError::Idle)??)
    }

    async fn flush(&mut self) -> Result<(), ConnectionError> {
        let flushed = timeout(self.patience, self.inner.flush()).await;
        Ok(flushed.map_err(|_| ConnectionError::Idle)??)
    }
}
