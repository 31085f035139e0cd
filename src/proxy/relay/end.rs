//! Why a client is no longer connected.

use std::io;

use super::track::Fault;
use crate::proxy::refusal::chain;
use crate::transcode::TranscodeError;

/// Why a client is no longer connected.
#[derive(Debug)]
pub(in crate::proxy) enum End {
    /// Before it was let in, for this reason.
    Unserved(&'static str),
    /// It was in the admin database, and left it for this reason.
    Admin(&'static str),
    /// It closed the connection between requests.
    Left,
    /// Its connection broke, or ended inside of a request.
    ClientBroke(io::Error),
    /// It closed its half, and the answer that it still had due did not come.
    Deserted,
    /// It broke the protocol.
    Protocol(Fault),
    /// It was silent for too long.
    Idle,
    /// Somebody ended it.
    Killed,
    /// The proxy is shutting down.
    Drained,
    /// The server closed the connection.
    ServerClosed,
    /// The connection to the server broke.
    ServerBroke(io::Error),
    /// The server broke the protocol.
    ServerFault(Fault),
    /// Something that was said has no form in the other side's version, or makes
    /// no sense in its own.
    Untold(TranscodeError),
}

impl End {
    /// The word for logs and metrics.
    pub(in crate::proxy) fn word(&self) -> &'static str {
        match self {
            Self::Unserved(word) | Self::Admin(word) => word,
            Self::Left => "left",
            Self::ClientBroke(_) => "client-broke",
            Self::Deserted => "deserted",
            Self::Protocol(_) => "protocol",
            Self::Untold(error) if error.is_servers() => "server-fault",
            Self::Untold(_) => "protocol",
            Self::Idle => "idle",
            Self::Killed => "killed",
            Self::Drained => "drained",
            Self::ServerClosed => "server-closed",
            Self::ServerBroke(_) => "server-broke",
            Self::ServerFault(_) => "server-fault",
        }
    }

    /// Whether the server is at fault, so that people should hear of it.
    pub(in crate::proxy) fn is_servers(&self) -> bool {
        match self {
            Self::ServerClosed | Self::ServerBroke(_) | Self::ServerFault(_) => true,
            Self::Untold(error) => error.is_servers(),
            _ => false,
        }
    }

    /// Whether the client has broken the protocol.
    pub(in crate::proxy) fn is_breach(&self) -> bool {
        match self {
            Self::Protocol(_) => true,
            Self::Untold(error) => !error.is_servers(),
            _ => false,
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unserved(word) => write!(f, "the client was not served ({word})"),
            Self::Admin(word) => write!(f, "the client left the admin database ({word})"),
            Self::Left => f.write_str("the client closed the connection"),
            Self::ClientBroke(error) => write!(f, "the client's connection broke: {error}"),
            Self::Deserted => f.write_str("the client left before it had its answer"),
            Self::Protocol(fault) | Self::ServerFault(fault) => write!(f, "{fault}"),
            Self::Untold(error) => f.write_str(&chain(error)),
            Self::Idle => f.write_str("the client was silent for longer than `idle_timeout`"),
            Self::Killed => f.write_str("the client was killed"),
            Self::Drained => f.write_str("the proxy is shutting down"),
            Self::ServerClosed => f.write_str("the server closed the connection"),
            Self::ServerBroke(error) => {
                write!(f, "the connection to the server broke: {error}")
            }
        }
    }
}
