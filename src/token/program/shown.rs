//! What programs say, without their secrets.

/// One line of what a program said, at most 300 characters, with a mark in place
/// of everything that may be a token or a password.
pub(in crate::token) fn presentable(text: &str) -> String {
    let mut shown = String::new();
    let mut is_value = false;
    let mut rest = text;
    while !rest.is_empty() {
        let (word, tail) = split(rest, |c| !is_token_character(c));
        let (gap, next) = split(tail, is_token_character);
        let hidden =
            !word.is_empty() && (is_value || word.starts_with("eyJ") || word.len() >= LONG);
        shown.push_str(if hidden { "[hidden]" } else { word });
        shown.push_str(gap);
        // Prose about a token is no secret, so it takes a sign between name and value.
        let is_name = names_secret(word) && gap.contains([':', '=']);
        is_value = is_name || word.eq_ignore_ascii_case("bearer");
        rest = next;
    }
    let words: Vec<_> = shown
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    let words = words.iter().filter(|word| !word.is_empty());
    tidy(&words.copied().collect::<Vec<_>>().join(" "))
}

fn split(text: &str, at: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(at).unwrap_or(text.len()))
}

fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.~+/".contains(c)
}

fn names_secret(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["token", "secret", "password", "authorization"]
        .iter()
        .any(|end| word.ends_with(end))
}

pub(super) fn tidy(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(300).collect()
}

/// Words as long as this are hidden, as few but secrets are.
const LONG: usize = 64;
