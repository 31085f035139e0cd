//! Makes a used session like a new one, before anybody waits for it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::session::{LoginInfo, SessionStream};
use crate::tds::{
    DecodeError, DoneStatus, EnvChange, Message, MessageReader, PacketStatus, PacketType, Put,
    ResponseWalker, ServerMessage, WalkEvent, all_headers, write_message,
};

/// Why a session is not like a new one.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResetError {
    #[error("the server changed {what} to another value than the login's")]
    Changed { what: &'static str },
    #[error("the server closed the connection")]
    Closed,
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("the server's answer cannot be read")]
    Malformed(#[from] DecodeError),
    #[error("the server did not acknowledge the reset (ENVCHANGE 18)")]
    NotAcknowledged,
    #[error("the server answered with {what}")]
    Odd { what: &'static str },
    #[error("the server refused ({})", .0.number)]
    Refused(Box<ServerMessage>),
}

/// Resets a session that is between requests, and reads the answer to its end.
/// The caller sets the deadline.
///
/// RESETCONNECTION rolls back, drops what is temporary and restores settings
/// (MS-TDS 2.2.3.1.2), but on SQL Server it leaves the isolation level as it is:
/// the request that carries it sets that one.
///
/// # Cancel safety
/// Not safe: the session is of no use after that.
pub(super) async fn reset(
    stream: &mut SessionStream,
    told: &LoginInfo,
    acknowledged: bool,
) -> Result<(), ResetError> {
    let packet_size = told.packet_size;
    let request = request(packet_size);
    stream.write_all(&request).await?;
    stream.flush().await?;
    let answer = receive(stream, packet_size).await?;
    judge(&answer, told, acknowledged)
}

const REQUEST: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
/// An answer has some hundred bytes.
const MAX_ANSWER: usize = 16 * 1024;

fn request(packet_size: usize) -> Vec<u8> {
    let mut payload = all_headers(0);
    payload.put_utf16(REQUEST);
    let mut bytes = Vec::new();
    let status = PacketStatus::RESET_CONNECTION;
    write_message(
        PacketType::SQL_BATCH,
        status,
        &payload,
        packet_size,
        &mut bytes,
    );
    bytes
}

async fn receive(stream: &mut SessionStream, packet_size: usize) -> Result<Message, ResetError> {
    let mut reader = MessageReader::new(packet_size, MAX_ANSWER);
    let mut buffer = [0; 1024];
    loop {
        if let Some(message) = reader.next()? {
            return match reader.buffered() {
                0 => Ok(message),
                _ => Err(ResetError::Odd {
                    what: "more than one message",
                }),
            };
        }
        let count = stream.read(&mut buffer).await?;
        let read = buffer.get(..count).unwrap_or_default();
        if read.is_empty() {
            return Err(ResetError::Closed);
        }
        reader.push(read);
    }
}

/// Whether the answer says that the session is as it was after its login.
fn judge(answer: &Message, info: &LoginInfo, acknowledged: bool) -> Result<(), ResetError> {
    if answer.packet_type != PacketType::TABULAR_RESULT {
        return Err(ResetError::Odd {
            what: "a message that is no response",
        });
    }
    let mut events = Vec::new();
    let mut walker = ResponseWalker::new();
    walker.feed(&answer.payload, &mut |event| events.push(event))?;
    walker.finish()?;
    let mut seen = Seen::default();
    for event in events {
        seen.note(event, info)?;
    }
    if !seen.done {
        return Err(ResetError::Odd {
            what: "a response without an end",
        });
    }
    if acknowledged && !seen.acknowledged {
        return Err(ResetError::NotAcknowledged);
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Seen {
    acknowledged: bool,
    done: bool,
}

impl Seen {
    fn note(&mut self, event: WalkEvent, info: &LoginInfo) -> Result<(), ResetError> {
        if self.done {
            return Err(ResetError::Odd {
                what: "something after the response's end",
            });
        }
        match event {
            WalkEvent::EnvChange(change) => self.note_change(change, info),
            WalkEvent::Error(message) => Err(ResetError::Refused(Box::new(message))),
            WalkEvent::Done(done) if failed(done.status) => Err(ResetError::Odd {
                what: "a failure without an error",
            }),
            WalkEvent::Done(done) => {
                self.done = done.is_final();
                Ok(())
            }
            WalkEvent::Info(_) => Ok(()),
            _ => Err(ResetError::Odd { what: "a result" }),
        }
    }

    fn note_change(&mut self, change: EnvChange, info: &LoginInfo) -> Result<(), ResetError> {
        let (same, what) = match change {
            EnvChange::ResetAcknowledged => {
                self.acknowledged = true;
                return Ok(());
            }
            EnvChange::Database { new, .. } => (new == info.database, "the database"),
            EnvChange::Language { new, .. } => (new == info.language, "the language"),
            EnvChange::Collation { new, .. } => (new == info.collation, "the collation"),
            EnvChange::PacketSize { new, .. } => {
                let same = usize::try_from(new).is_ok_and(|new| new == info.packet_size);
                (same, "the packet size")
            }
            // The open transaction ends; the partner's name is repeated.
            EnvChange::RollbackTransaction(_) | EnvChange::MirrorPartner(_) => return Ok(()),
            _ => {
                return Err(ResetError::Odd {
                    what: "a change of the session that no reset brings",
                });
            }
        };
        if same {
            Ok(())
        } else {
            Err(ResetError::Changed { what })
        }
    }
}

fn failed(status: DoneStatus) -> bool {
    [
        DoneStatus::ERROR,
        DoneStatus::SRVERROR,
        DoneStatus::ATTN,
        DoneStatus::INXACT,
    ]
    .into_iter()
    .any(|bit| status.contains(bit))
}
