//! Queries and changes of rows.

use std::collections::HashMap;

use rusqlite::types::Value as Stored;
use rusqlite::{ParamsFromIter, Statement, params_from_iter};
use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, Query, SetExpr};

use super::super::catalogue::tables::{QualifiedName, quote};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Kind, QueryOptions};
use super::super::planner::audit::check_into;
use super::super::planner::rel::Rel;
use super::super::types::{Value, allow, convert};
use super::super::wire::out::command;
use super::Run;

impl Run<'_, '_> {
    pub(super) fn rows(&mut self, kind: &Kind) -> SqlResult<()> {
        match kind {
            Kind::Query(query, options) => self.query(query, *options),
            Kind::Insert(insert) => self.insert(insert),
            Kind::Update(update) => self.change(|planner| planner.update(update), command::UPDATE),
            Kind::Delete(delete) => self.change(|planner| planner.delete(delete), command::DELETE),
            Kind::Truncate(name) => self.truncate(name),
            _ => Ok(()),
        }
    }

    fn query(&mut self, query: &Query, options: QueryOptions) -> SqlResult<()> {
        if self.state.settings.implicit_transactions && has_from(query) {
            self.implicit_transaction()?;
        }
        if let Some((query, target)) = into_target(query)? {
            return self.select_into(&query, options, &target);
        }
        let mut planner = self.planner();
        planner.max_recursion = options.max_recursion.unwrap_or(100);
        let rel = planner.top_query(query)?;
        let binds = std::mem::take(&mut planner.binds);
        let (slots, locks) = (std::mem::take(&mut planner.slots), planner.locks);
        self.before_read(locks)?;
        if !slots.is_empty() {
            return self.assign_in_turn(&rel, binds, &slots);
        }
        if !rel.assigns.is_empty() {
            return self.assign(&rel, binds);
        }
        let mut statement = self.state.conn.prepare(&rel.sql)?;
        let binds = used(&statement, binds);
        let mut rows = statement.query(binds)?;
        self.out.columns(&rel.columns)?;
        let limit = self.state.settings.rowcount;
        let mut count = 0i64;
        let result = loop {
            match rows.next() {
                Ok(None) => break Ok(()),
                Ok(Some(_)) if limit > 0 && count >= limit => break Ok(()),
                Ok(Some(row)) => {
                    if let Err(error) = self.out.row(|index| Ok(row.get_ref(index)?)) {
                        break Err(error);
                    }
                    count += 1;
                }
                Err(error) => break Err(SqlError::from(error)),
            }
            if self.out.closed {
                break Err(SqlError::interrupted());
            }
            if let Err(error) = self.state.check_interrupt() {
                break Err(error);
            }
        };
        drop(rows);
        drop(statement);
        result?;
        self.ended(command::SELECT, count);
        Ok(())
    }

    /// The end of a statement that counts rows.
    pub(super) fn ended(&mut self, command: u16, count: i64) {
        self.state.rowcount = count;
        let shown = (!self.state.settings.nocount).then_some(count);
        self.out.done(command, shown, false);
    }

    /// SELECT @x = @x + …: SQLite sets the variables row by row.
    fn assign_in_turn(
        &mut self,
        rel: &Rel,
        binds: Vec<Stored>,
        slots: &HashMap<String, usize>,
    ) -> SqlResult<()> {
        let mut cells = vec![Stored::Null; slots.len()];
        for (name, slot) in slots {
            if let (Some(cell), Some(variable)) = (cells.get_mut(*slot), self.variables.get(name)) {
                *cell = variable.value.clone().into_stored();
            }
        }
        self.state.counter.set_cells(cells);
        let mut count = 0;
        {
            let mut statement = self.state.conn.prepare(&rel.sql)?;
            let binds = used(&statement, binds);
            let mut rows = statement.query(binds)?;
            let most = self.state.settings.rowcount;
            while (most == 0 || count < most) && rows.next()?.is_some() {
                count += 1;
            }
        }
        for (name, slot) in slots {
            if let Some(variable) = self.variables.get_mut(name) {
                let stored = self.state.counter.cell(*slot);
                variable.value = Value::from_stored((&stored).into(), variable.ty)
                    .ok_or_else(|| SqlError::internal("a variable has another type"))?;
            }
        }
        self.state.rowcount = count;
        Ok(())
    }

