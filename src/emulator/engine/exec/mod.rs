//! Runs requests: batches, procedure calls, transaction requests.

pub(crate) mod connection;

use super::error::{SqlError, SqlResult};
use super::session::{SinkClosed, State, TokenSink};
use crate::tds::{Done, DoneKind, DoneStatus, Message, TdsVersion, Token};

/// Answers a message.
pub(crate) fn run(
    state: &mut State,
    message: &Message,
    sink: &mut dyn TokenSink,
) -> Result<(), SinkClosed> {
    state.clear_interrupt();
    let error = SqlError::unsupported(format!("message type {:#04x}", message.packet_type.0));
    let mut out = Vec::new();
    let error = super::session::message(&error, &state.shared.options.server_name);
    let done = Done {
        kind: DoneKind::Done,
        status: DoneStatus::ERROR,
        command: 0,
        row_count: 0,
    };
    for token in [Token::Error(error), Token::Done(done)] {
        drop(token.encode(TdsVersion::V7_4, &mut out));
    }
    sink.send(&out)
}

/// Runs a batch, stopping at its first error.
pub(crate) fn run_quiet(state: &mut State, sql: &str) -> SqlResult<()> {
    let _ = (state, sql);
    Err(SqlError::unsupported("T-SQL"))
}
