//! Values of the common types, from their bytes and to them (MS-TDS 2.2.5.5).

use super::reader::decode_utf16_lossy;
use super::{Collation, DecodeError, Put, Reader, TypeId, TypeInfo};

/// A value without its type's fine print: what one compares and prints.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scalar {
    /// No value.
    Null,
    /// bit.
    Bit(bool),
    /// The integers, and decimals without a fraction that fit.
    Int(i64),
    /// real, float, money, and every other decimal, to the nearest.
    Float(f64),
    /// The texts, and uniqueidentifier.
    Text(String),
    /// The dates and times, in UTC for datetimeoffset.
    Moment(Moment),
    /// binary and varbinary.
    Bytes(Vec<u8>),
}

/// A date and time of day: 100 ns units since 1970-01-01 00:00:00. `time` alone
/// is on 1900-01-01, as SQL Server converts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    /// Units of a second.
    pub const SECOND: i64 = 10_000_000;
    /// Units of a day.
    pub const DAY: i64 = 86_400 * Self::SECOND;
    /// 1900-01-01, where datetime counts from.
    pub const OF_1900: Self = Self(-25_567 * Self::DAY);
    /// 0001-01-01, where date counts from.
    const OF_YEAR_1: Self = Self(-719_162 * Self::DAY);

    /// As the 8 bytes of datetime: days since 1900, and 1/300 s since midnight,
    /// to the nearest.
    #[must_use]
    pub fn to_datetime(self) -> [u8; 8] {
        let since = self.0.saturating_sub(Self::OF_1900.0);
        let third = |units: i64| (units * 300 + Self::SECOND / 2) / Self::SECOND;
        let mut days = since.div_euclid(Self::DAY);
        let mut ticks = third(since.rem_euclid(Self::DAY));
        if ticks >= third(Self::DAY) {
            days += 1;
            ticks = 0;
        }
        let days = i32::try_from(days).unwrap_or(i32::MAX);
        let ticks = u32::try_from(ticks).unwrap_or_default();
        let mut bytes = [0; 8];
        let (left, right) = bytes.split_at_mut(4);
        left.copy_from_slice(&days.to_le_bytes());
        right.copy_from_slice(&ticks.to_le_bytes());
        bytes
    }
}

impl Scalar {
    /// Reads a value's bytes, as [`TypeInfo::read_value`] gives them.
    ///
    /// # Errors
    /// [`DecodeError::UnknownType`] for `sql_variant`, xml, CLR types, json and
    /// vector; [`DecodeError::Truncated`] if there are too few bytes, and
    /// [`DecodeError::Invalid`] for a length that the type does not have.
    pub fn decode(info: &TypeInfo, bytes: Option<&[u8]>) -> Result<Self, DecodeError> {
        let Some(bytes) = bytes else {
            return Ok(Self::Null);
        };
        let mut reader = Reader::named(WHAT, bytes);
        match info {
            TypeInfo::Fixed(id) | TypeInfo::ByteLen { id, .. } => {
                short(*id, bytes.len(), &mut reader)
            }
            TypeInfo::Decimal { scale, .. } => decimal(*scale, bytes),
            TypeInfo::Date => date(&mut reader).map(|days| moment(days, 0)),
            TypeInfo::Time { id, scale } => time(*id, *scale, bytes.len(), &mut reader),
            TypeInfo::ShortLen { id, collation, .. } | TypeInfo::LongLen { id, collation, .. } => {
                Ok(text(*id, *collation, bytes))
            }
            other => Err(DecodeError::UnknownType {
                type_id: other.id().0,
            }),
        }
    }

    /// The bytes as `info`'s values have them, for intn(8), bitn, fltn(8),
    /// nvarchar, and datetimn(8); `None` is NULL, and what else does not fit.
    #[must_use]
    pub fn encode(&self, info: &TypeInfo) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match (self, info.id()) {
            (Self::Bit(bit), TypeId::BITN) => out.put_u8((*bit).into()),
            (Self::Int(int), TypeId::INTN) => match info {
                TypeInfo::ByteLen { max: 4, .. } => out.put_i32_le(i32::try_from(*int).ok()?),
                _ => out.put_slice(&int.to_le_bytes()),
            },
            (Self::Float(float), TypeId::FLTN) => out.put_slice(&float.to_le_bytes()),
            (Self::Text(text), TypeId::NVARCHAR) => out.put_utf16(text),
            (Self::Moment(moment), TypeId::DATETIMN) => out.put_slice(&moment.to_datetime()),
            _ => return None,
        }
        Some(out)
    }
}

const WHAT: &str = "the value";

fn invalid(problem: &'static str) -> DecodeError {
    DecodeError::Invalid {
        what: WHAT,
        problem,
    }
}

