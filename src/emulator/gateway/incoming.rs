//! What a client sends: whole messages, and bulk loads piece by piece.
//!
//! A request is judged when it has come in full, so its packets are joined. A bulk load has no
//! natural bound, so its packets are handed on as they come.

use std::ops::Range;

use crate::tds::{DecodeError, HEADER_LEN, Message, PacketHeader, PacketStatus, PacketType};

/// What came.
#[derive(Debug)]
pub(super) enum Incoming {
    Message(Message),
    Load(LoadPart),
}

/// The data of one packet of a bulk load.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoadPart {
    pub(super) first: bool,
    pub(super) last: bool,
    /// The client gave the load up.
    pub(super) ignored: bool,
    pub(super) data: Vec<u8>,
}

/// Joins packets, from bytes cut anywhere.
///
/// Memory is bounded by what was pushed and by the longest message: a length field reserves nothing.
pub(super) struct Assembler {
    max_packet: usize,
    max_message: usize,
    logged_in: bool,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that have been consumed.
    consumed: usize,
    partial: Partial,
}

/// The message that is coming.
enum Partial {
    None,
    Message(Message),
    Load,
}

impl Assembler {
    /// Before the login: no packet is longer than `max_packet`, no message than `max_message`.
    pub(super) fn new(max_packet: usize, max_message: usize) -> Self {
        Self {
            max_packet,
            max_message,
            logged_in: false,
            buffer: Vec::new(),
            consumed: 0,
            partial: Partial::None,
        }
    }

    /// After the login: every packet of a message but the last is `packet_size` bytes long.
    pub(super) fn after_login(&mut self, packet_size: usize, max_message: usize) {
        self.max_packet = packet_size;
        self.max_message = max_message;
        self.logged_in = true;
    }

    /// Takes in what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether part of a message, or of a packet, waits for its rest.
    pub(super) fn is_mid_message(&self) -> bool {
        self.buffer.len() > self.consumed || !matches!(self.partial, Partial::None)
    }

    /// What came next, or `None` if more bytes are needed. After an error the stream is lost.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, DecodeError> {
        while let Some((header, data)) = self.packet()? {
            if let Some(incoming) = self.append(header, data)? {
                return Ok(Some(incoming));
            }
        }
        Ok(None)
    }

    /// The next packet as it stands, for whoever passes messages on without joining them.
    pub(super) fn next_packet(&mut self) -> Result<Option<(PacketHeader, Vec<u8>)>, DecodeError> {
        let Some((header, data)) = self.packet()? else {
            return Ok(None);
        };
        let data = self.buffer.get(data).unwrap_or_default().to_vec();
        Ok(Some((header, data)))
    }

    /// Consumes one whole packet if there is one, and says where its data is.
    fn packet(&mut self) -> Result<Option<(PacketHeader, Range<usize>)>, DecodeError> {
        let unread = self.buffer.get(self.consumed..).unwrap_or_default();
        let Some(header) = unread.first_chunk() else {
            return Ok(None);
        };
        let header = PacketHeader::decode(header)?;
        let length = usize::from(header.length);
        if length > self.max_packet {
            return Err(too_long("the packet", length, self.max_packet));
        }
        let last = header.status.contains(PacketStatus::EOM);
        if self.logged_in && !last && length != self.max_packet {
            return Err(DecodeError::Invalid {
                what: "the message",
                problem: "a packet before its last is not full (MS-TDS 2.2.3.1.3)",
            });
        }
        if unread.len() < length {
            return Ok(None);
        }
        let start = self.consumed;
        self.consumed += length;
        Ok(Some((header, start + HEADER_LEN..start + length)))
    }

    fn append(
        &mut self,
        header: PacketHeader,
        data: Range<usize>,
    ) -> Result<Option<Incoming>, DecodeError> {
        let data = self.buffer.get(data).unwrap_or_default();
        // Some drivers cancel a long request by an attention in its middle.
        let cancels = header.packet_type == PacketType::ATTENTION;
        let partial = std::mem::replace(&mut self.partial, Partial::None);
        match partial {
            Partial::None if self.streams(header) => {
                Ok(Some(self.part(header, data.to_vec(), true)))
            }
            Partial::Load if header.packet_type == PacketType::BULK_LOAD => {
                Ok(Some(self.part(header, data.to_vec(), false)))
            }
            Partial::Message(message) if message.packet_type == header.packet_type => {
                self.join(message, header, data.to_vec())
            }
            Partial::Message(_) | Partial::Load if !cancels => Err(DecodeError::Invalid {
                what: "the message",
                problem: "its packets differ in type",
            }),
            _ => {
                let message = Message {
                    packet_type: header.packet_type,
                    status: header.status,
                    spid: header.spid,
                    payload: Vec::new(),
                };
                self.join(message, header, data.to_vec())
            }
        }
    }

    fn streams(&self, header: PacketHeader) -> bool {
        self.logged_in && header.packet_type == PacketType::BULK_LOAD
    }

    fn part(&mut self, header: PacketHeader, data: Vec<u8>, first: bool) -> Incoming {
        let last = header.status.contains(PacketStatus::EOM);
        if !last {
            self.partial = Partial::Load;
        }
        Incoming::Load(LoadPart {
            first,
            last,
            ignored: last && header.status.contains(PacketStatus::IGNORE),
            data,
        })
    }

    fn join(
        &mut self,
        mut message: Message,
        header: PacketHeader,
        data: Vec<u8>,
    ) -> Result<Option<Incoming>, DecodeError> {
        let len = message.payload.len().saturating_add(data.len());
        if len > self.max_message {
            return Err(too_long("the message", len, self.max_message));
        }
        message.payload.extend_from_slice(&data);
        if !header.status.contains(PacketStatus::EOM) {
            self.partial = Partial::Message(message);
            return Ok(None);
        }
        let at_end = PacketStatus::EOM.0 | PacketStatus::IGNORE.0;
        message.status = PacketStatus(message.status.0 | header.status.0 & at_end);
        Ok(Some(Incoming::Message(message)))
    }
}

