//! STDEV, STDEVP, VAR and VARP.

use std::collections::VecDeque;

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::{Value as Stored, ValueRef};

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    for (name, sample, root) in [
        ("t_stdev", true, true),
        ("t_stdevp", false, true),
        ("t_var", true, false),
        ("t_varp", false, false),
    ] {
        conn.create_window_function(name, 1, flags, Spread { sample, root })?;
    }
    Ok(())
}

/// How values spread about their mean.
struct Spread {
    /// Divide by one less than the count.
    sample: bool,
    root: bool,
}

type Values = VecDeque<f64>;

impl Spread {
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    fn result(&self, values: &Values) -> Stored {
        let count = values.len() as f64;
        let by = if self.sample { count - 1.0 } else { count };
        if by <= 0.0 {
            return Stored::Null;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        let variance = squares / by;
        Stored::Real(if self.root { variance.sqrt() } else { variance })
    }
}

impl Aggregate<Values, Stored> for Spread {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Values> {
        Ok(Values::new())
    }

    fn step(&self, ctx: &mut Context<'_>, values: &mut Values) -> rusqlite::Result<()> {
        if let ValueRef::Real(value) = ctx.get_raw(0) {
            values.push_back(value);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, values: Option<Values>) -> rusqlite::Result<Stored> {
        Ok(values.map_or(Stored::Null, |v| self.result(&v)))
    }
}

impl WindowAggregate<Values, Stored> for Spread {
    fn value(&self, values: Option<&mut Values>) -> rusqlite::Result<Stored> {
        Ok(values.map_or(Stored::Null, |v| self.result(v)))
    }

    /// A window loses its rows in the order in which it got them.
    fn inverse(&self, ctx: &mut Context<'_>, values: &mut Values) -> rusqlite::Result<()> {
        if let ValueRef::Real(_) = ctx.get_raw(0) {
            values.pop_front();
        }
        Ok(())
    }
}
