//! An error's causes in words. `Display` tells one level only, and `source()` the rest.

use std::error::Error;

/// The error with all of its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The causes without the outermost level, which says what its reader knows; that level if it has none.
pub(crate) fn below(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), chain)
}
