//! LIKE.

use super::value::folded;

/// A pattern, ready to be matched.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Char(char),
    /// `_`
    One,
    /// `%`
    Any,
    /// `[a-z]`, or `[^a-z]`.
    Set {
        ranges: Vec<(char, char)>,
        except: bool,
    },
}

impl Pattern {
    /// Reads a pattern; `escape` takes the next character's meaning away.
    pub(super) fn new(text: &str, escape: Option<char>) -> Self {
        let lower = folded(text);
        let escape = escape.and_then(|char| char.to_lowercase().next());
        let mut chars = lower.chars();
        let mut parts = Vec::new();
        while let Some(char) = chars.next() {
            parts.push(match char {
                char if Some(char) == escape => Part::Char(chars.next().unwrap_or(char)),
                '_' => Part::One,
                '%' => Part::Any,
                '[' => match set(chars.as_str()) {
                    Some((part, rest)) => {
                        chars = rest.chars();
                        part
                    }
                    None => Part::Char('['),
                },
                char => Part::Char(char),
            });
        }
        Self(parts)
    }

    /// Whether the whole text fits, in time proportional to both lengths: only
    /// the last `%` is ever returned to.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = folded(text).chars().collect();
        let (mut at, mut part) = (0, 0);
        let mut retry = None;
        while at < text.len() || part < self.0.len() {
            match (self.0.get(part), text.get(at)) {
                (Some(Part::Any), _) => {
                    retry = Some((at, part));
                    part += 1;
                }
                (Some(wanted), Some(char)) if wanted.fits(*char) => {
                    at += 1;
                    part += 1;
                }
                _ => match retry {
                    Some((from, any)) if from < text.len() => {
                        retry = Some((from + 1, any));
                        at = from + 1;
                        part = any + 1;
                    }
                    _ => return false,
                },
            }
        }
        true
    }
}

impl Part {
    fn fits(&self, char: char) -> bool {
        match self {
            Self::Char(wanted) => *wanted == char,
            Self::One => true,
            Self::Any => false,
            Self::Set { ranges, except } => {
                let within = |(from, to): &(char, char)| (*from..=*to).contains(&char);
                ranges.iter().any(within) != *except
            }
        }
    }
}

/// What stands behind a `[`, and the rest after its `]`.
fn set(text: &str) -> Option<(Part, &str)> {
    let (inner, rest) = text.split_once(']')?;
    let except = inner.starts_with('^');
    let chars: Vec<char> = inner.chars().skip(except.into()).collect();
    let mut ranges = Vec::new();
    let mut left = &chars[..];
    loop {
        left = match left {
            [] => break,
            [from, '-', to, after @ ..] => {
                ranges.push((*from, *to));
                after
            }
            [one, after @ ..] => {
                ranges.push((*one, *one));
                after
            }
        };
    }
    Some((Part::Set { ranges, except }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let fits = |pattern: &str, text: &str| Pattern::new(pattern, Some('!')).matches(text);
        for (pattern, text) in [
            ("%", ""),
            ("a%", "Abc"),
            ("%b%", "abc"),
            ("%ab", "aab"),
            ("a_c", "abc"),
            ("[a-c]x", "Bx"),
            ("[^a]x", "bx"),
            ("100!%", "100%"),
            ("[%]", "%"),
            ("[a", "[a"),
            ("%a%a%a%", "banana"),
        ] {
            assert!(fits(pattern, text), "{text} LIKE {pattern}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", "ab"),
            ("_", ""),
            ("[^a]x", "ax"),
            ("100!%", "1000"),
            ("%a%a%a%a%", "banana"),
        ] {
            assert!(!fits(pattern, text), "{text} NOT LIKE {pattern}");
        }
    }
}
