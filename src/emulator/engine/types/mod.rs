//! T-SQL types: what the catalogue keeps, the planner infers and the wire shows.

pub(crate) mod allow;
mod bytes;
pub(crate) mod codepage;
pub(crate) mod collate;
pub(crate) mod convert;
pub(crate) mod date_text;
pub(crate) mod datetime;
pub(crate) mod decimal;
pub(crate) mod float;
pub(crate) mod json;
pub(crate) mod like;
pub(crate) mod style;
mod temporal;
pub(crate) mod value;
pub(crate) mod variant;
pub(crate) mod xml;
mod xml_reader;

use std::fmt;

pub(crate) use decimal::Decimal;
pub(crate) use value::Value;

/// The length of a `(max)` type.
pub(crate) const MAX: u16 = u16::MAX;

/// A T-SQL type with its facets. Lengths are in bytes for `char` and binary types and in UTF-16
/// units for `nchar`; [`MAX`] stands for `(max)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SqlType {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Real,
    Float,
    /// decimal and numeric, which differ in nothing but the name.
    Decimal {
        precision: u8,
        scale: u8,
        numeric: bool,
    },
    SmallMoney,
    Money,
    Char(u16),
    VarChar(u16),
    NChar(u16),
    NVarChar(u16),
    Binary(u16),
    VarBinary(u16),
    UniqueIdentifier,
    Date,
    Time(u8),
    SmallDateTime,
    DateTime,
    DateTime2(u8),
    DateTimeOffset(u8),
    Text,
    NText,
    Image,
    /// A value of any of the other types but the large ones, with its type.
    Variant,
    /// Eight bytes that the database counts up.
    RowVersion,
    /// Well-formed XML without a schema; comes and goes as text.
    Xml,
}

/// How values of a type are kept in SQLite. Values of equal class compare and sort natively.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// INTEGER
    Int,
    /// REAL
    Float,
    /// BLOB, sortable (see [`Decimal::to_sortable`])
    Decimal,
    /// TEXT, compared by the collation
    Text,
    /// BLOB
    Bytes,
    /// BLOB of 16 bytes, permuted so that it sorts as SQL Server sorts
    Guid,
    /// INTEGER, days since 0001-01-01
    Date,
    /// INTEGER, 100 ns since midnight
    Time,
    /// INTEGER, 100 ns since 0001-01-01
    DateTime,
    /// TEXT: 19 digits of UTC ticks, then the offset in minutes
    DateTimeOffset,
    /// TEXT: the type's code and the value (see [`variant`])
    Variant,
}

use SqlType as T;

impl SqlType {
    /// The type of a `NULL` that says nothing else.
    pub(crate) const NULL: Self = T::Int;

    pub(crate) fn storage(self) -> Storage {
        match self {
            T::Bit | T::TinyInt | T::SmallInt | T::Int | T::BigInt => Storage::Int,
            T::Real | T::Float => Storage::Float,
            T::Decimal { .. } | T::SmallMoney | T::Money => Storage::Decimal,
            T::Char(_)
            | T::VarChar(_)
            | T::NChar(_)
            | T::NVarChar(_)
            | T::Text
            | T::NText
            | T::Xml => Storage::Text,
            T::Binary(_) | T::VarBinary(_) | T::Image | T::RowVersion => Storage::Bytes,
            T::Variant => Storage::Variant,
            T::UniqueIdentifier => Storage::Guid,
            T::Date => Storage::Date,
            T::Time(_) => Storage::Time,
            T::SmallDateTime | T::DateTime | T::DateTime2(_) => Storage::DateTime,
            T::DateTimeOffset(_) => Storage::DateTimeOffset,
        }
    }

