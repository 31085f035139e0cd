//! The admin database: a tiny SQL Server made of the proxy's own state, for the
//! SQL tool that is at hand. See `SELECT * FROM help`.
//!
//! ```text
//!  client ──► session (packets, deadlines) ──► console (one request) ──► sql ──► tables
//!                                                     └──► command (KILL, PAUSE, …)
//! ```

mod answer;
mod command;
mod console;
mod login;
mod procedure;
mod session;
mod sql;
mod tables;
mod transaction;

use self::console::Console;
use super::access_log::shown;
use super::client::Greeted;
use super::registry::{Entry, Phase};
use super::shared::{Live, Shared};

/// Serves a client that is admitted to the admin database, to its end.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(super) async fn serve(
    greeted: Greeted,
    user: String,
    live: &Live,
    entry: &Entry,
    shared: &Shared,
) -> session::End {
    entry.learn(|known| {
        let login = &greeted.login;
        known.state = Phase::Admin;
        known.login = shown(&user);
        known.application = shown(&login.app_name);
        known.host = shown(&login.host_name);
        known.tds_version = login.tds_version.to_string();
        known.encrypted = greeted.encrypted;
        known.database = sql::DATABASE.to_owned();
    });
    tracing::info!(id = entry.id, peer = entry.peer, %user, "admin database opened");
    session::run(greeted, user, live, entry, shared).await
}
