//! LIKE and PATINDEX: the patterns of T-SQL.

use std::cmp::Ordering;

use super::super::error::{SqlError, SqlResult};
use super::collate::{Rules, compare, fold};

/// Whether blanks at the end of the text need something in the pattern that takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blanks {
    /// As in Unicode text.
    Count,
    /// As in text of a code page.
    AtTheEndDoNot,
}

/// T-SQL LIKE: `%`, `_`, `[a-z]`, `[^a-z]` and an escape character.
///
/// An escape character with nothing after it makes a pattern that nothing matches.
pub(crate) fn like(
    text: &str,
    pattern: &str,
    escape: Option<char>,
    rules: Rules,
    blanks: Blanks,
) -> bool {
    let parts = compile(pattern, escape);
    let text: Vec<char> = text.chars().collect();
    matches(&text, &parts, rules, blanks)
}

/// The first character from which on the text matches the pattern.
pub(crate) fn find(text: &str, pattern: &str, rules: Rules, blanks: Blanks) -> Option<usize> {
    let parts = compile(pattern, None);
    let text: Vec<char> = text.chars().collect();
    let first: Vec<&Part> = parts
        .iter()
        .take_while(|part| !matches!(part, Part::Any))
        .collect();
    let elastic = first.len() < parts.len();
    for at in 0..text.len() {
        let from = text.get(at..).unwrap_or_default();
        let begins =
            from.len() >= first.len() && first.iter().zip(from).all(|(p, c)| p.takes(*c, rules));
        if !begins {
            continue;
        }
        if matches(from, &parts, rules, blanks) {
            return Some(at);
        }
        // What does not follow here does not follow further on, where less is left.
        if elastic {
            return None;
        }
    }
    None
}

/// Refuses patterns of which it is not documented what they match.
pub(crate) fn check(pattern: &str, escape: Option<char>) -> SqlResult<()> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        if Some(c) == escape {
            at += 1;
        } else if c == '[' {
            let rest = chars.get(at..).unwrap_or_default();
            let Some((_, used)) = set(rest) else {
                return Err(SqlError::unsupported("LIKE with a [ that no ] closes"));
            };
            if rest.iter().take(used).any(|c| Some(*c) == escape) {
                return Err(SqlError::unsupported("LIKE with an escape inside of []"));
            }
            at += used;
        }
    }
    Ok(())
}

enum Part {
    Never,
    Any,
    One,
    Char(char),
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Part {
    fn takes(&self, c: char, rules: Rules) -> bool {
        match self {
            Self::Never => false,
            Self::Any | Self::One => true,
            Self::Char(p) => rules.same(*p, c),
            Self::Set { negated, ranges } => {
                let found = match rules {
                    Rules::Ci => ranges.iter().any(|(a, b)| in_range(fold(c), *a, *b)),
                    _ => ranges.iter().any(|(a, b)| {
                        let [a, b, c] = [a, b, &c].map(char::to_string);
                        rules.compare(&a, &c).is_le() && rules.compare(&c, &b).is_le()
                    }),
                };
                found != *negated
            }
        }
    }
}

fn in_range(c: char, from: char, to: char) -> bool {
    let between = |c: char| {
        let text = c.to_string();
        compare(&from.to_string(), &text) != Ordering::Greater
            && compare(&text, &to.to_string()) != Ordering::Greater
    };
    c == fold(from) || c == fold(to) || (c != ' ' && between(c))
}

fn compile(pattern: &str, escape: Option<char>) -> Vec<Part> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        if Some(c) == escape {
            match chars.get(at) {
                Some(&next) => parts.push(Part::Char(next)),
                None => parts.push(Part::Never),
            }
            at += 1;
            continue;
        }
        match c {
            '%' => parts.push(Part::Any),
            '_' => parts.push(Part::One),
            '[' => match set(chars.get(at..).unwrap_or_default()) {
                Some((part, used)) => {
                    parts.push(part);
                    at += used;
                }
                None => parts.push(Part::Char('[')),
            },
            other => parts.push(Part::Char(other)),
        }
    }
    parts
}

/// Reads a set after its `[`; the second value counts the characters with the `]`.
fn set(chars: &[char]) -> Option<(Part, usize)> {
    let negated = chars.first() == Some(&'^');
    let start = usize::from(negated);
    let end = start + chars.get(start..)?.iter().position(|c| *c == ']')?;
    let body = chars.get(start..end)?;
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(&c) = body.get(at) {
        match (body.get(at + 1), body.get(at + 2)) {
            (Some('-'), Some(&to)) => {
                ranges.push((c, to));
                at += 3;
            }
            _ => {
                ranges.push((c, c));
                at += 1;
            }
        }
    }
    Some((Part::Set { negated, ranges }, end + 1))
}

/// Greedy matching with one point to return to: linear in practice, quadratic at worst.
fn matches(text: &[char], parts: &[Part], rules: Rules, blanks: Blanks) -> bool {
    // Trailing blanks of the text do not count unless the pattern asks for them.
    let ignored = match blanks {
        Blanks::Count => 0,
        Blanks::AtTheEndDoNot => text.iter().rev().take_while(|c| **c == ' ').count(),
    };
    let (mut t, mut p) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        match (parts.get(p), text.get(t)) {
            (Some(Part::Any), _) => {
                back = Some((p + 1, t));
                p += 1;
            }
            (Some(part), Some(&c)) if part.takes(c, rules) => {
                p += 1;
                t += 1;
            }
            (None, None) => return true,
            (None, Some(_)) if t >= text.len() - ignored => return true,
            _ => match back {
                Some((part, from)) if from < text.len() => {
                    back = Some((part, from + 1));
                    p = part;
                    t = from + 1;
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(text: &str, pattern: &str, escape: Option<char>, rules: Rules) -> bool {
        like(text, pattern, escape, rules, Blanks::AtTheEndDoNot)
    }

    #[test]
    fn rules_tell_letters_apart() {
        assert!(matched("abC", "%[A-Z]%", None, Rules::Bin));
        assert!(!matched("abc", "%[A-Z]%", None, Rules::Bin));
        assert!(!matched("abc", "A%", None, Rules::Cs));
    }

    #[test]
    fn like_as_sql_server_reads_it() {
        for (text, pattern, expected) in [
            ("Hello", "h%O", true),
            ("Hello", "h_llo", true),
            ("Hello", "[a-h]ello", true),
            ("Hello", "[^a-h]ello", false),
            ("50%", "50[%]", true),
            ("500", "50[%]", false),
            ("a]", "a]", true),
            ("abc  ", "abc", true),
            ("abc", "abc ", false),
            ("", "%", true),
            ("", "_", false),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", "%a%a%a%a%b", false),
        ] {
            assert_eq!(
                matched(text, pattern, None, Rules::Ci),
                expected,
                "{text} LIKE {pattern}"
            );
        }
        assert!(!like("a ", "a", None, Rules::Ci, Blanks::Count));
        assert!(like("a ", "a%", None, Rules::Ci, Blanks::Count));
        assert!(!matched("a", "a!", Some('!'), Rules::Ci));
        assert!(matched("50%", "50!%", Some('!'), Rules::Ci));
        assert!(!matched("500", "50!%", Some('!'), Rules::Ci));
    }

    #[test]
    fn doubtful_patterns_are_refused() {
        for (pattern, fine) in [
            ("a[b", false),
            ("a[b]", true),
            ("a![b", true),
            ("a[!]]", false),
            ("[[]", true),
            ("a]", true),
        ] {
            assert_eq!(check(pattern, Some('!')).is_ok(), fine, "{pattern}");
        }
    }
}
