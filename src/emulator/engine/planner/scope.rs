//! What names mean at a place in a query.

use std::cell::Cell;
use std::rc::Rc;

use sqlparser::ast::{Expr, Ident, NamedWindowDefinition};

use super::super::catalogue::tables::same_name;
use super::super::error::{SqlError, SqlResult};
use super::super::types::SqlType;
use super::Typed;
use super::guard::Guard;

/// A column of a result.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Empty if the column has no name.
    pub(crate) name: String,
    pub(crate) ty: SqlType,
    pub(crate) nullable: bool,
    pub(crate) identity: bool,
    /// Only NULL constants: the type means nothing.
    pub(crate) all_null: bool,
}

/// Stands for the source's alias in a [`SourceColumn::sql`] that is an expression.
pub(super) const SELF: &str = "\u{1}";

/// A table in a FROM clause.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The name by which the query calls it.
    pub(crate) exposed: String,
    /// Its schema, if it is called by its own name.
    pub(crate) schema: Option<String>,
    /// Its alias in SQLite.
    pub(crate) alias: String,
    pub(crate) columns: Vec<SourceColumn>,
    /// Columns that the user may not read.
    pub(crate) guard: Option<Rc<Guard>>,
}

/// A column of a [`Source`].
#[derive(Clone, Debug)]
pub(crate) struct SourceColumn {
    pub(crate) name: String,
    /// Quoted name in SQLite.
    pub(crate) sql: String,
    pub(crate) ty: SqlType,
    pub(crate) nullable: bool,
    pub(crate) identity: bool,
}

/// A common table expression in sight.
#[derive(Clone, Debug)]
pub(super) struct Cte {
    pub(super) name: String,
    /// Name in SQLite.
    pub(super) sql: String,
    pub(super) columns: Vec<Output>,
}

/// The sources of a query, and the query around it.
#[derive(Default)]
pub(crate) struct Scope<'p> {
    pub(crate) sources: Vec<Source>,
    pub(crate) parent: Option<&'p Scope<'p>>,
    /// What the query groups by; `None` if it has no groups.
    pub(crate) groups: Option<Groups>,
    /// An aggregate function's argument is being planned.
    pub(crate) in_aggregate: Cell<bool>,
    /// The place for errors: "the select list", "the HAVING clause".
    pub(crate) clause: Cell<&'static str>,
    /// Aggregates are not allowed here (WHERE, ON).
    pub(crate) no_aggregates: Cell<bool>,
    /// A windowed function's argument is being planned.
    pub(crate) in_window: Cell<bool>,
    /// WINDOW's definitions.
    pub(crate) windows: Vec<NamedWindowDefinition>,
}

/// The GROUP BY list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    pub(crate) exprs: Vec<Expr>,
    /// The SQL of those that are plain columns.
    pub(crate) columns: Vec<String>,
    /// What other sets of groups group by, and this one leaves out.
    pub(crate) rolled: Vec<(Expr, SqlType)>,
    /// The SQL of those that are plain columns.
    pub(crate) rolled_columns: Vec<String>,
}

impl<'p> Scope<'p> {
    pub(crate) fn inside(parent: Option<&'p Scope<'p>>) -> Self {
        Self {
            parent,
            clause: Cell::new("the select list"),
            ..Self::default()
        }
    }

    /// Resolves a column by name, here or further out.
    pub(crate) fn column(&self, path: &[Ident]) -> SqlResult<Typed> {
        match self.local(path)? {
            Some(found) => Ok(found),
            // The source is known, and lacks the column.
            None if path.len() > 1 && self.has_source(path) => Err(SqlError::invalid_column(
                path.last().map_or("", |i| i.value.as_str()),
            )),
            None => match self.parent {
                Some(parent) => parent
                    .column(path)
                    .map_err(|e| if e.number == 4104 { unknown(path) } else { e }),
                None => Err(unknown(path)),
            },
        }
    }

    fn has_source(&self, path: &[Ident]) -> bool {
        let qualifier = path.split_last().map_or(&[][..], |(_, rest)| rest);
        self.sources.iter().any(|s| s.is_called(qualifier))
    }

