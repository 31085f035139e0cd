//! What passes between the driver and the server, and what the session is worth
//! after it. Sans-IO: `link` moves the bytes, this decides what they mean.

use tokio::io::ReadBuf;

use super::requests::{Requests, Sent};
use super::responses::{Phase, Responses};
use crate::tds::{DecodeError, HEADER_LEN, PacketHeader, PacketStatus, PacketType, ServerMessage};

/// Both directions of one session.
#[derive(Debug)]
pub(super) struct Wire {
    requests: Requests,
    responses: Responses,
    reset: Reset,
    used: bool,
    condemned: Option<Doubt>,
}

/// Whether the next request resets the session first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reset {
    No,
    Armed { acknowledged: bool },
}

/// Why a session may not be handed out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// An application role is in force.
    AppRole,
    /// An attention has not been acknowledged.
    Attention,
    /// `INSERT BULK` was announced and no rows came.
    BulkLoad,
    /// The session was closed, by either side.
    Closed,
    /// The driver's idea of the open transaction is not the server's.
    Descriptor,
    /// A request was begun and not finished.
    MidRequest,
    /// A response was not read to its end.
    MidResponse,
    /// Something on the wire went against the protocol, or could not be read.
    Protocol,
    /// The server did not acknowledge a reset.
    Reset,
    /// A transaction is open.
    Transaction,
}

/// What went wrong on the wire. The session is not used any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireFault {
    #[error("a request packet that cannot be read")]
    RequestPacket(#[source] DecodeError),
    #[error("a request packet of {length} bytes, where packets of {negotiated} are negotiated")]
    RequestPacketSize { length: usize, negotiated: usize },
    #[error("a request packet of type {packet_type} inside another request")]
    RequestType { packet_type: PacketType },
    #[error(
        "the server did not acknowledge the reset of a pooled session, so what its last user \
         left behind may still be in force; the session is closed"
    )]
    ResetNotAcknowledged,
    #[error("the server sent a packet that cannot be read")]
    ResponsePacket(#[source] DecodeError),
    #[error("the server sent a packet of type {packet_type} where a response belongs")]
    ResponseType { packet_type: PacketType },
    #[error("the server sent bytes that answer no request")]
    Unsolicited,
}

impl Wire {
    /// A session just logged in, with packets of `packet_size` bytes.
    pub(super) fn new(packet_size: usize) -> Self {
        Self {
            requests: Requests::new(packet_size),
            responses: Responses::new(),
            reset: Reset::No,
            used: false,
            condemned: None,
        }
    }

    /// Why the session may not go back to the pool; `None` if nothing is open.
    pub(super) fn doubt(&self) -> Option<Doubt> {
        let traces = self.requests.traces();
        let mid_response = self.responses.phase() != Phase::Idle;
        [
            (self.responses.attention(), Doubt::Attention),
            (self.requests.mid_message(), Doubt::MidRequest),
            (mid_response, Doubt::MidResponse),
            (self.responses.transaction() != 0, Doubt::Transaction),
            (traces.awaits_rows, Doubt::BulkLoad),
            (traces.app_role, Doubt::AppRole),
        ]
        .into_iter()
        .find_map(|(open, doubt)| open.then_some(doubt))
        .or(self.condemned)
    }

    /// Rules the session out for good; the first reason stands.
    pub(super) fn condemn(&mut self, doubt: Doubt) {
        self.condemned.get_or_insert(doubt);
    }

    /// Whether something has been asked since the login or the last reset.
    pub(super) fn used(&self) -> bool {
        self.used
    }

    /// Whether no exchange is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.responses.phase() == Phase::Idle && !self.requests.mid_message()
    }

    /// Whether the isolation level may not be the default one.
    pub(super) fn isolation_touched(&self) -> bool {
        self.requests.traces().isolation
    }

    /// Notes that the session is as it was after its login.
    pub(super) fn mark_fresh(&mut self) {
        self.used = false;
        self.requests.forget_isolation();
    }

    /// Has the next request reset the session first. `acknowledged` demands
    /// that the server says so before any result.
    pub(super) fn arm_reset(&mut self, acknowledged: bool) {
        self.reset = Reset::Armed { acknowledged };
    }

    /// Whether the last reset was acknowledged; each outcome is told once.
    pub(super) fn take_reset_outcome(&mut self) -> Option<bool> {
        self.responses.take_reset_outcome()
    }

    /// The first error that the latest response held.
    pub(super) fn response_error(&self) -> Option<&ServerMessage> {
        self.responses.error()
    }

    /// Bytes of the request packet begun that are still to come.
    pub(super) fn request_left(&self) -> usize {
        self.requests.left()
    }

    /// Takes in a request packet's header, and sets the reset bit in it if this
    /// is where it belongs: on the first packet of a batch, an RPC or a
    /// transaction manager request (MS-TDS 2.2.3.1.2). Returns whether it did.
    pub(super) fn begin_request_packet(
        &mut self,
        bytes: &mut [u8; HEADER_LEN],
    ) -> Result<bool, WireFault> {
        let first = !self.requests.mid_message();
        let begun = PacketHeader::decode(bytes)
            .map_err(WireFault::RequestPacket)
            .and_then(|header| self.requests.begin_packet(&header).map(|()| header));
        let mut header = begun.inspect_err(|_| self.condemn(Doubt::Protocol))?;
        if header.packet_type == PacketType::ATTENTION {
            return Ok(false);
        }
        if first && self.responses.phase() != Phase::Idle {
            self.condemn(Doubt::MidResponse);
        }
        self.used = true;
        let Reset::Armed { acknowledged } = self.reset else {
            return Ok(false);
        };
        if !(first && may_carry_reset(header.packet_type)) {
            return Ok(false);
        }
        self.reset = Reset::No;
        self.responses.demand_acknowledgement(acknowledged);
        header.status.insert(PacketStatus::RESET_CONNECTION);
        *bytes = header.encode();
        Ok(true)
    }

    /// Takes in payload bytes of the request packet begun.
    pub(super) fn follow_request(&mut self, payload: &[u8]) {
        self.requests.follow(payload);
        match self.requests.ended() {
            None => {}
            Some(Sent::Attention) => self.responses.await_attention(),
            Some(Sent::Request) => {
                let named = self.requests.descriptor();
                if named.is_some_and(|named| named != self.responses.transaction()) {
                    self.condemn(Doubt::Descriptor);
                }
                self.responses.begin();
            }
        }
    }

    /// Hands the driver what it may have of `received`; returns how many bytes
    /// of it are done with. See [`Responses::hand_over`].
    pub(super) fn hand_over(
        &mut self,
        received: &[u8],
        driver: &mut ReadBuf<'_>,
    ) -> Result<usize, WireFault> {
        let consumed = self.responses.hand_over(received, driver);
        if let Err(fault) = &consumed {
            self.condemn(match fault {
                WireFault::ResetNotAcknowledged => Doubt::Reset,
                _ => Doubt::Protocol,
            });
        } else if self.responses.is_unreset() {
            self.condemn(Doubt::Reset);
        } else if self.responses.is_blind() {
            self.condemn(Doubt::Protocol);
        }
        consumed
    }
}

fn may_carry_reset(packet_type: PacketType) -> bool {
    [
        PacketType::SQL_BATCH,
        PacketType::RPC,
        PacketType::TRANSACTION_MANAGER,
    ]
    .contains(&packet_type)
}

#[cfg(test)]
mod tests;
