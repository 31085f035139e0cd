//! SELECT … INTO: the identity property that goes along.

use sqlparser::ast::{GroupByExpr, Ident, ObjectName, Query, SelectItem, SetExpr, TableFactor};

use super::super::catalogue::tables::{QualifiedName, Table, quote};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Column, CreateTable};
use super::super::planner::Output;
use super::super::planner::rel::Rel;
use super::Run;

/// An identity column of the new table: its place among the columns, seed and increment.
pub(super) type Inherited = Option<(usize, (i64, i64))>;

impl Run<'_, '_> {
    /// The table of SELECT … INTO.
    pub(super) fn create_like(
        &mut self,
        name: &QualifiedName,
        outputs: &[Output],
        inherited: Inherited,
    ) -> SqlResult<Table> {
        let columns: Vec<Column> = outputs
            .iter()
            .enumerate()
            .map(|(place, output)| Column {
                name: Ident::new(output.name.clone()),
                ty: output.ty,
                nullable: Some(output.nullable),
                identity: inherited
                    .filter(|(index, _)| *index == place)
                    .map(|(_, identity)| identity),
                default: None,
                constraints: Vec::new(),
            })
            .collect();
        let table = self.new_table(name, &columns)?;
        let create = CreateTable {
            name: ObjectName(Vec::new()),
            columns,
            constraints: Vec::new(),
        };
        self.fill_table(&table, &create)?;
        Ok(table)
    }

    /// The identity column that the new table inherits: one that is selected once and plainly from
    /// one table, not from a join, a union or groups.
    pub(super) fn inherited(&self, query: &Query, rel: &Rel) -> SqlResult<Inherited> {
        let mut found = rel.columns.iter().enumerate().filter(|(_, c)| c.identity);
        let (Some((index, _)), None) = (found.next(), found.next()) else {
            return Ok(None);
        };
        let SetExpr::Select(select) = query.body.as_ref() else {
            return Ok(None);
        };
        let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(e, m) if e.is_empty() && m.is_empty());
        let [from] = &select.from[..] else {
            return Ok(None);
        };
        if grouped || !from.joins.is_empty() {
            return Ok(None);
        }
        let table = match &from.relation {
            TableFactor::Table { name, .. } if query.with.is_none() => {
                self.planner().find_table(&QualifiedName::of(name)?).ok()
            }
            _ => None,
        };
        let plain = select
            .projection
            .iter()
            .all(|item| !matches!(item, SelectItem::ExprWithAliases { .. }));
        match table.filter(|t| plain && !t.is_view) {
            Some(table) => Ok(table
                .identity_column()
                .and_then(|c| c.identity)
                .map(|identity| (index, identity))),
            None => Err(SqlError::unsupported(
                "SELECT … INTO of an identity column that does not come from a table directly",
            )),
        }
    }

    /// The new table's values go on behind those that it was filled with.
    pub(super) fn go_on_behind(&self, table: &Table, inherited: Inherited) -> SqlResult<()> {
        let Some((index, (_, increment))) = inherited else {
            return Ok(());
        };
        let Some(column) = table.columns.get(index) else {
            return Ok(());
        };
        let furthest = if increment < 0 { "min" } else { "max" };
        self.state.conn.execute(
            &format!(
                "UPDATE {}.\"~objects\" SET identity_next = (SELECT {furthest}({}) + ?2 FROM {}) WHERE id = ?1",
                table.alias,
                quote(&column.name),
                table.sql()
            ),
            [table.id, increment],
        )?;
        Ok(())
    }
}
