//! The passwordless way into Azure SQL.
//!
//! A connection string goes in; an authenticated, pooled TDS session comes out.

pub mod conn_string;
pub mod dial;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod error;
pub mod front;
pub mod pool;
pub mod secret;
pub mod session;
pub mod target;
pub mod tds;
pub mod token;

#[cfg(feature = "cli")]
pub mod cli;

pub use error::Error;
pub use pool::{Pool, tiberius};
pub use secret::Secret;
