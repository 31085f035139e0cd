//! The ways in which something can go wrong on demand.

use std::time::Duration;

/// How the identity endpoints misbehave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityFault {
    /// A machine on its way up: of the times that this happens, the first half is answered 404 and
    /// the rest 500.
    Booting,
    /// Answer 200 with JSON that breaks off.
    Garbage,
    /// Answer 200 with an HTML page, as a captive portal does.
    Html,
    /// Answer properly, but only after this time.
    Slow(Duration),
    /// Accept the request and never answer.
    Stall,
    /// Answer with an HTTP status: 404 and 410 while IMDS restarts, 429 when throttled, 5xx.
    Status {
        /// The HTTP status code, 400 to 599; anything else is answered as 500.
        status: u16,
        /// The `Retry-After` header, in whole seconds.
        retry_after: Option<Duration>,
    },
}

/// The steps of a connection at which the SQL gateway can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GatewayStep {
    /// After accepting the TCP connection, before reading a byte.
    Accept,
    /// In place of the PRELOGIN answer.
    Prelogin,
    /// In place of the TLS handshake's first answer.
    Tls,
    /// In place of the answer to LOGIN7 (or to the token message).
    Login,
    /// In place of the answer to a request.
    Request,
}

/// What goes wrong at a [`GatewayStep`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatewayFault {
    /// Close the connection in good order (FIN).
    Close,
    /// Send this many bytes of the true answer, then close. At steps without an answer of their
    /// own (accept, TLS) the same as [`Close`](Self::Close).
    CloseAfter(usize),
    /// Send bytes that are not TDS, then close.
    Garbage,
    /// Break the connection (RST).
    Reset,
    /// Answer properly, but only after this time.
    Slow(Duration),
    /// Say nothing more and keep the connection open.
    Stall,
}

/// Whether a database can be logged in to, and why not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatabaseState {
    /// Out of free allowance: logins get 42119, for as long as it is so.
    AllowanceUsedUp,
    /// Taken offline: logins get 4060.
    Offline,
    /// As it should be.
    #[default]
    Online,
    /// Paused, as serverless databases pause by themselves: logins get 40613. A number of times or
    /// a time begins with the first login that comes, since that is what resumes it.
    Paused,
    /// On its way up, or in the middle of a failover: logins get 40613.
    Resuming,
}

/// Where redirected logins are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redirect {
    /// To the emulator's own second listener, which serves the login.
    Node,
    /// To this server and port, whatever is there; the gateway's own address makes a loop.
    To {
        /// The alternate server's name, as ENVCHANGE 20 carries it.
        server: String,
        /// The alternate server's port.
        port: u16,
    },
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Database(String, DatabaseState),
    Failover,
    Gateway(GatewayStep, GatewayFault),
    Identity(IdentityFault),
    IdentityDown,
    LoginError(i32),
    Redirect(Redirect),
    RequestError(i32),
    SlowBytes(Duration),
}
