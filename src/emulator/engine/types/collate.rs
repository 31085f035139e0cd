//! SQL_Latin1_General_CP1_CI_AS: how texts compare.

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

    pub(super) fn same(self, a: char, b: char) -> bool {
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

pub(super) fn fold(c: char) -> char {
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
    }
}