    /// SELECT @x = …: the last row counts.
    fn assign(&mut self, rel: &Rel, binds: Vec<Stored>) -> SqlResult<()> {
        let mut last: Option<Vec<Value>> = None;
        let mut count = 0;
        {
            let mut statement = self.state.conn.prepare(&rel.sql)?;
            let binds = used(&statement, binds);
            let mut rows = statement.query(binds)?;
            let most = self.state.settings.rowcount;
            while let Some(row) = rows.next()? {
                if most > 0 && count >= most {
                    break;
                }
                let mut values = Vec::new();
                for (index, column) in rel.columns.iter().enumerate() {
                    let stored = row.get_ref(index)?;
                    values.push(
                        Value::from_stored(stored, column.ty)
                            .ok_or_else(|| SqlError::internal("a value has another type"))?,
                    );
                }
                last = Some(values);
                count += 1;
            }
        }
        for ((name, column), value) in rel
            .assigns
            .iter()
            .zip(&rel.columns)
            .zip(last.unwrap_or_default())
        {
            let variable = self
                .variables
                .get_mut(&name.to_lowercase())
                .ok_or_else(|| SqlError::undeclared(name))?;
            if !value.is_null() {
                allow::allowed(column.ty, variable.ty, false)?;
            }
            variable.value = convert::cast(value, column.ty, variable.ty, None)?;
        }
        self.state.rowcount = count;
        Ok(())
    }

    fn truncate(&mut self, name: &ObjectName) -> SqlResult<()> {
        let planner = self.planner();
        let table = planner.find_table(&QualifiedName::of(name)?)?;
        if planner.require(&table, "ALTER").is_err() {
            return Err(SqlError::new(
                1088,
                format!("Cannot find the object \"{}\" because it does not exist or you do not have permissions.", table.name),
            )
            .state(7));
        }
        if self.is_referenced(&table)? {
            return Err(SqlError::new(
                4712,
                format!(
                    "Cannot truncate table '{}' because it is being referenced by a FOREIGN KEY constraint.",
                    table.name
                ),
            ));
        }
        self.write(table.is_temp(), |run| {
            let conn = &run.state.conn;
            conn.execute(&format!("DELETE FROM {}", table.sql()), [])
                .map_err(|error| run.constraint(error, &table, "DELETE"))?;
            conn.execute(
                &format!(
                    "UPDATE {}.\"~objects\" SET identity_next = NULL WHERE id = ?1",
                    table.alias
                ),
                [table.id],
            )?;
            Ok(())
        })?;
        self.out.done(command::OTHER, None, false);
        Ok(())
    }

    fn select_into(
        &mut self,
        query: &Query,
        options: QueryOptions,
        target: &QualifiedName,
    ) -> SqlResult<()> {
        let mut planner = self.planner();
        planner.max_recursion = options.max_recursion.unwrap_or(100);
        let rel = planner.top_query(query)?;
        let binds = std::mem::take(&mut planner.binds);
        if let Some(index) = rel.columns.iter().position(|c| c.name.is_empty()) {
            return Err(SqlError::new(
                1038,
                format!("An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name (column {}).", index + 1),
            )
            .class(15));
        }
        let inherited = self.inherited(query, &rel)?;
        let count = self.write(target.is_temp(), |run| {
            let table = run.create_like(target, &rel.columns, inherited)?;
            let names: Vec<String> = table.columns.iter().map(|c| quote(&c.name)).collect();
            let limit = match run.state.settings.rowcount {
                0 => String::new(),
                most => format!(" LIMIT {most}"),
            };
            let sql = format!(
                "INSERT INTO {}({}) {}{limit}",
                table.sql(),
                names.join(","),
                with_first(&rel.sql)
            );
            let mut statement = run.state.conn.prepare(&sql)?;
            let binds = used(&statement, binds);
            let count = statement.execute(binds)?;
            run.go_on_behind(&table, inherited)?;
            Ok(i64::try_from(count).unwrap_or(0))
        })?;
        self.ended(command::SELECT, count);
        Ok(())
    }
}

/// A query as the source of an INSERT: its CTEs must stand inside.
fn with_first(sql: &str) -> String {
    format!("SELECT * FROM ({sql})")
}

fn has_from(query: &Query) -> bool {
    matches!(query.body.as_ref(), SetExpr::Select(select) if !select.from.is_empty())
}

/// The query of SELECT … INTO without its target, and the target. A set operation has it in its
/// first query.
pub(super) fn into_target(query: &Query) -> SqlResult<Option<(Query, QualifiedName)>> {
    let mut query = query.clone();
    let mut body = query.body.as_mut();
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return Ok(None),
        }
    };
    let Some(into) = select.into.take() else {
        return Ok(None);
    };
    check_into(&into)?;
    let parts: Vec<Ident> = match into.targets.as_slice() {
        [Expr::Identifier(name)] => vec![name.clone()],
        [Expr::CompoundIdentifier(parts)] => parts.clone(),
        _ => return Err(SqlError::keyword_near("INTO")),
    };
    let name = ObjectName(parts.into_iter().map(ObjectNamePart::Identifier).collect());
    let name = QualifiedName::of(&name)?;
    Ok(Some((query, name)))
}

/// The values that the statement asks for: a folded variable leaves its value behind.
pub(super) fn used(
    statement: &Statement<'_>,
    mut binds: Vec<Stored>,
) -> ParamsFromIter<Vec<Stored>> {
    binds.truncate(statement.parameter_count());
    params_from_iter(binds)
}
