//! After the relay: a last word to the client, and a session brought to rest.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::pump::Pump;
use super::track::{Piece, Rescue};
use crate::proxy::upstream::Condition;
use crate::session::Scratch;
use crate::tds::{
    Done, DoneStatus, PacketStatus, PacketType, ServerMessage, TdsVersion, Token, write_message,
};

/// How long a server may take to stop what nobody waits for any more. Drivers
/// give it as long before they close the connection.
const STOP: Duration = Duration::from_secs(5);

/// Tells the client why it ends, if it is at a place where it reads a message.
pub(super) async fn tell(pump: &mut Pump<'_>, message: &ServerMessage) -> io::Result<()> {
    if pump.bridge.is_some() {
        // An error in what comes before it has been noticed already. The bridge
        // stays where it is found should time run out here.
        let _ = poll_fn(|cx| pump.poll_delivered(cx)).await;
        let Some(bridge) = &mut pump.bridge else {
            return Ok(());
        };
        bridge.tell(message);
        pump.client.write_all(bridge.transcoder.to_client()).await?;
        return pump.client.flush().await;
    }
    poll_fn(|cx| pump.down.poll_send(cx, pump.client)).await?;
    if pump.track.mid_answer() {
        return Ok(());
    }
    let mut tokens = Vec::new();
    Token::Error(message.clone())
        .encode(TdsVersion::V7_4, &mut tokens)
        .map_err(io::Error::other)?;
    Done::new(DoneStatus::ERROR).encode(TdsVersion::V7_4, &mut tokens);
    let mut packets = Vec::new();
    let size = pump.track.packet_size();
    write_message(
        PacketType::TABULAR_RESULT,
        PacketStatus::NORMAL,
        &tokens,
        size,
        &mut packets,
    );
    for packet in packets.chunks_mut(size) {
        if let Some(field) = packet.get_mut(4..6) {
            field.copy_from_slice(&pump.spid.to_be_bytes());
        }
    }
    pump.client.write_all(&packets).await?;
    pump.client.flush().await
}

/// Brings the session to rest: takes back what is half sent, stops what is
/// running, and reads what is due. `None` if that cannot be done, or not in time.
pub(super) async fn rescue(pump: &mut Pump<'_>) -> Option<Condition> {
    if pump.server_broke.is_some() {
        return None;
    }
    pump.forget_passed();
    if !(pump.track.at_rest() && pump.up.is_sent()) {
        timeout(STOP, settle(pump)).await.ok()?.ok()?;
    }
    let traces = pump.track.traces();
    if traces.stray || traces.awaits_rows || !pump.down.held.is_empty() {
        return None;
    }
    Some(if traces.app_role {
        Condition::Lasting
    } else {
        Condition::AtRest
    })
}

async fn settle(pump: &mut Pump<'_>) -> io::Result<()> {
    poll_fn(|cx| pump.up.poll_send(cx, pump.server)).await?;
    match pump.track.abandon() {
        Rescue::Wait => {}
        Rescue::Send(packet) => {
            pump.server.write_all(&packet).await?;
            pump.server.flush().await?;
        }
        Rescue::Hopeless => return Err(io::ErrorKind::Unsupported.into()),
    }
    let held = std::mem::take(&mut pump.down.held);
    pump.down.held = followed(pump, &held)?;
    let mut buffer = Scratch::take();
    while !pump.track.at_rest() {
        let held = pump.down.held.len();
        let (head, rest) = buffer.split_at_mut(held);
        head.copy_from_slice(&pump.down.held);
        let read = pump.server.read(rest).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        pump.down.held = followed(pump, buffer.get(..held + read).unwrap_or_default())?;
    }
    Ok(())
}

/// Follows what nobody reads any more; what of it is no whole header yet.
fn followed(pump: &mut Pump<'_>, mut bytes: &[u8]) -> io::Result<Vec<u8>> {
    while let Some(piece) = pump.track.answer(bytes).map_err(io::Error::other)? {
        let (Piece::Pass(length) | Piece::Drop(length) | Piece::Replace(length)) = piece;
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(bytes.to_vec())
}
