//! The table that UPDATE or DELETE changes: by its name, by an alias of FROM, or through a view, a
//! derived table or a common table expression.

use sqlparser::ast::{
    Cte as CteAst, Expr, GroupByExpr, Ident, ObjectName, OrderByKind, Query, Select, SelectItem,
    SetExpr, TableAlias, TableFactor, TableWithJoins,
};

use super::super::catalogue::tables::{Column, QualifiedName, Table, same_name};
use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::from::{numbered, table_columns};
use super::query::Around;
use super::scope::{Cte, SourceColumn};
use super::select::is_aggregated;
use super::{Planner, Scope, Source};

/// The place that UPDATE or DELETE changes.
pub(super) struct Place {
    pub(super) table: Table,
    /// Its alias in the FROM list.
    pub(super) alias: String,
    /// SQLite's row id of the target in that alias.
    pub(super) key: String,
    pub(super) from: String,
    pub(super) scope: Scope<'static>,
    /// The statement names one base table and has no FROM.
    pub(super) simple: bool,
    /// Visible columns with those of the table behind them; none if the table itself is visible.
    origin: Option<Origin>,
}

/// Stands for the query through which the table is changed; no T-SQL name is like it.
const TARGET: &str = "\u{1}target";

/// A query through which a base table can be changed.
struct Base {
    sql: String,
    columns: Vec<super::Output>,
    table: Table,
    origin: Origin,
}

impl Place {
    /// The column of the table that a SET clause names.
    pub(super) fn column(&self, name: &str) -> SqlResult<Column> {
        let base = match &self.origin {
            None => name,
            Some(origin) => origin
                .iter()
                .find(|(visible, _)| same_name(visible, name))
                .ok_or_else(|| SqlError::invalid_column(name))?
                .1
                .as_deref()
                .ok_or_else(|| {
                    SqlError::new(
                        4406,
                        "Update or insert of view or function failed because it contains a derived or constant field.",
                    )
                })?,
        };
        let column = self
            .table
            .column(base)
            .ok_or_else(|| SqlError::invalid_column(name))?;
        if column.identity.is_some() {
            return Err(SqlError::new(
                8102,
                format!("Cannot update identity column '{}'.", column.name),
            ));
        }
        Ok(column.clone())
    }

    /// SQLite's row id of the table itself.
    pub(super) fn rowid(&self) -> SqlResult<&'static str> {
        rowid(&self.table)
    }

    /// Whether the target is a query over the table.
    pub(super) fn is_derived(&self) -> bool {
        self.origin.is_some()
    }
}

/// The columns of a query over a table, each with the name of the column that it shows.
type Origin = Vec<(String, Option<String>)>;

/// A name of SQLite's row id that no column of the table has.
fn rowid(table: &Table) -> SqlResult<&'static str> {
    ["rowid", "_rowid_", "oid"]
        .into_iter()
        .find(|name| table.column(name).is_none())
        .ok_or_else(|| SqlError::unsupported("a table with columns rowid, _rowid_ and oid"))
}

