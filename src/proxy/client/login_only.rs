//! TLS for the login alone: PRELOGIN's answer OFF (MS-TDS 2.2.6.5).
//!
//! The specification encrypts the first packet of LOGIN7 and nothing else, some
//! drivers all of LOGIN7; so after each packet the next byte tells whether TLS
//! goes on. Nobody says goodbye to TLS at its end, and neither do we.

use tokio::io::AsyncReadExt;

use super::packets::packet;
use super::socket::Socket;
use super::{GreetError, Greeted, Tls};
use crate::front::{Event, Front};

/// The first byte of a TLS record that carries data, and of one that warns or
/// says goodbye (RFC 5246, 6.2.1).
const DATA: u8 = 0x17;
const ALERT: u8 = 0x15;

/// Reads a LOGIN7 of which the first packet is encrypted.
pub(super) async fn read(mut tls: Tls, mut front: Front) -> Result<Greeted, GreetError> {
    loop {
        if let Some(event) = packet(&mut tls, &mut front, &[]).await? {
            if unread(&mut tls)? > 0 {
                return Err(GreetError::AfterLogin);
            }
            return greeted(tls.into_inner().0.into_inner(), front, event);
        }
        if let Some(first) = clear_byte(&mut tls).await? {
            return in_clear(tls.into_inner().0.into_inner(), front, first).await;
        }
    }
}

/// The next byte, taken away, if it stands in clear.
async fn clear_byte(tls: &mut Tls) -> Result<Option<u8>, GreetError> {
    if unread(tls)? > 0 {
        return Ok(None);
    }
    let mut next = tls.get_mut().0.peek().await?;
    if next == Some(ALERT) {
        if tls.read(&mut [0]).await? > 0 {
            return Err(GreetError::AfterLogin);
        }
        next = tls.get_mut().0.peek().await?;
    }
    match next {
        Some(DATA) => Ok(None),
        Some(first) => Ok(Some(first)),
        None => Err(GreetError::Closed),
    }
}

/// The rest of a LOGIN7 of which `first` is the next byte.
async fn in_clear(mut socket: Socket, mut front: Front, first: u8) -> Result<Greeted, GreetError> {
    let mut start: &[u8] = &[first];
    loop {
        if let Some(event) = packet(&mut socket, &mut front, start).await? {
            return greeted(socket, front, event);
        }
        start = &[];
    }
}

fn greeted(socket: Socket, front: Front, event: Event) -> Result<Greeted, GreetError> {
    match event {
        Event::LoginRequested(login) => Ok(Greeted {
            stream: socket.into_stream(),
            front,
            login,
            encrypted: false,
        }),
        Event::StartTls(_) => Err(GreetError::NoTls),
    }
}

/// How many bytes are decrypted and not yet read.
fn unread(tls: &mut Tls) -> Result<usize, GreetError> {
    let (_, connection) = tls.get_mut();
    let state = connection
        .process_new_packets()
        .map_err(|source| GreetError::Tls { source })?;
    Ok(state.plaintext_bytes_to_read())
}