    /// The SQLite collation that comparisons of this type need.
    pub(crate) fn collation(self) -> Option<&'static str> {
        match self.storage() {
            Storage::Text => Some(collate::TEXT),
            Storage::DateTimeOffset => Some(collate::DATETIMEOFFSET),
            Storage::Variant => Some(collate::VARIANT),
            _ => None,
        }
    }

    /// The character types; xml, although kept as text, is none.
    pub(crate) fn is_text(self) -> bool {
        self.storage() == Storage::Text && self != T::Xml
    }

    pub(crate) fn is_unicode(self) -> bool {
        matches!(self, T::NChar(_) | T::NVarChar(_) | T::NText | T::Xml)
    }

    /// text, ntext and image, which nearly nothing can be done with.
    pub(crate) fn is_old_lob(self) -> bool {
        matches!(self, T::Text | T::NText | T::Image)
    }

    pub(crate) fn is_binary(self) -> bool {
        self.storage() == Storage::Bytes
    }

    pub(crate) fn is_integer(self) -> bool {
        self.storage() == Storage::Int
    }

    pub(crate) fn is_float(self) -> bool {
        self.storage() == Storage::Float
    }

    pub(crate) fn is_money(self) -> bool {
        matches!(self, T::Money | T::SmallMoney)
    }

    pub(crate) fn is_exact_numeric(self) -> bool {
        matches!(self.storage(), Storage::Int | Storage::Decimal)
    }

    pub(crate) fn is_numeric(self) -> bool {
        self.is_exact_numeric() || self.is_float()
    }

    pub(crate) fn is_temporal(self) -> bool {
        matches!(
            self.storage(),
            Storage::Date | Storage::Time | Storage::DateTime | Storage::DateTimeOffset
        )
    }

    /// Length facet of character and binary types.
    pub(crate) fn length(self) -> Option<u16> {
        match self {
            T::Char(n)
            | T::VarChar(n)
            | T::NChar(n)
            | T::NVarChar(n)
            | T::Binary(n)
            | T::VarBinary(n) => Some(n),
            T::Text | T::NText | T::Image | T::Xml => Some(MAX),
            T::RowVersion => Some(8),
            _ => None,
        }
    }

    /// Precision and scale of an exact number.
    pub(crate) fn digits(self) -> Option<(u8, u8)> {
        Some(match self {
            T::Bit => (1, 0),
            T::TinyInt => (3, 0),
            T::SmallInt => (5, 0),
            T::Int => (10, 0),
            T::BigInt => (19, 0),
            T::SmallMoney => (10, 4),
            T::Money => (19, 4),
            T::Decimal {
                precision, scale, ..
            } => (precision, scale),
            _ => return None,
        })
    }

    /// Inclusive range of an integer type.
    pub(crate) fn int_range(self) -> Option<(i64, i64)> {
        Some(match self {
            T::Bit => (0, 1),
            T::TinyInt => (0, 255),
            T::SmallInt => (i16::MIN.into(), i16::MAX.into()),
            T::Int => (i32::MIN.into(), i32::MAX.into()),
            T::BigInt => (i64::MIN, i64::MAX),
            _ => return None,
        })
    }

    /// Fractional seconds digits of a temporal type.
    pub(crate) fn time_scale(self) -> u8 {
        match self {
            T::Time(s) | T::DateTime2(s) | T::DateTimeOffset(s) => s,
            T::DateTime => 3,
            _ => 0,
        }
    }

    /// Data type precedence: of two operands the lower is converted to the higher.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            T::Binary(_) => 1,
            T::VarBinary(_) => 2,
            T::Char(_) => 3,
            T::VarChar(_) => 4,
            T::NChar(_) => 5,
            T::NVarChar(_) => 6,
            T::UniqueIdentifier => 7,
            T::RowVersion => 8,
            T::Image => 9,
            T::Text => 10,
            T::NText => 11,
            T::Bit => 12,
            T::TinyInt => 13,
            T::SmallInt => 14,
            T::Int => 15,
            T::BigInt => 16,
            T::SmallMoney => 17,
            T::Money => 18,
            T::Decimal { .. } => 19,
            T::Real => 20,
            T::Float => 21,
            T::Time(_) => 22,
            T::Date => 23,
            T::SmallDateTime => 24,
            T::DateTime => 25,
            T::DateTime2(_) => 26,
            T::DateTimeOffset(_) => 27,
            T::Xml => 28,
            T::Variant => 29,
        }
    }

    /// The type's name without facets.
    pub(crate) fn base_name(self) -> &'static str {
        match self {
            T::Bit => "bit",
            T::TinyInt => "tinyint",
            T::SmallInt => "smallint",
            T::Int => "int",
            T::BigInt => "bigint",
            T::Real => "real",
            T::Float => "float",
            T::Decimal { numeric: false, .. } => "decimal",
            T::Decimal { numeric: true, .. } => "numeric",
            T::SmallMoney => "smallmoney",
            T::Money => "money",
            T::Char(_) => "char",
            T::VarChar(_) => "varchar",
            T::NChar(_) => "nchar",
            T::NVarChar(_) => "nvarchar",
            T::Binary(_) => "binary",
            T::VarBinary(_) => "varbinary",
            T::UniqueIdentifier => "uniqueidentifier",
            T::Date => "date",
            T::Time(_) => "time",
            T::SmallDateTime => "smalldatetime",
            T::DateTime => "datetime",
            T::DateTime2(_) => "datetime2",
            T::DateTimeOffset(_) => "datetimeoffset",
            T::Text => "text",
            T::NText => "ntext",
            T::Image => "image",
            T::Variant => "sql_variant",
            T::RowVersion => "timestamp",
            T::Xml => "xml",
        }
    }

    /// One integer that holds the type, for SQLite functions and the catalogue.
    pub(crate) fn code(self) -> i64 {
        let (kind, a, b) = match self {
            T::Bit => (1, 0, 0),
            T::TinyInt => (2, 0, 0),
            T::SmallInt => (3, 0, 0),
            T::Int => (4, 0, 0),
            T::BigInt => (5, 0, 0),
            T::Real => (6, 0, 0),
            T::Float => (7, 0, 0),
            T::Decimal {
                precision,
                scale,
                numeric,
            } => {
                let kind = if numeric { 29 } else { 8 };
                (kind, i64::from(precision), i64::from(scale))
            }
            T::SmallMoney => (9, 0, 0),
            T::Money => (10, 0, 0),
            T::Char(n) => (11, i64::from(n), 0),
            T::VarChar(n) => (12, i64::from(n), 0),
            T::NChar(n) => (13, i64::from(n), 0),
            T::NVarChar(n) => (14, i64::from(n), 0),
            T::Binary(n) => (15, i64::from(n), 0),
            T::VarBinary(n) => (16, i64::from(n), 0),
            T::UniqueIdentifier => (17, 0, 0),
            T::Date => (18, 0, 0),
            T::Time(s) => (19, 0, i64::from(s)),
            T::SmallDateTime => (20, 0, 0),
            T::DateTime => (21, 0, 0),
            T::DateTime2(s) => (22, 0, i64::from(s)),
            T::DateTimeOffset(s) => (23, 0, i64::from(s)),
            T::Text => (24, 0, 0),
            T::NText => (25, 0, 0),
            T::Image => (26, 0, 0),
            T::Variant => (27, 0, 0),
            T::RowVersion => (28, 0, 0),
            T::Xml => (30, 0, 0),
        };
        kind | (a << 8) | (b << 24)
    }

    /// Reads [`code`](Self::code).
    pub(crate) fn from_code(code: i64) -> Option<Self> {
        let n = u16::try_from((code >> 8) & 0xFFFF).ok()?;
        let s = u8::try_from((code >> 24) & 0xFF).ok()?;
        Some(match code & 0xFF {
            1 => T::Bit,
            2 => T::TinyInt,
            3 => T::SmallInt,
            4 => T::Int,
            5 => T::BigInt,
            6 => T::Real,
            7 => T::Float,
            kind @ (8 | 29) => T::Decimal {
                precision: u8::try_from(n).ok()?,
                scale: s,
                numeric: kind == 29,
            },
            9 => T::SmallMoney,
            10 => T::Money,
            11 => T::Char(n),
            12 => T::VarChar(n),
            13 => T::NChar(n),
            14 => T::NVarChar(n),
            15 => T::Binary(n),
            16 => T::VarBinary(n),
            17 => T::UniqueIdentifier,
            18 => T::Date,
            19 => T::Time(s),
            20 => T::SmallDateTime,
            21 => T::DateTime,
            22 => T::DateTime2(s),
            23 => T::DateTimeOffset(s),
            24 => T::Text,
            25 => T::NText,
            26 => T::Image,
            27 => T::Variant,
            28 => T::RowVersion,
            30 => T::Xml,
            _ => return None,
        })
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base_name())?;
        match *self {
            T::Decimal {
                precision, scale, ..
            } => write!(f, "({precision},{scale})"),
            T::Time(s) | T::DateTime2(s) | T::DateTimeOffset(s) => write!(f, "({s})"),
            T::Text | T::NText | T::Image | T::RowVersion | T::Xml => Ok(()),
            other => match other.length() {
                Some(MAX) => f.write_str("(max)"),
                Some(n) => write!(f, "({n})"),
                None => Ok(()),
            },
        }
    }
}

