//! The crate's one error type: it composes what each module reports.

/// Why Entrada could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {}
