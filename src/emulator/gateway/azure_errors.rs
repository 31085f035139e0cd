//! The errors that the emulator is told to give, in Azure SQL's words.
//!
//! Texts and severities are those of Microsoft's pages on connection errors of Azure SQL Database;
//! where a page leaves the severity out, drivers' issue reports gave it.

use std::net::IpAddr;

use uuid::Uuid;

use super::messages::token_refused;
use crate::tds::{CANNOT_OPEN_DATABASE, LOGIN_FAILED, ServerMessage, known};

/// What errors name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) database: &'a str,
    pub(super) server: &'a str,
    pub(super) peer: IpAddr,
}

/// The error of that number.
pub(super) fn azure_error(number: i32, scene: Scene<'_>) -> ServerMessage {
    match number {
        LOGIN_FAILED => token_refused(None),
        18470 => {
            let text = "Login failed for user '<token-identified principal>'. Reason: The account \
                        is disabled.";
            ServerMessage::new(number, 1, 14, text)
        }
        40615 | 40532 | 40531 | 40914 | 47073 => at_the_door(number, scene),
        4060 | 40613 | 42119 | 40544 => about_the_database(number, scene),
        10928 | 10929 | 10936 | 49918..=49920 => at_a_limit(number),
        _ => busy_or_broken(number),
    }
}

/// Refusals before anybody looks at who it is.
fn at_the_door(number: i32, scene: Scene<'_>) -> ServerMessage {
    let Scene { server, peer, .. } = scene;
    let (class, text) = match number {
        40531 => (
            20,
            "Server name cannot be determined. It must appear as the first segment of the server's \
             dns name (servername.database.windows.net)."
                .to_owned(),
        ),
        40532 => (
            20,
            format!("Cannot open server \"{server}\" requested by the login.  The login failed."),
        ),
        40615 => (
            14,
            format!(
                "Cannot open server '{server}' requested by the login. Client with IP address \
                 '{peer}' is not allowed to access the server.  To enable access, use the Azure \
                 Management Portal or run sp_set_firewall_rule on the master database to create a \
                 firewall rule for this IP address or address range.  It may take up to five minutes \
                 for this change to take effect."
            ),
        ),
        40914 => (
            14,
            format!(
                "Cannot open server '{server}' requested by the login. Client is not allowed to \
                 access the server."
            ),
        ),
        _ => (
            14,
            "Reason: An instance-specific error occurred while establishing a connection to SQL \
             Server. Connection was denied since Deny Public Network Access is set to Yes. To \
             connect to this server, use the Private Endpoint from inside your virtual network."
                .to_owned(),
        ),
    };
    ServerMessage::new(number, 1, class, text)
}

fn about_the_database(number: i32, scene: Scene<'_>) -> ServerMessage {
    let Scene {
        database, server, ..
    } = scene;
    let id = Uuid::new_v4();
    let (class, text) = match number {
        CANNOT_OPEN_DATABASE => (
            11,
            format!(
                "Cannot open database \"{database}\" requested by the login. The login failed."
            ),
        ),
        40544 => (
            20,
            format!(
                "The database has reached its size quota. Partition or delete data, drop indexes, or \
                 consult the documentation for possible resolutions. Incident ID: {id}. Code: 524288."
            ),
        ),
        40613 => (
            17,
            format!(
                "Database '{database}' on server '{server}' is not currently available.  Please \
                 retry the connection later.  If the problem persists, contact customer support, \
                 and provide them the session tracing ID of '{{{id}}}'."
            ),
        ),
        _ => (
            14,
            "This database has reached the monthly free amount allowance for this month and is \
             paused for the remainder of the month. To regain access immediately, open the Compute \
             and Storage tab from the database menu on the Azure Portal and select the \"Continue \
             using database with additional charges\" option."
                .to_owned(),
        ),
    };
    ServerMessage::new(number, 1, class, text)
}

