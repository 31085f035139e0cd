//! Injected faults at the steps of a connection.

use super::Shared;
use super::error::ConnectionError;
use super::packet_io::PacketIo;
use super::stream::{ResetSwitch, Stream};
use crate::emulator::{GatewayFault, GatewayStep};

/// What a web server might say to a TDS client.
const GARBAGE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

/// A fault at a step that has no answer of its own.
pub(super) async fn on_stream<S: Stream>(
    stream: S,
    shared: &Shared,
    reset: &ResetSwitch,
    step: GatewayStep,
) -> Result<S, ConnectionError> {
    let Some(fault) = shared.faults.take_gateway(step) else {
        return Ok(stream);
    };
    let mut io = PacketIo::new(stream, shared.settings.login_timeout);
    match fault {
        GatewayFault::CloseAfter(_) => {}
        GatewayFault::Slow(pause) => {
            tokio::time::sleep(pause).await;
            // Nothing was read or written, so nothing is left in the two halves.
            return Ok(io.into_stream().0);
        }
        other => perform(&mut io, reset, step, other).await?,
    }
    Err(ConnectionError::Injected(step))
}

/// A fault in place of an answer, if one is due.
pub(super) async fn trouble<S: Stream>(
    io: &mut PacketIo<S>,
    shared: &Shared,
    reset: &ResetSwitch,
    step: GatewayStep,
) -> Result<(), ConnectionError> {
    match shared.faults.take_gateway(step) {
        Some(fault) => perform(io, reset, step, fault).await,
        None => Ok(()),
    }
}

async fn perform<S: Stream>(
    io: &mut PacketIo<S>,
    reset: &ResetSwitch,
    step: GatewayStep,
    fault: GatewayFault,
) -> Result<(), ConnectionError> {
    match fault {
        GatewayFault::Close => {}
        GatewayFault::CloseAfter(bytes) => {
            io.writer.cut_after(bytes, step);
            return Ok(());
        }
        GatewayFault::Garbage => io.writer.raw(GARBAGE).await?,
        GatewayFault::Reset => reset.turn_on(),
        GatewayFault::Slow(pause) => {
            tokio::time::sleep(pause).await;
            return Ok(());
        }
        GatewayFault::Stall => io.reader.until_gone().await,
    }
    Err(ConnectionError::Injected(step))
}
