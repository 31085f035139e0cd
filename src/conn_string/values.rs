//! From the text of a value to the value that is in force.

use std::borrow::Cow;

use super::auth_method::AuthMethod;
use super::raw::{Code, Raw};
use super::{Dialect, Value};
use crate::secret::Secret;

/// What a keyword takes. Numbers are inclusive bounds, lengths are UTF-16
/// units (0: no limit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Authentication,
    Bool,
    /// `Enabled` or `Disabled`; the value is a boolean.
    Enabled,
    Encrypt,
    /// One of these in this very case; anything else is the first.
    Exact(&'static [&'static str]),
    /// A file, or where else to find something; a secret if a password is
    /// part of it.
    File,
    Int(i64, i64),
    /// One of these, in any case, or any other text.
    Known(&'static [&'static str]),
    /// One of these; anything else is read and dropped.
    Lax(&'static [&'static str]),
    /// A number; nothing at all is fine, too.
    LaxInt(i64, i64),
    /// Go: a boolean, `Enabled` or `Disabled`; the value is one of the latter.
    OnOff,
    /// One of these, in any case.
    OneOf(&'static [&'static str]),
    PacketSize,
    Port,
    Secret(usize),
    /// A boolean, or `sspi`.
    Security,
    /// Go: a boolean, `Enabled` or `Disabled`.
    Switch,
    Text(usize),
    /// One of these or nothing; blanks count.
    TextOf(&'static [&'static str]),
    /// Where to get a token; a secret if it is a URL with something in it that
    /// may be one.
    TokenPlace,
}

/// What became of a value.
pub(super) enum Outcome {
    /// Read by the driver and dropped.
    Dropped,
    Set(Value),
    /// As if the keyword were absent.
    Unset,
}

/// What the keyword would have taken.
pub(super) struct Unfit(pub(super) Cow<'static, str>);

type Result = std::result::Result<Outcome, Unfit>;

fn unfit<T>(expected: impl Into<Cow<'static, str>>) -> std::result::Result<T, Unfit> {
    Err(Unfit(expected.into()))
}

/// Reads a value as the dialect's driver does.
pub(super) fn read(dialect: Dialect, kind: Kind, raw: &Raw<'_>) -> Result {
    if raw.code == Code::Null {
        return Ok(Outcome::Unset);
    }
    if let Kind::Secret(max) = kind {
        let Some(secret) = raw.secret() else {
            return unfit("UTF-8 text");
        };
        return match length(secret.expose(), max) {
            Ok(0) => Ok(Outcome::Unset),
            Ok(_) => Ok(Outcome::Set(Value::Secret(secret))),
            Err(unfit) => Err(unfit),
        };
    }
    let Some(text) = raw.text() else {
        return unfit("UTF-8 text");
    };
    match kind {
        Kind::Text(max) => match length(&text, max)? {
            0 => Ok(Outcome::Unset),
            _ => Ok(Outcome::Set(Value::Text(text.into_owned()))),
        },
        Kind::File if holds_password(&text) => {
            Ok(Outcome::Set(Value::Secret(Secret::new(text.into_owned()))))
        }
        Kind::TokenPlace if text.contains("://") && text.contains(['?', '@']) => {
            Ok(Outcome::Set(Value::Secret(Secret::new(text.into_owned()))))
        }
        Kind::File | Kind::Known(_) | Kind::TokenPlace if text.is_empty() => Ok(Outcome::Unset),
        Kind::File | Kind::TokenPlace => Ok(Outcome::Set(Value::Text(text.into_owned()))),
        Kind::Bool | Kind::Enabled | Kind::Security | Kind::Switch | Kind::OnOff => {
            switch(dialect, kind, &text)
        }
        Kind::Int(..) | Kind::LaxInt(..) | Kind::PacketSize | Kind::Port => {
            number(dialect, kind, &text)
        }
        _ => word(dialect, kind, &text),
    }
}

/// Whether a certificate's place ends in `,password:…`, as ODBC writes it.
fn holds_password(text: &str) -> bool {
    text.to_ascii_lowercase().contains("password:")
}

fn length(text: &str, max: usize) -> std::result::Result<usize, Unfit> {
    // One UTF-16 unit is at most three bytes: most texts need no counting.
    if max > 0 && text.len() > max && text.encode_utf16().count() > max {
        return unfit(format!("at most {max} characters"));
    }
    Ok(text.len())
}

fn is(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn boolean(dialect: Dialect, text: &str) -> std::result::Result<bool, &'static str> {
    let (yes, no, expected): (&[&str], &[&str], _) = match dialect {
        Dialect::AdoNet => (&["true", "yes"], &["false", "no"], "true, false, yes or no"),
        Dialect::Odbc => (&["yes"], &["no"], "yes or no"),
        Dialect::Jdbc => (&["true"], &["false"], "true or false"),
        Dialect::SqlServerUrl => {
            return match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
                _ => Err("1, t, true, 0, f or false"),
            };
        }
    };
    let text = if dialect == Dialect::AdoNet {
        text.trim()
    } else {
        text
    };
    match (is(text, yes), is(text, no)) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(expected),
    }
}

