//! Reading from a socket in larger pieces than are asked for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::session::Scratch;

/// What was read and has not been asked for yet.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Scratch,
    from: usize,
    to: usize,
}

/// Reads as much as the socket has at once, hands out as much as there is room
/// for, and holds a buffer only while something is left in it.
pub(super) fn poll_read(
    piece: &mut Option<Piece>,
    socket: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let held = match piece {
        Some(held) => held,
        None if buf.remaining() >= Scratch::LEN => return Pin::new(socket).poll_read(cx, buf),
        None => {
            let mut bytes = Scratch::take();
            let mut room = ReadBuf::new(&mut bytes);
            ready!(Pin::new(socket).poll_read(cx, &mut room))?;
            let to = room.filled().len();
            piece.insert(Piece { bytes, from: 0, to })
        }
    };
    let unread = held.bytes.get(held.from..held.to).unwrap_or_default();
    let wanted = unread.get(..buf.remaining()).unwrap_or(unread);
    buf.put_slice(wanted);
    held.from += wanted.len();
    if held.from == held.to {
        *piece = None;
    }
    Poll::Ready(Ok(()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::super::Tunnel;

    #[tokio::test]
    async fn bytes_come_in_order_whatever_is_asked_for() {
        let sent: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        let (near, mut far) = duplex(50_000);
        let wire = sent.clone();
        let sender = tokio::spawn(async move { far.write_all(&wire).await.unwrap() });
        let mut tunnel = Tunnel::bare(near);
        tunnel.read_ahead();
        let (mut seen, mut wish) = (Vec::new(), 1);
        while seen.len() < sent.len() {
            let mut bytes = vec![0; wish];
            let count = tunnel.read(&mut bytes).await.unwrap();
            assert!(count > 0, "the end came early");
            seen.extend_from_slice(&bytes[..count]);
            wish = (wish * 7) % 70_001;
        }
        assert_eq!(seen, sent);
        assert_eq!(tunnel.read(&mut [0; 9]).await.unwrap(), 0);
        sender.await.unwrap();
    }
}
