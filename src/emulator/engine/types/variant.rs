//! `sql_variant`: a value with its own type, how it is kept, and how two of them compare.

use std::cmp::Ordering;

use rusqlite::types::{Value as Stored, ValueRef};

use super::{SqlType, Storage, Value, collate, convert};

use SqlType as T;

/// A value that is not NULL, and the type that it was given with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variant {
    pub(crate) base: SqlType,
    pub(crate) value: Value,
}

impl Variant {
    /// Wraps a value; NULL and what is a variant already stay as they are.
    pub(crate) fn wrap(value: Value, base: SqlType) -> Value {
        match value {
            Value::Null | Value::Variant(_) => value,
            value => Value::Variant(Box::new(Self { base, value })),
        }
    }

    /// The form in which SQLite keeps it: code of the type, kind of the value, value.
    pub(crate) fn into_text(self) -> String {
        let code = self.base.code();
        match self.value.into_stored() {
            Stored::Null => format!("{code}:N"),
            Stored::Integer(v) => format!("{code}:I{v}"),
            Stored::Real(v) => format!("{code}:R{}", v.to_bits()),
            Stored::Text(v) => format!("{code}:T{v}"),
            Stored::Blob(v) => {
                let digits: String = v.iter().map(|b| format!("{b:02X}")).collect();
                format!("{code}:B{digits}")
            }
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let (code, rest) = text.split_once(':')?;
        let base = T::from_code(code.parse().ok()?)?;
        let (kind, payload) = rest.split_at_checked(1)?;
        let stored = match kind {
            "I" => Stored::Integer(payload.parse().ok()?),
            "R" => Stored::Real(f64::from_bits(payload.parse().ok()?)),
            "T" => Stored::Text(payload.to_owned()),
            "B" => Stored::Blob(convert::hex(payload)?),
            _ => return None,
        };
        let value = Value::from_stored(ValueRef::from(&stored), base)?;
        Some(Self { base, value })
    }

    /// Types of a higher family are greater, whatever their values.
    fn family(&self) -> u8 {
        match self.base.storage() {
            Storage::Guid => 1,
            Storage::Bytes => 2,
            Storage::Text => 3,
            Storage::Int | Storage::Decimal => 4,
            Storage::Float => 5,
            _ => 6,
        }
    }

    fn compare(self, other: Self) -> Ordering {
        self.family().cmp(&other.family()).then_with(|| {
            let ty = if self.base.precedence() >= other.base.precedence() {
                self.base
            } else {
                other.base
            };
            match (self.in_type(ty), other.in_type(ty)) {
                (Some(a), Some(b)) => compare_alike(a, b),
                _ => self.into_text().cmp(&other.into_text()),
            }
        })
    }

    /// The value in a type of its family, wide enough for any of it.
    fn in_type(&self, ty: SqlType) -> Option<Value> {
        let wide = match ty.storage() {
            Storage::Int | Storage::Decimal => {
                let scale = ty
                    .digits()
                    .map_or(0, |d| d.1)
                    .max(self.base.digits().map_or(0, |d| d.1));
                T::Decimal {
                    precision: 38,
                    scale,
                    numeric: false,
                }
            }
            Storage::Text => T::NVarChar(super::MAX),
            Storage::Bytes => T::VarBinary(super::MAX),
            _ => ty,
        };
        convert::cast(self.value.clone(), self.base, wide, None).ok()
    }
}

fn compare_alike(a: Value, b: Value) -> Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => collate::compare(&a, &b),
        (Value::Float(a), Value::Float(b)) => a.total_cmp(&b),
        (Value::DateTimeOffset(a), Value::DateTimeOffset(b)) => a.utc.cmp(&b.utc),
        (a, b) => match (a.into_stored(), b.into_stored()) {
            (Stored::Integer(a), Stored::Integer(b)) => a.cmp(&b),
            (Stored::Blob(a), Stored::Blob(b)) => a.cmp(&b),
            _ => Ordering::Equal,
        },
    }
}

/// Compares two in the form that SQLite keeps.
pub(crate) fn compare_texts(a: &str, b: &str) -> Ordering {
    match (Variant::from_text(a), Variant::from_text(b)) {
        (Some(a), Some(b)) => a.compare(b),
        _ => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Decimal;
    use super::*;

    fn text(value: Value, base: SqlType) -> String {
        Variant { base, value }.into_text()
    }

    #[test]
    fn a_variant_keeps_its_type() {
        let decimal = T::Decimal {
            precision: 5,
            scale: 2,
            numeric: false,
        };
        for (value, base) in [
            (Value::Int(-5), T::Int),
            (Value::Float(1.5), T::Float),
            (Value::Text("a:b\u{1F600}".into()), T::NVarChar(10)),
            (Value::Bytes(vec![0, 255]), T::VarBinary(2)),
            (Value::Decimal(Decimal::from_int(7)), decimal),
        ] {
            let kept = Variant::from_text(&text(value.clone(), base)).unwrap();
            assert_eq!((kept.value, kept.base), (value, base));
        }
    }

    #[test]
    fn the_family_counts_before_the_value() {
        let int = |v| text(Value::Int(v), T::Int);
        let chars = |v: &str| text(Value::Text(v.into()), T::VarChar(3));
        assert_eq!(compare_texts(&int(1), &chars("999")), Ordering::Greater);
        assert_eq!(compare_texts(&chars("a "), &chars("A")), Ordering::Equal);
        let decimal = T::Decimal {
            precision: 5,
            scale: 2,
            numeric: false,
        };
        let two = text(Value::Decimal(Decimal::parse("2.50").unwrap()), decimal);
        assert_eq!(compare_texts(&int(3), &two), Ordering::Greater);
        assert_eq!(
            compare_texts(&int(9), &text(Value::Float(1.0), T::Float)),
            Ordering::Less
        );
    }
}
