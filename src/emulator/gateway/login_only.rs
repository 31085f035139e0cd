//! TLS for the login alone: PRELOGIN's answer OFF (MS-TDS 2.2.6.5).
//!
//! The specification encrypts the first packet of LOGIN7 only, some drivers all of it; so after each
//! packet the next byte tells whether TLS goes on. Nobody says goodbye to TLS at its end.

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_rustls::server::TlsStream;

use super::error::ConnectionError;
use super::packet_io::MAX_LOGIN_MESSAGE;
use super::stream::{ClientStream, Tunnel};
use crate::tds::{DEFAULT_PACKET_SIZE, DecodeError, HEADER_LEN, PacketHeader, PacketStatus};

/// The first byte of a TLS record with data.
const TLS_DATA: u8 = 0x17;

/// The packets that came in TLS, and the stream as it goes on without.
pub(super) async fn encrypted_packets(
    mut tls: TlsStream<Tunnel<ClientStream>>,
) -> Result<(Vec<u8>, ClientStream), ConnectionError> {
    let mut packets = Vec::new();
    while !packet(&mut tls, &mut packets).await? && more_in_tls(&mut tls).await? {
        if packets.len() > MAX_LOGIN_MESSAGE {
            return Err(too_long(packets.len(), MAX_LOGIN_MESSAGE));
        }
    }
    Ok((packets, tls.into_inner().0.into_inner()))
}

/// Reads one packet as it stands; true if it is its message's last.
async fn packet(
    from: &mut (impl AsyncRead + Unpin),
    packets: &mut Vec<u8>,
) -> Result<bool, ConnectionError> {
    let mut bytes = [0; HEADER_LEN];
    from.read_exact(&mut bytes).await?;
    let header = PacketHeader::decode(&bytes)?;
    if usize::from(header.length) > DEFAULT_PACKET_SIZE {
        return Err(too_long(header.length.into(), DEFAULT_PACKET_SIZE));
    }
    let mut data = vec![0; header.data_len()];
    from.read_exact(&mut data).await?;
    packets.extend_from_slice(&bytes);
    packets.extend_from_slice(&data);
    Ok(header.status.contains(PacketStatus::EOM))
}

async fn more_in_tls(tls: &mut TlsStream<Tunnel<ClientStream>>) -> Result<bool, ConnectionError> {
    let (tunnel, connection) = tls.get_mut();
    let state = connection
        .process_new_packets()
        .map_err(|error| ConnectionError::Tls(std::io::Error::other(error)))?;
    if state.plaintext_bytes_to_read() > 0 {
        return Ok(true);
    }
    Ok(tunnel.inner().peek().await? == Some(TLS_DATA))
}

fn too_long(len: usize, max: usize) -> ConnectionError {
    ConnectionError::Decode(DecodeError::TooLong {
        what: "the encrypted part of the login",
        len: len as u64,
        max: max as u64,
    })
}
