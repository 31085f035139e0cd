//! Runs requests: batches, procedure calls, transaction requests.

mod alter;
mod applock;
mod arguments;
mod blame;
mod call;
mod catalogued;
mod change;
mod compiled;
pub(crate) mod connection;
mod constraint;
mod context;
mod define;
mod flow;
mod fmtonly;
mod grant;
mod identity;
mod keys;
mod load;
mod messages;
mod own_procedures;
mod prepared;
mod principals;
mod procedures;
mod property;
mod remote;
mod rename;
mod rows;
mod secure;
mod select_into;
mod session_context;
mod simple;
mod table_variables;
mod tables;
mod tran;
mod undeclared;
mod views;
mod wait;

use super::deep::with_stack;
use super::error::{SqlError, SqlResult};
use super::parser;
use super::parser::ast::Stmt;
use super::planner::{Planner, Variables};
use super::session::{RequestBody, SinkClosed, State, TokenSink};
use super::wire::out::{Out, command};
use super::wire::rpc;
use crate::tds::{Message, PacketType, parse_all_headers};

/// Deepest nesting of dynamic SQL and procedures.
const MAX_NESTING: usize = 32;

/// Answers a message.
pub(crate) fn run(
    state: &mut State,
    message: &Message,
    sink: &mut dyn TokenSink,
) -> Result<(), SinkClosed> {
    state.clear_interrupt();
    let server = state.shared.options.server_name.clone();
    let mut out = Out::new(Some(sink), server);
    out.limit_texts(state.settings.textsize);
    if let Err(error) = with_stack(|| dispatch(state, message, &mut out)) {
        report(&mut out, &error);
    }
    out.finish()
}

/// Answers a bulk load.
pub(crate) fn run_load(
    state: &mut State,
    body: &mut dyn RequestBody,
    sink: &mut dyn TokenSink,
) -> Result<(), SinkClosed> {
    state.clear_interrupt();
    let server = state.shared.options.server_name.clone();
    let mut out = Out::new(Some(sink), server);
    if let Err(error) = with_stack(|| load::load(state, &mut out, body)) {
        report(&mut out, &error);
    }
    out.finish()
}

/// Runs a batch, throwing its results away.
pub(crate) fn run_quiet(state: &mut State, sql: &str) -> SqlResult<()> {
    state.clear_interrupt();
    let mut out = Out::new(None, String::new());
    batch(state, &mut out, sql, Variables::new());
    let error = out.first_error.take();
    // Without a sink nobody can have gone away.
    let _ = out.finish();
    error.map_or(Ok(()), Err)
}

fn dispatch(state: &mut State, message: &Message, out: &mut Out<'_>) -> SqlResult<()> {
    if message.packet_type == PacketType::BULK_LOAD {
        return load::load(state, out, &mut Some(message.payload.clone()));
    }
    state.load = None;
    let (_, rest) = parse_all_headers(&message.payload).map_err(|error| {
        SqlError::new(
            4002,
            format!(
                "The incoming tabular data stream (TDS) protocol stream is incorrect: {error}."
            ),
        )
        .class(16)
    })?;
    match message.packet_type {
        PacketType::SQL_BATCH => {
            let sql = decode_batch(rest)?;
            batch(state, out, &sql, Variables::new());
            Ok(())
        }
        PacketType::RPC => {
            let calls = rpc::read(rest)?;
            let last = calls.len().saturating_sub(1);
            for (index, call) in calls.into_iter().enumerate() {
                prepared::call(state, out, call);
                if index < last {
                    out.rpc_in_batch();
                }
            }
            Ok(())
        }
        PacketType::TRANSACTION_MANAGER => tran::manager_request(state, out, rest),
        other => Err(SqlError::unsupported(format!(
            "message type {:#04x}",
            other.0
        ))),
    }
}

fn decode_batch(bytes: &[u8]) -> SqlResult<String> {
    let mut reader = crate::tds::Reader::new(bytes);
    reader.utf16(bytes.len() / 2).map_err(|error| {
        SqlError::new(
            4002,
            format!("The incoming batch is no valid UTF-16: {error}."),
        )
    })
}

/// An error that ends the response's work; an interrupt ends it without words.
fn report(out: &mut Out<'_>, error: &SqlError) {
    if !error.is_interrupt() {
        out.error(error);
    }
    out.done(command::OTHER, None, true);
}

/// Runs a batch with the parameters, and gives these back.
pub(crate) fn batch(
    state: &mut State,
    out: &mut Out<'_>,
    sql: &str,
    variables: Variables,
) -> Outcome {
    let statements = match parser::batch(sql) {
        Ok(statements) => statements,
        Err(error) => {
            state.error = error.number.into();
            report(out, &error);
            return Outcome {
                variables,
                status: 0,
                error: Some(error),
            };
        }
    };
    run_statements(state, out, &statements, variables)
}

/// Runs statements as a batch.
fn run_statements(
    state: &mut State,
    out: &mut Out<'_>,
    statements: &[Stmt],
    variables: Variables,
) -> Outcome {
    let outer = table_variables::enter(state, out.in_procedure > 0);
    let mut run = Run {
        state,
        out,
        variables,
        caught: Vec::new(),
        tries: 0,
        depth: 0,
    };
    let result = run
        .compiled(statements, false)
        .and_then(|()| run.statements(statements));
    table_variables::leave(run.state, outer);
    let (status, error) = match result {
        Ok(flow::Flow::Return(status)) => (status, None),
        Ok(_) => (0, None),
        Err(error) => (0, Some(error)),
    };
    let variables = std::mem::take(&mut run.variables);
    if let Some(error) = &error {
        run.aborted(error);
    }
    run.end_of_batch();
    if error.is_some() {
        run.out.done(command::OTHER, None, true);
    }
    Outcome {
        variables,
        status,
        error,
    }
}

/// What a batch left behind.
pub(crate) struct Outcome {
    pub(crate) variables: Variables,
    /// RETURN's value.
    pub(crate) status: i32,
    /// The error that ended it.
    pub(crate) error: Option<SqlError>,
}

/// A batch under way.
pub(crate) struct Run<'a, 's> {
    pub(crate) state: &'a mut State,
    pub(crate) out: &'a mut Out<'s>,
    pub(crate) variables: Variables,
    /// Errors that CATCH blocks are about, innermost last.
    pub(crate) caught: Vec<SqlError>,
    /// TRY blocks around the statement.
    pub(crate) tries: usize,
    /// Dynamic SQL in dynamic SQL.
    pub(crate) depth: usize,
}

impl Run<'_, '_> {
    pub(crate) fn planner(&self) -> Planner<'_> {
        Planner::new(self.state, &self.variables, self.caught.last())
    }

    /// The batch ended by an error that nobody caught.
    fn aborted(&mut self, error: &SqlError) {
        self.state.error = error.number.into();
        if flow::rolls_back(error) || self.state.settings.xact_abort {
            self.roll_back_transaction();
        }
        if error.is_interrupt() {
            self.out.interrupted = true;
        } else {
            self.out.error(error);
        }
    }

    /// 3998: a doomed transaction does not outlive its batch.
    fn end_of_batch(&mut self) {
        if self.state.tran.doomed && self.depth == 0 {
            self.roll_back_transaction();
            self.out.error(&SqlError::new(
                3998,
                "Uncommittable transaction is detected at the end of the batch. The transaction is rolled \
                 back.",
            ));
        }
    }
}
