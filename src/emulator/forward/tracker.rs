//! What responses say about the session, read as they pass by.

use super::error::ForwardError;
use crate::tds::{Done, DoneStatus, EnvChange, ResponseWalker, WalkEvent};

/// Follows the token stream of the server's responses.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Tracker {
    walker: ResponseWalker,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    /// The open transaction, or 0.
    descriptor: u64,
    /// The database that the session is in.
    database: String,
    /// An acknowledged attention.
    attention: bool,
    reset: bool,
}

impl Tracker {
    pub(super) fn new(database: &str) -> Self {
        let mut tracker = Self::default();
        database.clone_into(&mut tracker.state.database);
        tracker
    }

    /// Takes the data of the next packet. With `may_reset` false, a session that was reset is an
    /// error, since its user's context would be gone.
    pub(in crate::emulator) fn take(
        &mut self,
        data: &[u8],
        may_reset: bool,
    ) -> Result<(), ForwardError> {
        let state = &mut self.state;
        self.walker.feed(data, &mut |event| state.note(event))?;
        if std::mem::take(&mut self.state.reset) && !may_reset {
            return Err(ForwardError::StrangeReset);
        }
        Ok(())
    }

    /// The message is at its end.
    pub(in crate::emulator) fn finish(&mut self) -> Result<(), ForwardError> {
        Ok(self.walker.finish()?)
    }

    /// Whether an attention has been acknowledged since the last call.
    pub(in crate::emulator) fn attention_acknowledged(&mut self) -> bool {
        std::mem::take(&mut self.state.attention)
    }

    pub(super) fn descriptor(&self) -> u64 {
        self.state.descriptor
    }

    pub(super) fn database(&self) -> &str {
        &self.state.database
    }

    /// Notes what a response said that was read elsewhere.
    pub(super) fn note(&mut self, change: &EnvChange) {
        self.state.change(change);
    }
}

impl State {
    fn note(&mut self, event: WalkEvent) {
        match event {
            WalkEvent::Done(Done { status, .. }) if status.contains(DoneStatus::ATTN) => {
                self.attention = true;
            }
            WalkEvent::EnvChange(change) => self.change(&change),
            _ => {}
        }
    }

    fn change(&mut self, change: &EnvChange) {
        match change {
            EnvChange::BeginTransaction(descriptor) => self.descriptor = *descriptor,
            EnvChange::CommitTransaction(_) | EnvChange::RollbackTransaction(_) => {
                self.descriptor = 0;
            }
            EnvChange::Distributed { env_type, new, .. } => {
                // 11 enters a distributed transaction; 12 and 17 leave or end it.
                self.descriptor = new.filter(|_| *env_type == 11).unwrap_or_default();
            }
            EnvChange::Database { new, .. } => new.clone_into(&mut self.database),
            EnvChange::ResetAcknowledged => self.reset = true,
            _ => {}
        }
    }
}
