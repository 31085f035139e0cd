//! The response under way: tokens are gathered and handed to the sink in large pieces.

use rusqlite::types::{Value as Stored, ValueRef};

use super::super::error::{SqlError, SqlResult};
use super::super::planner::Output;
use super::super::session::{SinkClosed, TokenSink, message};
use super::super::types::{MAX, SqlType, Value};
use super::{types, values};
use crate::tds::{
    Column, Done, DoneKind, DoneStatus, EnvChange, Place, Put, ServerMessage, TdsVersion, Token,
    TypeInfo, column_flags, encode_columns, token_id,
};

/// Gather this much before the sink gets it.
const FLUSH: usize = 32 << 10;

/// `CurCmd` of DONE tokens.
pub(crate) mod command {
    /// SELECT
    pub(crate) const SELECT: u16 = 0xC1;
    /// INSERT
    pub(crate) const INSERT: u16 = 0xC3;
    /// DELETE
    pub(crate) const DELETE: u16 = 0xC4;
    /// UPDATE
    pub(crate) const UPDATE: u16 = 0xC5;
    /// Statements without a number of their own.
    pub(crate) const OTHER: u16 = 0xFD;
}

/// A result that INSERT … EXEC takes.
pub(crate) type Captured = (Vec<Output>, Vec<Vec<Stored>>);

/// What goes to the client.
pub(crate) struct Out<'s> {
    sink: Option<&'s mut dyn TokenSink>,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
    /// Which values of the row at hand are NULL, a bit each.
    nulls: Vec<u8>,
    columns: Vec<(SqlType, TypeInfo)>,
    /// The DONE of the last statement, held back until it is known whether more follows.
    pending: Option<Done>,
    server: String,
    /// Most bytes of a large value in a row, as SET TEXTSIZE says.
    most: usize,
    /// Depth of procedures: their statements end with DONEINPROC.
    pub(crate) in_procedure: usize,
    pub(crate) closed: bool,
    /// An attention has ended the work. No error is told then, and so no DONE says that there was
    /// one (MS-TDS 2.2.7.6): jTDS would take it for a failure.
    pub(crate) interrupted: bool,
    /// INSERT … EXEC takes the results, which do not go to the client then.
    pub(crate) captured: Option<Vec<Captured>>,
    /// The first error sent, for scripts that want to know.
    pub(crate) first_error: Option<SqlError>,
}

impl<'s> Out<'s> {
    pub(crate) fn new(sink: Option<&'s mut dyn TokenSink>, server: String) -> Self {
        Self {
            sink,
            buffer: Vec::with_capacity(FLUSH + 8192),
            scratch: Vec::new(),
            nulls: Vec::new(),
            columns: Vec::new(),
            most: usize::MAX,
            pending: None,
            server,
            in_procedure: 0,
            closed: false,
            interrupted: false,
            captured: None,
            first_error: None,
        }
    }

    /// Cuts large values in rows from now on: SET TEXTSIZE.
    pub(crate) fn limit_texts(&mut self, bytes: i64) {
        self.most = usize::try_from(bytes).unwrap_or(usize::MAX);
    }

    pub(crate) fn flush(&mut self) {
        if let Some(sink) = self.sink.as_mut().filter(|_| !self.closed)
            && sink.send(&self.buffer).is_err()
        {
            self.closed = true;
        }
        self.buffer.clear();
    }

    fn flush_if_full(&mut self) {
        if self.buffer.len() >= FLUSH {
            self.flush();
        }
    }

    fn token(&mut self, token: &Token) {
        self.release(true);
        // Names and texts are bounded before they get here, so that nothing is too long to write.
        if let Err(error) = token.encode(TdsVersion::V7_4, &mut self.buffer) {
            tracing::warn!(%error, "a token of the emulator's response cannot be written");
        }
        self.flush_if_full();
    }

    /// Writes the DONE that was held back.
    fn release(&mut self, more: bool) {
        if let Some(mut done) = self.pending.take() {
            if more {
                done.status.insert(DoneStatus::MORE);
            }
            done.encode(TdsVersion::V7_4, &mut self.buffer);
        }
    }

