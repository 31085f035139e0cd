//! Transactions, of which nothing depends: drivers that turn autocommit off
//! must see them begin and end.

use super::answer::Answer;
use super::sql::SqlError;
use crate::tds::{EnvChange, Reader};

/// The transactions of a client.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    open: i64,
    last_descriptor: u64,
}

/// The requests of a transaction manager (MS-TDS 2.2.6.9).
const BEGIN: u16 = 5;
const COMMIT: u16 = 7;
const ROLLBACK: u16 = 8;
const SAVE: u16 = 9;
/// Another transaction is to begin at once.
const BEGIN_NEXT: u8 = 1;

impl Transactions {
    /// How many are open, one in the other.
    pub(super) fn open(&self) -> i64 {
        self.open
    }

    pub(super) fn begin(&mut self, answer: &mut Answer) {
        if self.open == 0 {
            self.last_descriptor += 1;
            answer.env_change(EnvChange::BeginTransaction(self.last_descriptor));
        }
        self.open = self.open.saturating_add(1);
        answer.done_nothing();
    }

    /// Without a transaction this is no error: a driver may believe that its
    /// last request has begun one.
    pub(super) fn commit(&mut self, answer: &mut Answer) {
        if self.open == 1 {
            answer.env_change(EnvChange::CommitTransaction(self.last_descriptor));
        }
        self.open = self.open.saturating_sub(1).max(0);
        answer.done_nothing();
    }

    pub(super) fn rollback(&mut self, answer: &mut Answer) {
        if self.open > 0 {
            answer.env_change(EnvChange::RollbackTransaction(self.last_descriptor));
        }
        self.open = 0;
        answer.done_nothing();
    }

    /// A request of the transaction manager.
    pub(super) fn request(&mut self, content: &[u8], answer: &mut Answer) -> Result<(), SqlError> {
        let mut reader = Reader::named("the transaction request", content);
        match reader.u16_le()? {
            BEGIN => self.begin(answer),
            kind @ (COMMIT | ROLLBACK) => {
                reader.b_varbyte()?;
                let next = reader.u8()? & BEGIN_NEXT != 0;
                match kind {
                    COMMIT => self.commit(answer),
                    _ => self.rollback(answer),
                }
                if next {
                    self.begin(answer);
                }
            }
            SAVE => answer.done_nothing(),
            other => {
                return Err(SqlError::unknown(format!(
                    "the transaction request {other}"
                )));
            }
        }
        Ok(())
    }
}
