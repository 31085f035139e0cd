//! Types in T-SQL's spelling and values as sqlcmd prints them, from the wire.

use entrada::tds::{Collation, Column, Framing, Place, TypeId, TypeInfo};
use jiff::Span;
use jiff::civil::{Date, date};

/// The type of a column, e.g. `nvarchar(20)` or `decimal(9,2)`.
pub(crate) fn type_name(column: &Column) -> String {
    /// `timestamp` is binary(8) with a user type.
    const TIMESTAMP: u32 = 80;
    match &column.type_info {
        TypeInfo::ShortLen {
            id: TypeId::BIGBINARY,
            ..
        } if column.user_type == TIMESTAMP => "timestamp".into(),
        info => name(info),
    }
}

/// A value: NULL, numbers in decimal, binary as `0x…`, dates and times in ISO form with the digits of
/// their type.
pub(crate) fn value(info: &TypeInfo, bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else {
        return "NULL".into();
    };
    match info {
        TypeInfo::Fixed(id) | TypeInfo::ByteLen { id, .. } => short(*id, bytes),
        TypeInfo::Decimal { scale, .. } => decimal(*scale, bytes),
        TypeInfo::Date => day(bytes).to_string(),
        TypeInfo::Time { id, scale } => time(*id, *scale, bytes),
        TypeInfo::ShortLen { id, collation, .. } | TypeInfo::LongLen { id, collation, .. } => {
            long(*id, *collation, bytes)
        }
        TypeInfo::Variant { .. } => variant(bytes),
        TypeInfo::Xml(_) => utf16(bytes),
        _ => hexadecimal(bytes),
    }
}

fn name(info: &TypeInfo) -> String {
    match info {
        TypeInfo::Fixed(id) => match info.framing(Place::Row) {
            Framing::Fixed(len) => fixed_name(*id, len),
            other => format!("{other:?}"),
        },
        TypeInfo::ByteLen { id, max } => fixed_name(*id, *max),
        TypeInfo::Decimal {
            id,
            precision,
            scale,
            ..
        } => {
            let name = if matches!(*id, TypeId::NUMERIC | TypeId::NUMERICN) {
                "numeric"
            } else {
                "decimal"
            };
            format!("{name}({precision},{scale})")
        }
        TypeInfo::Date => "date".into(),
        TypeInfo::Time { id, scale } => {
            let name = match *id {
                TypeId::TIMEN => "time",
                TypeId::DATETIME2N => "datetime2",
                _ => "datetimeoffset",
            };
            format!("{name}({scale})")
        }
        TypeInfo::ShortLen { id, max, .. } => {
            let (name, unit) = match *id {
                TypeId::NVARCHAR => ("nvarchar", 2),
                TypeId::NCHAR => ("nchar", 2),
                TypeId::BIGVARCHR => ("varchar", 1),
                TypeId::BIGCHAR => ("char", 1),
                TypeId::BIGVARBIN => ("varbinary", 1),
                _ => ("binary", 1),
            };
            match *max {
                TypeInfo::MAX => format!("{name}(max)"),
                max => format!("{name}({})", max / unit),
            }
        }
        TypeInfo::LongLen { id, .. } => match *id {
            TypeId::TEXT => "text".into(),
            TypeId::NTEXT => "ntext".into(),
            _ => "image".into(),
        },
        TypeInfo::Variant { .. } => "sql_variant".into(),
        TypeInfo::Xml(_) => "xml".into(),
        other => format!("{other:?}"),
    }
}

fn fixed_name(id: TypeId, len: u8) -> String {
    match (id, len) {
        (TypeId::BITN | TypeId::BIT, _) => "bit",
        (TypeId::INTN | TypeId::INT1, 1) => "tinyint",
        (TypeId::INTN | TypeId::INT2, 2) => "smallint",
        (TypeId::INTN | TypeId::INT4, 4) => "int",
        (TypeId::INTN | TypeId::INT8, 8) => "bigint",
        (TypeId::FLTN | TypeId::FLT4, 4) => "real",
        (TypeId::FLTN | TypeId::FLT8, 8) => "float",
        (TypeId::MONEYN | TypeId::MONEY4, 4) => "smallmoney",
        (TypeId::MONEYN | TypeId::MONEY, 8) => "money",
        (TypeId::DATETIMN | TypeId::DATETIM4, 4) => "smalldatetime",
        (TypeId::DATETIMN | TypeId::DATETIME, 8) => "datetime",
        (TypeId::GUID, _) => "uniqueidentifier",
        other => return format!("{other:?}"),
    }
    .into()
}

