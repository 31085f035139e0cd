//! Rows as values: packed for APPLY, and the variables that a query changes row by row.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value as Stored, ValueRef};

use super::super::error::{SqlError, SqlResult};
use super::{Identity, int, owned, scalar, text};

pub(super) fn register(conn: &Connection, cells: &Identity) -> rusqlite::Result<()> {
    scalar(conn, "t_pack", -1, pack)?;
    scalar(conn, "t_item", 2, item)?;
    scalar(conn, "t_some", 1, some)?;
    let flags = FunctionFlags::SQLITE_UTF8;
    let own = cells.clone();
    conn.create_scalar_function("t_get", 1, flags, move |ctx| Ok(own.cell(place(ctx)?)))?;
    let own = cells.clone();
    conn.create_scalar_function("t_set", 2, flags, move |ctx| {
        let value = owned(ctx.get_raw(1));
        own.set_cell(place(ctx)?, value.clone());
        Ok(value)
    })
}

fn place(ctx: &Context<'_>) -> SqlResult<usize> {
    usize::try_from(int(ctx, 0)?).map_err(|_| SqlError::internal("a variable has no place"))
}

/// A row as a text: each value with its kind's letter and its length.
fn pack(ctx: &Context<'_>) -> SqlResult<Stored> {
    let mut packed = String::new();
    for index in 0..ctx.len() {
        let (kind, body) = match ctx.get_raw(index) {
            ValueRef::Null => ('n', String::new()),
            ValueRef::Integer(v) => ('i', v.to_string()),
            ValueRef::Real(v) => ('r', v.to_bits().to_string()),
            ValueRef::Text(v) => ('t', String::from_utf8_lossy(v).into_owned()),
            ValueRef::Blob(v) => ('b', v.iter().map(|b| format!("{b:02x}")).collect()),
        };
        packed.push_str(&format!("{kind}{}:{body}", body.len()));
    }
    Ok(Stored::Text(packed))
}

fn item(ctx: &Context<'_>) -> SqlResult<Stored> {
    if matches!(ctx.get_raw(0), ValueRef::Null) {
        return Ok(Stored::Null);
    }
    let wanted = int(ctx, 1)?;
    unpack(text(ctx, 0)?, wanted).ok_or_else(|| SqlError::internal("a packed row is damaged"))
}

fn unpack(mut packed: &str, wanted: i64) -> Option<Stored> {
    let mut index = 0;
    loop {
        let (head, rest) = packed.split_once(':')?;
        let length: usize = head.get(1..)?.parse().ok()?;
        let body = rest.get(..length)?;
        if index == wanted {
            return Some(match head.get(..1)? {
                "n" => Stored::Null,
                "i" => Stored::Integer(body.parse().ok()?),
                "r" => Stored::Real(f64::from_bits(body.parse().ok()?)),
                "t" => Stored::Text(body.to_owned()),
                _ => Stored::Blob(super::super::types::convert::hex(body)?),
            });
        }
        packed = rest.get(length..)?;
        index += 1;
    }
}

/// Refuses the grand total of no rows.
fn some(ctx: &Context<'_>) -> SqlResult<Stored> {
    match int(ctx, 0)? {
        0 => Err(SqlError::unsupported(
            "the grand total of GROUP BY with ROLLUP, CUBE or GROUPING SETS over no rows",
        )),
        _ => Ok(Stored::Integer(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let conn = Connection::open_in_memory().unwrap();
        register(&conn, &Identity::default()).unwrap();
        let sql = "SELECT t_item(t_pack(NULL, -7, 0.1, 'a:1é', X'00ff', ''), ?1)";
        let mut statement = conn.prepare(sql).unwrap();
        let mut at = |n: i64| -> Stored { statement.query_row([n], |row| row.get(0)).unwrap() };
        assert_eq!(at(0), Stored::Null);
        assert_eq!(at(1), Stored::Integer(-7));
        assert_eq!(at(2), Stored::Real(0.1));
        assert_eq!(at(3), Stored::Text("a:1é".into()));
        assert_eq!(at(4), Stored::Blob(vec![0, 255]));
        assert_eq!(at(5), Stored::Text(String::new()));
    }
}
