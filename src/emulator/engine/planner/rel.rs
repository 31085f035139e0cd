//! What a planned query is.

use super::super::error::{SqlError, SqlResult};
use super::Output;

/// A planned query: its SQL has the columns c1, c2 and so on.
#[derive(Clone, Debug)]
pub(crate) struct Rel {
    pub(crate) sql: String,
    pub(crate) columns: Vec<Output>,
    /// Variables that take the columns' values, for `SELECT @x = …`.
    pub(crate) assigns: Vec<String>,
}

impl Rel {
    pub(crate) fn new(sql: String, columns: Vec<Output>, assigns: Vec<String>) -> Self {
        Self {
            sql,
            columns,
            assigns,
        }
    }

    /// The column of a subquery that stands for a value.
    pub(crate) fn only_column(&self) -> SqlResult<&Output> {
        let [column] = self.columns.as_slice() else {
            return Err(SqlError::new(
                116,
                "Only one expression can be specified in the select list when the subquery is not \
                 introduced with EXISTS.",
            ));
        };
        Ok(column)
    }

    /// Whether a column has nothing but NULL constants.
    pub(crate) fn is_all_null(&self, index: usize) -> bool {
        self.columns.get(index).is_some_and(|c| c.all_null)
    }
}
