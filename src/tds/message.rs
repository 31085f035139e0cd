//! Messages: cut into packets, and joined from them (MS-TDS 2.2.3).

#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroize;

use super::{
    DecodeError, HEADER_LEN, MAX_PACKET_SIZE, MIN_PACKET_SIZE, PacketHeader, PacketStatus,
    PacketType, Put,
};

/// A whole message: the data of its packets, joined.
///
/// `Debug` tells the payload's length only, since a login holds a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// What the message is.
    pub packet_type: PacketType,
    /// The bits of the first packet, with EOM and IGNORE of the last.
    pub status: PacketStatus,
    /// The session id in the first packet.
    pub spid: u16,
    /// The joined data.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("packet_type", &self.packet_type)
            .field("status", &self.status)
            .field("spid", &self.spid)
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish()
    }
}

/// Joins packets to messages, from bytes cut anywhere.
///
/// Call [`push`](Self::push) with what was read, then [`next`](Self::next)
/// until it returns `None`. Memory is bounded by what was pushed and by
/// `max_message`: a length field alone reserves nothing.
///
/// An [`ATTENTION`](PacketType::ATTENTION) packet in the middle of another
/// message cancels that message: the attention is returned and the part that
/// had come is dropped, since some drivers cancel a long request so.
///
/// Whoever reads messages that hold a secret makes it [`wiping`](Self::wiping).
pub struct MessageReader {
    max_packet: usize,
    max_message: usize,
    /// Whether bytes are overwritten once they are of no more use.
    wiping: bool,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that have been consumed already.
    consumed: usize,
    partial: Option<Message>,
}

impl MessageReader {
    /// A reader that refuses packets longer than `max_packet` bytes, header
    /// included, and messages with more than `max_message` bytes of data.
    #[must_use]
    pub fn new(max_packet: usize, max_message: usize) -> Self {
        Self {
            max_packet,
            max_message,
            wiping: false,
            buffer: Vec::new(),
            consumed: 0,
            partial: None,
        }
    }

    /// Overwrites what it held: what has been consumed at the next push, all of
    /// it when it grows or is dropped. A message that it has returned belongs to
    /// the caller, who wipes it in turn.
    #[must_use]
    pub fn wiping(mut self) -> Self {
        self.wiping = true;
        self
    }

    /// Sets another bound for packets that have not been looked at yet.
    pub fn set_max_packet(&mut self, max_packet: usize) {
        self.max_packet = max_packet;
    }

    /// Sets another bound for messages.
    pub fn set_max_message(&mut self, max_message: usize) {
        self.max_message = max_message;
    }

    /// Takes in what was read from the peer.
    pub fn push(&mut self, bytes: &[u8]) {
        self.forget_consumed();
        if self.wiping {
            reserve_wiping(&mut self.buffer, bytes.len());
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] beyond a bound, [`DecodeError::Invalid`] for a
    /// bad header or a message whose packets differ in type. The stream cannot
    /// be read any further then.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would end for good at the first None; this goes on after a push"
    )]
    pub fn next(&mut self) -> Result<Option<Message>, DecodeError> {
        while let Some((header, data)) = self.packet()? {
            if let Some(message) = self.append(header, data)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// The next whole packet as it stands, its header and its data, or `None`
    /// if more bytes are needed: for whoever passes messages on without joining
    /// them. Not to be mixed with [`next`](Self::next) inside of a message.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] for a packet beyond the bound,
    /// [`DecodeError::Invalid`] for a bad header.
    pub fn next_packet(&mut self) -> Result<Option<(PacketHeader, &[u8])>, DecodeError> {
        let Some((header, data)) = self.packet()? else {
            return Ok(None);
        };
        Ok(Some((header, self.buffer.get(data).unwrap_or_default())))
    }

    /// Bytes pushed that belong to no packet yet returned or joined.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len().saturating_sub(self.consumed)
    }

    /// Whether some packets of a message have come, but not its last.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        self.partial.is_some()
    }

    /// Gives back the bytes after the last packet that was consumed, for
    /// whoever reads the stream from here on. Sensible between messages.
    #[must_use]
    pub fn into_rest(mut self) -> Vec<u8> {
        self.forget_consumed();
        // A reader that wipes leaves nothing else behind in this one's spare room.
        std::mem::take(&mut self.buffer)
    }

    /// Moves what is unread to the front of the buffer.
    fn forget_consumed(&mut self) {
        let unread = self.consumed..self.buffer.len();
        let left = unread.len();
        self.buffer.copy_within(unread, 0);
        if self.wiping {
            self.buffer.get_mut(left..).unwrap_or_default().zeroize();
        }
        self.buffer.truncate(left);
        self.consumed = 0;
    }

    /// Consumes one whole packet if there is one, and says where its data is.
    fn packet(&mut self) -> Result<Option<(PacketHeader, std::ops::Range<usize>)>, DecodeError> {
        let unread = self.buffer.get(self.consumed..).unwrap_or_default();
        let Some(header) = unread.first_chunk() else {
            return Ok(None);
        };
        let header = PacketHeader::decode(header)?;
        let length = usize::from(header.length);
        if length > self.max_packet {
            return Err(too_long("the packet", length, self.max_packet));
        }
        if unread.len() < length {
            return Ok(None);
        }
        let start = self.consumed;
        self.consumed += length;
        Ok(Some((header, start + HEADER_LEN..start + length)))
    }

    /// Adds a packet to the message that it belongs to; the message, if that
    /// was its last.
    fn append(
        &mut self,
        header: PacketHeader,
        data: std::ops::Range<usize>,
    ) -> Result<Option<Message>, DecodeError> {
        if header.packet_type == PacketType::ATTENTION {
            self.forget_partial();
        }
        let data = self.buffer.get(data).unwrap_or_default();
        let message = self.partial.get_or_insert_with(|| Message {
            packet_type: header.packet_type,
            status: header.status,
            spid: header.spid,
            payload: Vec::new(),
        });
        if message.packet_type != header.packet_type {
            return Err(DecodeError::Invalid {
                what: "the message",
                problem: "its packets differ in type",
            });
        }
        let len = message.payload.len().saturating_add(data.len());
        if len > self.max_message {
            return Err(too_long("the message", len, self.max_message));
        }
        if self.wiping {
            reserve_wiping(&mut message.payload, data.len());
        }
        message.payload.extend_from_slice(data);
        if !header.status.contains(PacketStatus::EOM) {
            return Ok(None);
        }
        let at_end = PacketStatus::EOM.0 | PacketStatus::IGNORE.0;
        message.status = PacketStatus(message.status.0 | header.status.0 & at_end);
        Ok(self.partial.take())
    }

    fn forget_partial(&mut self) {
        if let Some(mut partial) = self.partial.take()
            && self.wiping
        {
            partial.payload.zeroize();
        }
    }
}

