//! Where results go: the standard output, and nothing but results.

use std::io::Write;

use super::exit::Failure;

/// Writes a result to the standard output, as it is.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes a result and ends its line.
pub(super) fn print_line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Whether results may carry colours: on a terminal, and unless `NO_COLOR` is set.
#[cfg(any(feature = "check", feature = "emulator", feature = "grants"))]
pub(super) fn colours() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Text or JSON: the choice of the commands that answer with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum TextOrJson {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document.
    Json,
}
