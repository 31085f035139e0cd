//! What SQLite calls back: conversions, exact arithmetic, texts and dates as T-SQL has them.

mod aggregate;
mod date_making;
mod dates;
mod describe;
mod format;
mod hashes;
mod json;
mod md5;
mod more_numbers;
mod numbers;
mod odbc;
mod rows;
mod stamps;
mod statistics;
mod texts;
mod variants;
mod words;

pub(crate) use describe::facets;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value as Stored, ValueRef};

use super::error::{SqlError, SqlResult};
use super::planner::convert::truncated;
use super::types::{SqlType, Value, collate, convert, variant};

/// The identity values of the INSERT that runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    next: Arc<AtomicI64>,
    increment: Arc<AtomicI64>,
    /// Variables that a query changes row by row.
    cells: Arc<Mutex<Vec<Stored>>>,
}

impl Identity {
    /// Sets the first value to give out.
    pub(crate) fn begin(&self, next: i64, increment: i64) {
        self.next.store(next, Ordering::Relaxed);
        self.increment.store(increment, Ordering::Relaxed);
    }

    /// The value that would come next.
    pub(crate) fn peek(&self) -> i64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Sets the variables for a query.
    pub(crate) fn set_cells(&self, values: Vec<Stored>) {
        *self.lock() = values;
    }

    /// What a query has made of a variable.
    pub(crate) fn cell(&self, at: usize) -> Stored {
        self.lock().get(at).cloned().unwrap_or(Stored::Null)
    }

    fn set_cell(&self, at: usize, value: Stored) {
        if let Some(cell) = self.lock().get_mut(at) {
            *cell = value;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Stored>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> i64 {
        self.next
            .fetch_add(self.increment.load(Ordering::Relaxed), Ordering::Relaxed)
    }
}

/// Registers everything on a session's connection.
pub(crate) fn register(conn: &Connection) -> rusqlite::Result<Identity> {
    conn.create_collation(collate::TEXT, collate::compare)?;
    for rules in [collate::Rules::Cs, collate::Rules::Ai, collate::Rules::Bin] {
        conn.create_collation(rules.name(), move |a, b| rules.compare(a, b))?;
    }
    conn.create_collation(collate::DATETIMEOFFSET, collate::compare_datetimeoffset)?;
    conn.create_collation(collate::VARIANT, variant::compare_texts)?;
    scalar(conn, "t_cv", 4, |ctx| cast(ctx, false))?;
    scalar(conn, "t_try", 4, |ctx| cast(ctx, true))?;
    scalar(conn, "t_as", 5, store)?;
    scalar(conn, "t_one", 2, one)?;
    scalar(conn, "t_depth", 2, depth)?;
    numbers::register(conn)?;
    texts::register(conn)?;
    variants::register(conn)?;
    statistics::register(conn)?;
    stamps::register(conn)?;
    format::register(conn)?;
    words::register(conn)?;
    json::register(conn)?;
    hashes::register(conn)?;
    more_numbers::register(conn)?;
    dates::register(conn)?;
    date_making::register(conn)?;
    describe::register(conn)?;
    odbc::register(conn)?;
    aggregate::register(conn)?;
    let identity = Identity::default();
    let counter = identity.clone();
    rows::register(conn, &identity)?;
    conn.create_scalar_function("t_next", 0, FunctionFlags::SQLITE_UTF8, move |_| {
        Ok(counter.take())
    })?;
    conn.create_scalar_function("t_newid", 0, FunctionFlags::SQLITE_UTF8, |_| {
        Ok(Value::Guid(*uuid::Uuid::new_v4().as_bytes()).into_stored())
    })?;
    Ok(identity)
}

/// Registers a deterministic function.
fn scalar<F>(conn: &Connection, name: &str, arity: i32, function: F) -> rusqlite::Result<()>
where
    F: Fn(&Context<'_>) -> SqlResult<Stored> + Send + 'static,
{
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function(name, arity, flags, move |ctx| Ok(function(ctx)?))
}

fn is_null(ctx: &Context<'_>, at: usize) -> bool {
    matches!(ctx.get_raw(at), ValueRef::Null)
}

fn int(ctx: &Context<'_>, at: usize) -> SqlResult<i64> {
    match ctx.get_raw(at) {
        ValueRef::Integer(v) => Ok(v),
        _ => Err(SqlError::internal("a function got no integer")),
    }
}

fn text<'c>(ctx: &'c Context<'_>, at: usize) -> SqlResult<&'c str> {
    match ctx.get_raw(at) {
        ValueRef::Text(v) => {
            std::str::from_utf8(v).map_err(|_| SqlError::internal("a text is not UTF-8"))
        }
        _ => Err(SqlError::internal("a function got no text")),
    }
}

/// A value as it came.
fn owned(value: ValueRef<'_>) -> Stored {
    match value {
        ValueRef::Null => Stored::Null,
        ValueRef::Integer(v) => Stored::Integer(v),
        ValueRef::Real(v) => Stored::Real(v),
        ValueRef::Text(v) => Stored::Text(String::from_utf8_lossy(v).into_owned()),
        ValueRef::Blob(v) => Stored::Blob(v.to_vec()),
    }
}

fn type_at(ctx: &Context<'_>, at: usize) -> SqlResult<SqlType> {
    SqlType::from_code(int(ctx, at)?).ok_or_else(|| SqlError::internal("a type is unknown"))
}

fn value(ctx: &Context<'_>, at: usize, ty: SqlType) -> SqlResult<Value> {
    Value::from_stored(ctx.get_raw(at), ty)
        .ok_or_else(|| SqlError::internal(format!("a stored value is no {ty}")))
}

fn cast(ctx: &Context<'_>, try_: bool) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let (from, to) = (type_at(ctx, 1)?, type_at(ctx, 2)?);
    let style = if is_null(ctx, 3) {
        None
    } else {
        Some(int(ctx, 3)?)
    };
    match convert::cast(value(ctx, 0, from)?, from, to, style) {
        Ok(value) => Ok(value.into_stored()),
        Err(error) if try_ && !error.is_unsupported() => Ok(Stored::Null),
        Err(error) => Err(error),
    }
}

fn store(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let (from, to) = (type_at(ctx, 1)?, type_at(ctx, 2)?);
    let given = value(ctx, 0, from)?;
    convert::assign(given.clone(), from, to)
        .map(Value::into_stored)
        .map_err(|error| match error {
            Some(error) => error,
            None => {
                let shown = match convert::cast(given, from, to, None) {
                    Ok(Value::Text(cut)) => cut.trim_end().to_owned(),
                    _ => String::new(),
                };
                match (text(ctx, 3), text(ctx, 4)) {
                    (Ok(place), Ok(column)) => truncated(place, column, &shown),
                    _ => SqlError::internal("a column has no name"),
                }
            }
        })
}

/// A subquery that stands for a value may have one row.
fn one(ctx: &Context<'_>) -> SqlResult<Stored> {
    match int(ctx, 0)? {
        0 => Ok(Stored::Null),
        1 => Ok(owned(ctx.get_raw(1))),
        _ => Err(SqlError::new(
            512,
            "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, \
             <= , >, >= or when the subquery is used as an expression.",
        )),
    }
}

fn depth(ctx: &Context<'_>) -> SqlResult<Stored> {
    let (now, most) = (int(ctx, 0)?, int(ctx, 1)?);
    if most > 0 && now > most {
        return Err(SqlError::new(
            530,
            format!(
                "The statement terminated. The maximum recursion {most} has been exhausted before statement \
                 completion."
            ),
        ));
    }
    Ok(Stored::Integer(now))
}
