//! Type names.

use sqlparser::tokenizer::Token;

use super::super::error::{SqlError, SqlResult};
use super::super::types::{MAX, SqlType};
use super::Reader;

impl Reader {
    /// A type with its facets. Character types without a length have one character.
    pub(crate) fn data_type(&mut self) -> SqlResult<SqlType> {
        self.sized_type(1)
    }

    /// CAST and CONVERT take 30 for a length that is not given.
    fn sized_type(&mut self, default_length: u16) -> SqlResult<SqlType> {
        let mut name = self.type_word()?;
        if name == "SYS" && self.eat_token(&Token::Period) {
            name = self.type_word()?;
        }
        if (name == "CHARACTER" || name == "CHAR" || name == "BINARY") && self.eat(&["VARYING"]) {
            name = if name == "BINARY" {
                "VARBINARY".into()
            } else {
                "VARCHAR".into()
            };
        }
        if name == "NATIONAL" {
            let _ = self.eat(&["CHARACTER"]) || self.eat(&["CHAR"]);
            name = if self.eat(&["VARYING"]) {
                "NVARCHAR".into()
            } else {
                "NCHAR".into()
            };
        }
        if name == "DOUBLE" {
            let _ = self.eat(&["PRECISION"]);
        }
        if name == "XML" && self.peek_token(&Token::LParen) {
            return Err(SqlError::unsupported("xml with a schema collection"));
        }
        let facets = self.facets()?;
        build(&name, &facets, default_length)
    }

    fn type_word(&mut self) -> SqlResult<String> {
        Ok(self
            .parser()
            .parse_identifier()
            .map_err(|e| self.mapped(&e))?
            .value
            .to_uppercase())
    }

    fn facets(&mut self) -> SqlResult<Vec<Option<i64>>> {
        if !self.peek_token(&Token::LParen) {
            return Ok(Vec::new());
        }
        self.in_parens(|r| {
            r.list(|r| {
                if r.eat(&["MAX"]) {
                    Ok(None)
                } else {
                    r.integer().map(Some)
                }
            })
        })
    }
}

/// Reads the type of a CAST, where a missing length means 30.
pub(crate) fn parse_for_cast(text: &str) -> SqlResult<SqlType> {
    Reader::new(text)?.sized_type(30)
}

/// Reads the type of a column, where a missing length means 1.
pub(crate) fn parse_for_column(text: &str) -> SqlResult<SqlType> {
    Reader::new(text)?.data_type()
}

fn build(name: &str, facets: &[Option<i64>], default_length: u16) -> SqlResult<SqlType> {
    use SqlType as T;
    let number = |at: usize| facets.get(at).copied().flatten();
    let length = |most: u16| text_length(name, facets, default_length, most);
    let scale = || time_scale(name, number(0));
    let plain = |ty| {
        if facets.is_empty() {
            Ok(ty)
        } else {
            Err(SqlError::new(
                2716,
                format!(
                    "Column, parameter, or variable: Cannot specify a column width on data type {}.",
                    name.to_lowercase()
                ),
            ))
        }
    };
    match name {
        "BIT" => plain(T::Bit),
        "TINYINT" => plain(T::TinyInt),
        "SMALLINT" => plain(T::SmallInt),
        "INT" | "INTEGER" => plain(T::Int),
        "BIGINT" => plain(T::BigInt),
        "REAL" => plain(T::Real),
        "FLOAT" | "DOUBLE" => match number(0).unwrap_or(53) {
            1..=24 => Ok(T::Real),
            25..=53 => Ok(T::Float),
            _ => Err(SqlError::new(
                2750,
                "Column or parameter: Specified column precision is greater than the maximum precision of 53.",
            )),
        },
        "DECIMAL" | "NUMERIC" | "DEC" => decimal(name == "NUMERIC", number(0), number(1)),
        "SMALLMONEY" => plain(T::SmallMoney),
        "MONEY" => plain(T::Money),
        "CHAR" | "CHARACTER" => length(8000).map(T::Char),
        "VARCHAR" => length(8000).map(T::VarChar),
        "NCHAR" => length(4000).map(T::NChar),
        "NVARCHAR" => length(4000).map(T::NVarChar),
        "BINARY" => length(8000).map(T::Binary),
        "VARBINARY" => length(8000).map(T::VarBinary),
        "SYSNAME" => plain(T::NVarChar(128)),
        "TEXT" => plain(T::Text),
        "NTEXT" => plain(T::NText),
        "IMAGE" => plain(T::Image),
        "SQL_VARIANT" => plain(T::Variant),
        "ROWVERSION" | "TIMESTAMP" => plain(T::RowVersion),
        "XML" => plain(T::Xml),
        "UNIQUEIDENTIFIER" => plain(T::UniqueIdentifier),
        "DATE" => plain(T::Date),
        "TIME" => scale().map(T::Time),
        "SMALLDATETIME" => plain(T::SmallDateTime),
        "DATETIME" => plain(T::DateTime),
        "DATETIME2" => scale().map(T::DateTime2),
        "DATETIMEOFFSET" => scale().map(T::DateTimeOffset),
        _ => Err(unknown(name)),
    }
}

