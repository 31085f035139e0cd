//! A statement that changes rows, in the steps that SQLite needs for it.

use super::super::catalogue::tables::{QualifiedName, Table, quote};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::Output as OutputClause;
use super::super::types::SqlType;
use super::from::table_columns;
use super::rel::Rel;
use super::{Output, Planner, Scope, Source};
use sqlparser::ast::{Expr, Function, Query, SelectItem, SelectItemQualifiedWildcardKind};

/// The session's table for rows on their way through a statement.
pub(crate) const WORK: &str = "temp.\"~work\"";

/// What happens to rows, in SQLite's SQL.
pub(crate) struct Change {
    pub(crate) table: Table,
    /// INSERT, UPDATE or DELETE.
    pub(crate) verb: &'static str,
    /// Columns of [`WORK`]; none if the statement does not need it.
    pub(crate) work: Vec<String>,
    /// Fills [`WORK`] with the rows that will change.
    pub(crate) gather: Option<String>,
    /// Changes the table; empty if no column is set.
    pub(crate) sql: String,
    /// The statement returns the new rows, which go to [`WORK`].
    pub(crate) returning: bool,
    /// OUTPUT clauses.
    pub(crate) outputs: Vec<Returned>,
    /// Variables that take the values of columns of [`WORK`].
    pub(crate) assigns: Vec<Assigned>,
    /// A variable is read and assigned: the order of the rows would matter.
    pub(crate) sequential: bool,
    /// Counts the rows that will change, if there is no [`WORK`] that tells.
    pub(crate) counts: Option<String>,
    /// INSERT: identity values are made by the engine.
    pub(crate) identity: Option<(i64, i64)>,
    /// INSERT: identity values are given; the column's SQL name.
    pub(crate) explicit_identity: Option<String>,
}

/// An OUTPUT clause.
pub(crate) struct Returned {
    pub(crate) sql: String,
    pub(crate) columns: Vec<Output>,
    /// OUTPUT … INTO.
    pub(crate) into: Option<Box<Change>>,
}

/// A variable of UPDATE … SET @v = ….
pub(crate) struct Assigned {
    pub(crate) variable: String,
    /// Column of [`WORK`].
    pub(crate) column: String,
    pub(crate) ty: SqlType,
}

impl Change {
    pub(crate) fn new(table: Table, verb: &'static str, sql: String) -> Self {
        Self {
            table,
            verb,
            work: Vec::new(),
            gather: None,
            sql,
            returning: false,
            outputs: Vec::new(),
            assigns: Vec::new(),
            sequential: false,
            counts: None,
            identity: None,
            explicit_identity: None,
        }
    }
}

impl Planner<'_> {
    /// Plans OUTPUT clauses over [`WORK`], which is called `s`.
    pub(super) fn returned(
        &mut self,
        clauses: &[OutputClause],
        scope: &Scope<'_>,
        from: &str,
    ) -> SqlResult<Vec<Returned>> {
        let mut returned = Vec::new();
        for clause in clauses {
            clause.items.iter().try_for_each(check_item)?;
            let (items, columns) = self.output_items(&clause.items, scope)?;
            let list: Vec<String> = items
                .iter()
                .enumerate()
                .map(|(index, item)| format!("{item} AS c{}", index + 1))
                .collect();
            let sql = format!("SELECT {} FROM {from} ORDER BY s.rowid", list.join(","));
            let into = match &clause.into {
                None => None,
                Some((name, names)) => {
                    let table = self.table(&QualifiedName::of(name)?, "INSERT")?;
                    if table.is_view {
                        return Err(SqlError::unsupported("OUTPUT INTO a view"));
                    }
                    let rel = Rel {
                        sql: sql.clone(),
                        columns: columns.clone(),
                        assigns: Vec::new(),
                    };
                    Some(Box::new(self.insert_rows(table, names, Some(rel), "")?))
                }
            };
            returned.push(Returned { sql, columns, into });
        }
        Ok(returned)
    }
}

/// INSERTED or DELETED, whose columns are found under the alias by the given names.
pub(super) fn pseudo_table(
    table: &Table,
    name: &str,
    alias: &str,
    column: impl Fn(usize, &str) -> String,
) -> Source {
    let mut columns = table_columns(table);
    for (index, entry) in columns.iter_mut().enumerate() {
        entry.sql = column(index, &entry.name);
    }
    Source {
        exposed: name.to_owned(),
        schema: None,
        alias: alias.to_owned(),
        columns,
        guard: None,
    }
}

/// Columns of the changed table itself.
pub(super) fn own_column(_: usize, name: &str) -> String {
    quote(name)
}

/// OUTPUT knows columns with a prefix only, and neither subqueries nor aggregates.
fn check_item(item: &SelectItem) -> SqlResult<()> {
    use sqlparser::ast::{Visit, Visitor};
    use std::ops::ControlFlow;
    struct Search;
    impl Visitor for Search {
        type Break = SqlError;
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<SqlError> {
            ControlFlow::Break(
                SqlError::new(10705, "Subqueries are not allowed in the OUTPUT clause.").class(15),
            )
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<SqlError> {
            match expr {
                Expr::Identifier(name)
                    if name.quote_style.is_some() || !name.value.starts_with('@') =>
                {
                    let niladic = [
                        "CURRENT_TIMESTAMP",
                        "CURRENT_USER",
                        "SESSION_USER",
                        "SYSTEM_USER",
                        "USER",
                    ];
                    if name.quote_style.is_none()
                        && niladic.iter().any(|n| n.eq_ignore_ascii_case(&name.value))
                    {
                        return ControlFlow::Continue(());
                    }
                    ControlFlow::Break(SqlError::invalid_column(&name.value))
                }
                Expr::Function(Function { name, over, .. }) => {
                    let name = name.to_string().to_uppercase();
                    if over.is_some() || super::aggregates::AGGREGATES.contains(&name.as_str()) {
                        return ControlFlow::Break(SqlError::new(
                            158,
                            "An aggregate may not appear in the OUTPUT clause.",
                        ));
                    }
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match item {
        SelectItem::Wildcard(_) => Err(SqlError::syntax_near("*")),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), _) => Ok(()),
        SelectItem::ExprWithAlias { alias, .. }
            if alias.quote_style.is_none() && alias.value.starts_with('@') =>
        {
            Err(SqlError::syntax_near(alias))
        }
        item => match item.visit(&mut Search) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        },
    }
}
