//! `sp_describe_first_result_set`: the columns of a query that does not run.
//!
//! Where it stands open what SQL Server says of a column, the query is refused by name.

use sqlparser::ast::{
    Expr, OrderByKind, OrderBySort, Query, Select, SelectItem, SetExpr, TableFactor,
};

use super::super::super::catalogue::tables::{QualifiedName, Table, same_name};
use super::super::super::error::{SqlError, SqlResult};
use super::super::super::functions::facets;
use super::super::super::parser;
use super::super::super::parser::ast::Kind;
use super::super::super::planner::{Output, Variables};
use super::super::super::types::{MAX, SqlType};
use super::super::super::wire::types::{to_wire, to_wire_not_null};
use super::super::Run;
use super::super::arguments::{declarations, unknown};
use super::row;

/// The collation of every text, as `tds_collation_id` shows it.
const COLLATION_ID: i64 = 0x00D0_0409;
const SORT_ID: i64 = 52;

/// A column of the result.
struct Described<'o> {
    output: &'o Output,
    updateable: bool,
    /// Its place in ORDER BY, and whether that descends.
    order: Option<(usize, bool)>,
    /// Terms of ORDER BY.
    terms: Option<usize>,
}

impl Run<'_, '_> {
    /// Answers with a row for every column of the text's only query.
    pub(in super::super) fn describe_first(
        &mut self,
        sql: &str,
        list: &str,
        browse: i64,
    ) -> SqlResult<i32> {
        if browse != 0 {
            return Err(refused("with browse information"));
        }
        let statements = parser::batch(sql)?;
        let [statement] = &statements[..] else {
            return Err(refused("of a batch of several statements"));
        };
        let Kind::Query(query, _) = &statement.kind else {
            return Err(refused("of what is no query"));
        };
        let declared = unknown(&declarations(list)?);
        let mut planner = self.planner();
        planner.variables = &declared;
        planner.unfolded = true;
        let rel = planner.top_query(query)?;
        if !rel.assigns.is_empty() {
            return Err(refused("of what is no query"));
        }
        let updateable = self.updateable(query, &rel.columns)?;
        let order = order(query, &rel.columns)?;
        let mut rows = Vec::new();
        for (index, output) in rel.columns.iter().enumerate() {
            let place = order
                .iter()
                .flatten()
                .position(|(column, _)| *column == index);
            let descends = |at: usize| order.as_ref()?.get(at).map(|(_, descends)| *descends);
            rows.push(line(
                index + 1,
                &Described {
                    output,
                    updateable: updateable.get(index).copied().unwrap_or_default(),
                    order: place.and_then(|at| Some((at + 1, descends(at)?))),
                    terms: order.as_ref().map(Vec::len),
                },
            ));
        }
        let text = format!("{} ORDER BY 2", rows.join(" UNION ALL "));
        self.nested(&text, Variables::new())?;
        Ok(0)
    }

    /// Which columns are a table's own, and no identity values or row versions.
    fn updateable(&self, query: &Query, outputs: &[Output]) -> SqlResult<Vec<bool>> {
        let SetExpr::Select(select) = query.body.as_ref() else {
            return Err(refused("of this form of query"));
        };
        if query.with.is_some() || !is_plain(select) {
            return Err(refused("of this form of query"));
        }
        let tables = self.tables_of(select)?;
        let mut own = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => own.push(is_column(expr)?),
                SelectItem::ExprWithAlias { expr, .. } => own.push(is_column(expr)?),
                SelectItem::Wildcard(_) => {
                    let all = tables.iter().map(|(_, table)| table.columns.len()).sum();
                    own.extend(std::iter::repeat_n(true, all));
                }
                SelectItem::QualifiedWildcard(..) => {
                    return Err(refused("of a query with table.*"));
                }
                SelectItem::ExprWithAliases { .. } => {
                    return Err(refused("of this form of query"));
                }
            }
        }
        if own.len() != outputs.len() {
            return Err(refused("of this form of query"));
        }
        let fixed = |output: &Output| output.identity || output.ty == SqlType::RowVersion;
        Ok(own
            .into_iter()
            .zip(outputs)
            .map(|(own, output)| own && !fixed(output))
            .collect())
    }

    fn tables_of(&self, select: &Select) -> SqlResult<Vec<(String, Table)>> {
        let mut tables = Vec::new();
        for item in &select.from {
            let joined = item.joins.iter().map(|join| &join.relation);
            for factor in std::iter::once(&item.relation).chain(joined) {
                let TableFactor::Table {
                    name,
                    alias,
                    args: None,
                    ..
                } = factor
                else {
                    return Err(refused("of a query on anything but tables"));
                };
                let table = self.planner().find_table(&QualifiedName::of(name)?);
                let table = table
                    .ok()
                    .filter(|table| !table.is_view)
                    .ok_or_else(|| refused("of a query on anything but tables"))?;
                let shown = alias.as_ref().map_or(&table.name, |a| &a.name.value);
                tables.push((shown.clone(), table));
            }
        }
        Ok(tables)
    }
}

fn refused(what: &str) -> SqlError {
    SqlError::unsupported(format!("sp_describe_first_result_set {what}"))
}

