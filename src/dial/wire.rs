//! Whole TDS messages over a stream, each with a bound.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::tds::{
    DEFAULT_PACKET_SIZE, DecodeError, HEADER_LEN, MAX_PACKET_SIZE, Message, MessageReader,
    PacketHeader, PacketStatus, PacketType, write_message,
};

/// Why a message could not be exchanged.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The server closed the connection instead of answering.
    #[error("the server closed the connection without an answer")]
    Closed,
    /// The server closed the connection in the middle of its answer.
    #[error("the server closed the connection in the middle of its answer")]
    CutShort,
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[source] Arc<io::Error>),
    /// What answers speaks another protocol.
    #[error("what answers there is {what}, no SQL Server; check the port")]
    Foreign {
        /// Who seems to answer.
        what: &'static str,
    },
    /// The server speaks TLS before everything else.
    #[error("the server expects TLS before everything else (TDS 8.0); use Encrypt=strict")]
    TlsFirst,
    /// A message of a kind that has no place here.
    #[error(
        "the server answered with a message of type {packet_type}, which has no place in a login"
    )]
    Unexpected {
        /// The kind of message.
        packet_type: PacketType,
    },
    /// The bytes break the protocol.
    #[error("the server's answer breaks the TDS protocol")]
    Malformed(#[from] DecodeError),
}

impl WireError {
    /// Whether the network, not the protocol, is at fault.
    pub(super) fn is_network(&self) -> bool {
        matches!(self, Self::Closed | Self::CutShort | Self::Io(_))
    }

    pub(super) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutShort,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

/// How much of an answer is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    packet: usize,
    message: usize,
}

impl Bounds {
    /// PRELOGIN's answer: one packet of the default size holds it many times.
    pub(super) const PRELOGIN: Self = Self {
        packet: DEFAULT_PACKET_SIZE,
        message: DEFAULT_PACKET_SIZE,
    };
    /// The login's answer: a few hundred bytes as a rule. Packets should not
    /// pass 4,096 bytes here, but a larger one does no harm.
    pub(super) const LOGIN: Self = Self {
        packet: MAX_PACKET_SIZE,
        message: 256 * 1024,
    };
}

/// A message cut into packets of the size that holds before a login is done.
///
/// The buffer is wiped when dropped: it may hold a token or a password.
pub(super) fn packets(packet_type: PacketType, payload: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::new());
    write_message(
        packet_type,
        PacketStatus::NORMAL,
        payload,
        DEFAULT_PACKET_SIZE,
        &mut bytes,
    );
    bytes
}

/// Sends packets, each in a write and hence a TLS record of its own, as SQL
/// Server expects.
pub(super) async fn send<S>(stream: &mut S, packets: &[u8]) -> Result<(), WireError>
where
    S: AsyncWrite + Unpin,
{
    for packet in packets.chunks(DEFAULT_PACKET_SIZE) {
        stream.write_all(packet).await.map_err(WireError::from_io)?;
    }
    stream.flush().await.map_err(WireError::from_io)
}

/// Receives one message from the server and not one byte more.
pub(super) async fn receive<S>(stream: &mut S, bounds: Bounds) -> Result<Message, WireError>
where
    S: AsyncRead + Unpin,
{
    let mut reader = MessageReader::new(bounds.packet, bounds.message);
    let mut first = true;
    loop {
        let mut packet = vec![0; HEADER_LEN];
        read_header(stream, &mut packet, first).await?;
        first = false;
        let mut bytes = [0; HEADER_LEN];
        bytes.copy_from_slice(&packet);
        recognise(&bytes)?;
        let header = PacketHeader::decode(&bytes)?;
        if header.packet_type != PacketType::TABULAR_RESULT {
            return Err(WireError::Unexpected {
                packet_type: header.packet_type,
            });
        }
        let length = usize::from(header.length);
        if length <= bounds.packet {
            packet.resize(length, 0);
            let data = packet.get_mut(HEADER_LEN..).unwrap_or_default();
            stream.read_exact(data).await.map_err(WireError::from_io)?;
        }
        reader.push(&packet);
        if let Some(message) = reader.next()? {
            return Ok(message);
        }
    }
}

