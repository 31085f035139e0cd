//! Why a proxy cannot run.

use std::io;

use super::tls::CertificateError;
use crate::dial::DialError;
use crate::target::TargetError;
use crate::token::TokenError;

/// Why a proxy cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for `{listener}`")]
    Listen {
        /// The listener's name.
        listener: String,
        /// Its address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A connection string is none, or asks for what is not done here.
    #[error("the connection string of target `{target}` cannot be used")]
    Target {
        /// The target's name.
        target: String,
        /// What is wrong with it.
        source: TargetError,
    },
    /// A target's identity cannot be used.
    #[error("target `{target}` has no source of tokens")]
    Token {
        /// The target's name.
        target: String,
        /// What is wrong with it.
        source: TokenError,
    },
    /// A target's TLS settings cannot be used.
    #[error("target `{target}` cannot be dialled")]
    Dial {
        /// The target's name.
        target: String,
        /// What is wrong with it.
        source: DialError,
    },
    /// A listener has no certificate to show to its clients.
    #[error("listener `{listener}` cannot encrypt")]
    Certificate {
        /// The listener's name.
        listener: String,
        /// What is wrong.
        source: CertificateError,
    },
    /// A name that nothing has.
    #[error("`{wanted}` in {place} names no target; there are: {known}")]
    NoSuchTarget {
        /// The name.
        wanted: String,
        /// Who wants it.
        place: String,
        /// The names that there are.
        known: String,
    },
}
