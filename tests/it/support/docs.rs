//! Pages of which a part is made from data or code.

use std::path::Path;

/// Fails unless the page has this text between its two markers. With `ENTRADA_BLESS=1` the text is
/// written there instead. The page's path is relative to the crate.
#[track_caller]
pub(crate) fn assert_section(page: &str, begin: &str, end: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let whole = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{page}: {e}"));
    let Some((head, rest)) = whole.split_once(begin) else {
        panic!("{page} lacks {begin:?}");
    };
    let Some((found, tail)) = rest.split_once(end) else {
        panic!("{page} lacks {end:?} after {begin:?}");
    };
    if std::env::var_os("ENTRADA_BLESS").is_some() {
        std::fs::write(&path, format!("{head}{begin}{text}{end}{tail}")).unwrap();
        return;
    }
    // A test's thread has its name.
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    let differs = found.lines().zip(text.lines()).find(|(a, b)| a != b);
    let (is, shall_be) = differs.unwrap_or(("", "(more or fewer lines)"));
    assert!(
        found == text,
        "{page} is out of date after {begin:?}. This writes it anew:\n\
         ENTRADA_BLESS=1 cargo test --all-features --test it {test}\n\
         It first differs in:\n- {is}\n+ {shall_be}"
    );
}
