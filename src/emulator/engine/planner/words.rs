//! More functions of texts.

use super::super::error::{SqlError, SqlResult};
use super::super::types::{MAX, SqlType, Value};
use super::calls::{computed, varying};
use super::{Planner, Typed, refuse};

use SqlType as T;

impl Planner<'_> {
    pub(super) fn word_call(&mut self, name: &str, args: &[Typed]) -> SqlResult<Option<Typed>> {
        match (name, args) {
            ("PATINDEX", [pattern, text]) => {
                let (pattern, text) = (self.characters(pattern)?, self.characters(text)?);
                let ty = count_type(&text);
                let unicode = i32::from(pattern.ty.is_unicode() || text.ty.is_unicode());
                computed(
                    args,
                    format!("t_patindex({},{},'{unicode}')", pattern.sql, text.sql),
                    ty,
                )
            }
            ("SOUNDEX", [text]) => {
                let text = self.characters(text)?;
                computed(args, format!("t_soundex({})", text.sql), T::VarChar(4))
            }
            ("DIFFERENCE", [a, b]) => {
                let (a, b) = (self.characters(a)?, self.characters(b)?);
                computed(args, format!("t_difference({},{})", a.sql, b.sql), T::Int)
            }
            ("TRANSLATE", [text, from, to]) => {
                let [text, from, to] = [
                    self.characters(text)?,
                    self.characters(from)?,
                    self.characters(to)?,
                ];
                let sql = format!("t_translate({},{},{})", text.sql, from.sql, to.sql);
                computed(args, sql, varying(text.ty))
            }
            ("LTRIM" | "RTRIM", [text, set]) => {
                let side = if name == "LTRIM" {
                    "LEADING"
                } else {
                    "TRAILING"
                };
                self.trimmed(side, text, set).map(Some)
            }
            ("QUOTENAME", [text, quote @ ..]) if quote.len() < 2 => {
                let text = self.coerce(text.clone(), T::NVarChar(MAX))?;
                let quote = match quote.first() {
                    Some(quote) => self.characters(quote)?.sql,
                    None => "'['".into(),
                };
                let sql = format!("t_quotename({},{quote})", text.sql);
                // Too long a name, or what is no quote, makes NULL.
                Ok(Some(Typed::new(sql, T::NVarChar(258))))
            }
            _ => self.rare_word_call(name, args),
        }
    }

    fn rare_word_call(&mut self, name: &str, args: &[Typed]) -> SqlResult<Option<Typed>> {
        match (name, args) {
            ("STR", [value, rest @ ..]) if rest.len() < 3 => {
                let value = self.coerce(value.clone(), T::Float)?;
                let mut part = |at: usize, default: i64| match rest.get(at) {
                    Some(part) => self.coerce(part.clone(), T::Int),
                    None => Ok(Typed::constant(Value::Int(default), T::Int)),
                };
                let (length, places) = (part(0, 10)?, part(1, 0)?);
                let width = match length.constant {
                    Some(Value::Int(n)) => u16::try_from(n).ok().filter(|n| (1..=8000).contains(n)),
                    _ => None,
                };
                let sql = format!("t_str({},{},{})", value.sql, length.sql, places.sql);
                Ok(Some(Typed::new(sql, T::VarChar(width.unwrap_or(8000)))))
            }
            ("STRING_ESCAPE", [text, kind]) => {
                let json = matches!(&kind.constant, Some(Value::Text(k)) if k.trim().eq_ignore_ascii_case("json"));
                if !json {
                    return Err(SqlError::unsupported("STRING_ESCAPE of other than 'json'"));
                }
                let text = self.characters(text)?;
                computed(args, format!("t_jescape({})", text.sql), T::NVarChar(MAX))
            }
            ("ISNUMERIC", [value]) => {
                let ty = value.ty;
                let sql = if value.is_null() {
                    "0".to_owned()
                } else if ty.is_numeric() {
                    format!("({} IS NOT NULL)", value.sql)
                } else if ty.is_text() {
                    format!("t_isnumeric({})", self.characters(value)?.sql)
                } else if ty.is_temporal() || ty == T::UniqueIdentifier {
                    "0".to_owned()
                } else {
                    return Err(SqlError::unsupported(format!("ISNUMERIC of {ty}")));
                };
                Ok(Some(Typed::new(sql, T::Int).not_null()))
            }
            ("HASHBYTES", [algorithm, value]) => {
                if !value.is_null() && !value.ty.is_text() && !value.ty.is_binary() {
                    return Err(refuse::argument(value.ty, 2, name));
                }
                let algorithm = self.coerce(algorithm.clone(), T::NVarChar(MAX))?;
                let sql = format!(
                    "t_hash({},{},{})",
                    algorithm.sql,
                    value.sql,
                    value.ty.code()
                );
                Ok(Some(Typed::new(sql, T::VarBinary(8000))))
            }
            _ => Ok(None),
        }
    }

    /// TRIM with characters to take away.
    pub(super) fn trimmed(&mut self, side: &str, text: &Typed, set: &Typed) -> SqlResult<Typed> {
        refuse::arguments("TRIM", &[set.clone(), text.clone()])?;
        let (text, set) = (self.characters(text)?, self.characters(set)?);
        Ok(Typed {
            nullable: text.nullable || set.nullable,
            ..Typed::new(
                format!("t_trim('{side}',{},{})", text.sql, set.sql),
                varying(text.ty),
            )
        })
    }
}

/// Positions in large texts are bigint.
pub(super) fn count_type(text: &Typed) -> SqlType {
    if text.ty.length() == Some(MAX) {
        T::BigInt
    } else {
        T::Int
    }
}