fn short(id: TypeId, bytes: &[u8]) -> String {
    match fixed_name(id, u8::try_from(bytes.len()).unwrap()).as_str() {
        "bit" | "tinyint" => bytes[0].to_string(),
        "smallint" => i16::from_le_bytes(bytes.try_into().unwrap()).to_string(),
        "int" => i32::from_le_bytes(bytes.try_into().unwrap()).to_string(),
        "bigint" => i64::from_le_bytes(bytes.try_into().unwrap()).to_string(),
        "real" => float(f32::from_le_bytes(bytes.try_into().unwrap())),
        "float" => float(f64::from_le_bytes(bytes.try_into().unwrap())),
        "smallmoney" => money(i32::from_le_bytes(bytes.try_into().unwrap()).into()),
        // The halves of money stand in the order high, low.
        "money" => money(
            (i64::from(i32::from_le_bytes(bytes[..4].try_into().unwrap())) << 32)
                | i64::from(u32::from_le_bytes(bytes[4..].try_into().unwrap())),
        ),
        "smalldatetime" => {
            let day = since_1900(u16::from_le_bytes([bytes[0], bytes[1]]).into());
            let minutes = u16::from_le_bytes([bytes[2], bytes[3]]);
            format!("{day} {:02}:{:02}:00", minutes / 60, minutes % 60)
        }
        "datetime" => {
            let day = since_1900(i32::from_le_bytes(bytes[..4].try_into().unwrap()));
            let ticks = u64::from(u32::from_le_bytes(bytes[4..].try_into().unwrap()));
            let milliseconds = (ticks * 10 + 1) / 3;
            format!("{day} {}", clock(milliseconds, 3))
        }
        "uniqueidentifier" => {
            let id = uuid::Uuid::from_bytes_le(bytes.try_into().unwrap());
            id.hyphenated().to_string().to_uppercase()
        }
        _ => hexadecimal(bytes),
    }
}

/// As .NET prints it: the shortest digits that mean the same number, with an exponent below 1E-04
/// and from 1E+15.
fn float<F: Into<f64> + std::fmt::Display + std::fmt::LowerExp + Copy>(value: F) -> String {
    let size: f64 = value.into();
    let size = size.abs();
    if size == 0.0 || (1e-5..1e15).contains(&size) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}E{sign}{:02}", exponent.abs())
}

fn money(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let size = value.unsigned_abs();
    format!("{sign}{}.{:04}", size / 10_000, size % 10_000)
}

fn decimal(scale: u8, bytes: &[u8]) -> String {
    let mut wide = [0; 16];
    wide[..bytes.len() - 1].copy_from_slice(&bytes[1..]);
    let scale = usize::from(scale);
    let digits = format!("{:0>1$}", u128::from_le_bytes(wide), scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if bytes[0] == 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

fn time(id: TypeId, scale: u8, bytes: &[u8]) -> String {
    let units = |bytes: &[u8]| {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(wide)
    };
    match id {
        TypeId::TIMEN => clock(units(bytes), scale),
        TypeId::DATETIME2N => {
            let (time, date) = bytes.split_at(bytes.len() - 3);
            format!("{} {}", day(date), clock(units(time), scale))
        }
        _ => {
            let (time, rest) = bytes.split_at(bytes.len() - 5);
            let offset = i64::from(i16::from_le_bytes([rest[3], rest[4]]));
            // What is on the wire is UTC.
            let per_minute = 60 * 10i64.pow(scale.into());
            let local = i64::try_from(units(time)).unwrap() + offset * per_minute;
            let per_day = 24 * 60 * per_minute;
            let day = day(&rest[..3]) + Span::new().days(local.div_euclid(per_day));
            let time = u64::try_from(local.rem_euclid(per_day)).unwrap();
            let sign = if offset < 0 { '-' } else { '+' };
            let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
            format!("{day} {} {sign}{hours:02}:{minutes:02}", clock(time, scale))
        }
    }
}

/// A time of day in units of 10^-scale seconds.
fn clock(units: u64, scale: u8) -> String {
    let per_second = 10u64.pow(scale.into());
    let (seconds, fraction) = (units / per_second, units % per_second);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let text = format!("{hours:02}:{minutes:02}:{:02}", seconds % 60);
    match scale {
        0 => text,
        scale => format!("{text}.{fraction:0width$}", width = usize::from(scale)),
    }
}

fn day(bytes: &[u8]) -> Date {
    let days = i64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]));
    date(1, 1, 1) + Span::new().days(days)
}

fn since_1900(days: i32) -> Date {
    date(1900, 1, 1) + Span::new().days(days)
}

fn long(id: TypeId, collation: Option<Collation>, bytes: &[u8]) -> String {
    match id {
        TypeId::NVARCHAR | TypeId::NCHAR | TypeId::NTEXT => utf16(bytes),
        TypeId::BIGVARCHR | TypeId::BIGCHAR | TypeId::TEXT => {
            if collation.is_some_and(Collation::is_utf8) {
                String::from_utf8(bytes.to_vec()).unwrap()
            } else {
                bytes.iter().map(|byte| windows_1252(*byte)).collect()
            }
        }
        _ => hexadecimal(bytes),
    }
}

/// The value inside of a `sql_variant` (MS-TDS 2.2.5.5.4): base type, length of its properties,
/// properties, value.
fn variant(bytes: &[u8]) -> String {
    let (id, properties) = (TypeId(bytes[0]), usize::from(bytes[1]));
    let (properties, bytes) = bytes[2..].split_at(properties);
    match id {
        TypeId::DECIMALN | TypeId::NUMERICN => decimal(properties[1], bytes),
        TypeId::DATEN => day(bytes).to_string(),
        TypeId::TIMEN | TypeId::DATETIME2N | TypeId::DATETIMEOFFSETN => {
            time(id, properties[0], bytes)
        }
        TypeId::NVARCHAR
        | TypeId::NCHAR
        | TypeId::BIGVARCHR
        | TypeId::BIGCHAR
        | TypeId::BIGVARBIN
        | TypeId::BIGBINARY => long(id, None, bytes),
        _ => short(id, bytes),
    }
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    String::from_utf16(&units).unwrap()
}

fn windows_1252(byte: u8) -> char {
    /// 0x80 to 0x9F; the rest is Latin-1.
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9F => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("0x{digits}")
}