    fn local(&self, path: &[Ident]) -> SqlResult<Option<Typed>> {
        let Some((column, qualifier)) = path.split_last() else {
            return Ok(None);
        };
        let mut found: Option<(&Source, &SourceColumn)> = None;
        for source in self.sources.iter().filter(|s| s.is_called(qualifier)) {
            for candidate in source
                .columns
                .iter()
                .filter(|c| same_name(&c.name, &column.value))
            {
                if found.is_some() {
                    return Err(SqlError::new(
                        209,
                        format!("Ambiguous column name '{}'.", column.value),
                    ));
                }
                found = Some((source, candidate));
            }
        }
        let Some((source, column)) = found else {
            return Ok(None);
        };
        source.check_readable(column)?;
        let typed = source.typed(column);
        if let Some(groups) = self.groups.as_ref().filter(|_| !self.in_aggregate.get())
            && groups.rolled_columns.contains(&typed.sql)
        {
            return Ok(Some(Typed {
                sql: "(NULL)".into(),
                nullable: true,
                ..typed
            }));
        }
        self.check_grouped(&typed, source, column)?;
        Ok(Some(typed))
    }

    /// 8120: outside of aggregates only grouped columns mean one value per group.
    fn check_grouped(
        &self,
        typed: &Typed,
        source: &Source,
        column: &SourceColumn,
    ) -> SqlResult<()> {
        let Some(groups) = &self.groups else {
            return Ok(());
        };
        if self.in_aggregate.get() || groups.columns.contains(&typed.sql) {
            return Ok(());
        }
        Err(SqlError::new(
            8120,
            format!(
                "Column '{}.{}' is invalid in {} because it is not contained in either an aggregate \
                 function or the GROUP BY clause.",
                source.exposed,
                column.name,
                self.clause.get()
            ),
        ))
    }

    /// All columns of one source, or of all.
    pub(crate) fn all(&self, qualifier: &[Ident]) -> SqlResult<Vec<(String, Typed, bool)>> {
        let mut columns = Vec::new();
        let mut matched = false;
        for source in self.sources.iter().filter(|s| s.is_called(qualifier)) {
            matched = true;
            for column in &source.columns {
                source.check_readable(column)?;
                let typed = source.typed(column);
                self.check_grouped(&typed, source, column)?;
                columns.push((column.name.clone(), typed, column.identity));
            }
        }
        if !matched {
            let Some(name) = qualifier.last() else {
                return Err(SqlError::new(263, "Must specify table to select from."));
            };
            return Err(SqlError::new(
                107,
                format!(
                    "The column prefix '{}' does not match with a table name or alias name used in the \
                     query.",
                    name.value
                ),
            )
            .class(15));
        }
        Ok(columns)
    }

    /// Whether an identity column was selected plainly.
    pub(crate) fn is_identity(&self, sql: &str) -> bool {
        self.sources.iter().any(|s| {
            s.columns
                .iter()
                .any(|c| c.identity && s.typed(c).sql == sql)
        })
    }
}

impl Source {
    fn is_called(&self, qualifier: &[Ident]) -> bool {
        match qualifier {
            [] => true,
            [name] => same_name(&self.exposed, &name.value),
            [.., schema, name] => {
                same_name(&self.exposed, &name.value)
                    && self
                        .schema
                        .as_ref()
                        .is_some_and(|own| same_name(own, &schema.value))
            }
        }
    }

    fn check_readable(&self, column: &SourceColumn) -> SqlResult<()> {
        match &self.guard {
            Some(guard) => guard.check(&column.name),
            None => Ok(()),
        }
    }

    /// RETURNING knows no alias, so such a source has none.
    fn reference(&self, column: &str) -> String {
        if column.contains(SELF) {
            column.replace(SELF, &self.alias)
        } else if self.alias.is_empty() {
            column.to_owned()
        } else {
            format!("{}.{column}", self.alias)
        }
    }

    pub(crate) fn typed(&self, column: &SourceColumn) -> Typed {
        Typed {
            nullable: column.nullable,
            name: Some(column.name.clone()),
            ..Typed::new(self.reference(&column.sql), column.ty)
        }
    }
}

fn unknown(path: &[Ident]) -> SqlError {
    if path.len() > 1 {
        let shown: Vec<&str> = path.iter().map(|i| i.value.as_str()).collect();
        return SqlError::new(
            4104,
            format!(
                "The multi-part identifier \"{}\" could not be bound.",
                shown.join(".")
            ),
        );
    }
    SqlError::invalid_column(path.last().map_or("", |i| i.value.as_str()))
}
