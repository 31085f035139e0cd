//! `sp_describe_undeclared_parameters`: drivers ask what types the markers of a statement have.
//!
//! Only markers that stand beside a column, in its place, or beside something with a type are known;
//! any other is refused by name.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, Ident, Query, SetExpr, TableFactor, visit_expressions};
use sqlparser::ast::{TableWithJoins, Visit};

use super::super::catalogue::tables::{QualifiedName, Table, same_name};
use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::super::parser::ast::{Insert, Kind, Source};
use super::super::planner::{Scope, Variables};
use super::super::types::SqlType;
use super::Run;
use super::arguments::{declarations, unknown};

mod first_result;
mod row;

/// What is known so far.
struct Search<'r, 'a, 's> {
    run: &'r Run<'a, 's>,
    declared: Variables,
    tables: Vec<(String, Table)>,
    /// Markers in the order of their appearance.
    markers: Vec<String>,
    /// Types of markers by their lower-case names.
    known: HashMap<String, SqlType>,
}

impl Run<'_, '_> {
    /// Answers with a row for every undeclared parameter of the text.
    pub(super) fn describe_undeclared(&mut self, sql: &str, list: &str) -> SqlResult<i32> {
        let statements = parser::batch(sql)?;
        let [statement] = &statements[..] else {
            return Err(refused("a batch of several statements"));
        };
        let mut search = Search {
            run: self,
            declared: unknown(&declarations(list)?),
            tables: Vec::new(),
            markers: Vec::new(),
            known: HashMap::new(),
        };
        search.statement(&statement.kind)?;
        let (markers, known) = (search.markers, search.known);
        let mut rows = Vec::new();
        for (index, name) in markers.iter().enumerate() {
            let ty = known
                .get(&name.to_lowercase())
                .ok_or_else(|| refused(format!("the parameter {name} where it stands")))?;
            rows.push(row::of(index + 1, name, *ty));
        }
        let text = match rows.is_empty() {
            true => format!("{} WHERE 1 = 0", row::of(1, "@x", SqlType::Int)),
            false => format!("{} ORDER BY 1", rows.join(" UNION ALL ")),
        };
        self.nested(&text, Variables::new())?;
        Ok(0)
    }
}

fn refused(what: impl std::fmt::Display) -> SqlError {
    SqlError::unsupported(format!("sp_describe_undeclared_parameters of {what}"))
}

