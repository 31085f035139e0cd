//! Sums and averages of decimals, exact to the last digit.

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::{Value as Stored, ValueRef};

use super::super::error::{SqlError, SqlResult};
use super::super::types::decimal::numeric_overflow;
use super::super::types::{Decimal, SqlType, Value};
use super::{int, is_null, owned, scalar, text, type_at, value};

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_window_function("t_sum", 1, flags, Sum)?;
    conn.create_window_function("t_isum", 1, flags, WholeSum)?;
    scalar(conn, "t_fits", 2, fits)?;
    scalar(conn, "t_agglimit", 2, limit)?;
    scalar(conn, "t_avg", 3, average)
}

struct Sum;

/// The sum so far, and of how many values; a window may take values away again.
struct Total {
    sum: Decimal,
    count: i64,
}

impl Total {
    fn add(&mut self, value: ValueRef<'_>, sign: i64) -> SqlResult<()> {
        let ValueRef::Blob(bytes) = value else {
            return Ok(());
        };
        let value = Decimal::from_sortable(bytes)
            .ok_or_else(|| SqlError::internal("a sum of no decimals"))?;
        let value = if sign < 0 { value.negate() } else { value };
        self.sum = exact_add(self.sum, value)?;
        self.count += sign;
        Ok(())
    }

    fn result(&self) -> Stored {
        if self.count == 0 {
            Stored::Null
        } else {
            Value::Decimal(self.sum).into_stored()
        }
    }
}

/// Adds without rounding: the scale grows as needed.
fn exact_add(a: Decimal, b: Decimal) -> SqlResult<Decimal> {
    for scale in [0, 4, 10, 20, 38] {
        if let (Some(x), Some(y)) = (a.rescale(38, scale), b.rescale(38, scale))
            && x == a
            && y == b
        {
            return x.add(y, 38, scale);
        }
    }
    Err(numeric_overflow())
}

impl Aggregate<Total, Stored> for Sum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Total> {
        Ok(Total {
            sum: Decimal::ZERO,
            count: 0,
        })
    }

    fn step(&self, ctx: &mut Context<'_>, total: &mut Total) -> rusqlite::Result<()> {
        Ok(total.add(ctx.get_raw(0), 1)?)
    }

    fn finalize(&self, _: &mut Context<'_>, total: Option<Total>) -> rusqlite::Result<Stored> {
        Ok(total.map_or(Stored::Null, |t| t.result()))
    }
}

impl WindowAggregate<Total, Stored> for Sum {
    fn value(&self, total: Option<&mut Total>) -> rusqlite::Result<Stored> {
        Ok(total.map_or(Stored::Null, |t| t.result()))
    }

    fn inverse(&self, ctx: &mut Context<'_>, total: &mut Total) -> rusqlite::Result<()> {
        Ok(total.add(ctx.get_raw(0), -1)?)
    }
}

/// Sums of integers; the sum of 64-bit ones may be too large.
struct WholeSum;

#[derive(Default)]
struct Whole {
    sum: i128,
    count: i64,
}

impl Whole {
    fn add(&mut self, value: ValueRef<'_>, sign: i64) {
        if let ValueRef::Integer(value) = value {
            self.sum += i128::from(value) * i128::from(sign);
            self.count += sign;
        }
    }

    fn result(&self) -> SqlResult<Stored> {
        if self.count == 0 {
            return Ok(Stored::Null);
        }
        i64::try_from(self.sum)
            .map(Stored::Integer)
            .map_err(|_| SqlError::overflow("bigint"))
    }
}

impl Aggregate<Whole, Stored> for WholeSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Whole> {
        Ok(Whole::default())
    }

    fn step(&self, ctx: &mut Context<'_>, total: &mut Whole) -> rusqlite::Result<()> {
        total.add(ctx.get_raw(0), 1);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, total: Option<Whole>) -> rusqlite::Result<Stored> {
        Ok(total.unwrap_or_default().result()?)
    }
}

impl WindowAggregate<Whole, Stored> for WholeSum {
    fn value(&self, total: Option<&mut Whole>) -> rusqlite::Result<Stored> {
        Ok(total.map_or(Ok(Stored::Null), |t| t.result())?)
    }

    fn inverse(&self, ctx: &mut Context<'_>, total: &mut Whole) -> rusqlite::Result<()> {
        total.add(ctx.get_raw(0), -1);
        Ok(())
    }
}

/// A sum that its type can hold.
fn fits(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let ty = type_at(ctx, 1)?;
    let Value::Decimal(sum) = value(ctx, 0, SqlType::Money)? else {
        return Err(SqlError::internal("a sum is no decimal"));
    };
    let (precision, scale) = match ty {
        SqlType::Money => (38, 4),
        other => other.digits().unwrap_or((38, 0)),
    };
    let fits = sum
        .rescale(precision, scale)
        .filter(|sum| ty != SqlType::Money || i64::try_from(sum.mantissa()).is_ok());
    match fits {
        Some(sum) => Ok(Value::Decimal(sum).into_stored()),
        None if ty == SqlType::Money => Err(SqlError::overflow("money")),
        None => Err(numeric_overflow()),
    }
}

/// The plain types of `STRING_AGG` have a limit, which is an error to exceed.
fn limit(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let most = int(ctx, 1)?;
    let units = text(ctx, 0)?.encode_utf16().count();
    if i64::try_from(units).is_ok_and(|units| units <= most) {
        return Ok(owned(ctx.get_raw(0)));
    }
    Err(SqlError::new(
        9829,
        "STRING_AGG aggregation result exceeded the limit of 8000 bytes. Use LOB types to avoid result \
         truncation.",
    ))
}

fn average(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let Value::Decimal(sum) = value(ctx, 0, SqlType::Money)? else {
        return Ok(Stored::Null);
    };
    let scale = u8::try_from(int(ctx, 2)?).unwrap_or(0);
    let average = sum.div(Decimal::from_int(int(ctx, 1)?), 38, scale)?;
    Ok(Value::Decimal(average).into_stored())
}