impl Planner<'_> {
    /// Finds the table to change, and the sources that the statement may read.
    pub(super) fn place(
        &mut self,
        name: &ObjectName,
        from: &[TableWithJoins],
        with: &[CteAst],
        permission: &str,
    ) -> SqlResult<Place> {
        let mut from = from.to_vec();
        let alone = from.is_empty();
        let exposed = chosen(&mut from, name)?;
        let mut origin = None;
        let mut table = None;
        if let Some(factor) = factors(&mut from).find(|f| is_called(f, &exposed))
            && let Some(base) = self.base(factor, with, permission)?
        {
            self.ctes.push(Cte {
                name: TARGET.into(),
                sql: format!("({})", base.sql),
                columns: base.columns,
            });
            *factor = named(TARGET, Some(&exposed));
            origin = Some(base.origin);
            table = Some(base.table);
        }
        let table = match table {
            Some(table) => table,
            None => match factors(&mut from).find(|f| is_called(f, &exposed)) {
                Some(TableFactor::Table { name, .. }) => self.changed_table(name, permission)?,
                _ => self.changed_table(name, permission)?,
            },
        };
        let mut scope = Scope::inside(None);
        let sql = if alone && origin.is_none() {
            // The rights to read are another matter where nothing is read.
            let alias = self.fresh("t");
            let guard = self.guard(&table, "SELECT")?;
            scope.sources.push(Source {
                exposed: table.name.clone(),
                schema: Some(table.schema.clone()),
                alias: alias.clone(),
                columns: table_columns(&table),
                guard,
            });
            format!("{} AS {alias}", table.sql())
        } else {
            self.from(&from, &mut scope)?
        };
        let alias = scope
            .sources
            .iter()
            .find(|s| same_name(&s.exposed, &exposed))
            .map(|s| s.alias.clone())
            .ok_or_else(|| SqlError::invalid_object(name))?;
        let key = match origin {
            Some(_) => format!("{alias}.r"),
            None => format!("{alias}.{}", rowid(&table)?),
        };
        Ok(Place {
            simple: alone && origin.is_none(),
            table,
            alias,
            key,
            from: sql,
            scope,
            origin,
        })
    }

    fn changed_table(&mut self, name: &ObjectName, permission: &str) -> SqlResult<Table> {
        let table = self.find_table(&QualifiedName::of(name)?)?;
        if permission == "UPDATE" {
            self.updatable(&table)?;
        } else {
            self.require(&table, permission)?;
        }
        Ok(table)
    }

    /// The base table behind something that is no base table itself.
    fn base(
        &mut self,
        factor: &TableFactor,
        with: &[CteAst],
        permission: &str,
    ) -> SqlResult<Option<Base>> {
        match factor {
            TableFactor::Table {
                name, args: None, ..
            } => {
                let name = QualifiedName::of(name)?;
                let cte = with
                    .iter()
                    .rev()
                    .find(|c| name.schema.is_none() && same_name(&c.alias.name.value, &name.name));
                if let Some(cte) = cte {
                    let mut base = self.base_query(&cte.query, with, permission)?;
                    super::query::name_columns(&mut base.columns, cte)?;
                    for (entry, column) in base.origin.iter_mut().zip(&base.columns) {
                        entry.0.clone_from(&column.name);
                    }
                    return Ok(Some(base));
                }
                let table = self.find_table(&name)?;
                if !table.is_view {
                    return Ok(None);
                }
                self.base_of_view(&table, permission).map(Some)
            }
            TableFactor::Derived {
                subquery, alias, ..
            } => {
                let mut base = self.base_query(subquery, with, permission)?;
                let names = alias.iter().flat_map(|a| &a.columns);
                for ((entry, column), name) in
                    base.origin.iter_mut().zip(&mut base.columns).zip(names)
                {
                    column.name.clone_from(&name.name.value);
                    entry.0.clone_from(&name.name.value);
                }
                Ok(Some(base))
            }
            _ => Err(SqlError::unsupported("changing what is no table")),
        }
    }

    fn base_of_view(&mut self, view: &Table, permission: &str) -> SqlResult<Base> {
        self.require(view, permission)?;
        let query = parser::query(&view.definition.clone().unwrap_or_default())?;
        let mut base =
            self.inside_view(view, |planner| planner.base_query(&query, &[], permission))?;
        let names = view.columns.iter().map(|c| c.name.clone());
        for ((entry, column), name) in base.origin.iter_mut().zip(&mut base.columns).zip(names) {
            column.name.clone_from(&name);
            entry.0 = name;
        }
        Ok(base)
    }

    /// A query over one table, with the table's row id as one column more.
    fn base_query(&mut self, query: &Query, with: &[CteAst], permission: &str) -> SqlResult<Base> {
        let (select, relation) = simple_query(query).ok_or_else(refused)?;
        let exposed = exposed(relation).ok_or_else(refused)?;
        let (text, columns, table, origin, key) = match self.base(relation, with, permission)? {
            Some(base) => (
                format!("({})", base.sql),
                numbered(&base.columns),
                base.table,
                base.origin,
                "r",
            ),
            None => {
                let TableFactor::Table { name, .. } = relation else {
                    return Err(refused());
                };
                let table = self.table(&QualifiedName::of(name)?, "SELECT")?;
                self.require(&table, permission)?;
                let (columns, key) = (table_columns(&table), rowid(&table)?);
                (table.sql(), columns, table, Vec::new(), key)
            }
        };
        let origin = match origin.is_empty() {
            true => own_origin(&columns),
            false => origin,
        };
        let alias = self.fresh("t");
        let origin = visible(&select.projection, &columns, &origin);
        let mut scope = Scope::inside(None);
        scope.sources.push(Source {
            exposed,
            schema: None,
            alias: alias.clone(),
            columns,
            guard: None,
        });
        self.check_tail(query)?;
        let order = match query.order_by.as_ref().map(|o| &o.kind) {
            Some(OrderByKind::Expressions(list)) => list.as_slice(),
            _ => &[],
        };
        let limit = self.limit(query, !order.is_empty())?;
        let extra = format!("{alias}.{key} AS r");
        let around = Around {
            order,
            limit,
            extra: Some(&extra),
            ..Around::default()
        };
        let rel = self.select_over(select, scope, format!(" FROM {text} AS {alias}"), around)?;
        Ok(Base {
            sql: rel.sql,
            columns: rel.columns,
            table,
            origin,
        })
    }
}

