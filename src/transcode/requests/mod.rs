//! What an older client asks, as a 7.4 session understands it.

use super::cutter::Cutter;
use super::{Session, TranscodeError};
use crate::tds::{PacketHeader, PacketStatus, PacketType};

/// Rewrites requests.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// What kind of request is half read.
    begun: Option<PacketType>,
}

impl Requests {
    /// A packet of the client's begins; no attention.
    pub(super) fn begin_packet(
        &mut self,
        header: PacketHeader,
        _session: &mut Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        if self.begun.is_none() {
            self.begun = Some(header.packet_type);
            out.begin(header.packet_type, header.status, 0);
        }
        Ok(())
    }

    /// Takes data of a packet.
    pub(super) fn data(
        &mut self,
        data: &[u8],
        _session: &mut Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        out.put(data);
        Ok(())
    }

    /// The packet has ended.
    pub(super) fn end_packet(
        &mut self,
        header: PacketHeader,
        _session: &mut Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        if header.status.contains(PacketStatus::EOM) {
            self.begun = None;
            out.end(header.status);
        }
        Ok(())
    }

    /// An attention takes back what is half read.
    pub(super) fn cancel(&mut self) {
        self.begun = None;
    }
}