/// The type of a value that may be either (CASE, UNION, COALESCE, comparison).
pub(crate) fn common(a: SqlType, b: SqlType) -> SqlType {
    let (low, high) = if a.precedence() <= b.precedence() {
        (a, b)
    } else {
        (b, a)
    };
    match high {
        T::Decimal { .. } => match (low.digits(), high.digits()) {
            (Some(one), Some(other)) => wider_decimal(one, other, is_numeric_type(a, b)),
            _ => high,
        },
        T::VarBinary(n) | T::Binary(n) => match low.length() {
            Some(m) if matches!(high, T::VarBinary(_)) => T::VarBinary(n.max(m)),
            Some(m) => T::Binary(n.max(m)),
            None => high,
        },
        T::Char(_) | T::VarChar(_) | T::NChar(_) | T::NVarChar(_) => wider_text(low, high),
        T::Time(s) => T::Time(s.max(low.time_scale())),
        T::DateTime2(s) => T::DateTime2(s.max(low.time_scale().min(7))),
        T::DateTimeOffset(s) => T::DateTimeOffset(s.max(low.time_scale())),
        _ => high,
    }
}

/// Whether two operands make a numeric: of decimal and numeric the latter wins.
pub(crate) fn is_numeric_type(a: SqlType, b: SqlType) -> bool {
    [a, b]
        .iter()
        .any(|ty| matches!(ty, T::Decimal { numeric: true, .. }))
}

