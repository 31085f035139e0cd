//! One client's session: what it may see, what it has open, and what a reset clears.

pub(crate) mod applock;
mod applock_use;
pub(crate) mod client;
pub(crate) mod context;
mod interrupt;
pub(crate) mod login;
pub(crate) mod state;

use std::sync::Arc;

use interrupt::Interrupt;

use super::error::SqlError;
use super::{Principal, Shared};
use crate::tds::{EnvChange, Message, ServerMessage};

pub use client::ClientInfo;
pub(crate) use state::State;

/// A session on the engine. Blocking: run it where blocking is allowed.
pub struct EngineSession {
    state: State,
}

/// What the login response tells about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The current database.
    pub database: String,
    /// The language, `us_english`.
    pub language: String,
    /// The five bytes of `SQL_Latin1_General_CP1_CI_AS`.
    pub collation: [u8; 5],
    /// The session's number, `@@SPID`.
    pub spid: u16,
    /// Version of the product, as LOGINACK shows it.
    pub version: [u8; 4],
}

/// Takes the bytes of a response's tokens as they are made.
///
/// A slow sink slows the engine down: this is where back-pressure comes from.
pub trait TokenSink {
    /// Takes bytes; they may end anywhere in a token.
    ///
    /// # Errors
    /// [`SinkClosed`] if the client is gone; the statement is stopped then.
    fn send(&mut self, bytes: &[u8]) -> Result<(), SinkClosed>;
}

impl TokenSink for Vec<u8> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), SinkClosed> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// The bytes of a request that is still coming in: a bulk load's.
///
/// A slow reader slows the client down.
pub trait RequestBody {
    /// The next bytes, which may be cut anywhere; `None` once the request is complete.
    ///
    /// # Errors
    /// [`BodyCancelled`] if the client will not send the rest; so will all later calls.
    fn next(&mut self) -> Result<Option<Vec<u8>>, BodyCancelled>;
}

/// A body that is here already.
impl RequestBody for Option<Vec<u8>> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, BodyCancelled> {
        Ok(self.take())
    }
}

/// The client gave a request up before it was complete, or has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client has cancelled its request in the middle")]
pub struct BodyCancelled;

/// The client is gone, so that nobody wants the rest of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client has gone away in the middle of a response")]
pub struct SinkClosed;

/// Stops the statement that a session is running, from another thread.
#[derive(Clone)]
pub struct Interrupter {
    interrupt: Arc<Interrupt>,
    handle: Arc<rusqlite::InterruptHandle>,
}

impl Interrupter {
    /// Stops the running request soon: its response then ends with a DONE that has the error bit and
    /// no ERROR token, after which the gateway acknowledges the attention. Without a running request
    /// nothing happens.
    pub fn interrupt(&self) {
        self.interrupt.set();
        self.handle.interrupt();
    }
}

impl std::fmt::Debug for Interrupter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupter").finish_non_exhaustive()
    }
}

impl EngineSession {
    pub(super) fn open(
        shared: Arc<Shared>,
        principal: Principal,
        database: Option<&str>,
        client: ClientInfo,
        spid: u16,
    ) -> Result<Self, SqlError> {
        let mut state = login::open(shared, principal, database, spid)?;
        state.client = client;
        Ok(Self { state })
    }

    /// What the login response tells.
    #[must_use]
    pub fn info(&self) -> SessionInfo {
        SessionInfo {
            database: self.state.database.name.clone(),
            language: "us_english".into(),
            collation: super::wire::COLLATION,
            spid: self.state.spid,
            version: super::wire::VERSION,
        }
    }

    /// Answers a request (SQL batch, RPC, transaction manager or bulk load) with a whole token stream, final
    /// DONE included. A message that cannot be read is answered with an error, too.
    ///
    /// # Errors
    /// [`SinkClosed`] if the sink took no more.
    pub fn execute(
        &mut self,
        message: &Message,
        sink: &mut dyn TokenSink,
    ) -> Result<(), SinkClosed> {
        super::exec::run(&mut self.state, message, sink)
    }

    /// Answers a bulk load, whose bytes are taken as they come, with a whole token stream.
    ///
    /// # Errors
    /// [`SinkClosed`] if the sink took no more.
    pub fn load(
        &mut self,
        body: &mut dyn RequestBody,
        sink: &mut dyn TokenSink,
    ) -> Result<(), SinkClosed> {
        super::exec::run_load(&mut self.state, body, sink)
    }

    /// What RESETCONNECTION clears: open transactions, temporary tables, prepared handles, SET
    /// options, and the database goes back to the login's. The isolation level stays, as on SQL
    /// Server. Returns the changes to tell the client, apart from the acknowledgement.
    ///
    /// # Errors
    /// 18059 in the context of another user (EXECUTE AS); the session [is over](Self::is_over)
    /// then.
    pub fn reset(&mut self) -> Result<Vec<EnvChange>, ServerMessage> {
        self.reset_unless_impersonating(true)
    }

    /// As [`reset`](Self::reset), but an open transaction goes on (RESETCONNECTIONSKIPTRAN).
    ///
    /// # Errors
    /// As [`reset`](Self::reset).
    pub fn reset_keeping_transaction(&mut self) -> Result<Vec<EnvChange>, ServerMessage> {
        self.reset_unless_impersonating(false)
    }

    /// Whether the server drops the session: its connection is to be closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state.over
    }

    fn reset_unless_impersonating(
        &mut self,
        roll_back: bool,
    ) -> Result<Vec<EnvChange>, ServerMessage> {
        let server = self.state.shared.options.server_name.clone();
        let refused = self.state.refuse_reset();
        refused.map_err(|error| message(&error, &server))?;
        Ok(self.state.reset(roll_back))
    }

    /// A handle that stops the running statement; good for the session's life.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        self.state.interrupter()
    }

    /// Runs a batch and throws its results away.
    pub(super) fn run_text(&mut self, sql: &str) -> Result<(), ServerMessage> {
        let name = self.state.shared.options.server_name.clone();
        super::exec::run_quiet(&mut self.state, sql).map_err(|error| message(&error, &name))
    }
}

impl std::fmt::Debug for EngineSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineSession")
            .field("spid", &self.state.spid)
            .field("database", &self.state.database.name)
            .finish_non_exhaustive()
    }
}

/// An error in the form of the wire.
pub(crate) fn message(error: &SqlError, server: &str) -> ServerMessage {
    ServerMessage {
        number: i32::try_from(error.number).unwrap_or(i32::MAX),
        state: error.state,
        class: error.class,
        message: error.message.clone(),
        server: server.to_owned(),
        procedure: String::new(),
        line: error.line.max(1),
    }
}