/// The types whose value is a few bytes.
fn short(id: TypeId, len: usize, reader: &mut Reader<'_>) -> Result<Scalar, DecodeError> {
    Ok(match (id, len) {
        (TypeId::BIT | TypeId::BITN, 1) => Scalar::Bit(reader.u8()? != 0),
        (TypeId::INT1 | TypeId::INT2 | TypeId::INT4 | TypeId::INT8 | TypeId::INTN, _) => {
            Scalar::Int(int(len, reader)?)
        }
        (TypeId::FLT4 | TypeId::FLTN, 4) => {
            Scalar::Float(f32::from_le_bytes(reader.array()?).into())
        }
        (TypeId::FLT8 | TypeId::FLTN, 8) => Scalar::Float(f64::from_le_bytes(reader.array()?)),
        (TypeId::MONEY4 | TypeId::MONEYN, 4) => money(reader.i32_le()?.into()),
        (TypeId::MONEY | TypeId::MONEYN, 8) => {
            let high = i64::from(reader.i32_le()?);
            money(high << 32 | i64::from(reader.u32_le()?))
        }
        (TypeId::DATETIM4 | TypeId::DATETIMN, 4) => {
            let days = i64::from(reader.u16_le()?);
            let minutes = i64::from(reader.u16_le()?);
            since_1900(days, minutes * 60 * Moment::SECOND)
        }
        (TypeId::DATETIME | TypeId::DATETIMN, 8) => {
            let days = i64::from(reader.i32_le()?);
            let ticks = i64::from(reader.u32_le()?);
            since_1900(days, ticks * Moment::SECOND / 300)
        }
        (TypeId::GUID, 16) => Scalar::Text(guid(reader.array()?)),
        (TypeId::CHAR | TypeId::VARCHAR, _) => text(TypeId::BIGVARCHR, None, reader.rest()),
        (TypeId::BINARY | TypeId::VARBINARY, _) => Scalar::Bytes(reader.rest().to_vec()),
        (TypeId::NULL, _) => Scalar::Null,
        _ => return Err(invalid("its type has no values of this length")),
    })
}

fn int(len: usize, reader: &mut Reader<'_>) -> Result<i64, DecodeError> {
    Ok(match len {
        1 => reader.u8()?.into(),
        2 => i16::from_le_bytes(reader.array()?).into(),
        4 => reader.i32_le()?.into(),
        8 => i64::from_le_bytes(reader.array()?),
        _ => return Err(invalid("no integer has this length")),
    })
}

#[expect(clippy::cast_precision_loss, reason = "to the nearest, as documented")]
fn money(units: i64) -> Scalar {
    Scalar::Float(units as f64 / 10_000.0)
}

/// A sign, where 1 is positive, and a number of up to 16 bytes.
#[expect(clippy::cast_precision_loss, reason = "to the nearest, as documented")]
fn decimal(scale: u8, bytes: &[u8]) -> Result<Scalar, DecodeError> {
    let Some((sign, digits)) = bytes.split_first().filter(|(_, rest)| rest.len() <= 16) else {
        return Err(invalid("no decimal has this length"));
    };
    let mut all = [0; 16];
    all.iter_mut()
        .zip(digits)
        .for_each(|(to, from)| *to = *from);
    let magnitude = u128::from_le_bytes(all);
    let negative = *sign == 0;
    if scale == 0
        && let Ok(int) = i64::try_from(magnitude)
    {
        return Ok(Scalar::Int(if negative { -int } else { int }));
    }
    let float = magnitude as f64 / 10f64.powi(scale.into());
    Ok(Scalar::Float(if negative { -float } else { float }))
}

fn date(reader: &mut Reader<'_>) -> Result<i64, DecodeError> {
    let [a, b, c] = reader.array()?;
    Ok(u32::from_le_bytes([a, b, c, 0]).into())
}

/// time, datetime2 and datetimeoffset; the last holds UTC.
fn time(id: TypeId, scale: u8, len: usize, reader: &mut Reader<'_>) -> Result<Scalar, DecodeError> {
    let after = match id {
        TypeId::TIMEN => 0,
        TypeId::DATETIME2N => 3,
        _ => 5,
    };
    let own = len
        .checked_sub(after)
        .filter(|own| (3..=5).contains(own) && scale <= 7)
        .ok_or(invalid("no time has this length"))?;
    let mut units = [0; 8];
    units
        .iter_mut()
        .zip(reader.take(own)?)
        .for_each(|(to, from)| *to = *from);
    let of_day = i64::from_le_bytes(units).saturating_mul(10i64.pow(7 - u32::from(scale)));
    if of_day >= Moment::DAY {
        return Err(invalid("its time of day is beyond midnight"));
    }
    if id == TypeId::TIMEN {
        return Ok(since_1900(0, of_day));
    }
    Ok(moment(date(reader)?, of_day))
}

fn moment(days: i64, of_day: i64) -> Scalar {
    let days = days.saturating_mul(Moment::DAY);
    Scalar::Moment(Moment((Moment::OF_YEAR_1.0 + of_day).saturating_add(days)))
}

fn since_1900(days: i64, of_day: i64) -> Scalar {
    let days = days.saturating_mul(Moment::DAY);
    Scalar::Moment(Moment((Moment::OF_1900.0 + of_day).saturating_add(days)))
}