/// The error for a type that is not here, or nowhere.
fn unknown(name: &str) -> SqlError {
    const REFUSED: &[&str] = &[
        "HIERARCHYID",
        "GEOMETRY",
        "GEOGRAPHY",
        "TABLE",
        "CURSOR",
        "JSON",
        "VECTOR",
    ];
    let shown = name.to_lowercase();
    if REFUSED.contains(&name) {
        return SqlError::unsupported(format!("data type {shown}"));
    }
    SqlError::new(
        2715,
        format!("Column, parameter, or variable: Cannot find data type {shown}."),
    )
    .state(6)
}

fn text_length(name: &str, facets: &[Option<i64>], default: u16, most: u16) -> SqlResult<u16> {
    let fixed = matches!(name, "CHAR" | "CHARACTER" | "NCHAR" | "BINARY");
    match facets {
        [] => Ok(default),
        [None] if !fixed => Ok(MAX),
        [Some(n)] => match u16::try_from(*n) {
            Ok(n) if (1..=most).contains(&n) => Ok(n),
            Ok(0) => Err(SqlError::new(
                1001,
                "Line 1: Length or precision specification 0 is invalid.",
            )
            .class(15)),
            _ => Err(SqlError::new(
                131,
                format!(
                    "The size ({n}) given to the type '{}' exceeds the maximum allowed ({most}).",
                    name.to_lowercase()
                ),
            )
            .class(15)),
        },
        _ => Err(SqlError::syntax_near(name.to_lowercase())),
    }
}

fn time_scale(name: &str, given: Option<i64>) -> SqlResult<u8> {
    match given.map_or(Ok(7), u8::try_from) {
        Ok(scale) if scale <= 7 => Ok(scale),
        _ => Err(SqlError::new(
            1002,
            format!(
                "Line 1: Specified scale for {} is invalid.",
                name.to_lowercase()
            ),
        )
        .class(15)),
    }
}

fn decimal(numeric: bool, precision: Option<i64>, scale: Option<i64>) -> SqlResult<SqlType> {
    let precision = precision.unwrap_or(18);
    let scale = scale.unwrap_or(0);
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(p), Ok(s)) if (1..=38).contains(&p) && s <= p => Ok(SqlType::Decimal {
            precision: p,
            scale: s,
            numeric,
        }),
        (Ok(1..=38), _) => Err(SqlError::new(
            192,
            "The scale must be less than or equal to the precision.",
        )
        .class(15)),
        _ => Err(SqlError::new(
            2750,
            format!(
                "Specified precision {precision} and scale {scale} of a decimal are not valid: 1 to 38 digits, and no more of them after the point."
            ),
        )),
    }
}
