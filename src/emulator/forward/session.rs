//! A session on the real server, and the user's context in it.

use std::time::Duration;

use tokio::time::timeout;

use super::answer::Answer;
use super::context::{self, DatabaseUser, Outside};
use super::error::ForwardError;
use super::requests;
use super::tracker::Tracker;
use super::wire::Wire;
use crate::emulator::InMemoryDirectory;
use crate::emulator::engine::SessionInfo;
use crate::tds::{
    EncodeError, EnvChange, PacketStatus, PacketType, ServerMessage, TdsVersion, Token, all_headers,
};

/// The longest answer to a request of our own.
const MAX_ANSWER: usize = 1024 * 1024;

/// A session on the real server, ready for its client.
pub(in crate::emulator) struct ForwardSession {
    pub(in crate::emulator) wire: Wire,
    pub(in crate::emulator) tracker: Tracker,
    info: SessionInfo,
    context: Option<Context>,
    directory: InMemoryDirectory,
    /// Time for a request of the gateway's own.
    patience: Duration,
}

/// The user's context that the session is in.
struct Context {
    user: DatabaseUser,
    outside: Outside,
    database: String,
    cookie: Vec<u8>,
}

impl ForwardSession {
    /// A session that acts as the login itself.
    pub(super) fn new(
        wire: Wire,
        info: SessionInfo,
        directory: InMemoryDirectory,
        patience: Duration,
    ) -> Self {
        Self {
            directory,
            tracker: Tracker::new(&info.database),
            wire,
            info,
            context: None,
            patience,
        }
    }

    /// What the login's answer tells about the session.
    pub(in crate::emulator) fn info(&self) -> &SessionInfo {
        &self.info
    }

    /// Whether it acts for a database user, and not as the login itself.
    pub(in crate::emulator) fn has_context(&self) -> bool {
        self.context.is_some()
    }

    /// The request as the server is to have it; `None` if that is as it came.
    ///
    /// # Errors
    /// What the client is told instead of an answer of the server.
    pub(in crate::emulator) fn translated(
        &self,
        packet_type: PacketType,
        payload: &[u8],
    ) -> Result<Option<Vec<u8>>, ServerMessage> {
        requests::translated(packet_type, payload, &self.directory)
    }

    /// Whether a request that begins so would reset the session behind the gateway's back.
    pub(in crate::emulator) fn is_escape(&self, packet_type: PacketType, start: &[u8]) -> bool {
        self.has_context() && requests::resets_by_name(packet_type, start)
    }

    /// Enters the context of a user of the database that the session is in.
    pub(super) async fn enter(
        &mut self,
        user: DatabaseUser,
        outside: Outside,
    ) -> Result<(), ForwardError> {
        let answer = self
            .ask(&context::enter(&user), PacketStatus::NORMAL)
            .await?;
        let cookie = cookie(&answer, &user)?;
        self.context = Some(Context {
            user,
            outside,
            database: self.tracker.database().to_owned(),
            cookie,
        });
        Ok(())
    }

    /// Resets the session for a request that asks for it with `bits`: leaves the user's context,
    /// which SQL Server drops a connection for (18059) if it is reset inside, resets and enters
    /// again. Returns what the client is to be told before the answer to its request.
    ///
    /// After an error the session must not be used any more.
    pub(in crate::emulator) async fn reset(
        &mut self,
        bits: PacketStatus,
    ) -> Result<Vec<u8>, ForwardError> {
        let Some(context) = self.context.take() else {
            return Ok(Vec::new());
        };
        let away = self.tracker.database() != context.database;
        let back_to = away.then_some(context.database.as_str());
        let sql = context::leave(back_to, &context.cookie);
        let answer = self.ask(&sql, PacketStatus::NORMAL).await?;
        if !context::left(&answer, &context.outside) {
            return Err(ForwardError::Context);
        }
        let back = answer.changes.into_iter().filter(moves);
        let back: Vec<_> = back.collect();
        let answer = self.ask(&context::enter(&context.user), bits).await?;
        if !answer.changes.contains(&EnvChange::ResetAcknowledged) {
            return Err(ForwardError::Context);
        }
        let cookie = cookie(&answer, &context.user)?;
        self.context = Some(Context { cookie, ..context });
        told(answer.changes.into_iter().chain(back)).map_err(|_| ForwardError::Context)
    }

    /// Whether no transaction is open.
    pub(in crate::emulator) fn is_outside_transaction(&self) -> bool {
        self.tracker.descriptor() == 0
    }

    /// Runs a batch of the gateway's own.
    pub(super) async fn ask(
        &mut self,
        sql: &str,
        status: PacketStatus,
    ) -> Result<Answer, ForwardError> {
        let resets = status != PacketStatus::NORMAL;
        let mut payload = all_headers(self.tracker.descriptor());
        payload.extend(sql.encode_utf16().flat_map(u16::to_le_bytes));
        self.wire.writer.begin(PacketType::SQL_BATCH, status);
        self.wire.writer.put(&payload);
        self.wire.writer.end(false);
        let patience = self.patience;
        let answer = timeout(patience, self.exchange())
            .await
            .map_err(|_| ForwardError::Deadline)??;
        if resets && !status.contains(PacketStatus::RESET_CONNECTION_SKIP_TRAN) {
            self.tracker.note(&EnvChange::RollbackTransaction(0));
        }
        for change in &answer.changes {
            if *change != EnvChange::ResetAcknowledged {
                self.tracker.note(change);
            } else if !resets {
                return Err(ForwardError::StrangeReset);
            }
        }
        Ok(answer)
    }

    async fn exchange(&mut self) -> Result<Answer, ForwardError> {
        self.wire.writer.drain().await?;
        let mut payload = Vec::new();
        loop {
            let packet = self.wire.reader.packet().await?;
            payload.extend_from_slice(&packet.data);
            if payload.len() > MAX_ANSWER {
                return Err(ForwardError::Answer(crate::tds::DecodeError::TooLong {
                    what: "the backend's answer",
                    len: payload.len() as u64,
                    max: MAX_ANSWER as u64,
                }));
            }
            if packet.last {
                return Ok(Answer::read(&payload)?);
            }
        }
    }
}

/// The cookie of the context that was entered, or why it was not.
fn cookie(answer: &Answer, user: &DatabaseUser) -> Result<Vec<u8>, ForwardError> {
    if let Some(error) = answer.errors.first() {
        return Err(ForwardError::Refused(error.clone()));
    }
    context::entered(answer, user).ok_or(ForwardError::UserGone)
}

/// Whether this leads from one database into another.
fn moves(change: &EnvChange) -> bool {
    matches!(change, EnvChange::Database { new, old } if new != old)
}

/// The changes as tokens.
fn told(changes: impl Iterator<Item = EnvChange>) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    for change in changes {
        Token::EnvChange(change).encode(TdsVersion::V7_4, &mut bytes)?;
    }
    Ok(bytes)
}
