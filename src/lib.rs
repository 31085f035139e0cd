//! The passwordless way into Azure SQL.
//!
//! A connection string goes in; an authenticated, pooled TDS session comes out:
//!
//! ```no_run
//! use entrada::Pool;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::connect(
//!     "Server=contoso.database.windows.net;Database=shop;Authentication=ActiveDirectoryMSI",
//! )
//! .await?;
//! let mut client = pool.get().await?;
//! let row = client.simple_query("SELECT 1").await?.into_row().await?;
//! assert_eq!(row.and_then(|row| row.get::<i32, _>(0)), Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! # The path
//!
//! Each module is a step, and may be used by itself:
//!
//! | Module | Step |
//! | --- | --- |
//! | [`conn_string`] | text → settings, by the rules of the driver that the string was written for |
//! | [`target`] | settings → what they mean for a login |
//! | [`key_vault`] | references in the text → secrets, kept and refreshed |
//! | [`token`] | identity → access token, cached and renewed |
//! | [`dial`] | target and token → logged-in session |
//! | [`pool`] | sessions → [`tiberius`] clients, kept and handed out again |
//!
//! `proxy` takes the same path for programs that know nothing of tokens: they
//! find a plain SQL Server on localhost. [`tds`] is the protocol as bytes, for
//! all of them and without a socket.
//! `emulator` is the far side of each step, on loopback.
//!
//! # Features
//!
//! | Feature | Default | What it adds |
//! | --- | --- | --- |
//! | `azure-core` | no | `token::AzureCredential` and `token::SourceCredential`: credentials of the Azure SDK for Rust as sources of tokens, and the reverse |
//! | `check` | yes | the path of a login, step by step |
//! | `cli` | yes | the `entrada` program |
//! | `emulator` | yes | the Azure side on loopback |
//! | `grants` | yes | roles and permissions of a database from a file |
//! | `proxy` | yes | a plain SQL Server on localhost for clients that know nothing of tokens |
//!
//! # What holds everywhere
//!
//! - A token is sent over verified TLS only, whatever a connection string says.
//! - Passwords and tokens are [`Secret`]s: they have no `Display`, `Debug` shows
//!   their length, and their memory is overwritten. None is in an error or a log.
//! - Time is tokio's: calls need its runtime, with time and I/O enabled.

mod causes;
#[cfg(feature = "check")]
pub mod check;
pub mod conn_string;
pub mod dial;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod error;
pub mod front;
#[cfg(feature = "grants")]
pub mod grants;
pub mod key_vault;
pub mod pool;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(any(feature = "check", feature = "cli", feature = "grants"))]
pub mod scripts;
pub mod secret;
pub mod session;
#[cfg(any(feature = "grants", feature = "proxy"))]
mod settings;
pub mod target;
pub mod tds;
pub mod token;
#[cfg(feature = "proxy")]
pub mod transcode;
#[cfg(any(feature = "check", feature = "cli", feature = "grants"))]
pub mod tsql;

#[cfg(feature = "cli")]
pub mod cli;

pub use error::Error;
pub use pool::{Pool, tiberius};
pub use secret::Secret;

/// The README's example, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
