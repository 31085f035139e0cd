//! Sums and averages of decimals, exact to the last digit.

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::{Value as Stored, ValueRef};

use super::super::error::{SqlError, SqlResult};
use super::super::types::decimal::numeric_overflow;
use super::super::types::{Decimal, SqlType, Value};
use super::{int, is_null, scalar, value};

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_window_function("t_sum", 1, flags, Sum)?;
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
    for scale in [4, 10, 20, 38] {
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
