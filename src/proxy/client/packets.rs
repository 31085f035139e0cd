//! A login's packets, read one at a time and not a byte further.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::{GreetError, Step};
use crate::front::{Event, Front, State};
use crate::tds::{DEFAULT_PACKET_SIZE, HEADER_LEN, PacketHeader};

/// Feeds the front, and sends what it answers, until it has something to say.
/// `start` is what has been read of the first header.
pub(super) async fn next_event(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    front: &mut Front,
    start: &[u8],
    step: &mut Step,
) -> Result<Event, GreetError> {
    let mut start = start;
    loop {
        let event = packet(stream, front, start).await?;
        start = &[];
        let answer = front.take_output();
        if !answer.is_empty() {
            stream.write_all(&answer).await?;
            stream.flush().await?;
        }
        if front.state() == State::ExpectLogin {
            *step = Step::Login;
        }
        if let Some(event) = event {
            return Ok(event);
        }
    }
}

/// Feeds one packet.
pub(super) async fn packet(
    stream: &mut (impl AsyncRead + Unpin),
    front: &mut Front,
    start: &[u8],
) -> Result<Option<Event>, GreetError> {
    let mut header = [0; HEADER_LEN];
    let (known, rest) = header.split_at_mut(start.len().min(HEADER_LEN));
    known.copy_from_slice(start.get(..known.len()).unwrap_or_default());
    stream.read_exact(rest).await?;
    // The front sees the header first and refuses what is too long.
    let mut event = front.receive(&header)?;
    let header = PacketHeader::decode(&header).map_err(crate::front::FrontError::from)?;
    let mut left = header.data_len();
    // A login's password stands in here.
    let mut buffer = Zeroizing::new(vec![0; left.min(DEFAULT_PACKET_SIZE)]);
    while left > 0 {
        let room = left.min(buffer.len());
        let count = stream
            .read(buffer.get_mut(..room).unwrap_or_default())
            .await?;
        let bytes = buffer.get(..count).filter(|bytes| !bytes.is_empty());
        event = front.receive(bytes.ok_or(GreetError::Closed)?)?;
        left -= count;
    }
    Ok(event)
}
