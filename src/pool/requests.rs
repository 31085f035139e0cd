//! Follows the requests that the driver writes: where packets and messages
//! begin and end, and what a request may have left behind in the session.

use super::wire::WireFault;
use crate::tds::{
    HEADER_LEN, PacketHeader, PacketStatus, PacketType, WordFinder, after_headers, announces_rows,
    parse_all_headers,
};

/// As much of a request's beginning as is ever looked at: ALL_HEADERS, then a
/// transaction manager request or the first words of a batch.
const PREFIX_LEN: usize = 96;

// Words in a request that may make the session unlike a new one in a way that a
// reset does not undo.
const ISOLATION: &[u8] = b"ISOLATION";
const APP_ROLE: &[u8] = b"SP_SETAPPROLE";

/// Reads request packets as they go out. Sans-IO, and it keeps nothing of a
/// request but its first bytes.
#[derive(Debug)]
pub(super) struct Requests {
    packet_size: usize,
    /// Bytes of the current packet that are still to come.
    left: usize,
    kind: PacketType,
    /// Whether the current packet is the last of its message.
    last: bool,
    mid_message: bool,
    prefix: Vec<u8>,
    isolation: WordFinder,
    app_role: WordFinder,
    traces: Traces,
}

/// What the session's requests so far may have left behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Traces {
    /// The transaction isolation level may not be the default one.
    pub(super) isolation: bool,
    /// An application role may be in force; nothing ends it but logging out.
    pub(super) app_role: bool,
    /// `INSERT BULK` has been announced and its rows have not been sent.
    pub(super) awaits_rows: bool,
}

/// A message that has gone out whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// A request, which the server answers even if its last packet took it back.
    Request,
    /// An attention.
    Attention,
}

impl Requests {
    /// `packet_size` is the one in force, in bytes.
    pub(super) fn new(packet_size: usize) -> Self {
        Self {
            packet_size,
            left: 0,
            kind: PacketType(0),
            last: true,
            mid_message: false,
            prefix: Vec::with_capacity(PREFIX_LEN),
            isolation: WordFinder::new(ISOLATION),
            app_role: WordFinder::new(APP_ROLE),
            traces: Traces::default(),
        }
    }

    /// Bytes of the packet begun that are still to come; 0 between packets.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Whether a message has been begun and not ended.
    pub(super) fn mid_message(&self) -> bool {
        self.mid_message
    }

    /// What the requests so far may have left behind.
    pub(super) fn traces(&self) -> Traces {
        self.traces
    }

    /// Forgets what a reset of the session has undone.
    pub(super) fn forget_isolation(&mut self) {
        self.traces.isolation = false;
    }

    /// Takes note of a packet's header. Only between packets.
    ///
    /// # Errors
    ///
    /// When the packet is not one that may come now, or not of the size that
    /// the server insists on: every packet of a request but the last is exactly
    /// full (MS-TDS 2.2.3.1.3).
    pub(super) fn begin_packet(&mut self, header: &PacketHeader) -> Result<(), WireFault> {
        debug_assert_eq!(self.left, 0, "a packet begins inside another");
        let length = usize::from(header.length);
        let last = header.status.contains(PacketStatus::EOM);
        if length < HEADER_LEN || length > self.packet_size || (!last && length != self.packet_size)
        {
            return Err(WireFault::RequestPacketSize {
                length,
                negotiated: self.packet_size,
            });
        }
        if !self.mid_message {
            self.begin_message(header.packet_type);
        } else if header.packet_type != self.kind {
            return Err(WireFault::RequestType {
                packet_type: header.packet_type,
            });
        }
        self.last = last;
        self.mid_message = true;
        self.left = length - HEADER_LEN;
        Ok(())
    }

    fn begin_message(&mut self, kind: PacketType) {
        self.kind = kind;
        self.prefix.clear();
        self.isolation.restart();
        self.app_role.restart();
    }

    /// Takes note of payload bytes, which must not reach past the packet.
    pub(super) fn follow(&mut self, payload: &[u8]) {
        debug_assert!(
            payload.len() <= self.left,
            "a packet is longer than it said"
        );
        self.left -= payload.len().min(self.left);
        if self.kind == PacketType::SQL_BATCH || self.kind == PacketType::RPC {
            self.traces.isolation |= self.isolation.feed(payload);
            self.traces.app_role |= self.app_role.feed(payload);
        }
        let room = PREFIX_LEN.saturating_sub(self.prefix.len());
        self.prefix.extend(payload.iter().take(room));
    }

    /// The message that has just ended, if one has. Asked after each packet.
    pub(super) fn ended(&mut self) -> Option<Sent> {
        if !(self.mid_message && self.last && self.left == 0) {
            return None;
        }
        self.mid_message = false;
        if self.kind == PacketType::ATTENTION {
            return Some(Sent::Attention);
        }
        self.traces.awaits_rows =
            self.kind == PacketType::SQL_BATCH && announces_rows(&self.prefix);
        if self.kind == PacketType::TRANSACTION_MANAGER {
            self.traces.isolation |= may_set_isolation(&self.prefix);
        }
        Some(Sent::Request)
    }

    /// The transaction that the last request named in ALL_HEADERS; `None` when
    /// it had no such headers (bulk rows, attentions).
    pub(super) fn descriptor(&self) -> Option<u64> {
        let has_headers = [
            PacketType::SQL_BATCH,
            PacketType::RPC,
            PacketType::TRANSACTION_MANAGER,
        ]
        .contains(&self.kind);
        if !has_headers {
            return None;
        }
        parse_all_headers(&self.prefix)
            .ok()
            .map(|(descriptor, _)| descriptor)
    }
}

/// Whether a transaction manager request sets an isolation level: a begin with
/// a level of its own, or a commit or rollback that begins anew
/// (MS-TDS 2.2.6.9). What cannot be told counts as yes.
fn may_set_isolation(prefix: &[u8]) -> bool {
    const BEGIN: u16 = 5;
    const COMMIT: u16 = 7;
    const ROLLBACK: u16 = 8;
    const BEGINS_ANEW: u8 = 1;

    let Some([low, high, rest @ ..]) = after_headers(prefix) else {
        return true;
    };
    match u16::from_le_bytes([*low, *high]) {
        BEGIN => rest.first() != Some(&0),
        COMMIT | ROLLBACK => {
            let flags = rest
                .first()
                .and_then(|name_len| rest.get(1 + usize::from(*name_len)));
            flags.is_none_or(|flags| flags & BEGINS_ANEW != 0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
