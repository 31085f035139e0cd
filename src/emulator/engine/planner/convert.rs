//! Conversions in SQL: at plan time where the value is known, else by function, else not at all.

use super::super::catalogue::tables::Table;
use super::super::error::{SqlError, SqlResult};
use super::super::types::{self, MAX, SqlType, Storage, Value, allow, convert};
use super::{Planner, Typed, literal};

impl Planner<'_> {
    /// An implicit conversion inside an expression.
    pub(crate) fn coerce(&mut self, value: Typed, to: SqlType) -> SqlResult<Typed> {
        self.cast(value, to, None, false, false)
    }

    /// CAST, CONVERT and the TRY forms.
    pub(crate) fn cast(
        &mut self,
        value: Typed,
        to: SqlType,
        style: Option<i64>,
        explicit: bool,
        try_: bool,
    ) -> SqlResult<Typed> {
        if value.is_null() {
            return Ok(Typed::constant(Value::Null, to));
        }
        allow::allowed(value.ty, to, explicit)?;
        if style.is_none() && is_same(value.ty, to) {
            return Ok(Typed {
                ty: to,
                digits: None,
                ..value
            });
        }
        if let Some(known) = value.constant {
            match convert::cast(known, value.ty, to, style) {
                Ok(folded) => {
                    return Ok(Typed {
                        nullable: value.nullable || folded.is_null(),
                        ..Typed::constant(folded, to)
                    });
                }
                Err(error) if try_ && !error.is_unsupported() => {
                    return Ok(Typed::constant(Value::Null, to));
                }
                // The error belongs to the run, not to the plan: the branch may never be taken.
                Err(_) => {}
            }
        }
        let style = style.map_or_else(|| "NULL".to_owned(), |s| s.to_string());
        let name = if try_ { "t_try" } else { "t_cv" };
        let sql = format!(
            "{name}({},{},{},{style})",
            value.sql,
            value.ty.code(),
            to.code()
        );
        Ok(Typed {
            nullable: value.nullable || try_,
            ..Typed::new(sql, to)
        })
    }

    /// Both operands in their common type.
    pub(crate) fn unify(&mut self, a: Typed, b: Typed) -> SqlResult<(Typed, Typed, SqlType)> {
        let ty = match (a.is_null(), b.is_null()) {
            (true, false) => b.ty,
            (false, true) => a.ty,
            _ => types::common(a.ty, b.ty),
        };
        Ok((self.coerce(a, ty)?, self.coerce(b, ty)?, ty))
    }

    /// The common type of several values; NULL takes part only if there is nothing else.
    pub(crate) fn common_type(&self, values: &[Typed]) -> SqlType {
        values
            .iter()
            .filter(|v| !v.is_null())
            .map(|v| v.ty)
            .reduce(types::common)
            .unwrap_or(SqlType::NULL)
    }

    /// A value on its way into a column: length and NULL are checked with the column's name.
    pub(crate) fn store(
        &mut self,
        value: Typed,
        table: &Table,
        column: &super::super::catalogue::tables::Column,
    ) -> SqlResult<String> {
        let to = column.ty;
        if value.is_null() {
            return Ok("NULL".into());
        }
        allow::allowed(value.ty, to, false)?;
        if fits(value.ty, to) {
            return Ok(value.sql);
        }
        if let Some(Ok(known)) = value
            .constant
            .as_ref()
            .map(|known| convert::assign(known.clone(), value.ty, to))
        {
            return Ok(literal(&known));
        }
        let place = format!("{}.{}", self.state.database.name, table.shown());
        Ok(format!(
            "t_as({},{},{},{},{})",
            value.sql,
            value.ty.code(),
            to.code(),
            literal(&Value::Text(place)),
            literal(&Value::Text(column.name.clone()))
        ))
    }
}

/// Whether a value of the type is already a value of the other, bit for bit.
pub(crate) fn is_same(from: SqlType, to: SqlType) -> bool {
    use SqlType as T;
    if from == to {
        return true;
    }
    match (from, to) {
        (T::Char(_) | T::NChar(_), T::NChar(_) | T::Char(_)) => false,
        (_, T::Char(_) | T::NChar(_) | T::Binary(_)) => false,
        _ => fits(from, to),
    }
}

/// Whether every value of the type can be kept unchanged in the other.
fn fits(from: SqlType, to: SqlType) -> bool {
    use SqlType as T;
    if from == to {
        return true;
    }
    if from.storage() != to.storage() {
        return false;
    }
    match to.storage() {
        Storage::Int => match (from.int_range(), to.int_range()) {
            (Some((a, b)), Some((low, high))) => a >= low && b <= high && to != T::Bit,
            _ => false,
        },
        Storage::Float => to == T::Float,
        Storage::Decimal => match (from.digits(), to.digits()) {
            (Some((p, s)), Some((tp, ts))) => {
                s <= ts && p - s <= tp - ts && !(to.is_money() && !from.is_money() && p >= tp)
            }
            _ => false,
        },
        Storage::Text => {
            (to.is_unicode() || !from.is_unicode()) && variable(to) && shorter(from, to)
        }
        Storage::Bytes => variable(to) && shorter(from, to),
        Storage::DateTime => match (from, to) {
            (T::DateTime | T::SmallDateTime, T::DateTime2(7)) => true,
            (T::DateTime2(a), T::DateTime2(b)) => a <= b,
            (T::SmallDateTime, T::DateTime | T::DateTime2(_)) => true,
            _ => false,
        },
        Storage::Time | Storage::DateTimeOffset => from.time_scale() <= to.time_scale(),
        Storage::Guid | Storage::Date | Storage::Variant => true,
    }
}

fn variable(ty: SqlType) -> bool {
    matches!(
        ty,
        SqlType::VarChar(_)
            | SqlType::NVarChar(_)
            | SqlType::VarBinary(_)
            | SqlType::Text
            | SqlType::NText
            | SqlType::Image
    )
}

fn shorter(from: SqlType, to: SqlType) -> bool {
    match (from.length(), to.length()) {
        (_, Some(MAX)) => true,
        (Some(MAX), _) => false,
        (Some(a), Some(b)) => a <= b,
        _ => false,
    }
}

/// Error 2628: the value does not fit the column.
pub(crate) fn truncated(place: &str, column: &str, value: &str) -> SqlError {
    SqlError::new(
        2628,
        format!(
            "String or binary data would be truncated in table '{place}', column '{column}'. Truncated \
             value: '{value}'."
        ),
    )
}
