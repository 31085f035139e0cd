//! Functions that make dates of parts, cut them, or move them between offsets.

use sqlparser::ast::Expr;

use super::super::error::{SqlError, SqlResult};
use super::super::types::{MAX, SqlType, Value, datetime};
use super::dates::date_part;
use super::{Planner, Scope, Typed, refuse};

use SqlType as T;

impl Planner<'_> {
    pub(super) fn date_making_call(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<Typed>> {
        Ok(Some(match (name, args) {
            ("EOMONTH", [date, months @ ..]) if months.len() < 2 => {
                let date = self.date(date, scope)?;
                let mut sql = date.sql;
                if let Some(months) = months.first() {
                    let months = self.expr(months, scope)?;
                    let months = self.coerce(months, T::Int)?;
                    sql = format!("t_dateadd('month',{},{sql},{})", months.sql, date.ty.code());
                }
                Typed::new(format!("t_eomonth({sql},{})", date.ty.code()), T::Date)
            }
            ("DATETRUNC", [part, date]) => self.truncated(part, date, scope)?,
            ("DATE_BUCKET", [part, count, date, origin @ ..]) if origin.len() < 2 => {
                self.bucket(part, count, date, origin.first().copied(), scope)?
            }
            ("SWITCHOFFSET" | "TODATETIMEOFFSET", [date, offset]) => {
                self.moved(name, date, offset, scope)?
            }
            ("ISDATE", [value]) => self.is_date(value, scope)?,
            ("CURRENT_TIMEZONE", []) => Typed::constant(
                Value::Text("(UTC) Coordinated Universal Time".into()),
                T::VarChar(128),
            ),
            ("CURRENT_TIMEZONE_ID", []) => {
                Typed::constant(Value::Text("UTC".into()), T::VarChar(128))
            }
            _ => return self.parts_call(name, args, scope),
        }))
    }

    fn parts_call(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<Typed>> {
        let scaled = matches!(
            name,
            "TIMEFROMPARTS" | "DATETIME2FROMPARTS" | "DATETIMEOFFSETFROMPARTS"
        );
        let (args, scale) = match args.split_last() {
            Some((scale, rest)) if scaled => (rest, self.part_scale(scale, scope)?),
            _ => (args, 0),
        };
        let ty = match (name, args.len()) {
            ("DATEFROMPARTS", 3) => T::Date,
            ("DATETIMEFROMPARTS", 7) => T::DateTime,
            ("SMALLDATETIMEFROMPARTS", 5) => T::SmallDateTime,
            ("TIMEFROMPARTS", 4) => T::Time(scale),
            ("DATETIME2FROMPARTS", 7) => T::DateTime2(scale),
            ("DATETIMEOFFSETFROMPARTS", 9) => T::DateTimeOffset(scale),
            _ => return Ok(None),
        };
        let mut sql = format!("t_parts({}", ty.code());
        for arg in args {
            let value = self.expr(arg, scope)?;
            sql.push(',');
            sql.push_str(&self.coerce(value, T::Int)?.sql);
        }
        Ok(Some(Typed::new(sql + ")", ty)))
    }

    fn part_scale(&mut self, scale: &Expr, scope: &Scope<'_>) -> SqlResult<u8> {
        let scale = self.constant_int(scale, scope, "a precision")?;
        u8::try_from(scale).ok().filter(|s| *s <= 7).ok_or_else(|| {
            SqlError::new(1002, format!("Line 1: Specified scale {scale} is invalid.")).class(15)
        })
    }

    /// The date that a function cuts; texts are datetime2.
    fn truncated(&mut self, part: &Expr, date: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let part = date_part(part)?;
        let date = self.date(date, scope)?;
        let clock = matches!(
            part,
            "hour" | "minute" | "second" | "millisecond" | "microsecond"
        );
        let known = clock
            || matches!(
                part,
                "year" | "quarter" | "month" | "dayofyear" | "day" | "week" | "iso_week"
            );
        let fine = match date.ty {
            T::Date => !clock,
            T::Time(scale) => clock && fine_enough(part, scale),
            T::SmallDateTime => !matches!(part, "millisecond" | "microsecond"),
            T::DateTime => part != "microsecond",
            other => !clock || fine_enough(part, other.time_scale()),
        };
        if !known || !fine {
            return Err(not_for(part, "datetrunc", date.ty));
        }
        let first = self.state.settings.datefirst;
        Ok(Typed {
            nullable: date.nullable,
            ..Typed::new(
                format!(
                    "t_datetrunc('{part}',{},{},{first})",
                    date.sql,
                    date.ty.code()
                ),
                date.ty,
            )
        })
    }

    fn bucket(
        &mut self,
        part: &Expr,
        count: &Expr,
        date: &Expr,
        origin: Option<&Expr>,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let part = date_part(part)?;
        let date = self.date(date, scope)?;
        let clock = matches!(part, "hour" | "minute" | "second" | "millisecond");
        let known = clock || matches!(part, "year" | "quarter" | "month" | "week" | "day");
        let fits = match date.ty {
            T::Date => !clock,
            T::Time(_) => clock,
            _ => true,
        };
        if !known || !fits {
            return Err(not_for(part, "date_bucket", date.ty));
        }
        let count = self.expr(count, scope)?;
        let count = self.coerce(count, T::BigInt)?;
        let origin = match origin {
            Some(origin) => {
                let origin = self.expr(origin, scope)?;
                self.coerce(origin, date.ty)?
            }
            None => {
                let start = Typed::constant(
                    Value::DateTime(datetime::DAY_1900 * datetime::DAY),
                    T::DateTime2(7),
                );
                self.coerce(start, date.ty)?
            }
        };
        Ok(Typed::new(
            format!(
                "t_bucket('{part}',{},{},{},{})",
                count.sql,
                date.sql,
                origin.sql,
                date.ty.code()
            ),
            date.ty,
        ))
    }

    fn moved(
        &mut self,
        name: &str,
        date: &Expr,
        offset: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let date = self.expr(date, scope)?;
        let switch = name == "SWITCHOFFSET";
        let date = match date.ty {
            T::DateTimeOffset(_) => date,
            ty if ty.is_temporal() && !switch => date,
            _ if switch => self.coerce(date, T::DateTimeOffset(7))?,
            _ => self.coerce(date, T::DateTime2(7))?,
        };
        let offset = self.expr(offset, scope)?;
        if !offset.ty.is_text() && !offset.ty.is_integer() {
            return Err(refuse::argument(offset.ty, 2, name));
        }
        let scale = date.ty.time_scale();
        Ok(Typed::new(
            format!(
                "t_tooffset({},{},t_tz({}),{})",
                date.sql,
                date.ty.code(),
                offset.sql,
                i32::from(switch)
            ),
            T::DateTimeOffset(scale),
        ))
    }

    /// `AT TIME ZONE`: the only zone is UTC, since rules of others are not here.
    pub(super) fn at_time_zone(
        &mut self,
        value: &Expr,
        zone: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let date = self.expr(value, scope)?;
        let zone = self
            .constant_text(zone, scope, "AT TIME ZONE")?
            .unwrap_or_default();
        if !zone.trim().eq_ignore_ascii_case("UTC") {
            return Err(SqlError::unsupported(format!("AT TIME ZONE '{zone}'")));
        }
        let keep_instant = matches!(date.ty, T::DateTimeOffset(_));
        if !keep_instant && !matches!(date.ty, T::DateTime | T::SmallDateTime | T::DateTime2(_)) {
            return Err(refuse::argument(date.ty, 1, "AT TIME ZONE"));
        }
        let scale = date.ty.time_scale();
        Ok(Typed {
            nullable: date.nullable,
            ..Typed::new(
                format!(
                    "t_tooffset({},{},0,{})",
                    date.sql,
                    date.ty.code(),
                    i32::from(keep_instant)
                ),
                T::DateTimeOffset(scale),
            )
        })
    }

    fn is_date(&mut self, value: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let value = self.expr(value, scope)?;
        let sql = match value.ty {
            _ if value.is_null() => "0".to_owned(),
            T::DateTime | T::SmallDateTime => format!("({} IS NOT NULL)", value.sql),
            ty if ty.is_text() && !ty.is_old_lob() => {
                let text = self.cast(value, T::NVarChar(MAX), None, true, false)?;
                let date = self.cast(text, T::DateTime, None, true, true)?;
                format!("({} IS NOT NULL)", date.sql)
            }
            ty if ty.is_temporal() => return Err(refuse::argument(ty, 1, "isdate")),
            _ => return Err(SqlError::unsupported(format!("ISDATE of {}", value.ty))),
        };
        Ok(Typed::new(sql, T::Int).not_null())
    }

    /// The clock's reading of an offset, for DATEPART(tz).
    pub(super) fn zoned(&mut self, value: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let value = self.expr(value, scope)?;
        if value.ty.is_text() {
            return self.coerce(value, T::DateTimeOffset(7));
        }
        Ok(value)
    }
}

fn fine_enough(part: &str, scale: u8) -> bool {
    match part {
        "millisecond" => scale >= 3,
        "microsecond" => scale >= 6,
        _ => true,
    }
}

/// Error 9810.
pub(super) fn not_for(part: &str, function: &str, ty: SqlType) -> SqlError {
    SqlError::new(
        9810,
        format!(
            "The datepart {part} is not supported by date function {function} for data type {}.",
            ty.base_name()
        ),
    )
}
