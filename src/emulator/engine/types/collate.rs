//! SQL_Latin1_General_CP1_CI_AS: how texts compare, and LIKE.

use std::cmp::Ordering;

/// Name of the text collation in SQLite.
pub(crate) const TEXT: &str = "T_CI";
/// Name of the collation of `datetimeoffset`: the instant counts, not the offset.
pub(crate) const DATETIMEOFFSET: &str = "T_DTO";
/// Name of the collation of `sql_variant`: first the family of the type, then the value.
pub(crate) const VARIANT: &str = "T_VAR";

/// What counts when texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Letters and accents.
    Ci,
    /// Case, too; small letters come first.
    Cs,
    /// Letters alone.
    Ai,
    /// UTF-16 units.
    Bin,
}

impl Rules {
    /// The collation's name in SQLite.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ci => TEXT,
            Self::Cs => "T_CS",
            Self::Ai => "T_AI",
            Self::Bin => "T_BIN",
        }
    }

    /// Reads [`name`](Self::name).
    pub(crate) fn of(name: &str) -> Self {
        [Self::Cs, Self::Ai, Self::Bin]
            .into_iter()
            .find(|r| r.name() == name)
            .unwrap_or(Self::Ci)
    }

    pub(crate) fn compare(self, a: &str, b: &str) -> Ordering {
        let trim = |t: &'_ str| t.trim_end_matches(' ').to_owned();
        match self {
            Self::Ci => compare(a, b),
            Self::Cs => compare(a, b).then_with(|| {
                // Of two letters that differ in case only, the small one is less.
                let (a, b) = (trim(a), trim(b));
                let differ = a.chars().zip(b.chars()).find(|(a, b)| a != b);
                differ.map_or(Ordering::Equal, |(a, b)| {
                    a.is_uppercase()
                        .cmp(&b.is_uppercase())
                        .then_with(|| a.cmp(&b))
                })
            }),
            Self::Ai => weights(&trim(a))
                .map(|w| w.0)
                .cmp(weights(&trim(b)).map(|w| w.0)),
            Self::Bin => padded(&trim(a), &trim(b)),
        }
    }

    fn same(self, a: char, b: char) -> bool {
        match self {
            Self::Ci => same(a, b),
            Self::Cs | Self::Bin => a == b,
            Self::Ai => decompose(fold(a)).0 == decompose(fold(b)).0,
        }
    }
}

/// Compares UTF-16 units; the shorter text is filled up with blanks.
fn padded(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<u16>, Vec<u16>) = (a.encode_utf16().collect(), b.encode_utf16().collect());
    let blank = u16::from(b' ');
    let at = |units: &[u16], index: usize| units.get(index).copied().unwrap_or(blank);
    (0..a.len().max(b.len()))
        .map(|index| at(&a, index).cmp(&at(&b, index)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Compares without case, with accents, ignoring trailing blanks.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_end_matches(' '), b.trim_end_matches(' '));
    if a == b {
        return Ordering::Equal;
    }
    weights(a)
        .map(|w| w.0)
        .cmp(weights(b).map(|w| w.0))
        .then_with(|| weights(a).map(|w| w.1).cmp(weights(b).map(|w| w.1)))
}

/// Whether two characters are the same letter.
pub(crate) fn same(a: char, b: char) -> bool {
    a == b || fold(a) == fold(b)
}

/// Compares the 19 digits of UTC ticks only.
pub(crate) fn compare_datetimeoffset(a: &str, b: &str) -> Ordering {
    let ticks = |text: &str| text.as_bytes().iter().take(19).copied().collect::<Vec<_>>();
    ticks(a).cmp(&ticks(b))
}

fn weights(text: &str) -> impl Iterator<Item = ((u8, u32), u8)> {
    text.chars().map(|c| {
        let c = fold(c);
        if c.is_ascii() {
            return ((class(c), u32::from(c)), 0);
        }
        let (base, accent) = decompose(c);
        ((class(base), u32::from(base)), accent)
    })
}