/// Without anything that joins rows, by which no column would be a table's own.
fn is_plain(select: &Select) -> bool {
    use sqlparser::ast::GroupByExpr;
    let no_groups =
        matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
    select.distinct.is_none() && no_groups && select.having.is_none() && select.into.is_none()
}

fn is_column(expr: &Expr) -> SqlResult<bool> {
    match expr {
        Expr::Identifier(name) => Ok(!name.value.starts_with('@')),
        Expr::CompoundIdentifier(_) => Ok(true),
        Expr::Nested(_)
        | Expr::BinaryOp {
            op: sqlparser::ast::BinaryOperator::Eq,
            ..
        } => Err(refused("of this form of query")),
        _ => Ok(false),
    }
}

/// The columns that ORDER BY names, by their places; `None` without ORDER BY.
fn order(query: &Query, outputs: &[Output]) -> SqlResult<Option<Vec<(usize, bool)>>> {
    let Some(by) = &query.order_by else {
        return Ok(None);
    };
    let OrderByKind::Expressions(terms) = &by.kind else {
        return Err(refused("with this ORDER BY"));
    };
    let mut places = Vec::new();
    for term in terms {
        let Expr::Identifier(name) = &term.expr else {
            return Err(refused("with an ORDER BY that names no column"));
        };
        let mut found = (0..)
            .zip(outputs)
            .filter(|(_, output)| same_name(&output.name, &name.value));
        match (found.next(), found.next()) {
            (Some((index, _)), None) => {
                places.push((index, term.options.sort == Some(OrderBySort::Desc)));
            }
            _ => return Err(refused("with an ORDER BY of a column that is not selected")),
        }
    }
    Ok(Some(places))
}

/// A SELECT of the 39 documented columns.
fn line(ordinal: usize, column: &Described<'_>) -> String {
    let output = column.output;
    let ty = output.ty;
    let (id, length, precision, scale) = facets(ty);
    let length = match ty.length() {
        Some(MAX) => -1,
        _ => length,
    };
    let info = if output.nullable {
        to_wire(ty)
    } else {
        to_wire_not_null(ty)
    };
    let tds_length = row::tds_length(&info, length);
    let name = Some(output.name.as_str()).filter(|name| !name.is_empty());
    let is_text = ty.is_text();
    let collated = |value: i64| is_text.then_some(value);
    let order = |value: Option<usize>| value.and_then(|v| i64::try_from(v).ok());
    let mut columns = vec![
        bit("is_hidden", false),
        number("column_ordinal", "int", order(Some(ordinal))),
        text("name", name),
        bit("is_nullable", output.nullable),
        number("system_type_id", "int", Some(id)),
        format!("CAST(N'{ty}' AS nvarchar(256)) AS system_type_name"),
        number("max_length", "smallint", Some(length)),
        number("precision", "tinyint", Some(precision)),
        number("scale", "tinyint", Some(scale)),
        text(
            "collation_name",
            is_text.then_some("SQL_Latin1_General_CP1_CI_AS"),
        ),
    ];
    columns.extend(nothing());
    columns.extend([
        bit("is_identity_column", output.identity),
        number("is_part_of_unique_key", "bit", None),
        bit("is_updateable", column.updateable),
        bit("is_computed_column", false),
        bit("is_sparse_column_set", false),
        number(
            "ordinal_in_order_by_list",
            "smallint",
            order(column.order.map(|o| o.0)),
        ),
        number("order_by_list_length", "smallint", order(column.terms)),
        number(
            "order_by_is_descending",
            "smallint",
            column.order.map(|o| o.1.into()),
        ),
        number("tds_type_id", "int", Some(info.id().0.into())),
        number("tds_length", "int", Some(tds_length.into())),
        number("tds_collation_id", "int", collated(COLLATION_ID)),
        number("tds_collation_sort_id", "tinyint", collated(SORT_ID)),
    ]);
    format!("SELECT {}", columns.join(", "))
}

/// The columns about types and sources that no result here has.
fn nothing() -> Vec<String> {
    let mut columns = vec![
        number("user_type_id", "int", None),
        text("user_type_database", None),
        text("user_type_schema", None),
        text("user_type_name", None),
        "CAST(NULL AS nvarchar(4000)) AS assembly_qualified_type_name".to_owned(),
        number("xml_collection_id", "int", None),
        text("xml_collection_database", None),
        text("xml_collection_schema", None),
        text("xml_collection_name", None),
        bit("is_xml_document", false),
        bit("is_case_sensitive", false),
        bit("is_fixed_length_clr_type", false),
    ];
    for source in ["server", "database", "schema", "table", "column"] {
        columns.push(text(&format!("source_{source}"), None));
    }
    columns
}

fn number(column: &str, ty: &str, value: Option<i64>) -> String {
    let value = value.map_or_else(|| "NULL".to_owned(), |value| value.to_string());
    format!("CAST({value} AS {ty}) AS {column}")
}

fn bit(column: &str, value: bool) -> String {
    number(column, "bit", Some(value.into()))
}

fn text(column: &str, value: Option<&str>) -> String {
    let value = value.map_or_else(
        || "NULL".to_owned(),
        |value| format!("N'{}'", value.replace('\'', "''")),
    );
    format!("CAST({value} AS nvarchar(128)) AS {column}")
}