impl Drop for MessageReader {
    fn drop(&mut self) {
        if self.wiping {
            self.buffer.zeroize();
            self.forget_partial();
        }
    }
}

impl fmt::Debug for MessageReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageReader")
            .field("max_packet", &self.max_packet)
            .field("max_message", &self.max_message)
            .field("buffered", &self.buffered())
            .field("partial", &self.partial)
            .finish()
    }
}

/// Cuts a message into packets and appends them to `out`.
///
/// Every packet but the last is exactly `packet_size` bytes, as a server may
/// demand from 7.3 on. `first_status` adds bits, such as RESETCONNECTION, to
/// the first packet; EOM goes to the last, and so does IGNORE if given. Packet
/// ids count from 1, the session id is 0. A size outside 512 to 32767 is taken
/// as the nearest legal one.
pub fn write_message(
    packet_type: PacketType,
    first_status: PacketStatus,
    payload: &[u8],
    packet_size: usize,
    out: &mut Vec<u8>,
) {
    let data_size = packet_size.clamp(MIN_PACKET_SIZE, MAX_PACKET_SIZE) - HEADER_LEN;
    let packets = payload.len().div_ceil(data_size).max(1);
    // Reserved in one go: a growing buffer would leave copies of a login behind.
    out.reserve(payload.len() + packets * HEADER_LEN);

    let ignore = PacketStatus(first_status.0 & PacketStatus::IGNORE.0);
    let mut status = first_status;
    status.remove(PacketStatus(PacketStatus::EOM.0 | PacketStatus::IGNORE.0));
    let mut rest = payload;
    for index in 1..=packets {
        let (data, after) = rest.split_at(rest.len().min(data_size));
        rest = after;
        if index == packets {
            status.insert(PacketStatus::EOM);
            status.insert(ignore);
        }
        let length = HEADER_LEN + data.len();
        let header = PacketHeader {
            packet_type,
            status,
            length: u16::try_from(length).unwrap_or(u16::MAX),
            spid: 0,
            packet_id: u8::try_from(index % 256).unwrap_or_default(),
            window: 0,
        };
        out.put_slice(&header.encode());
        out.put_slice(data);
        status = PacketStatus::NORMAL;
    }
}

/// Makes room for `more` bytes without leaving a copy behind in the memory that
/// is given up.
fn reserve_wiping(bytes: &mut Vec<u8>, more: usize) {
    let needed = bytes.len().saturating_add(more);
    if needed <= bytes.capacity() {
        return;
    }
    let mut larger = Vec::with_capacity(needed.max(bytes.capacity() * 2));
    larger.extend_from_slice(bytes);
    bytes.zeroize();
    *bytes = larger;
}

fn too_long(what: &'static str, len: usize, max: usize) -> DecodeError {
    DecodeError::TooLong {
        what,
        len: len as u64,
        max: max as u64,
    }
}
