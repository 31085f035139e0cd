//! What is logged, kept for a test to look at.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// The log of the thread that started it, from then until this is dropped.
pub(crate) struct Log {
    kept: Kept,
    _guard: DefaultGuard,
    _second: Dispatch,
}

impl Log {
    /// Keeps this level and what is graver. Spans are told as they begin.
    pub(crate) fn start(level: Level) -> Self {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(kept.clone())
            .with_span_events(FmtSpan::NEW)
            .finish();
        Self {
            kept,
            // With a single subscriber in the process, `tracing` lets whichever thread
            // meets a line of code first decide for all whether it is logged, and the
            // other tests' threads log nothing. A second one makes it ask all.
            _second: Dispatch::new(tracing_subscriber::registry()),
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.kept.0.lock().unwrap().clone()).unwrap()
    }
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
