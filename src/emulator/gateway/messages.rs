//! Errors in the words of SQL Server and Azure SQL, which clients and people know.

use crate::tds::{LOGIN_FAILED, ServerMessage};

/// How the error names whoever came with a token.
const TOKEN_USER: &str = "<token-identified principal>";

/// 18456 for a token; `more` is what Azure adds for some causes.
pub(super) fn token_refused(more: Option<&str>) -> ServerMessage {
    let sentence = format!("Login failed for user '{TOKEN_USER}'.");
    login_failed(match more {
        Some(more) => format!("{sentence} {more}"),
        None => sentence,
    })
}

/// 18452: integrated security, which the emulator has no domain for.
pub(super) fn no_integrated_security() -> ServerMessage {
    let text = "Login failed. The login is from an untrusted domain and cannot be used with \
                Integrated authentication.";
    ServerMessage::new(18452, 1, 14, text)
}

/// 18059: a session cannot be reset in the context of a database user.
pub(super) fn reset_inside_context() -> ServerMessage {
    let text = "The connection has been dropped because the principal that opened it subsequently \
                assumed a new security context, and then tried to reset the connection under its \
                impersonated security context. This scenario is not supported.";
    ServerMessage::new(18059, 1, 20, text)
}

/// 17832: the login packet makes no sense.
pub(super) fn malformed_login() -> ServerMessage {
    let text = "The login packet used to open the connection is structurally invalid; the \
                connection has been closed. Please contact the vendor of the client library.";
    ServerMessage::new(17832, 1, 20, text)
}

/// 40531: the login does not say which server it is for.
pub(super) fn no_server_name() -> ServerMessage {
    let text = "Server name cannot be determined. It must appear as the first segment of the \
                server's dns name (servername.database.windows.net).";
    ServerMessage::new(40531, 1, 20, text)
}

/// 40532: the login is for a server that is not here.
pub(super) fn unknown_server(name: &str) -> ServerMessage {
    let text = format!("Cannot open server \"{name}\" requested by the login.  The login failed.");
    ServerMessage::new(40532, 1, 20, text)
}

/// The client's protocol is older than what the emulator's engine writes.
pub(super) fn old_protocol(version: impl std::fmt::Display) -> ServerMessage {
    let text = format!(
        "This server speaks TDS 7.4 and 8.0; the client asked for TDS {version}. Configure the \
         client for TDS 7.4."
    );
    ServerMessage::new(17895, 1, 20, text)
}

/// The session cannot go on, through no fault of the client's. The connection is closed after it.
pub(super) fn killed() -> ServerMessage {
    let text = "Cannot continue the execution because the session is in the kill state.";
    ServerMessage::new(596, 1, 21, text)
}

fn login_failed(text: String) -> ServerMessage {
    ServerMessage::new(LOGIN_FAILED, 1, 14, text)
}