fn wider_decimal((p1, s1): (u8, u8), (p2, s2): (u8, u8), numeric: bool) -> SqlType {
    let scale = s1.max(s2);
    let whole = (p1 - s1).max(p2 - s2);
    let precision = (whole + scale).min(decimal::MAX_PRECISION);
    T::Decimal {
        precision,
        scale: scale.min(precision - whole.min(precision)),
        numeric,
    }
}

fn wider_text(low: SqlType, high: SqlType) -> SqlType {
    let n = high.length().unwrap_or(MAX).max(low.length().unwrap_or(0));
    match high {
        T::Char(_) if low == high => high,
        T::NChar(_) if matches!(low, T::NChar(_)) => T::NChar(n),
        T::Char(_) if matches!(low, T::Char(_)) => T::Char(n),
        T::NChar(_) | T::NVarChar(_) => T::NVarChar(limit_text(n, true)),
        _ => T::VarChar(limit_text(n, false)),
    }
}

/// Lengths above the limit of the plain type become `(max)`.
pub(crate) fn limit_text(n: u16, unicode: bool) -> u16 {
    let most = if unicode { 4000 } else { 8000 };
    if n > most { MAX } else { n.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_survives_its_code() {
        for ty in [
            T::Bit,
            T::Decimal {
                precision: 38,
                scale: 38,
                numeric: false,
            },
            T::Decimal {
                precision: 1,
                scale: 0,
                numeric: true,
            },
            T::NVarChar(MAX),
            T::Char(8000),
            T::DateTimeOffset(7),
            T::Time(0),
            T::Xml,
        ] {
            assert_eq!(SqlType::from_code(ty.code()), Some(ty));
        }
    }

    #[test]
    fn the_common_type_holds_both() {
        assert_eq!(
            common(
                T::Int,
                T::Decimal {
                    precision: 5,
                    scale: 2,
                    numeric: false,
                }
            )
            .to_string(),
            "decimal(12,2)"
        );
        assert_eq!(common(T::VarChar(3), T::NVarChar(2)), T::NVarChar(3));
        assert_eq!(common(T::VarChar(3), T::Int), T::Int);
        assert_eq!(common(T::Date, T::DateTime2(3)), T::DateTime2(3));
    }
}