fn too_long(what: &'static str, len: usize, max: usize) -> DecodeError {
    DecodeError::TooLong {
        what,
        len: len as u64,
        max: max as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tds::write_message;

    const SIZE: usize = 512;

    fn assembler() -> Assembler {
        let mut assembler = Assembler::new(SIZE, 4096);
        assembler.after_login(SIZE, 4096);
        assembler
    }

    fn packets(packet_type: PacketType, status: PacketStatus, len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        write_message(packet_type, status, &vec![7; len], SIZE, &mut out);
        out
    }

    #[test]
    fn a_message_is_joined_however_it_was_cut() {
        let sent = packets(PacketType::RPC, PacketStatus::RESET_CONNECTION, 1200);
        for step in [1, 7, 511, 513, sent.len()] {
            let mut assembler = assembler();
            let mut got = Vec::new();
            for bytes in sent.chunks(step) {
                assembler.push(bytes);
                got.extend(assembler.next().unwrap());
            }
            let [Incoming::Message(message)] = &got[..] else {
                panic!("one message, not {got:?}");
            };
            assert_eq!(message.payload, vec![7; 1200]);
            assert!(message.status.contains(PacketStatus::RESET_CONNECTION));
            assert!(!assembler.is_mid_message());
        }
    }

    #[test]
    fn a_load_is_not_joined_and_may_be_endless() {
        let mut assembler = assembler();
        let full = packets(PacketType::BULK_LOAD, PacketStatus::NORMAL, 1000);
        let mut lengths = Vec::new();
        for first in (0..100).map(|index| index == 0) {
            assembler.push(&full[..SIZE]);
            let Ok(Some(Incoming::Load(part))) = assembler.next() else {
                panic!("a part");
            };
            assert_eq!((part.first, part.last), (first, false));
            lengths.push(part.data.len());
        }
        assert_eq!(lengths, [SIZE - HEADER_LEN; 100]);
        assembler.push(&packets(PacketType::BULK_LOAD, PacketStatus::IGNORE, 3));
        let Ok(Some(Incoming::Load(end))) = assembler.next() else {
            panic!("the end");
        };
        assert!(end.last && end.ignored && !end.first);
    }

    #[test]
    fn an_attention_takes_the_place_of_what_was_coming() {
        for packet_type in [PacketType::SQL_BATCH, PacketType::BULK_LOAD] {
            let mut assembler = assembler();
            assembler.push(&packets(packet_type, PacketStatus::NORMAL, 1000)[..SIZE]);
            drop(assembler.next().unwrap());
            assembler.push(&packets(PacketType::ATTENTION, PacketStatus::NORMAL, 0));
            let Ok(Some(Incoming::Message(message))) = assembler.next() else {
                panic!("the attention");
            };
            assert_eq!(message.packet_type, PacketType::ATTENTION);
            assert!(!assembler.is_mid_message());
        }
    }

    #[test]
    fn packets_that_are_not_full_mixed_or_too_many_are_refused() {
        let mut short = packets(PacketType::SQL_BATCH, PacketStatus::NORMAL, 20);
        short[1] = 0;
        let mixed = [
            &packets(PacketType::RPC, PacketStatus::NORMAL, 1000)[..SIZE],
            &packets(PacketType::SQL_BATCH, PacketStatus::NORMAL, 1),
        ]
        .concat();
        let long = packets(PacketType::SQL_BATCH, PacketStatus::NORMAL, 5000);
        for bytes in [short, mixed, long] {
            let mut assembler = assembler();
            assembler.push(&bytes);
            assert!(assembler.next().is_err());
        }
    }
}