fn switch(dialect: Dialect, kind: Kind, text: &str) -> Result {
    let named = match kind {
        Kind::Security if is(text.trim(), &["sspi"]) => Some(true),
        Kind::Enabled | Kind::Switch | Kind::OnOff if is(text, &["Enabled"]) => Some(true),
        Kind::Enabled | Kind::Switch | Kind::OnOff if is(text, &["Disabled"]) => Some(false),
        Kind::Enabled => return unfit("Enabled or Disabled"),
        _ => None,
    };
    let on = match named.map_or_else(|| boolean(dialect, text), Ok) {
        Ok(on) => on,
        Err(expected) if kind == Kind::Security => return unfit(format!("{expected}, or sspi")),
        Err(expected) => return unfit(expected),
    };
    Ok(Outcome::Set(match (kind, on) {
        (Kind::OnOff, true) => Value::Text("Enabled".to_owned()),
        (Kind::OnOff, false) => Value::Text("Disabled".to_owned()),
        _ => Value::Bool(on),
    }))
}

fn number(dialect: Dialect, kind: Kind, text: &str) -> Result {
    let optional = match kind {
        Kind::Port => false,
        Kind::LaxInt(..) => true,
        _ => dialect == Dialect::Jdbc,
    };
    if text.is_empty() && optional {
        return Ok(Outcome::Unset);
    }
    let number = integer(dialect, kind, text);
    let set = |number| Ok(Outcome::Set(Value::Number(number)));
    match kind {
        Kind::Int(min, max) | Kind::LaxInt(min, max) => match number {
            Some(number) if (min..=max).contains(&number) => set(number),
            _ if max >= i64::from(i32::MAX) => unfit(format!("a whole number from {min}")),
            _ => unfit(format!("a whole number from {min} to {max}")),
        },
        Kind::Port => match number {
            Some(0) => Ok(Outcome::Unset),
            Some(number @ 1..=65535) => set(number),
            _ => unfit("a port from 0 to 65535"),
        },
        _ => packet_size(dialect, number),
    }
}

fn packet_size(dialect: Dialect, number: Option<i64>) -> Result {
    let set = |number| Ok(Outcome::Set(Value::Number(number)));
    match (dialect, number) {
        (Dialect::Jdbc, Some(-1)) => set(0),
        (Dialect::Jdbc, Some(0)) => set(32767),
        (Dialect::Jdbc, Some(size @ 512..=32767)) => set(size),
        (Dialect::Jdbc, _) => unfit("-1, 0, or a whole number from 512 to 32767"),
        (Dialect::SqlServerUrl, Some(size @ 0..=65535)) => set(size.clamp(512, 32767)),
        (Dialect::SqlServerUrl, _) => unfit("a whole number from 0 to 65535"),
        (_, Some(size @ 0..=32767)) => set(size),
        _ => Ok(Outcome::Dropped),
    }
}

