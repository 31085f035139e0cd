//! The ways in which something can go wrong on demand.

use std::time::Duration;

use super::Platform;

/// How the identity endpoints misbehave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityFault {
    /// Azure Arc's challenge is not what it should be. Other platforms have none.
    ArcChallenge(ArcChallenge),
    /// A machine on its way up: of the times that this happens, the first half is answered 404 and
    /// the rest 500.
    Booting,
    /// Answer 200 with JSON that breaks off.
    Garbage,
    /// Answer 200 with an HTML page, as a captive portal does.
    Html,
    /// Answer as if no identity had been named, as old agents of Azure Arc do: with the token of the
    /// system-assigned one.
    IgnoresSelector,
    /// Answer 200 with more than a mebibyte of JSON.
    Oversized,
    /// Answer errors in plain text, as Container Instances does on Linux; tokens as ever.
    PlainText,
    /// Answer 307 with the address of somebody who takes whatever comes, and gives a token that no
    /// server takes.
    Redirect,
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
    /// Answer 403 and tell of an unreachable network, as Docker Desktop does in place of IMDS.
    Unreachable,
}

/// What is wrong with Azure Arc's challenge. Each key file is there and holds a key that is good
/// unless it says otherwise: a client that reads it gets a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArcChallenge {
    /// There is none: 200 and a token at once.
    Answered,
    /// The key file has 4097 bytes.
    Big,
    /// The path to the key file goes by `..`.
    DotDot,
    /// The key file does not exist.
    Missing,
    /// 401 without `WWW-Authenticate`.
    NoHeader,
    /// `WWW-Authenticate: Basic` without a realm.
    NoRealm,
    /// The key file is in another folder.
    Outside,
    /// The path stands between double quotes, which is as good.
    Quoted,
    /// The key file is a symbolic link to one in another folder; on Unix only, elsewhere as
    /// [`Outside`](Self::Outside).
    Symlink,
    /// The key file's name ends with `.txt`.
    Txt,
}

/// How Entra's token endpoint misbehaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntraFault {
    /// Answer with this AADSTS number: 90033 is transient, 70021 what a new federated credential
    /// gives for some minutes.
    Aadsts(u32),
    /// What any HTTP service can do; the statuses from 500 on, and HTML, are pages of a gateway.
    Http(IdentityFault),
}

/// How Key Vault misbehaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VaultFault {
    /// Answer 403, as before a role's assignment has spread.
    Forbidden,
    /// Name another service's resource in the challenge, as a host would that only poses as a vault.
    ForeignChallenge,
    /// What any HTTP service can do.
    Http(IdentityFault),
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
    Entra(EntraFault),
    Failover,
    Gateway(GatewayStep, GatewayFault),
    /// At one platform's endpoint, or at all of them.
    Identity(Option<Platform>, IdentityFault),
    IdentityDown,
    LoginError(i32),
    Redirect(Redirect),
    RequestError(i32),
    SlowBytes(Duration),
    Vault(VaultFault),
}