impl Search<'_, '_, '_> {
    fn statement(&mut self, kind: &Kind) -> SqlResult<()> {
        match kind {
            Kind::Query(query, _) => self.query(query),
            Kind::Insert(insert) => self.insert(insert),
            Kind::Update(update) => {
                let target = self.target(&update.table, &update.from)?;
                self.expressions(update.top.as_ref())?;
                for set in &update.sets {
                    let column = set
                        .column
                        .as_ref()
                        .and_then(|name| target.column(&name.value));
                    if let Some(value) = &set.value {
                        self.know(value, column.map(|c| c.ty));
                        self.expressions(Some(value))?;
                    }
                }
                self.expressions(update.filter.as_ref())
            }
            Kind::Delete(delete) => {
                self.target(&delete.table, &delete.from)?;
                self.expressions(delete.top.as_ref())?;
                self.expressions(delete.filter.as_ref())
            }
            _ => Err(refused("this kind of statement")),
        }
    }

    fn insert(&mut self, insert: &Insert) -> SqlResult<()> {
        let name = QualifiedName::of(&insert.table)?;
        let table = self.run.planner().find_table(&name)?;
        let targets: Vec<SqlType> = match &insert.columns[..] {
            [] => table
                .columns
                .iter()
                .filter(|c| c.identity.is_none())
                .map(|c| c.ty)
                .collect(),
            names => names
                .iter()
                .map(|name| {
                    let column = table.column(&name.value);
                    let column = column.ok_or_else(|| SqlError::invalid_column(&name.value))?;
                    Ok(column.ty)
                })
                .collect::<SqlResult<_>>()?,
        };
        let Source::Query(query) = &insert.source else {
            return Err(refused("INSERT without VALUES or SELECT"));
        };
        match query.body.as_ref() {
            SetExpr::Values(values) => {
                for row in &values.rows {
                    for (value, ty) in row.iter().zip(&targets) {
                        self.know(value, Some(*ty));
                        self.expressions(Some(value))?;
                    }
                }
                Ok(())
            }
            _ => self.query(query),
        }
    }

    /// A query's markers, which may stand at any depth.
    fn query(&mut self, query: &Query) -> SqlResult<()> {
        let SetExpr::Select(select) = query.body.as_ref() else {
            return Err(refused("this form of query"));
        };
        self.from(&select.from)?;
        self.expressions(Some(query))
    }

    /// The table that changes, under its alias if it has one.
    fn target(
        &mut self,
        name: &sqlparser::ast::ObjectName,
        from: &[TableWithJoins],
    ) -> SqlResult<Table> {
        self.from(from)?;
        let name = QualifiedName::of(name)?;
        let aliased = self.tables.iter().find(|(n, _)| same_name(n, &name.name));
        if let Some((_, table)) = aliased {
            return Ok(table.clone());
        }
        let table = self.run.planner().find_table(&name)?;
        self.tables.push((table.name.clone(), table.clone()));
        Ok(table)
    }

    fn from(&mut self, from: &[TableWithJoins]) -> SqlResult<()> {
        let factors = from.iter().flat_map(|item| {
            std::iter::once(&item.relation).chain(item.joins.iter().map(|j| &j.relation))
        });
        for factor in factors {
            let TableFactor::Table { name, alias, .. } = factor else {
                continue;
            };
            let name = QualifiedName::of(name)?;
            // What is no table, such as a view of the catalogue, has columns that are not known here.
            if let Ok(table) = self.run.planner().find_table(&name) {
                let shown = alias.as_ref().map_or(&table.name, |a| &a.name.value);
                self.tables.push((shown.clone(), table.clone()));
            }
        }
        Ok(())
    }

    fn expressions<V: Visit>(&mut self, within: Option<&V>) -> SqlResult<()> {
        let Some(within) = within else { return Ok(()) };
        let mut result = Ok(());
        let _ = visit_expressions(within, |expr| {
            let step = self.marker(expr).and_then(|()| self.context(expr));
            match step {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    result = Err(error);
                    ControlFlow::Break(())
                }
            }
        });
        result
    }

    /// Notes a marker; each may stand in one place only.
    fn marker(&mut self, expr: &Expr) -> SqlResult<()> {
        let Expr::Identifier(_) = expr else {
            return Ok(());
        };
        let Some(name) = undeclared(expr, &self.declared) else {
            return Ok(());
        };
        if self.markers.iter().any(|n| n.eq_ignore_ascii_case(name)) {
            return Err(SqlError::new(
                11502,
                format!(
                    "The undeclared parameter '{name}' is used more than once in the batch being analyzed."
                ),
            ));
        }
        let name = name.to_owned();
        self.markers.push(name);
        Ok(())
    }

    /// What an expression says about the markers right below it.
    fn context(&mut self, expr: &Expr) -> SqlResult<()> {
        match expr {
            Expr::BinaryOp { left, op, right } if gives_type(op) => {
                self.pair(left, right);
                self.pair(right, left);
            }
            Expr::InList { expr, list, .. } => list.iter().for_each(|item| self.pair(item, expr)),
            Expr::Between {
                expr, low, high, ..
            } => {
                self.pair(low, expr);
                self.pair(high, expr);
            }
            Expr::Like { expr, pattern, .. } => {
                let ty = self.type_of(expr).filter(|ty| ty.is_text());
                self.know(pattern, ty.map(pattern_type));
            }
            Expr::Cast {
                expr, data_type, ..
            } => {
                let ty = parser::types::parse_for_cast(&data_type.to_string()).ok();
                self.know(expr, ty);
            }
            _ => {}
        }
        Ok(())
    }

    fn pair(&mut self, marker: &Expr, other: &Expr) {
        if undeclared(marker, &self.declared).is_some() {
            let ty = self.type_of(other);
            self.know(marker, ty);
        }
    }

    /// The type of a marker, if the expression is one.
    fn know(&mut self, expr: &Expr, ty: Option<SqlType>) {
        if let (Some(name), Some(ty)) = (undeclared(expr, &self.declared), ty) {
            self.known.insert(name.to_lowercase(), ty);
        }
    }

    fn type_of(&self, expr: &Expr) -> Option<SqlType> {
        match expr {
            Expr::Nested(inner) => self.type_of(inner),
            Expr::Identifier(name) if !name.value.starts_with('@') => self.column(None, name),
            Expr::CompoundIdentifier(parts) => match &parts[..] {
                [.., table, column] => self.column(Some(table), column),
                _ => None,
            },
            other => {
                let mut planner = self.run.planner();
                planner.variables = &self.declared;
                planner.unfolded = true;
                let typed = planner.expr(other, &Scope::inside(None)).ok()?;
                (!typed.is_null()).then_some(typed.ty)
            }
        }
    }

    fn column(&self, table: Option<&Ident>, column: &Ident) -> Option<SqlType> {
        let mut found = self
            .tables
            .iter()
            .filter(|(name, _)| table.is_none_or(|t| same_name(&t.value, name)))
            .filter_map(|(_, t)| t.column(&column.value));
        found
            .next()
            .map(|c| c.ty)
            .filter(|_| found.next().is_none())
    }
}

/// The marker that an expression is.
fn undeclared<'e>(expr: &'e Expr, declared: &Variables) -> Option<&'e str> {
    match expr {
        Expr::Nested(inner) => undeclared(inner, declared),
        Expr::Identifier(name)
            if name.value.starts_with('@')
                && !name.value.starts_with("@@")
                && !declared.contains_key(&name.value.to_lowercase()) =>
        {
            Some(&name.value)
        }
        _ => None,
    }
}

fn gives_type(op: &BinaryOperator) -> bool {
    use BinaryOperator as B;
    matches!(
        op,
        B::Eq
            | B::NotEq
            | B::Lt
            | B::LtEq
            | B::Gt
            | B::GtEq
            | B::Plus
            | B::Minus
            | B::Multiply
            | B::Divide
            | B::Modulo
    )
}

/// A pattern may be longer than what it is compared with.
fn pattern_type(ty: SqlType) -> SqlType {
    if ty.is_unicode() {
        SqlType::NVarChar(4000)
    } else {
        SqlType::VarChar(8000)
    }
}
