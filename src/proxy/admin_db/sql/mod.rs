//! The SQL of the admin database: text to statements, SELECTs over tables that
//! are handed in. Nothing here knows the proxy or the wire.

mod bind;
mod error;
mod eval;
mod expr;
mod functions;
mod like;
mod select;
mod statement;
#[cfg(test)]
mod tests;
mod value;

pub(super) use bind::{Param, Params};
pub(super) use error::SqlError;
pub(super) use functions::version;
pub(super) use select::{Prepared, Rows, constant};
pub(super) use statement::{Statement, parse, parse_declarations};
pub(super) use value::{Kind, convert, same_name};

use crate::tds::{Moment, Scalar};

/// A table as it is now.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
    pub(super) rows: Vec<Vec<Scalar>>,
}

/// What a SELECT reads.
pub(super) trait Tables {
    /// The table of that name; `schema` is `None` where the text names none.
    fn table(&self, schema: Option<&str>, name: &str) -> Option<Table>;
}

/// What functions and global variables answer from.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) id: i64,
    pub(super) login: String,
    pub(super) host: String,
    pub(super) application: String,
    pub(super) now: Moment,
    pub(super) open_transactions: i64,
    pub(super) last_rows: i64,
}

/// The database's name.
pub(super) const DATABASE: &str = "entrada";
/// The server's name.
pub(super) const SERVER: &str = "entrada";
