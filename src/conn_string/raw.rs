//! A value as it stands in the text, decoded only when its type is known, so
//! that a secret goes straight into its [`Secret`].

use std::borrow::Cow;

use crate::secret::Secret;

/// How a raw value is to be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// `%XX`, and `+` for a blank.
    Form,
    /// Nothing after the `=`: in ADO.NET, back to the default.
    Null,
    /// This byte, doubled, stands for one.
    Doubled(u8),
    /// `%XX`.
    Percent,
    /// As it stands.
    Plain,
}

/// A value as it stands in the text. It has no `Debug`: it may be a secret.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) text: &'a str,
    pub(super) code: Code,
    /// Whether quotes or braces enclose it.
    pub(super) quoted: bool,
}

/// One `key=value` of a text.
pub(super) struct Pair<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) raw: Raw<'a>,
    /// Byte offset of the key.
    pub(super) at: usize,
}

impl<'a> Raw<'a> {
    pub(super) const NULL: Raw<'static> = Raw {
        text: "",
        code: Code::Null,
        quoted: false,
    };

    pub(super) fn plain(text: &'a str) -> Self {
        Self {
            text,
            code: Code::Plain,
            quoted: false,
        }
    }

    /// Decodes for a value that is no secret; `None` if it is not UTF-8.
    pub(super) fn text(&self) -> Option<Cow<'a, str>> {
        let encoded = match self.code {
            Code::Null | Code::Plain => false,
            Code::Doubled(byte) => self.text.as_bytes().contains(&byte),
            Code::Percent => self.text.contains('%'),
            Code::Form => self.text.contains(['%', '+']),
        };
        if encoded {
            self.decode().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(self.text))
        }
    }

    /// Decodes a secret: its one copy is the secret's own.
    pub(super) fn secret(&self) -> Option<Secret> {
        self.decode().map(Secret::new)
    }

    fn decode(&self) -> Option<String> {
        match self.code {
            Code::Null | Code::Plain => Some(self.text.to_owned()),
            Code::Doubled(byte) => Some(undouble(self.text, char::from(byte))),
            Code::Percent => percent(self.text, false),
            Code::Form => percent(self.text, true),
        }
    }
}

fn undouble(text: &str, mark: char) -> String {
    // Reserved in full, so that a secret is never moved and left behind.
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == mark {
            chars.next();
        }
    }
    out
}

fn percent(text: &str, plus: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let (high, low) = (bytes.next()?, bytes.next()?);
                hex(high)? << 4 | hex(low)?
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    match String::from_utf8(out) {
        Ok(text) => Some(text),
        Err(error) => {
            zeroize::Zeroize::zeroize(&mut error.into_bytes());
            None
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Whether every `%` starts a `%XX`.
pub(super) fn escapes_are_whole(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'%')
        .all(|(at, _)| {
            let digits = bytes.get(at + 1..at + 3);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        })
}