fn class(c: char) -> u8 {
    if c.is_alphabetic() {
        2
    } else {
        u8::from(c.is_numeric())
    }
}

fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// The base letter of a lower-case Latin letter with an accent, and a rank for the accent.
fn decompose(c: char) -> (char, u8) {
    const TABLE: &[(char, &str)] = &[
        ('a', "àáâãäåāăą"),
        ('c', "çćĉċč"),
        ('d', "ďđ"),
        ('e', "èéêëēĕėęě"),
        ('g', "ĝğġģ"),
        ('h', "ĥħ"),
        ('i', "ìíîïĩīĭįı"),
        ('j', "ĵ"),
        ('k', "ķ"),
        ('l', "ĺļľŀł"),
        ('n', "ñńņňŉ"),
        ('o', "òóôõöøōŏő"),
        ('r', "ŕŗř"),
        ('s', "śŝşš"),
        ('t', "ţťŧ"),
        ('u', "ùúûüũūŭůűų"),
        ('w', "ŵ"),
        ('y', "ýÿŷ"),
        ('z', "źżž"),
    ];
    for (base, accented) in TABLE {
        if let Some(rank) = accented.chars().position(|a| a == c) {
            return (*base, u8::try_from(rank + 1).unwrap_or(u8::MAX));
        }
    }
    (c, 0)
}

/// T-SQL LIKE: `%`, `_`, `[a-z]`, `[^a-z]` and an escape character.
pub(crate) fn like(text: &str, pattern: &str, escape: Option<char>, rules: Rules) -> bool {
    let parts = compile(pattern, escape);
    let text: Vec<char> = text.chars().collect();
    matches(&text, &parts, rules)
}

/// The first character from which on the text matches the pattern.
pub(crate) fn find_like(text: &str, pattern: &str, rules: Rules) -> Option<usize> {
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
        if matches(from, &parts, rules) {
            return Some(at);
        }
        // What does not follow here does not follow further on, where less is left.
        if elastic {
            return None;
        }
    }
    None
}

enum Part {
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
            if let Some(&next) = chars.get(at) {
                parts.push(Part::Char(next));
                at += 1;
            }
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
fn matches(text: &[char], parts: &[Part], rules: Rules) -> bool {
    let blanks = text.iter().rev().take_while(|c| **c == ' ').count();
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
            // Trailing blanks of the text do not count unless the pattern asks for them.
            (None, Some(_)) if t >= text.len() - blanks => return true,
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

    #[test]
    fn case_and_trailing_blanks_do_not_count() {
        assert_eq!(compare("ABC  ", "abc"), Ordering::Equal);
        assert_eq!(compare("resume", "résumé"), Ordering::Less);
        assert_eq!(compare("résumé", "resumf"), Ordering::Less);
        assert_eq!(compare("_a", "1a"), Ordering::Less);
        assert_eq!(compare("9", "A"), Ordering::Less);
    }

    #[test]
    fn other_rules_tell_other_texts_apart() {
        for (a, b, rules, expected) in [
            ("a", "A ", Rules::Cs, Ordering::Less),
            ("a", "a  ", Rules::Cs, Ordering::Equal),
            ("B", "a", Rules::Cs, Ordering::Greater),
            ("resume", "RÉSUMÉ", Rules::Ai, Ordering::Equal),
            ("B", "a", Rules::Bin, Ordering::Less),
            ("a ", "a", Rules::Bin, Ordering::Equal),
            ("a\t", "a", Rules::Bin, Ordering::Less),
        ] {
            assert_eq!(rules.compare(a, b), expected, "{a} {b} {rules:?}");
        }
        assert!(like("abC", "%[A-Z]%", None, Rules::Bin));
        assert!(!like("abc", "%[A-Z]%", None, Rules::Bin));
        assert!(!like("abc", "A%", None, Rules::Cs));
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
                like(text, pattern, None, Rules::Ci),
                expected,
                "{text} LIKE {pattern}"
            );
        }
        assert!(like("50%", "50!%", Some('!'), Rules::Ci));
        assert!(!like("500", "50!%", Some('!'), Rules::Ci));
    }
}
