//! Functions of dates and times.

use sqlparser::ast::Expr;

use super::super::error::{SqlError, SqlResult};
use super::super::types::{SqlType, Value, datetime};
use super::date_making::not_for;
use super::{Planner, Scope, Typed, literal};

use SqlType as T;

impl Planner<'_> {
    pub(super) fn date_call(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<Typed>> {
        if let (Some(now), []) = (self.clock(name), args) {
            return Ok(Some(now));
        }
        Ok(Some(match (name, args) {
            ("DATEADD", [part, count, date]) => {
                let part = date_part(part)?;
                let count = self.expr(count, scope)?;
                let count = self.coerce(count, T::Int)?;
                let date = self.expr(date, scope)?;
                // Unlike other functions, this one takes texts for datetime.
                let date = if date.ty.is_temporal() {
                    date
                } else {
                    self.coerce(date, T::DateTime)?
                };
                if matches!(part, "iso_week" | "tzoffset") {
                    return Err(not_for(part, "dateadd", date.ty));
                }
                let ty = date.ty;
                Typed::new(
                    format!(
                        "t_dateadd('{part}',{},{},{})",
                        count.sql,
                        date.sql,
                        ty.code()
                    ),
                    ty,
                )
            }
            ("DATEDIFF" | "DATEDIFF_BIG", [part, from, to]) => {
                let part = date_part(part)?;
                let (from, to) = (self.date(from, scope)?, self.date(to, scope)?);
                if matches!(part, "iso_week" | "tzoffset") {
                    return Err(not_for(part, "datediff", from.ty));
                }
                let ty = if name == "DATEDIFF" {
                    T::Int
                } else {
                    T::BigInt
                };
                Typed::new(
                    format!(
                        "t_datediff('{part}',{},{},{},{},{})",
                        from.sql,
                        from.ty.code(),
                        to.sql,
                        to.ty.code(),
                        ty.code()
                    ),
                    ty,
                )
            }
            _ => return self.date_part_call(name, args, scope),
        }))
    }

    /// Parts of dates, and dates of parts.
    fn date_part_call(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<Typed>> {
        Ok(Some(match (name, args) {
            ("DATEPART" | "DATENAME", [part, date]) => {
                let part = date_part(part)?;
                self.part(name, part, date, scope)?
            }
            ("YEAR" | "MONTH" | "DAY", [date]) => {
                let part = match name {
                    "YEAR" => "year",
                    "MONTH" => "month",
                    _ => "day",
                };
                self.part("DATEPART", part, date, scope)?
            }
            _ => return self.date_making_call(name, args, scope),
        }))
    }

    fn part(&mut self, name: &str, part: &str, date: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let date = if part == "tzoffset" {
            self.zoned(date, scope)?
        } else {
            self.date(date, scope)?
        };
        check_part(name, part, date.ty)?;
        let first = self.state.settings.datefirst;
        let ty = if name == "DATENAME" {
            T::NVarChar(30)
        } else {
            T::Int
        };
        let function = if name == "DATENAME" {
            "t_datename"
        } else {
            "t_datepart"
        };
        Ok(Typed::new(
            format!(
                "{function}('{part}',{},{},{first})",
                date.sql,
                date.ty.code()
            ),
            ty,
        ))
    }

    /// A date argument; texts become datetime2, so that no digit is lost.
    pub(super) fn date(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let value = self.expr(expr, scope)?;
        if value.ty.is_temporal() {
            return Ok(value);
        }
        if value.ty.is_text() {
            return self.coerce(value, T::DateTime2(7));
        }
        self.coerce(value, T::DateTime)
    }

    /// The present moment, the same for a whole statement. The server's zone is UTC, as in Azure.
    fn clock(&self, name: &str) -> Option<Typed> {
        let (value, ty) = match name {
            "GETDATE" | "GETUTCDATE" | "CURRENT_TIMESTAMP" => (
                Value::DateTime(datetime::round_datetime(self.now)),
                T::DateTime,
            ),
            "SYSDATETIME" | "SYSUTCDATETIME" => (Value::DateTime(self.now), T::DateTime2(7)),
            "SYSDATETIMEOFFSET" => {
                let now = datetime::Offset {
                    utc: self.now,
                    minutes: 0,
                };
                (Value::DateTimeOffset(now), T::DateTimeOffset(7))
            }
            _ => return None,
        };
        Some(Typed::new(literal(&value), ty).not_null())
    }

    pub(super) fn current_timestamp(&self) -> Option<Typed> {
        self.clock("CURRENT_TIMESTAMP")
    }
}

/// DATEPART of what the type does not have.
fn check_part(name: &str, part: &str, ty: SqlType) -> SqlResult<()> {
    let clock = matches!(
        part,
        "hour" | "minute" | "second" | "millisecond" | "microsecond" | "nanosecond"
    );
    let fine = match ty {
        T::Date => !clock && part != "tzoffset",
        T::Time(_) => clock,
        T::DateTimeOffset(_) | T::DateTime2(_) => true,
        _ => part != "tzoffset",
    };
    if fine {
        return Ok(());
    }
    Err(not_for(part, &name.to_lowercase(), ty))
}

/// The long name of a date part.
pub(super) fn date_part(expr: &Expr) -> SqlResult<&'static str> {
    let Expr::Identifier(ident) = expr else {
        return Err(
            SqlError::new(1023, "Invalid parameter 1 specified for a date function.").class(15),
        );
    };
    Ok(match ident.value.to_lowercase().as_str() {
        "year" | "yy" | "yyyy" => "year",
        "quarter" | "qq" | "q" => "quarter",
        "month" | "mm" | "m" => "month",
        "dayofyear" | "dy" | "y" => "dayofyear",
        "day" | "dd" | "d" => "day",
        "week" | "wk" | "ww" => "week",
        "weekday" | "dw" | "w" => "weekday",
        "hour" | "hh" => "hour",
        "minute" | "mi" | "n" => "minute",
        "second" | "ss" | "s" => "second",
        "millisecond" | "ms" => "millisecond",
        "microsecond" | "mcs" => "microsecond",
        "nanosecond" | "ns" => "nanosecond",
        "tzoffset" | "tz" => "tzoffset",
        "iso_week" | "isowk" | "isoww" => "iso_week",
        other => {
            return Err(SqlError::new(
                155,
                format!("'{other}' is not a recognized datepart option."),
            )
            .class(15));
        }
    })
}
