//! Where logs go: the standard error, filtered by `RUST_LOG`.

use std::io::IsTerminal;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// One readable line an event.
    #[default]
    Text,
    /// One JSON object an event.
    Json,
}

/// The driver logs each error that the server sends, and the verifier each certificate that it
/// refuses; the commands report both themselves. rustls warns of each client that sends an IP address
/// as the server's name, as Microsoft's ODBC driver does.
const QUIET: &str = "warn,tiberius=off,rustls_platform_verifier=off,rustls::msgs::handshake=error";

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A command that ends by itself.
    Command,
    /// One that tells all that is wrong in its result.
    #[cfg(feature = "check")]
    Report,
    /// A service, whose log tells what happens.
    #[cfg(feature = "proxy")]
    Service,
}

impl Of {
    #[cfg(feature = "proxy")]
    fn is_service(self) -> bool {
        self == Self::Service
    }

    #[cfg(not(feature = "proxy"))]
    fn is_service(self) -> bool {
        false
    }
}

/// Starts logging, unless `RUST_LOG` chooses: warnings and errors, and of a service what it does.
///
/// A service writes from a thread of its own: a standard error that nobody reads, a full pipe, would
/// stop everything else with it. Lines that find no room are lost. What this returns is to be dropped
/// last, when it waits a moment for the lines that are left.
pub(super) fn init(format: LogFormat, of: Of) -> Option<WorkerGuard> {
    let own = match of {
        Of::Command => "",
        #[cfg(feature = "check")]
        Of::Report => ",entrada=error",
        #[cfg(feature = "proxy")]
        Of::Service => ",entrada=info",
    };
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{QUIET}{own}")));
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (writer, guard) = if of.is_service() {
        let (writer, guard) = NonBlockingBuilder::default().finish(std::io::stderr());
        (BoxMakeWriter::new(writer), Some(guard))
    } else {
        (BoxMakeWriter::new(std::io::stderr), None)
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colours);
    // A second subscriber in one process is a test's doing, and harmless.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    guard
}