/// Too many workers, sessions or operations.
fn at_a_limit(number: i32) -> ServerMessage {
    let id = Uuid::new_v4();
    let (class, text) = match number {
        10928 => (
            20,
            "Resource ID : 1. The request limit for the database is 30 and has been reached. See \
             'http://go.microsoft.com/fwlink/?LinkId=267637' for assistance."
                .to_owned(),
        ),
        10929 => (
            20,
            "Resource ID: 1. The request minimum guarantee is 0, maximum limit is 30 and the current \
             usage for the database is 30. However, the server is currently too busy to support \
             requests greater than 30 for this database. See \
             http://go.microsoft.com/fwlink/?LinkId=267637 for assistance. Otherwise, please try \
             again later."
                .to_owned(),
        ),
        10936 => (
            20,
            "Resource ID : 1. The request limit for the elastic pool is 200 and has been reached. \
             See 'http://go.microsoft.com/fwlink/?LinkId=267637' for assistance."
                .to_owned(),
        ),
        49918 => (
            16,
            "Cannot process request. Not enough resources to process request. The service is \
             currently busy. Please retry the request later."
                .to_owned(),
        ),
        49919 => (
            16,
            format!(
                "Cannot process create or update request. Too many create or update operations in \
                 progress for subscription \"{id}\"."
            ),
        ),
        _ => (
            16,
            format!(
                "Cannot process request. Too many operations in progress for subscription \"{id}\"."
            ),
        ),
    };
    ServerMessage::new(number, 1, class, text)
}

/// What passes, and what ends sessions.
fn busy_or_broken(number: i32) -> ServerMessage {
    let id = Uuid::new_v4();
    let (class, text) = match number {
        4221 => (
            16,
            "Login to read-secondary failed due to long wait on \
             'HADR_DATABASE_WAIT_FOR_TRANSITION_TO_VERSIONING'."
                .to_owned(),
        ),
        37396 => (
            16,
            "Query cannot be executed, access token is expired. Please login with a new access \
             token and execute query again."
                .to_owned(),
        ),
        40020 | 40143 | 40166 | 40540 => (17, SERVICE_ERROR.to_owned()),
        40197 => (17, format!("{SERVICE_ERROR} Error code 40166.")),
        40501 => (
            20,
            format!(
                "The service is currently busy. Retry the request after 10 seconds. \
                 Incident ID: {id}. Code: 65536."
            ),
        ),
        40549..=40553 => (16, session_ended(number).to_owned()),
        other => {
            let meaning = known(other).map_or("an injected error", |known| known.meaning);
            (16, format!("{meaning}."))
        }
    };
    ServerMessage::new(number, 1, class, text)
}

const SERVICE_ERROR: &str =
    "The service has encountered an error processing your request. Please try again.";

/// Sessions that used too much of something.
fn session_ended(number: i32) -> &'static str {
    match number {
        40549 => {
            "Session is terminated because you have a long-running transaction. Try shortening your \
             transaction."
        }
        40550 => {
            "The session has been terminated because it has acquired too many locks. Try reading or \
             modifying fewer rows in a single transaction."
        }
        40551 => {
            "The session has been terminated because of excessive tempdb usage. Try modifying your \
             query to reduce the temporary table space usage."
        }
        40552 => {
            "The session has been terminated because of excessive transaction log space usage. Try \
             modifying fewer rows in a single transaction."
        }
        _ => {
            "The session has been terminated because of excessive memory usage. Try modifying your \
             query to process fewer rows."
        }
    }
}

/// Whether the connection ends behind this error: fatal ones, and sessions that were terminated.
pub(super) fn ends_connection(error: &ServerMessage) -> bool {
    error.is_fatal() || matches!(error.number, LOGIN_FAILED | 40197 | 40549..=40553)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tds::KNOWN_ERRORS;

    const SCENE: Scene<'static> = Scene {
        database: "orders",
        server: "shop",
        peer: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    };

    #[test]
    fn errors_name_what_they_are_about() {
        for (number, words) in [
            (40613, "Database 'orders' on server 'shop' is not currently"),
            (40615, "Client with IP address '127.0.0.1' is not allowed"),
            (40532, "Cannot open server \"shop\""),
            (4060, "Cannot open database \"orders\""),
            (10928, "The request limit for the database is 30"),
        ] {
            let error = azure_error(number, SCENE);
            assert!(error.message.contains(words), "{error}");
            assert_eq!(error.number, number);
        }
    }

    #[test]
    fn every_number_that_is_known_has_a_text_and_is_an_error() {
        for known in KNOWN_ERRORS {
            let error = azure_error(known.number, SCENE);
            assert_eq!(error.number, known.number);
            assert!(error.is_error() && error.message.ends_with('.'), "{error}");
        }
    }

    #[test]
    fn fatal_errors_end_the_connection() {
        for (number, ends) in [(40501, true), (40197, true), (49918, false), (37396, false)] {
            assert_eq!(
                ends_connection(&azure_error(number, SCENE)),
                ends,
                "{number}"
            );
        }
    }
}