    pub(crate) fn error(&mut self, error: &SqlError) {
        if self.first_error.is_none() {
            self.first_error = Some(error.clone());
        }
        let mut message = message(error, &self.server);
        bound(&mut message);
        self.token(&Token::Error(message));
    }

    /// PRINT, and RAISERROR of low severity.
    pub(crate) fn info(&mut self, info: &SqlError) {
        let mut message = message(info, &self.server);
        bound(&mut message);
        self.token(&Token::Info(message));
    }

    pub(crate) fn env_change(&mut self, change: EnvChange) {
        self.token(&Token::EnvChange(change));
    }

    /// Begins a result.
    pub(crate) fn columns(&mut self, outputs: &[Output]) -> SqlResult<()> {
        if let Some(captured) = &mut self.captured {
            captured.push((outputs.to_vec(), Vec::new()));
            return Ok(());
        }
        self.release(true);
        self.columns = outputs
            .iter()
            .map(|output| {
                let info = if output.nullable {
                    types::to_wire(output.ty)
                } else {
                    types::to_wire_not_null(output.ty)
                };
                (output.ty, info)
            })
            .collect();
        let columns: Vec<Column> = outputs
            .iter()
            .zip(&self.columns)
            .map(|(output, (_, info))| {
                // An identity column is read-only, by which drivers leave it out of bulk loads.
                let mut flags = if output.identity {
                    column_flags::IDENTITY
                } else {
                    column_flags::UPDATABLE_UNKNOWN
                };
                if output.nullable {
                    flags |= column_flags::NULLABLE;
                }
                Column {
                    flags,
                    user_type: user_type(output.ty),
                    // Of text, ntext and image only. Microsoft's JDBC driver insists on a part,
                    // be it empty.
                    table_name: vec![String::new()],
                    ..Column::new(
                        output.name.chars().take(128).collect::<String>(),
                        info.clone(),
                    )
                }
            })
            .collect();
        self.buffer.put_u8(token_id::COLMETADATA);
        encode_columns(&columns, &mut self.buffer)
            .map_err(|_| SqlError::new(1056, "The number of elements in the select list exceeds the maximum allowed number of 4096 elements."))
    }

