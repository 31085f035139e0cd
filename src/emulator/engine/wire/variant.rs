//! `sql_variant` on the wire (MS-TDS 2.2.5.5.4): the type, its properties, the value.

use super::super::error::{SqlError, SqlResult};
use super::super::types::SqlType;
use super::super::types::variant::Variant;
use super::types::decimal_id;
use super::values;
use crate::tds::{Put, Reader, TypeId};

use SqlType as T;

/// Appends what SQLite kept.
pub(super) fn put(stored: &[u8], out: &mut Vec<u8>) -> SqlResult<()> {
    let variant = std::str::from_utf8(stored)
        .ok()
        .and_then(Variant::from_text)
        .ok_or_else(|| SqlError::internal("a sql_variant is damaged"))?;
    let base = variant.base;
    let id = type_id(base)
        .ok_or_else(|| SqlError::internal(format!("a sql_variant cannot hold {base}")))?;
    out.put_u8(id.0);
    let at = out.len();
    out.put_u8(0);
    properties(base, out);
    let count = out.len() - at - 1;
    if let Some(byte) = out.get_mut(at) {
        *byte = u8::try_from(count).unwrap_or(0);
    }
    let inner = variant.value.into_stored();
    values::put((&inner).into(), base, out)?;
    Ok(())
}

fn type_id(base: SqlType) -> Option<TypeId> {
    Some(match base {
        T::Bit => TypeId::BIT,
        T::TinyInt => TypeId::INT1,
        T::SmallInt => TypeId::INT2,
        T::Int => TypeId::INT4,
        T::BigInt => TypeId::INT8,
        T::Real => TypeId::FLT4,
        T::Float => TypeId::FLT8,
        T::SmallMoney => TypeId::MONEY4,
        T::Money => TypeId::MONEY,
        T::Decimal { numeric, .. } => decimal_id(numeric),
        T::Char(_) => TypeId::BIGCHAR,
        T::VarChar(_) => TypeId::BIGVARCHR,
        T::NChar(_) => TypeId::NCHAR,
        T::NVarChar(_) => TypeId::NVARCHAR,
        T::Binary(_) => TypeId::BIGBINARY,
        T::VarBinary(_) => TypeId::BIGVARBIN,
        T::UniqueIdentifier => TypeId::GUID,
        T::Date => TypeId::DATEN,
        T::Time(_) => TypeId::TIMEN,
        T::SmallDateTime => TypeId::DATETIM4,
        T::DateTime => TypeId::DATETIME,
        T::DateTime2(_) => TypeId::DATETIME2N,
        T::DateTimeOffset(_) => TypeId::DATETIMEOFFSETN,
        T::Text | T::NText | T::Image | T::Variant | T::RowVersion | T::Xml => return None,
    })
}

fn properties(base: SqlType, out: &mut Vec<u8>) {
    match base {
        T::Decimal {
            precision, scale, ..
        } => out.put_slice(&[precision, scale]),
        T::Time(scale) | T::DateTime2(scale) | T::DateTimeOffset(scale) => out.put_u8(scale),
        T::Binary(n) | T::VarBinary(n) => out.put_u16_le(n),
        T::Char(n) | T::VarChar(n) => {
            out.put_slice(&super::COLLATION);
            out.put_u16_le(n);
        }
        T::NChar(n) | T::NVarChar(n) => {
            out.put_slice(&super::COLLATION);
            out.put_u16_le(n.saturating_mul(2));
        }
        _ => {}
    }
}

/// Reads a parameter's value.
pub(super) fn read(bytes: &[u8]) -> Option<Variant> {
    let mut reader = Reader::new(bytes);
    let id = TypeId(reader.u8().ok()?);
    let count = usize::from(reader.u8().ok()?);
    let facets = bytes.get(2..2 + count)?;
    let data = bytes.get(2 + count..)?;
    let base = base_type(id, facets)?;
    let value = values::read_inner(data, base)?;
    Some(Variant { base, value })
}

fn base_type(id: TypeId, facets: &[u8]) -> Option<SqlType> {
    let byte = |at: usize| facets.get(at).copied();
    // The length of a text stands after its collation.
    let length = |at: usize| {
        let bytes = facets.get(at..at + 2)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?).clamp(1, 8000))
    };
    Some(match id {
        TypeId::BIT => T::Bit,
        TypeId::INT1 => T::TinyInt,
        TypeId::INT2 => T::SmallInt,
        TypeId::INT4 => T::Int,
        TypeId::INT8 => T::BigInt,
        TypeId::FLT4 => T::Real,
        TypeId::FLT8 => T::Float,
        TypeId::MONEY4 => T::SmallMoney,
        TypeId::MONEY => T::Money,
        TypeId::NUMERICN | TypeId::DECIMALN => {
            let (precision, scale) = (byte(0)?, byte(1)?);
            ((1..=38).contains(&precision) && scale <= precision).then_some(())?;
            T::Decimal {
                precision,
                scale,
                numeric: id == TypeId::NUMERICN,
            }
        }
        TypeId::BIGCHAR => T::Char(length(5)?),
        TypeId::BIGVARCHR => T::VarChar(length(5)?),
        TypeId::NCHAR => T::NChar((length(5)? / 2).max(1)),
        TypeId::NVARCHAR => T::NVarChar((length(5)? / 2).max(1)),
        TypeId::BIGBINARY => T::Binary(length(0)?),
        TypeId::BIGVARBIN => T::VarBinary(length(0)?),
        TypeId::GUID => T::UniqueIdentifier,
        TypeId::DATEN => T::Date,
        TypeId::TIMEN => T::Time(byte(0).filter(|s| *s <= 7)?),
        TypeId::DATETIM4 => T::SmallDateTime,
        TypeId::DATETIME => T::DateTime,
        TypeId::DATETIME2N => T::DateTime2(byte(0).filter(|s| *s <= 7)?),
        TypeId::DATETIMEOFFSETN => T::DateTimeOffset(byte(0).filter(|s| *s <= 7)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::types::Value;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (value, base) in [
            (Value::Int(5), T::Int),
            (Value::Text("12.0.2000.8".into()), T::NVarChar(128)),
            (Value::Text("é".into()), T::VarChar(3)),
            (Value::Bytes(vec![1, 2]), T::VarBinary(2)),
            (Value::DateTime(6_300_000_000_000), T::DateTime2(7)),
            (Value::Guid([7; 16]), T::UniqueIdentifier),
        ] {
            let variant = Variant { base, value };
            let mut out = Vec::new();
            put(variant.clone().into_text().as_bytes(), &mut out).unwrap();
            assert_eq!(read(&out), Some(variant));
        }
    }

    #[test]
    fn an_int_has_no_properties() {
        let five = Variant {
            base: T::Int,
            value: Value::Int(5),
        };
        let mut out = Vec::new();
        put(five.into_text().as_bytes(), &mut out).unwrap();
        assert_eq!(out, [0x38, 0, 5, 0, 0, 0]);
    }
}