fn text(id: TypeId, collation: Option<Collation>, bytes: &[u8]) -> Scalar {
    match id {
        TypeId::NVARCHAR | TypeId::NCHAR | TypeId::NTEXT => Scalar::Text(decode_utf16_lossy(bytes)),
        TypeId::BIGVARCHR | TypeId::BIGCHAR | TypeId::TEXT => {
            if collation.is_some_and(Collation::is_utf8) {
                return Scalar::Text(String::from_utf8_lossy(bytes).into_owned());
            }
            // Latin 1, which the other code pages share for ASCII at least.
            Scalar::Text(bytes.iter().copied().map(char::from).collect())
        }
        _ => Scalar::Bytes(bytes.to_vec()),
    }
}

/// The first three groups are little-endian.
fn guid(bytes: [u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
    let first = u32::from_le_bytes([a, b, c, d]);
    let (second, third) = (u16::from_le_bytes([e, f]), u16::from_le_bytes([g, h]));
    let fourth = u16::from_be_bytes([i, j]);
    format!(
        "{first:08X}-{second:04X}-{third:04X}-{fourth:04X}-{k:02X}{l:02X}{m:02X}{n:02X}{o:02X}{p:02X}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte_len(id: TypeId, max: u8) -> TypeInfo {
        TypeInfo::ByteLen { id, max }
    }

    fn decoded(info: &TypeInfo, bytes: &[u8]) -> Scalar {
        Scalar::decode(info, Some(bytes)).unwrap()
    }

    /// 2026-01-02 03:04:05.
    const NEW_YEAR: i64 = 1_767_323_045 * Moment::SECOND;

    #[test]
    fn numbers() {
        let intn = byte_len(TypeId::INTN, 8);
        assert_eq!(
            decoded(&intn, &[0xFF]),
            Scalar::Int(255),
            "tinyint has no sign"
        );
        assert_eq!(decoded(&intn, &[0xFE, 0xFF]), Scalar::Int(-2));
        assert_eq!(decoded(&intn, &(-3i64).to_le_bytes()), Scalar::Int(-3));
        assert!(Scalar::decode(&intn, Some(&[1, 2, 3])).is_err());
        let numeric = |scale| TypeInfo::Decimal {
            id: TypeId::NUMERICN,
            max: 5,
            precision: 9,
            scale,
        };
        assert_eq!(decoded(&numeric(0), &[0, 7, 0, 0, 0]), Scalar::Int(-7));
        assert_eq!(decoded(&numeric(2), &[1, 150, 0, 0, 0]), Scalar::Float(1.5));
        let money = byte_len(TypeId::MONEYN, 8);
        assert_eq!(
            decoded(&money, &[0, 0, 0, 0, 0x98, 0x3A, 0, 0]),
            Scalar::Float(1.5)
        );
        assert_eq!(Scalar::decode(&intn, None), Ok(Scalar::Null));
    }

    #[test]
    fn dates_agree_in_every_type() {
        let expected = Scalar::Moment(Moment(NEW_YEAR));
        let datetime = Moment(NEW_YEAR).to_datetime();
        assert_eq!(datetime, [0xC6, 0xB3, 0, 0, 0x5C, 0x8F, 0x32, 0]);
        assert_eq!(decoded(&byte_len(TypeId::DATETIMN, 8), &datetime), expected);
        // 11045 s of the day, and 739617 days since year 1.
        let datetime2 = TypeInfo::Time {
            id: TypeId::DATETIME2N,
            scale: 0,
        };
        assert_eq!(
            decoded(&datetime2, &[0x25, 0x2B, 0, 0x21, 0x49, 0x0B]),
            expected
        );
        assert!(Scalar::decode(&datetime2, Some(&[0xFF; 6])).is_err());
        assert!(Scalar::decode(&datetime2, Some(&[0xFF; 2])).is_err());
        let date = decoded(&TypeInfo::Date, &[0x21, 0x49, 0x0B]);
        assert_eq!(
            date,
            Scalar::Moment(Moment(NEW_YEAR - 11_045 * Moment::SECOND))
        );
        let last = Moment(Moment::OF_1900.0 - 1).to_datetime();
        assert_eq!(last, [0; 8], "rounded up to the next midnight");
    }

    #[test]
    fn texts() {
        let guid = byte_len(TypeId::GUID, 16);
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(
            decoded(&guid, &bytes),
            Scalar::Text("03020100-0504-0706-0809-0A0B0C0D0E0F".to_owned())
        );
        let nvarchar = TypeInfo::ShortLen {
            id: TypeId::NVARCHAR,
            max: 20,
            collation: None,
        };
        let text = Scalar::Text("aä".to_owned());
        assert_eq!(text.encode(&nvarchar), Some(vec![b'a', 0, 0xE4, 0]));
        assert_eq!(decoded(&nvarchar, &[b'a', 0, 0xE4, 0]), text);
        assert_eq!(Scalar::Int(1).encode(&nvarchar), None);
    }
}
