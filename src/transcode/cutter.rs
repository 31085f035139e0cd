//! Messages cut into packets, as their bytes come.

use crate::tds::{HEADER_LEN, PacketHeader, PacketStatus, PacketType};

/// Cuts messages into packets of one size, the last of a message excepted
/// (MS-TDS 2.2.3). A packet is finished when it is full and more follows, or
/// when the message ends: the last one must say that it is.
#[derive(Debug)]
pub(super) struct Cutter {
    size: usize,
    /// Finished packets, and the one being filled behind them.
    bytes: Vec<u8>,
    /// Where the packet being filled begins.
    open: usize,
    /// The message at hand; `None` between messages.
    message: Option<Cut>,
}

/// More than is put in one go unless it was held before, in bytes. Room for it is
/// made exactly: a vector that grows by itself may take twice as much.
const MUCH: usize = 64 * 1024;

/// So much room is kept while a message goes on, in bytes.
const KEPT_ROOM: usize = 256 * 1024;

/// The message at hand.
#[derive(Clone, Copy, Debug)]
struct Cut {
    packet_type: PacketType,
    /// Of the packet being filled.
    status: PacketStatus,
    spid: u16,
    id: u8,
}

impl Cutter {
    /// For packets of `size` bytes, header included.
    pub(super) fn new(size: usize) -> Self {
        Self {
            size: size.max(HEADER_LEN + 1),
            bytes: Vec::new(),
            open: 0,
            message: None,
        }
    }

    /// Begins a message. The reset bits of `status` go to its first packet, the
    /// others come from [`end`](Self::end).
    pub(super) fn begin(&mut self, packet_type: PacketType, status: PacketStatus, spid: u16) {
        let resets = PacketStatus::RESET_CONNECTION.0 | PacketStatus::RESET_CONNECTION_SKIP_TRAN.0;
        self.message = Some(Cut {
            packet_type,
            status: PacketStatus(status.0 & resets),
            spid,
            id: 1,
        });
        self.open_packet();
    }

    /// Whether a message has begun and not ended.
    pub(super) fn in_message(&self) -> bool {
        self.message.is_some()
    }

    /// Appends to the message.
    pub(super) fn put(&mut self, mut bytes: &[u8]) {
        if bytes.len() > MUCH {
            let packets = bytes.len() / (self.size - HEADER_LEN) + 1;
            self.bytes.reserve_exact(bytes.len() + packets * HEADER_LEN);
        }
        while !bytes.is_empty() {
            let room = (self.open + self.size).saturating_sub(self.bytes.len());
            if room == 0 {
                self.close_packet(PacketStatus::NORMAL);
                self.open_packet();
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.bytes.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Finishes the packet at hand if there is anything in it, so that the peer
    /// sees it though the message goes on. Not for requests: from 7.3 on their
    /// packets must be full.
    pub(super) fn flush(&mut self) {
        if self.message.is_some() && self.bytes.len() > self.open + HEADER_LEN {
            self.close_packet(PacketStatus::NORMAL);
            self.open_packet();
        }
    }

    /// Ends the message; EOM and IGNORE are taken from `status`, EOM is implied.
    pub(super) fn end(&mut self, status: PacketStatus) {
        let ignore = status.0 & PacketStatus::IGNORE.0;
        self.close_packet(PacketStatus(PacketStatus::EOM.0 | ignore));
        self.message = None;
    }

    /// Forgets what is not finished of the message at hand.
    pub(super) fn abandon(&mut self) {
        self.bytes.truncate(self.open);
        self.message = None;
    }

    /// Finished packets.
    pub(super) fn finished(&self) -> &[u8] {
        self.bytes.get(..self.open).unwrap_or_default()
    }

    /// Drops the finished packets. Holds no memory when nothing is left.
    pub(super) fn forget_finished(&mut self) {
        if self.open == self.bytes.len() {
            self.bytes = Vec::new();
        } else {
            self.bytes.drain(..self.open);
            self.bytes.shrink_to(KEPT_ROOM);
        }
        self.open = 0;
    }

    /// Bytes that there is room for.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.bytes.capacity()
    }

    fn open_packet(&mut self) {
        self.open = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HEADER_LEN]);
    }

    fn close_packet(&mut self, status: PacketStatus) {
        let Some(cut) = &mut self.message else {
            return;
        };
        cut.status.insert(status);
        let length = self.bytes.len() - self.open;
        let header = PacketHeader {
            packet_type: cut.packet_type,
            status: cut.status,
            length: u16::try_from(length).unwrap_or(u16::MAX),
            spid: cut.spid,
            packet_id: cut.id,
            window: 0,
        };
        cut.status = PacketStatus::NORMAL;
        cut.id = cut.id.wrapping_add(1);
        let place = self.bytes.get_mut(self.open..self.open + HEADER_LEN);
        if let Some(place) = place {
            place.copy_from_slice(&header.encode());
        }
        self.open = self.bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tds::MessageReader;

    fn read(bytes: &[u8]) -> Vec<(PacketHeader, Vec<u8>)> {
        let mut reader = MessageReader::new(32767, 1 << 20);
        reader.push(bytes);
        let mut packets = Vec::new();
        while let Some((header, data)) = reader.next_packet().unwrap() {
            packets.push((header, data.to_vec()));
        }
        assert_eq!(reader.buffered(), 0);
        packets
    }

    #[test]
    fn packets_are_full_but_for_the_last() {
        for length in 0..40_usize {
            let mut cutter = Cutter::new(HEADER_LEN + 8);
            let message: Vec<u8> = (0..length as u8).collect();
            cutter.begin(PacketType::RPC, PacketStatus::RESET_CONNECTION, 7);
            message.chunks(3).for_each(|chunk| cutter.put(chunk));
            assert!(
                read(cutter.finished())
                    .iter()
                    .all(|(_, data)| data.len() == 8)
            );
            cutter.end(PacketStatus::IGNORE);

            let packets = read(cutter.finished());
            assert_eq!(packets.len(), length.div_ceil(8).max(1));
            let joined: Vec<u8> = packets.iter().flat_map(|(_, data)| data.clone()).collect();
            assert_eq!(joined, message);
            for (index, (header, data)) in packets.iter().enumerate() {
                let last = index + 1 == packets.len();
                assert!(last || data.len() == 8);
                let status = u8::from(index == 0) * 0x08 + u8::from(last) * 0x03;
                assert_eq!(header.status.0, status);
                assert_eq!((header.spid, usize::from(header.packet_id)), (7, index + 1));
            }
            cutter.forget_finished();
            assert_eq!(cutter.bytes.capacity(), 0);
        }
    }

    #[test]
    fn what_is_flushed_is_not_repeated() {
        let mut cutter = Cutter::new(64);
        cutter.begin(PacketType::TABULAR_RESULT, PacketStatus::NORMAL, 0);
        cutter.flush();
        assert!(cutter.finished().is_empty());
        cutter.put(b"one");
        cutter.flush();
        cutter.flush();
        assert_eq!(read(cutter.finished())[0].1, b"one");
        cutter.forget_finished();
        cutter.put(b"two");
        cutter.end(PacketStatus::EOM);
        assert_eq!(read(cutter.finished())[0].1, b"two");
    }

    #[test]
    fn what_is_abandoned_leaves_whole_packets_behind() {
        let mut cutter = Cutter::new(HEADER_LEN + 4);
        cutter.begin(PacketType::SQL_BATCH, PacketStatus::NORMAL, 0);
        cutter.put(b"123456");
        cutter.abandon();
        assert_eq!(read(cutter.finished())[0].1, b"1234");
        assert!(!cutter.in_message());
    }
}
