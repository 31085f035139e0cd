//! What answers requests behind the gateway: the embedded engine, or in its place a real server.

use std::sync::Arc;

use super::engine::{
    ClientInfo, Engine, EngineSession, Principal, RequestBody, SessionInfo, SinkClosed, TokenSink,
};
use super::forward::Forwarding;
use crate::Secret;
use crate::tds::{EnvChange, Message, ServerMessage};

/// What stands behind the gateway.
#[derive(Clone)]
pub(super) enum Backing {
    /// Sessions in this process, which answer request after request.
    Embedded(Arc<dyn Backend>),
    /// Sessions on a real server, to which packets are relayed.
    Forwarding(Arc<Forwarding>),
}

/// A database server without the network: authenticates SQL logins and opens sessions.
///
/// All methods may block; the gateway calls them on threads made for that.
pub(super) trait Backend: Send + Sync {
    /// Checks a user name and password.
    fn authenticate_sql(
        &self,
        user: &str,
        password: &Secret,
        database: Option<&str>,
    ) -> Result<Principal, ServerMessage>;

    /// Opens a session for a principal, in `database` or else in its default database. `client` is what
    /// the login said of the program.
    fn connect(
        &self,
        principal: &Principal,
        database: Option<&str>,
        client: ClientInfo,
    ) -> Result<Box<dyn BackendSession>, ServerMessage>;
}

/// One session. Requests come one at a time.
pub(super) trait BackendSession: Send {
    /// What the login's answer tells about the session.
    fn info(&self) -> SessionInfo;

    /// Runs a request and sends the token stream of its whole response, the final DONE included.
    fn execute(&mut self, request: &Message, sink: &mut dyn TokenSink) -> Result<(), SinkClosed>;

    /// Runs a bulk load, whose bytes are still coming, and sends its whole response.
    ///
    /// A body that is cancelled ends the response with a DONE that has the error bit, and no ERROR.
    fn load(
        &mut self,
        body: &mut dyn RequestBody,
        sink: &mut dyn TokenSink,
    ) -> Result<(), SinkClosed>;

    /// Puts the session back to what it was after the login, and says what else changed for the
    /// client by that. With `keep_transaction` an open transaction goes on. After an error the
    /// session [is over](Self::is_over).
    fn reset(&mut self, keep_transaction: bool) -> Result<Vec<EnvChange>, ServerMessage>;

    /// Whether the connection is to be closed once the client has been told why.
    fn is_over(&self) -> bool {
        false
    }

    /// Something that stops the running request from another thread, and does nothing if none runs.
    fn interrupter(&self) -> Interrupter;
}

/// See [`BackendSession::interrupter`].
pub(super) type Interrupter = Arc<dyn Fn() + Send + Sync>;

impl Backend for Engine {
    fn authenticate_sql(
        &self,
        user: &str,
        password: &Secret,
        database: Option<&str>,
    ) -> Result<Principal, ServerMessage> {
        Self::authenticate_sql(self, user, password, database)
    }

    fn connect(
        &self,
        principal: &Principal,
        database: Option<&str>,
        client: ClientInfo,
    ) -> Result<Box<dyn BackendSession>, ServerMessage> {
        let session = self.connect_client(principal, database, client)?;
        Ok(Box::new(session))
    }
}

impl BackendSession for EngineSession {
    fn info(&self) -> SessionInfo {
        Self::info(self)
    }

    fn execute(&mut self, request: &Message, sink: &mut dyn TokenSink) -> Result<(), SinkClosed> {
        Self::execute(self, request, sink)
    }

    fn load(
        &mut self,
        body: &mut dyn RequestBody,
        sink: &mut dyn TokenSink,
    ) -> Result<(), SinkClosed> {
        Self::load(self, body, sink)
    }

    fn is_over(&self) -> bool {
        Self::is_over(self)
    }

    fn reset(&mut self, keep_transaction: bool) -> Result<Vec<EnvChange>, ServerMessage> {
        if keep_transaction {
            self.reset_keeping_transaction()
        } else {
            Self::reset(self)
        }
    }

    fn interrupter(&self) -> Interrupter {
        let interrupter = Self::interrupter(self);
        Arc::new(move || interrupter.interrupt())
    }
}

impl std::fmt::Debug for Backing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Embedded(_) => "Embedded",
            Self::Forwarding(_) => "Forwarding",
        })
    }
}
