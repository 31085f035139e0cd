//! What a client is told that is not let in: an ERROR of SQL Server's form, with
//! the real number, the cause and what to do.

use super::admission::Denial;
use super::upstream::LeaseError;
use crate::tds::ServerMessage;

pub(super) fn of_denial(denial: &Denial) -> ServerMessage {
    message(denial.number(), denial.to_string())
}

pub(super) fn of_lease(error: &LeaseError) -> ServerMessage {
    message(18456, error.to_string())
}

fn message(number: i32, text: String) -> ServerMessage {
    ServerMessage {
        number,
        state: 1,
        class: 14,
        message: text,
        server: "entrada".to_owned(),
        procedure: String::new(),
        line: 1,
    }
}
