//! The tokens of an answer.

use super::login::info;
use super::sql::{Rows, SqlError};
use crate::causes::chain;
use crate::tds::{
    Column, Done, DoneKind, DoneStatus, EncodeError, EnvChange, Place, Put, RpcParam, Scalar,
    ServerMessage, TdsVersion, Token, column_flags, encode_columns_for, token_id,
};

/// An answer under way. Each DONE is held back until it is known whether more
/// follows it.
pub(super) struct Answer {
    version: TdsVersion,
    out: Vec<u8>,
    held: Option<Done>,
    /// Statements inside of a procedure end with DONEINPROC.
    procedures: usize,
}

/// Nothing is added to an answer that is longer.
const MAX_BYTES: usize = 32 << 20;
/// `CurCmd` of SELECT.
const SELECT: u16 = 0xC1;
/// `CurCmd` of a procedure's end.
const EXECUTE: u16 = 0xE0;

impl Answer {
    pub(super) fn new(version: TdsVersion) -> Self {
        Self {
            version,
            out: Vec::new(),
            held: None,
            procedures: 0,
        }
    }

    pub(super) fn env_change(&mut self, change: EnvChange) {
        self.token(&Token::EnvChange(change));
    }

    pub(super) fn note(&mut self, text: String) {
        self.token(&Token::Info(info(0, text)));
    }

    pub(super) fn info(&mut self, message: ServerMessage) {
        self.token(&Token::Info(message));
    }

    /// What is wrong, with its causes.
    pub(super) fn error(&mut self, error: &SqlError) {
        let class = 16;
        let message = info(error.number(), chain(error));
        self.token(&Token::Error(ServerMessage { class, ..message }));
    }

    /// A whole result and its end.
    pub(super) fn rows(&mut self, rows: &Rows) {
        self.release(true);
        let start = self.out.len();
        match self.put_rows(rows) {
            Ok(()) => self.done(SELECT, Some(rows.rows.len()), DoneStatus::FINAL),
            Err(error) => {
                // Lengths are bounded before they get here.
                tracing::error!(%error, "a result of the admin database has no form on the wire");
                self.out.truncate(start);
                self.error(&SqlError::Overflow);
                self.failed();
            }
        }
    }

    /// The end of a statement that has no rows.
    pub(super) fn done_nothing(&mut self) {
        self.done(0xFD, None, DoneStatus::FINAL);
    }

    /// The end of a statement that failed.
    pub(super) fn failed(&mut self) {
        self.done(0xFD, None, DoneStatus::ERROR);
    }

    pub(super) fn begin_procedure(&mut self) {
        self.procedures += 1;
    }

    pub(super) fn end_procedure(&mut self, status: i32, returned: &[(u16, RpcParam)]) {
        self.token(&Token::ReturnStatus(status));
        for (ordinal, param) in returned {
            if let Err(error) = param.encode_returned(self.version, *ordinal, &mut self.out) {
                tracing::debug!(%error, "a value cannot be returned");
            }
        }
        self.procedures = self.procedures.saturating_sub(1);
        self.held = Some(Done {
            kind: DoneKind::DoneProc,
            status: match status {
                0 => DoneStatus::FINAL,
                _ => DoneStatus::ERROR,
            },
            command: EXECUTE,
            row_count: 0,
        });
    }

    /// Marks the procedure that has just ended as one of several.
    pub(super) fn one_of_several(&mut self) {
        if let Some(done) = &mut self.held {
            done.status.insert(DoneStatus::RPCINBATCH);
        }
    }

    /// Refuses to go on with an answer that is very long.
    pub(super) fn check_size(&self) -> Result<(), SqlError> {
        if self.out.len() > MAX_BYTES {
            return Err(SqlError::TooLarge { max: MAX_BYTES });
        }
        Ok(())
    }

    /// The whole answer.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.held.is_none() {
            self.done_nothing();
        }
        self.release(false);
        self.out
    }

    fn put_rows(&mut self, rows: &Rows) -> Result<(), EncodeError> {
        let columns: Vec<Column> = rows
            .columns
            .iter()
            .map(|(name, kind)| Column {
                flags: column_flags::NULLABLE,
                ..Column::new(name, kind.type_info())
            })
            .collect();
        self.out.put_u8(token_id::COLMETADATA);
        encode_columns_for(self.version, &columns, &mut self.out)?;
        for row in &rows.rows {
            self.out.put_u8(token_id::ROW);
            for (at, column) in columns.iter().enumerate() {
                let value = row.get(at).unwrap_or(&Scalar::Null);
                let bytes = value.encode(&column.type_info);
                column
                    .type_info
                    .write_value(Place::Row, bytes.as_deref(), &mut self.out)?;
            }
        }
        Ok(())
    }

    fn done(&mut self, command: u16, count: Option<usize>, mut status: DoneStatus) {
        self.release(true);
        if count.is_some() {
            status.insert(DoneStatus::COUNT);
        }
        self.held = Some(Done {
            kind: match self.procedures {
                0 => DoneKind::Done,
                _ => DoneKind::DoneInProc,
            },
            status,
            command,
            row_count: count.unwrap_or_default() as u64,
        });
    }

    fn token(&mut self, token: &Token) {
        self.release(true);
        if let Err(error) = token.encode(self.version, &mut self.out) {
            tracing::debug!(%error, "a token of the admin database has no form on the wire");
        }
    }

    fn release(&mut self, more: bool) {
        if let Some(mut done) = self.held.take() {
            // A DONEINPROC is never the last: its procedure ends behind it.
            if more || done.kind == DoneKind::DoneInProc {
                done.status.insert(DoneStatus::MORE);
            }
            done.encode(self.version, &mut self.out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::admin_db::sql::Kind;
    use crate::tds::{ResponseWalker, WalkEvent};

    fn rows() -> Rows {
        Rows {
            columns: vec![
                ("n".to_owned(), Kind::BigInt),
                ("t".to_owned(), Kind::Text(5)),
            ],
            rows: vec![
                vec![Scalar::Int(7), Scalar::Text("a".to_owned())],
                vec![Scalar::Null, Scalar::Null],
            ],
        }
    }

    #[test]
    fn an_answer_is_one_whole_response() {
        let mut answer = Answer::new(TdsVersion::V7_4);
        answer.begin_procedure();
        answer.rows(&rows());
        answer.error(&SqlError::DivideByZero);
        answer.end_procedure(1, &[]);
        answer.one_of_several();
        answer.begin_procedure();
        answer.rows(&rows());
        answer.note("so".to_owned());
        answer.end_procedure(0, &[]);
        let mut walker = ResponseWalker::new();
        let mut dones = Vec::new();
        let tokens = answer.finish();
        walker
            .feed(&tokens, &mut |event| {
                if let WalkEvent::Done(done) = event {
                    dones.push((done.kind, done.is_final(), done.row_count));
                }
            })
            .unwrap();
        walker.finish().unwrap();
        let (inner, outer) = (DoneKind::DoneInProc, DoneKind::DoneProc);
        assert_eq!(
            dones,
            [
                (inner, false, 2),
                (outer, false, 0),
                (inner, false, 2),
                (outer, true, 0)
            ]
        );
    }

    #[test]
    fn an_answer_without_anything_is_a_done() {
        let tokens = Answer::new(TdsVersion::V7_1).finish();
        assert_eq!(tokens, [0xFD, 0, 0, 0xFD, 0, 0, 0, 0, 0]);
    }
}
