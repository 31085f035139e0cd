//! Old clients on a new session: TDS 7.1, 7.2 and 7.3.A ↔ 7.4.
//!
//! A token can be presented in a TDS 7.4 login only, and many programs that must
//! do without a password speak less. Between such a client and its session
//! stands a [`Transcoder`]: it reads what each side sends, in packets cut
//! anywhere, and gives what the other side understands. The client sees what SQL
//! Server itself would show to a client of its version.
//!
//! ```text
//! client ─► packets ─► requests ─► cutter ─► server
//! client ◄─ cutter ◄─ answers ◄─ packets ◄─ server
//!                        └ present: types that the client does not have
//! ```
//!
//! Nothing here opens a socket, waits or knows a runtime. Values pass in pieces:
//! memory does not grow with rows or results. The one thing that must be held,
//! and up to which size, is said at [`Settings::hold_limit`].
//!
//! # Stability
//!
//! As for [`tds`](crate::tds): public so that it can be fuzzed and reused.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod answers;
mod cutter;
mod error;
mod packets;
mod present;
mod requests;
mod version;

pub use self::error::TranscodeError;
pub use self::version::OldVersion;

use self::answers::Answers;
use self::cutter::Cutter;
use self::packets::{Packets, Piece};
use self::requests::Requests;
use crate::tds::{Collation, PacketStatus, PacketType, ServerMessage};

/// As much is made in one go, in bytes; the rest of what came is to be shown
/// again once that is sent.
const ENOUGH: usize = 64 * 1024;

/// Number of the ERROR in the place of a value that cannot be said to a client
/// of an older version: of the server's own numbers, the one that speaks of a
/// configured bound of such values.
pub const VALUE_TOO_LONG: i32 = 7139;

/// What a transcoder must know of the two logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The version that the client was granted.
    pub version: OldVersion,
    /// The packet size that the client was granted, in bytes.
    pub client_packet_size: usize,
    /// The packet size that the server granted, in bytes.
    pub server_packet_size: usize,
    /// The collation of the database, for texts that a client gets in the place
    /// of another type.
    pub collation: Collation,
    /// The most bytes that are held of one row, for a value that the client must
    /// get with its length before it, and that the server sends without. While
    /// such a row is handed on it is in memory twice.
    pub hold_limit: usize,
}

/// What both directions know of the session.
#[derive(Clone, Debug)]
struct Session {
    version: OldVersion,
    /// The transaction that requests belong to; 0 for none (MS-TDS 2.2.5.3.2).
    descriptor: u64,
    collation: Collation,
    hold_limit: usize,
}

/// Rewrites both directions between a client and its session.
///
/// Each direction takes bytes, cut anywhere, and gives whole packets. The same
/// bytes give the same packets, however they are cut.
#[derive(Debug)]
pub struct Transcoder {
    session: Session,
    from_client: Packets,
    requests: Requests,
    to_server: Cutter,
    from_server: Packets,
    answers: Answers,
    to_client: Cutter,
}

impl Transcoder {
    /// A transcoder for a session without a request, right after the login.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            session: Session {
                version: settings.version,
                descriptor: 0,
                collation: settings.collation,
                hold_limit: settings.hold_limit,
            },
            from_client: Packets::requests(settings.client_packet_size),
            requests: Requests::default(),
            to_server: Cutter::new(settings.server_packet_size),
            from_server: Packets::answers(),
            answers: Answers::default(),
            to_client: Cutter::new(settings.client_packet_size),
        }
    }

    /// Takes what the client sent and says how much of it was taken in. What is
    /// left is to be shown again, after [`to_server`](Self::to_server) was sent.
    ///
    /// # Errors
    /// When the client breaks the protocol. What was made before that point is
    /// in order; nothing behind it can be read.
    pub fn requests(&mut self, bytes: &[u8]) -> Result<usize, TranscodeError> {
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            let is_enough = self.to_server.finished().len() >= ENOUGH;
            if is_enough && !self.from_client.at_end() {
                return Ok(taken);
            }
            let Some((length, piece)) = self.from_client.next(rest)? else {
                return Ok(bytes.len());
            };
            taken += length;
            let (session, out) = (&mut self.session, &mut self.to_server);
            match piece {
                Piece::Begin(header) if header.packet_type == PacketType::ATTENTION => {
                    self.requests.cancel();
                    out.abandon();
                    out.begin(PacketType::ATTENTION, PacketStatus::NORMAL, 0);
                }
                Piece::Begin(header) => self.requests.begin_packet(header, session, out)?,
                Piece::Data(data) => {
                    self.from_client.take(data.len());
                    self.requests.data(data, session, out)?;
                }
                Piece::End(header) if header.packet_type == PacketType::ATTENTION => {
                    out.end(PacketStatus::EOM);
                }
                Piece::End(header) => self.requests.end_packet(header, session, out)?,
            }
        }
    }

    /// Whole packets for the server.
    #[must_use]
    pub fn to_server(&self) -> &[u8] {
        self.to_server.finished()
    }

    /// [`to_server`](Self::to_server) was taken over.
    pub fn sent_to_server(&mut self) {
        self.to_server.forget_finished();
    }

    /// Takes what the server sent and says how much of it was taken in. What is
    /// left is to be shown again, after [`to_client`](Self::to_client) was sent.
    ///
    /// # Errors
    /// When the server's answer makes no sense, or cannot be said to the client.
    /// What was made before that point is in order; nothing behind it can be
    /// read.
    pub fn answers(&mut self, bytes: &[u8]) -> Result<usize, TranscodeError> {
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            let is_enough = self.to_client.finished().len() >= ENOUGH;
            if is_enough && !self.from_server.at_end() {
                return Ok(taken);
            }
            let Some((length, piece)) = self.from_server.next(rest)? else {
                return Ok(bytes.len());
            };
            let (session, out) = (&mut self.session, &mut self.to_client);
            match piece {
                Piece::Begin(header) => {
                    taken += length;
                    self.answers.begin_packet(header, out);
                }
                Piece::Data(data) => {
                    let count = self.answers.data(data, session, out)?;
                    self.from_server.take(count);
                    taken += count;
                }
                Piece::End(header) => {
                    taken += length;
                    self.answers.end_packet(header, session, out)?;
                }
            }
        }
    }

    /// Whole packets for the client.
    #[must_use]
    pub fn to_client(&self) -> &[u8] {
        self.to_client.finished()
    }

    /// [`to_client`](Self::to_client) was taken over.
    pub fn sent_to_client(&mut self) {
        self.to_client.forget_finished();
    }

    /// Ends what the client reads with an error, if it stands at a place where it
    /// can read one. After that only [`to_client`](Self::to_client) is of use.
    pub fn tell(&mut self, error: &ServerMessage) -> bool {
        self.answers.tell(error, &self.session, &mut self.to_client)
    }
}