/// A whole number in the notation of the dialect's language.
fn integer(dialect: Dialect, kind: Kind, text: &str) -> Option<i64> {
    let signed = |text: &str| text.parse::<i32>().ok().map(i64::from);
    match dialect {
        Dialect::AdoNet => signed(text.trim_matches(|c: char| matches!(c, ' ' | '\t'..='\r'))),
        Dialect::Jdbc | Dialect::Odbc => signed(text),
        Dialect::SqlServerUrl => {
            let digits = |text: &str, radix| {
                let plain = !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
                if plain {
                    i64::from_str_radix(text, radix).ok()
                } else {
                    None
                }
            };
            if kind != Kind::PacketSize {
                return digits(text, 10);
            }
            // Go reads the packet size in any base.
            let lower = text.to_ascii_lowercase();
            let bases = [("0x", 16), ("0o", 8), ("0b", 2), ("0", 8)];
            let based = bases.iter().find_map(|(prefix, radix)| {
                let rest = lower.strip_prefix(prefix).filter(|rest| !rest.is_empty())?;
                Some(digits(rest, *radix))
            });
            based.unwrap_or_else(|| digits(text, 10))
        }
    }
}

fn word(dialect: Dialect, kind: Kind, text: &str) -> Result {
    let text_of = |word: &str| Ok(Outcome::Set(Value::Text(word.to_owned())));
    let find = |words: &'static [&'static str], text: &str| {
        words
            .iter()
            .copied()
            .find(|word| word.eq_ignore_ascii_case(text))
    };
    match kind {
        Kind::Encrypt => encrypt(dialect, text),
        Kind::Authentication => {
            let unset = match dialect {
                Dialect::Odbc | Dialect::SqlServerUrl => text.is_empty(),
                Dialect::Jdbc => is(text, &["NotSpecified"]),
                Dialect::AdoNet => false,
            };
            let trimmed = if dialect == Dialect::AdoNet {
                text.trim()
            } else {
                text
            };
            match AuthMethod::read(dialect, trimmed) {
                _ if unset => Ok(Outcome::Unset),
                Some(method) => text_of(method.name()),
                None => Err(Unfit(AuthMethod::expected(dialect, text))),
            }
        }
        Kind::Exact(words) => {
            let exact = words.iter().copied().find(|word| *word == text);
            text_of(exact.unwrap_or(words[0]))
        }
        Kind::Known(words) => text_of(find(words, text).unwrap_or(text)),
        Kind::Lax(words) => find(words, text).map_or(Ok(Outcome::Dropped), text_of),
        Kind::TextOf(_) if text.is_empty() => Ok(Outcome::Unset),
        Kind::OneOf(words) | Kind::TextOf(words) => {
            let trims = dialect == Dialect::AdoNet && matches!(kind, Kind::OneOf(_));
            match find(words, if trims { text.trim() } else { text }) {
                Some(word) => text_of(word),
                None => unfit(format!("one of {}", words.join(", "))),
            }
        }
        _ => Ok(Outcome::Dropped),
    }
}

fn encrypt(dialect: Dialect, text: &str) -> Result {
    let (on, off, expected): (&[&str], &[&str], _) = match dialect {
        Dialect::AdoNet => (
            &["true", "yes", "mandatory"],
            &["false", "no", "optional"],
            "mandatory (true, yes), optional (false, no) or strict",
        ),
        Dialect::Odbc => (
            &["yes", "mandatory"],
            &["no", "optional"],
            "mandatory (yes), optional (no) or strict",
        ),
        Dialect::Jdbc => (
            &["true", "mandatory"],
            &["false", "no", "optional"],
            "mandatory (true), optional (false, no) or strict",
        ),
        Dialect::SqlServerUrl => (
            &["true", "t", "1", "yes", "mandatory"],
            &["false", "f", "0", "no", "optional"],
            "mandatory (true), optional (false), strict or disable",
        ),
    };
    let word = if is(text, on) {
        "mandatory"
    } else if is(text, off) {
        "optional"
    } else if is(text, &["strict"]) {
        "strict"
    } else if dialect == Dialect::SqlServerUrl && is(text, &["disable"]) {
        "disable"
    } else {
        return unfit(expected);
    };
    Ok(Outcome::Set(Value::Text(word.to_owned())))
}
