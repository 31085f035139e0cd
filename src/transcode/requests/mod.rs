//! What an older client asks, as a 7.4 session understands it.
//!
//! Clients of 7.2 and 7.3.A say nothing that a 7.4 session would not understand:
//! their messages are only cut anew. Those of 7.1 lack ALL_HEADERS, have another
//! separator between calls and types that a newer session does not take.

mod bulk;
mod rpc;
mod rpc_param;
mod statement;
#[cfg(test)]
mod tests;
mod units;

use self::bulk::Bulk;
use self::rpc::Rpc;
use self::statement::InsertBulk;
use super::cutter::Cutter;
use super::{Session, TranscodeError};
use crate::tds::{PacketHeader, PacketStatus, PacketType, all_headers};

/// Rewrites requests.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The request that is half read.
    request: Option<Request>,
    /// Whether the statement that the bulk load belongs to, if there is one, was
    /// INSERT BULK; else its bytes are those of a single value.
    rows_announced: bool,
}

/// A request that is half read.
#[derive(Debug)]
struct Request {
    packet_type: PacketType,
    /// Whether the session is to be reset before it, and its transaction ended.
    resets: bool,
    body: Body,
}

/// How a request's bytes are read.
#[derive(Debug)]
enum Body {
    /// They pass.
    Plain,
    /// They pass, but tell what comes next.
    Batch(InsertBulk),
    Rpc(Rpc),
    Bulk(Bulk),
}

impl Requests {
    /// A packet of the client's begins; no attention.
    pub(super) fn begin_packet(
        &mut self,
        header: PacketHeader,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        let packet_type = header.packet_type;
        if let Some(request) = &self.request {
            if request.packet_type == packet_type {
                return Ok(());
            }
            return Err(TranscodeError::MixedTypes {
                first: request.packet_type,
                then: packet_type,
            });
        }
        let request = Request {
            packet_type,
            resets: has_headers(packet_type)
                && header.status.contains(PacketStatus::RESET_CONNECTION),
            body: self.body(packet_type, session),
        };
        out.begin(packet_type, header.status, 0);
        if session.version.is_7_1() && has_headers(packet_type) {
            let ended = request.resets;
            out.put(&all_headers(if ended { 0 } else { session.descriptor }));
        }
        self.request = Some(request);
        Ok(())
    }

    /// Takes data of a packet.
    pub(super) fn data(
        &mut self,
        data: &[u8],
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        let Some(request) = &mut self.request else {
            return Ok(());
        };
        match &mut request.body {
            Body::Plain => out.put(data),
            Body::Batch(statement) => {
                statement.feed(data);
                out.put(data);
            }
            Body::Rpc(rpc) => rpc
                .data(data, session.collation, out)
                .map_err(TranscodeError::Request)?,
            Body::Bulk(bulk) => bulk.data(data, out).map_err(TranscodeError::Request)?,
        }
        Ok(())
    }

    /// The packet has ended. If the message has, too, and is not whole, it does
    /// not end for the server, which would run half of it.
    pub(super) fn end_packet(
        &mut self,
        header: PacketHeader,
        session: &mut Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        if !header.status.contains(PacketStatus::EOM) {
            return Ok(());
        }
        let Some(request) = self.request.take() else {
            return Ok(());
        };
        if !header.status.contains(PacketStatus::IGNORE) {
            request.body.finish().map_err(TranscodeError::Request)?;
            self.rows_announced = match request.body {
                Body::Batch(statement) => statement.found(),
                _ => false,
            };
            if request.resets {
                session.descriptor = 0;
            }
        }
        out.end(header.status);
        Ok(())
    }

    /// An attention takes back what is half read.
    pub(super) fn cancel(&mut self) {
        self.request = None;
    }

    fn body(&self, packet_type: PacketType, session: &Session) -> Body {
        if !session.version.is_7_1() {
            return Body::Plain;
        }
        match packet_type {
            PacketType::SQL_BATCH => Body::Batch(InsertBulk::default()),
            PacketType::RPC => Body::Rpc(Rpc::default()),
            PacketType::BULK_LOAD if self.rows_announced => Body::Bulk(Bulk::default()),
            _ => Body::Plain,
        }
    }
}

impl Body {
    /// Confirms that the message may end here.
    fn finish(&self) -> Result<(), crate::tds::DecodeError> {
        match self {
            Self::Plain | Self::Batch(_) => Ok(()),
            Self::Rpc(rpc) => rpc.finish(),
            Self::Bulk(bulk) => bulk.finish(),
        }
    }
}

/// Whether requests of this type begin with ALL_HEADERS from 7.2 on
/// (MS-TDS 2.2.5.3).
fn has_headers(packet_type: PacketType) -> bool {
    matches!(
        packet_type,
        PacketType::SQL_BATCH | PacketType::RPC | PacketType::TRANSACTION_MANAGER
    )
}
