//! Why a proxy cannot run.

use std::io;
use std::net::SocketAddr;

use super::admission::PasswordError;
use super::config::ConfigError;
use super::tls::CertificateError;
use crate::dial::DialError;
use crate::key_vault::KeyVaultError;
use crate::target::TargetError;
use crate::token::TokenError;

/// Why a proxy cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The configuration asks for what cannot be done.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The admin address could be reached by other machines.
    #[error(
        "the admin address {address} is not loopback: it shows who is connected to whoever asks; \
         listen on 127.0.0.1 or [::1]"
    )]
    AdminNotLoopback {
        /// The address.
        address: SocketAddr,
    },
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
    /// A listener that other machines reach lets in whoever comes, or reads
    /// passwords that everybody on the way can read.
    #[error("listener `{listener}` can be reached from other machines at {address}, so it needs {}; set that, or listen on 127.0.0.1", needs(*.lacks_tls, *.lacks_passwords))]
    Exposed {
        /// The listener's name.
        listener: String,
        /// Its address.
        address: SocketAddr,
        /// Whether it does not insist on encryption.
        lacks_tls: bool,
        /// Whether it does not ask for passwords.
        lacks_passwords: bool,
    },
    /// A user's password cannot be checked.
    #[error("user `{user}` has no password hash that can be used")]
    PasswordHash {
        /// The user's name.
        user: String,
        /// What is wrong with it.
        source: PasswordError,
    },
    /// A connection string is none, or asks for what is not done here.
    #[error("the connection string of target `{target}` cannot be used")]
    Target {
        /// The target's name.
        target: String,
        /// What is wrong with it.
        source: Box<TargetError>,
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
        source: Box<DialError>,
    },
    /// A listener has no certificate to show to its clients.
    #[error("listener `{listener}` cannot encrypt")]
    Certificate {
        /// The listener's name.
        listener: String,
        /// What is wrong.
        source: Box<CertificateError>,
    },
    /// A rule names an identity for a target that has none to choose.
    #[error(
        "a rule names an identity for target `{target}`, which logs in by {method}; only managed identity, \
         workload identity and the default chain have several"
    )]
    Identity {
        /// The target's name.
        target: String,
        /// How it logs in.
        method: &'static str,
    },
    /// A secret that a connection string names in a vault cannot be had.
    #[error("the connection string of target `{target}` cannot be put together")]
    KeyVault {
        /// The target's name.
        target: String,
        /// Why.
        source: Box<KeyVaultError>,
    },
}

fn needs(tls: bool, passwords: bool) -> &'static str {
    match (tls, passwords) {
        (true, false) => "tls = \"required\" (or \"strict\")",
        (false, _) => "admission = \"password\"",
        (true, true) => "tls = \"required\" (or \"strict\") and admission = \"password\"",
    }
}