fn refused() -> SqlError {
    SqlError::unsupported(
        "changing rows through a query with joins, groups, DISTINCT or set operators",
    )
}

/// A query whose rows are those of one table.
fn simple_query(query: &Query) -> Option<(&Select, &TableFactor)> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let [item] = select.from.as_slice() else {
        return None;
    };
    let plain = matches!(&select.group_by, GroupByExpr::Expressions(e, m) if e.is_empty() && m.is_empty())
        && select.distinct.is_none()
        && item.joins.is_empty()
        && query.with.is_none()
        && !is_aggregated(select);
    plain.then_some((select, &item.relation))
}

/// A base table's columns show themselves.
fn own_origin(columns: &[SourceColumn]) -> Origin {
    let own = |column: &SourceColumn| (column.name.clone(), Some(column.name.clone()));
    columns.iter().map(own).collect()
}

/// Which base columns the items of a select list show.
fn visible(
    projection: &[SelectItem],
    columns: &[SourceColumn],
    origin: &[(String, Option<String>)],
) -> Origin {
    let of = |name: &str| {
        columns
            .iter()
            .zip(origin)
            .find(|(c, _)| same_name(&c.name, name))
            .and_then(|(_, (_, base))| base.clone())
    };
    let plain = |expr: &Expr| match expr {
        Expr::Identifier(ident) => Some(ident.value.clone()),
        Expr::CompoundIdentifier(path) => path.last().map(|i| i.value.clone()),
        _ => None,
    };
    let mut found = Vec::new();
    for item in projection {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = plain(expr).unwrap_or_default();
                found.push((name.clone(), of(&name)));
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                found.push((alias.value.clone(), plain(expr).and_then(|n| of(&n))));
            }
            _ => found.extend(columns.iter().map(|c| (c.name.clone(), of(&c.name)))),
        }
    }
    found
}

/// The name by which FROM calls the target; the target joins the list if it is not there.
fn chosen(from: &mut Vec<TableWithJoins>, name: &ObjectName) -> SqlResult<String> {
    let wanted = QualifiedName::of(name)?;
    if factors(from).any(|f| is_called(f, &wanted.name)) {
        return Ok(wanted.name);
    }
    let aliases: Vec<String> = factors(from)
        .filter_map(|factor| match factor {
            TableFactor::Table {
                name,
                alias: Some(alias),
                ..
            } if QualifiedName::of(name).is_ok_and(|n| same_name(&n.name, &wanted.name)) => {
                Some(alias.name.value.clone())
            }
            _ => None,
        })
        .collect();
    match aliases.as_slice() {
        [] => {}
        [alias] => return Ok(alias.clone()),
        _ => {
            return Err(SqlError::new(
                8154,
                format!("The table '{}' is ambiguous.", wanted.shown()),
            ));
        }
    }
    let relation = TableFactor::Table {
        name: name.clone(),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
    from.insert(
        0,
        TableWithJoins {
            relation,
            joins: Vec::new(),
        },
    );
    Ok(wanted.name)
}

fn named(name: &str, alias: Option<&str>) -> TableFactor {
    TableFactor::Table {
        name: ObjectName::from(vec![Ident::new(name)]),
        alias: alias.map(|alias| TableAlias {
            explicit: true,
            name: Ident::new(alias),
            columns: Vec::new(),
            at: None,
        }),
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

fn factors(from: &mut [TableWithJoins]) -> impl Iterator<Item = &mut TableFactor> {
    from.iter_mut().flat_map(|item| {
        std::iter::once(&mut item.relation).chain(item.joins.iter_mut().map(|j| &mut j.relation))
    })
}

fn exposed(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table {
            alias: Some(alias), ..
        }
        | TableFactor::Derived {
            alias: Some(alias), ..
        } => Some(alias.name.value.clone()),
        TableFactor::Table { name, .. } => QualifiedName::of(name).ok().map(|n| n.name),
        _ => None,
    }
}

fn is_called(factor: &TableFactor, name: &str) -> bool {
    exposed(factor).is_some_and(|own| same_name(&own, name))
}
