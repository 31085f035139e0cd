//! CROSS APPLY and OUTER APPLY.
//!
//! SQLite's subqueries in FROM do not see their neighbours, but the arguments of its table-valued
//! functions do: the applied query's rows are packed into one value, and unpacked by `json_each`.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    GroupByExpr, Query, Select, SelectFlavor, SelectItem, SetExpr, TableAlias, TableFactor,
    TableWithJoins, WildcardAdditionalOptions,
};

use super::super::error::{SqlError, SqlResult};
use super::from::{numbered, rename};
use super::rel::Rel;
use super::{Planner, Scope, Source, audit};

impl Planner<'_> {
    /// Plans what stands after APPLY.
    pub(super) fn apply(
        &mut self,
        factor: &TableFactor,
        outer: bool,
        scope: &mut Scope<'_>,
    ) -> SqlResult<String> {
        let (rel, exposed, alias) = self.right_side(factor, scope)?;
        if !rel.assigns.is_empty() {
            return Err(SqlError::syntax_near("="));
        }
        let mut columns = numbered(&rel.columns);
        if let Some(alias) = alias {
            audit::check_alias(alias)?;
            rename(&mut columns, alias)?;
        }
        let (each, packed) = (self.fresh("t"), self.fresh("q"));
        for (index, column) in columns.iter_mut().enumerate() {
            column.sql = format!("t_item({each}.value,{index})");
            column.nullable |= outer;
        }
        let sql = packed_rows(&rel, &packed);
        if scope
            .sources
            .iter()
            .any(|s| super::tables::same_name(&s.exposed, &exposed))
        {
            return Err(SqlError::new(
                1011,
                format!(
                    "The correlation name '{exposed}' is specified multiple times in a FROM clause."
                ),
            )
            .class(15));
        }
        scope.sources.push(Source {
            exposed,
            schema: None,
            alias: String::new(),
            columns,
            guard: None,
        });
        Ok(format!("json_each({sql}) AS {each}"))
    }

    /// The rows on APPLY's right side, their name and its list of columns.
    fn right_side<'f>(
        &mut self,
        factor: &'f TableFactor,
        inside: &Scope<'_>,
    ) -> SqlResult<(Rel, String, Option<&'f TableAlias>)> {
        Ok(match factor {
            TableFactor::Derived {
                lateral: false,
                subquery,
                alias: Some(alias),
                sample: None,
            } => {
                let rel = match subquery.body.as_ref() {
                    SetExpr::Values(values)
                        if subquery.with.is_none() && subquery.order_by.is_none() =>
                    {
                        self.values(values, &Scope::inside(Some(inside)))?
                    }
                    _ => self.subquery(subquery, Some(inside))?,
                };
                (rel, alias.name.value.clone(), Some(alias))
            }
            TableFactor::Table { name, alias, .. } => {
                let rel = self.subquery(&all_of(factor), Some(inside))?;
                let own = name.0.last().map(ToString::to_string).unwrap_or_default();
                let exposed = alias.as_ref().map_or(own, |a| a.name.value.clone());
                (rel, exposed, None)
            }
            TableFactor::Derived { alias: None, .. } => return Err(SqlError::syntax_near(")")),
            _ => return Err(SqlError::unsupported("APPLY of this")),
        })
    }
}

fn packed_rows(rel: &Rel, alias: &str) -> String {
    let list: Vec<String> = (1..=rel.columns.len())
        .map(|n| format!("{alias}.c{n}"))
        .collect();
    format!(
        "(SELECT json_group_array(t_pack({})) FROM ({}) AS {alias})",
        list.join(","),
        rel.sql
    )
}

/// `SELECT * FROM factor`.
fn all_of(factor: &TableFactor) -> Query {
    let select = Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
        exclude: None,
        into: None,
        from: vec![TableWithJoins {
            relation: factor.clone(),
            joins: Vec::new(),
        }],
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    };
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}