async fn read_header<S>(stream: &mut S, header: &mut [u8], first: bool) -> Result<(), WireError>
where
    S: AsyncRead + Unpin,
{
    let (start, rest) = header.split_at_mut(1);
    let read = match stream.read(start).await {
        // TLS reports a close without its farewell as this error.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
        read => read.map_err(WireError::from_io)?,
    };
    if read == 0 {
        return Err(if first {
            WireError::Closed
        } else {
            WireError::CutShort
        });
    }
    stream.read_exact(rest).await.map_err(WireError::from_io)?;
    Ok(())
}

/// Names the usual mistakes: a port where something else listens.
fn recognise(header: &[u8; HEADER_LEN]) -> Result<(), WireError> {
    let what = match header {
        [b'H', b'T', b'T', b'P', b'/', ..] => "a web server",
        [b'S', b'S', b'H', b'-', ..] => "an SSH server",
        [b'2', b'2', b'0', b' ' | b'-', ..] => "a mail or FTP server",
        // A TLS record: content type 20 to 23, version 3.x.
        [0x14..=0x17, 0x03, ..] => return Err(WireError::TlsFirst),
        _ => return Ok(()),
    };
    Err(WireError::Foreign { what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    async fn answer(bytes: &[u8], bounds: Bounds) -> Result<Message, WireError> {
        let (mut near, mut far) = duplex(1024 * 1024);
        far.write_all(bytes).await.unwrap();
        drop(far);
        receive(&mut near, bounds).await
    }

    fn message(payload: &[u8], packet_size: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_message(
            PacketType::TABULAR_RESULT,
            PacketStatus::NORMAL,
            payload,
            packet_size,
            &mut bytes,
        );
        bytes
    }

    #[tokio::test]
    async fn a_message_is_taken_and_nothing_after_it() {
        let (mut near, mut far) = duplex(3);
        let mut wire = message(&[5; 2000], 512);
        wire.extend_from_slice(b"next");
        let sender = tokio::spawn(async move { far.write_all(&wire).await.unwrap() });
        let got = receive(&mut near, Bounds::LOGIN).await.unwrap();
        assert_eq!(got.payload, vec![5; 2000]);
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"next");
        sender.await.unwrap();
    }

    #[tokio::test]
    async fn every_cut_has_its_name() {
        let whole = message(&[5; 600], 512);
        for length in 0..whole.len() {
            let error = answer(&whole[..length], Bounds::LOGIN).await.unwrap_err();
            match length {
                0 => assert!(matches!(error, WireError::Closed), "{length}: {error}"),
                _ => assert!(matches!(error, WireError::CutShort), "{length}: {error}"),
            }
        }
    }

    #[tokio::test]
    async fn strangers_are_named() {
        let http = answer(b"HTTP/1.1 400 Bad Request", Bounds::PRELOGIN).await;
        assert!(http.unwrap_err().to_string().contains("a web server"));
        let ssh = answer(b"SSH-2.0-OpenSSH_9.2", Bounds::PRELOGIN).await;
        assert!(ssh.unwrap_err().to_string().contains("an SSH server"));
        let tls = answer(&[0x15, 3, 3, 0, 2, 2, 40, 0], Bounds::PRELOGIN).await;
        assert!(matches!(tls.unwrap_err(), WireError::TlsFirst));
        let noise = answer(&[0xff; 32], Bounds::PRELOGIN).await;
        assert!(matches!(noise.unwrap_err(), WireError::Unexpected { .. }));
    }

    #[tokio::test]
    async fn lengths_are_bounded() {
        let too_short = answer(&[4, 1, 0, 7, 0, 0, 0, 0], Bounds::LOGIN).await;
        assert!(matches!(too_short.unwrap_err(), WireError::Malformed(_)));
        let too_long = answer(&message(&[0; 5000], 8000), Bounds::PRELOGIN).await;
        assert!(matches!(too_long.unwrap_err(), WireError::Malformed(_)));
        let endless = answer(&message(&[0; 300 * 1024], 4096), Bounds::LOGIN).await;
        assert!(matches!(endless.unwrap_err(), WireError::Malformed(_)));
    }

    #[test]
    fn packets_are_at_most_4096_bytes() {
        let bytes = packets(PacketType::LOGIN7, &[1; 9000]);
        assert_eq!(bytes.len(), 9000 + 3 * HEADER_LEN);
        let headers: Vec<_> = bytes
            .chunks(4096)
            .map(|packet| packet[..4].to_vec())
            .collect();
        assert_eq!(headers[0], [0x10, 0, 0x10, 0]);
        assert_eq!(headers[1], [0x10, 0, 0x10, 0]);
        assert_eq!(headers[2][..2], [0x10, 1]);
    }
}
