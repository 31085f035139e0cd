//! What the server says, as a client of an older version understands it.

use super::cutter::Cutter;
use super::{Session, TranscodeError};
use crate::tds::{PacketHeader, PacketStatus, PacketType, ServerMessage};

/// Rewrites the tokens of answers.
#[derive(Debug, Default)]
pub(super) struct Answers {
    begun: bool,
}

impl Answers {
    /// A packet of the server's begins.
    pub(super) fn begin_packet(&mut self, header: PacketHeader, out: &mut Cutter) {
        if !self.begun {
            self.begun = true;
            out.begin(
                PacketType::TABULAR_RESULT,
                PacketStatus::NORMAL,
                header.spid,
            );
        }
    }

    /// Takes data of a packet; how much of it, at least one byte. Stops early
    /// when enough has been made.
    pub(super) fn data(
        &mut self,
        data: &[u8],
        _session: &mut Session,
        out: &mut Cutter,
    ) -> Result<usize, TranscodeError> {
        out.put(data);
        Ok(data.len())
    }

    /// The packet has ended. What was made of it goes to the client now: the
    /// server may have sent it early on purpose.
    pub(super) fn end_packet(
        &mut self,
        header: PacketHeader,
        _session: &mut Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        if header.status.contains(PacketStatus::EOM) {
            self.begun = false;
            out.end(PacketStatus::EOM);
        } else {
            out.flush();
        }
        Ok(())
    }

    /// Ends the answer with an error, if it stands between tokens.
    pub(super) fn tell(
        &mut self,
        _error: &ServerMessage,
        _session: &Session,
        _out: &mut Cutter,
    ) -> bool {
        false
    }
}
