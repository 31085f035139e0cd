//! One line for each client that has been here.

use std::sync::atomic::{AtomicU64, Ordering};

use super::registry::Entry;

/// The most characters of a value that a client chooses.
const LONGEST: usize = 128;

/// Logs what is known of a client that has gone; `reason` is the word for why.
pub(super) fn left(entry: &Entry, reason: &str) {
    let known = entry.known();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    tracing::info!(
        target: "entrada::proxy::access",
        id = entry.id,
        listener = &*entry.listener,
        peer = entry.peer,
        user = shown(&known.login),
        application = shown(&known.application),
        host = shown(&known.host),
        database = shown(&known.database),
        target = known.target,
        identity = known.identity,
        spid = entry.spid(),
        tds_version = known.tds_version,
        encrypted = known.encrypted,
        bytes_in = count(&entry.traffic.sent),
        bytes_out = count(&entry.traffic.received),
        requests = count(&entry.traffic.requests),
        seconds = entry.started.elapsed().as_secs_f64(),
        reason,
        "a client has left"
    );
}

/// What a client says of itself, in a form that forges no line and steers no
/// terminal.
pub(super) fn shown(value: &str) -> String {
    let start = value.char_indices().nth(LONGEST).map(|(at, _)| at);
    let mut shown = printable(
        value
            .get(..start.unwrap_or(value.len()))
            .unwrap_or_default(),
    );
    if start.is_some() {
        shown.push('…');
    }
    shown
}

/// A text in such a form, in all its length.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_harmless(c) { c } else { '?' })
        .collect()
}

/// Whether a character looks like what it is: no control, and none that turns
/// the direction of the text or has no width.
pub(super) fn is_harmless(c: char) -> bool {
    let unseen = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !unseen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_forges_nothing() {
        assert_eq!(shown("sqlcmd"), "sqlcmd");
        assert_eq!(shown("Müller 数据"), "Müller 数据");
        assert_eq!(shown("a\nINFO b\u{1b}[2J\u{202e}"), "a?INFO b?[2J?");
        let long = shown(&"x".repeat(5000));
        assert_eq!(long.chars().count(), LONGEST + 1);
    }
}