    /// One row of the result begun last. Rows are whole: an error leaves none half-written.
    pub(crate) fn row<'v>(
        &mut self,
        value: impl Fn(usize) -> SqlResult<ValueRef<'v>>,
    ) -> SqlResult<()> {
        if let Some((columns, rows)) = self.captured.as_mut().and_then(|c| c.last_mut()) {
            let mut row = Vec::with_capacity(columns.len());
            for index in 0..columns.len() {
                row.push(
                    Stored::try_from(value(index)?)
                        .map_err(|_| SqlError::internal("a text is not UTF-8"))?,
                );
            }
            rows.push(row);
            return Ok(());
        }
        let start = self.buffer.len();
        let result = self.row_inner(value);
        if result.is_err() {
            self.buffer.truncate(start);
        }
        self.flush_if_full();
        result
    }

    fn row_inner<'v>(&mut self, value: impl Fn(usize) -> SqlResult<ValueRef<'v>>) -> SqlResult<()> {
        let start = self.buffer.len();
        self.buffer.put_u8(token_id::ROW);
        self.nulls.clear();
        self.nulls.resize(self.columns.len().div_ceil(8), 0);
        for (index, (ty, info)) in self.columns.iter().enumerate() {
            self.scratch.clear();
            let some = values::put(value(index)?, *ty, &mut self.scratch)?;
            if !some && !matches!(info, TypeInfo::Fixed(_)) {
                if let Some(byte) = self.nulls.get_mut(index / 8) {
                    *byte |= 1 << (index % 8);
                }
                continue;
            }
            if self.scratch.len() > self.most && is_large(*ty) {
                // Half a UTF-16 unit is no character.
                let odd = if ty.is_unicode() { self.most % 2 } else { 0 };
                self.scratch.truncate(self.most - odd);
            }
            let bytes = some.then_some(self.scratch.as_slice());
            values::write(info, Place::Row, bytes, &mut self.buffer)
                .map_err(|_| SqlError::internal(format!("a value does not fit its type, {ty}")))?;
        }
        self.compress_nulls(start);
        Ok(())
    }

    /// SQL Server says a row with a NULL in a form that names the NULLs before the values, to
    /// clients of 7.3.B and later, which all are here (MS-TDS 2.2.7.15).
    fn compress_nulls(&mut self, start: usize) {
        if self.nulls.iter().all(|byte| *byte == 0) {
            return;
        }
        if let Some(token) = self.buffer.get_mut(start) {
            *token = token_id::NBCROW;
        }
        let bits = self.nulls.iter().copied();
        self.buffer.splice(start + 1..start + 1, bits);
    }

    /// A statement has ended.
    pub(crate) fn done(&mut self, command: u16, count: Option<i64>, failed: bool) {
        if self.captured.is_some() {
            return;
        }
        self.release(true);
        let mut status = DoneStatus::FINAL;
        if count.is_some() {
            status.insert(DoneStatus::COUNT);
        }
        if failed && !self.interrupted {
            status.insert(DoneStatus::ERROR);
        }
        let kind = if self.in_procedure > 0 {
            DoneKind::DoneInProc
        } else {
            DoneKind::Done
        };
        self.pending = Some(Done {
            kind,
            status,
            command,
            row_count: u64::try_from(count.unwrap_or(0)).unwrap_or(0),
        });
    }

    pub(crate) fn return_status(&mut self, status: i32) {
        self.token(&Token::ReturnStatus(status));
    }

    /// An output parameter (MS-TDS 2.2.7.19).
    pub(crate) fn return_value(
        &mut self,
        ordinal: u16,
        name: &str,
        ty: SqlType,
        value: &Value,
    ) -> SqlResult<()> {
        self.release(true);
        let info = types::to_wire(ty);
        let mut bytes = Vec::new();
        let stored = value.clone().into_stored();
        let some = values::put((&stored).into(), ty, &mut bytes)?;
        let mut token = vec![token_id::RETURNVALUE];
        token.put_u16_le(ordinal);
        let wrong = |_| SqlError::internal("an output parameter cannot be written");
        token
            .put_b_varchar("the parameter's name", name)
            .map_err(wrong)?;
        token.put_u8(1);
        token.put_u32_le(0);
        token.put_u16_le(column_flags::NULLABLE);
        info.encode(Place::Parameter, &mut token).map_err(wrong)?;
        values::write(
            &info,
            Place::Parameter,
            some.then_some(bytes.as_slice()),
            &mut token,
        )
        .map_err(wrong)?;
        self.buffer.extend(token);
        Ok(())
    }

    /// The end of a procedure.
    pub(crate) fn done_proc(&mut self, failed: bool) {
        self.release(true);
        self.pending = Some(Done {
            kind: DoneKind::DoneProc,
            status: if failed && !self.interrupted {
                DoneStatus::ERROR
            } else {
                DoneStatus::FINAL
            },
            command: 0xE0,
            row_count: 0,
        });
    }

    /// Marks the held DONEPROC as one of several.
    pub(crate) fn rpc_in_batch(&mut self) {
        if let Some(done) = &mut self.pending {
            done.status.insert(DoneStatus::RPCINBATCH);
        }
    }

    /// Ends the response. One without any DONE gets one.
    pub(crate) fn finish(mut self) -> Result<(), SinkClosed> {
        if self.pending.is_none() {
            self.done(command::OTHER, None, false);
        }
        self.release(false);
        self.flush();
        if self.closed { Err(SinkClosed) } else { Ok(()) }
    }
}

/// Whether SET TEXTSIZE is heeded for a type.
fn is_large(ty: SqlType) -> bool {
    ty.length() == Some(MAX)
}

/// `timestamp` is a binary(8) with a user type (MS-TDS 2.2.5.4.1).
fn user_type(ty: SqlType) -> u32 {
    if ty == SqlType::RowVersion { 80 } else { 0 }
}

/// Cuts a message to what a token can hold.
fn bound(message: &mut ServerMessage) {
    const UNITS: usize = 2047;
    if message.message.encode_utf16().count() > UNITS {
        message.message = message.message.chars().take(UNITS / 2).collect::<String>() + "...";
    }
    message.server = message.server.chars().take(120).collect();
}
