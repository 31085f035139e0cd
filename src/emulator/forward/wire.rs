//! The leg to the real server: packets out and in.

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};

use super::error::ForwardError;
use crate::session::SessionStream;
use crate::tds::{
    DecodeError, HEADER_LEN, MAX_PACKET_SIZE, MessageReader, PacketHeader, PacketStatus, PacketType,
};

/// Both directions of the leg.
pub(in crate::emulator) struct Wire {
    pub(in crate::emulator) reader: WireReader,
    pub(in crate::emulator) writer: WireWriter,
}

/// Packets from the server.
pub(in crate::emulator) struct WireReader {
    inner: ReadHalf<SessionStream>,
    packets: MessageReader,
    packet_size: usize,
}

/// A packet of the server.
pub(in crate::emulator) struct Packet {
    pub(in crate::emulator) data: Vec<u8>,
    /// It is the last one of its message.
    pub(in crate::emulator) last: bool,
    /// It is shorter than it might be: the server wants it seen at once.
    pub(in crate::emulator) hurried: bool,
}

/// Messages to the server, cut into packets of the size that it granted.
pub(in crate::emulator) struct WireWriter {
    inner: WriteHalf<SessionStream>,
    packet_size: usize,
    packet_type: PacketType,
    /// The status of the packet that is being filled.
    status: PacketStatus,
    packet_id: u8,
    pending: Vec<u8>,
    /// Whole packets, and how much of them has been sent.
    out: Vec<u8>,
    sent: usize,
}

impl Wire {
    pub(super) fn new(stream: SessionStream, packet_size: usize) -> Self {
        let (read, write) = split(stream);
        Self {
            reader: WireReader {
                inner: read,
                packets: MessageReader::new(MAX_PACKET_SIZE, usize::MAX),
                packet_size,
            },
            writer: WireWriter {
                inner: write,
                packet_size,
                packet_type: PacketType::SQL_BATCH,
                status: PacketStatus::NORMAL,
                packet_id: 1,
                pending: Vec::new(),
                out: Vec::new(),
                sent: 0,
            },
        }
    }
}

impl WireReader {
    /// The next packet.
    ///
    /// # Cancel safety
    /// Safe: bytes that were read are kept for the next call.
    pub(in crate::emulator) async fn packet(&mut self) -> Result<Packet, ForwardError> {
        let mut chunk = [0; 8192];
        loop {
            if let Some((header, data)) = self.packets.next_packet()? {
                return packet(header, data, self.packet_size);
            }
            let got = self.inner.read(&mut chunk).await?;
            if got == 0 {
                return Err(ForwardError::Closed);
            }
            self.packets.push(chunk.get(..got).unwrap_or_default());
        }
    }
}

fn packet(header: PacketHeader, data: &[u8], most: usize) -> Result<Packet, ForwardError> {
    if header.packet_type != PacketType::TABULAR_RESULT {
        return Err(ForwardError::Answer(DecodeError::Invalid {
            what: "the backend's message",
            problem: "it is no tabular result",
        }));
    }
    let last = header.status.contains(PacketStatus::EOM);
    Ok(Packet {
        data: data.to_vec(),
        last,
        hurried: !last && usize::from(header.length) < most,
    })
}

impl WireWriter {
    /// Begins a message. `status` are bits for its first packet.
    pub(in crate::emulator) fn begin(&mut self, packet_type: PacketType, status: PacketStatus) {
        self.packet_type = packet_type;
        self.status = status;
        self.packet_id = 1;
        self.pending.clear();
    }

    /// Adds to the message.
    pub(in crate::emulator) fn put(&mut self, mut data: &[u8]) {
        let room = self.packet_size - HEADER_LEN;
        // A full packet waits until more comes, since the last one must say that it is.
        while self.pending.len() + data.len() > room {
            let (now, later) = data.split_at(room - self.pending.len());
            self.pending.extend_from_slice(now);
            data = later;
            self.cut(PacketStatus::NORMAL);
        }
        self.pending.extend_from_slice(data);
    }

    /// Ends the message. With `ignore` the server is told to forget it.
    pub(in crate::emulator) fn end(&mut self, ignore: bool) {
        let mut last = PacketStatus::EOM;
        if ignore {
            last.insert(PacketStatus::IGNORE);
        }
        self.cut(last);
    }

    /// Asks the server to stop what it does. A message that is not at its end is given up.
    pub(in crate::emulator) fn attention(&mut self) {
        self.begin(PacketType::ATTENTION, PacketStatus::NORMAL);
        self.end(false);
    }

    /// Whether everything that was cut has been sent.
    pub(in crate::emulator) fn is_drained(&self) -> bool {
        self.out.is_empty()
    }

    /// Sends what has been cut into packets.
    ///
    /// # Cancel safety
    /// Safe: what was sent is known, and the next call goes on from there.
    pub(in crate::emulator) async fn drain(&mut self) -> Result<(), ForwardError> {
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.inner.write(rest).await? {
                0 => return Err(ForwardError::Closed),
                sent => self.sent += sent,
            }
        }
        self.inner.flush().await?;
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    fn cut(&mut self, more: PacketStatus) {
        let mut status = self.status;
        status.insert(more);
        let header = PacketHeader {
            packet_type: self.packet_type,
            status,
            length: u16::try_from(self.pending.len() + HEADER_LEN).unwrap_or(u16::MAX),
            spid: 0,
            packet_id: self.packet_id,
            window: 0,
        };
        self.packet_id = self.packet_id.wrapping_add(1);
        self.status = PacketStatus::NORMAL;
        self.out.extend_from_slice(&header.encode());
        self.out.append(&mut self.pending);
    }
}
