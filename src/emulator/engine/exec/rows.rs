//! Queries and changes of rows.

use rusqlite::types::Value as Stored;
use rusqlite::{ParamsFromIter, Statement, params_from_iter};
use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, Query, SetExpr};

use super::super::catalogue::tables::{QualifiedName, Table, quote};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Kind, QueryOptions};
use super::super::planner::dml::Change;
use super::super::planner::query::Rel;
use super::super::types::{Value, allow, convert};
use super::super::wire::out::command;
use super::Run;

impl Run<'_, '_> {
    pub(super) fn rows(&mut self, kind: &Kind) -> SqlResult<()> {
        match kind {
            Kind::Query(query, options) => self.query(query, *options),
            Kind::Insert(insert) => {
                let change = |run: &mut Self| {
                    let mut planner = run.planner();
                    let change = planner.insert(insert)?;
                    Ok((change, std::mem::take(&mut planner.binds)))
                };
                self.change(change, command::INSERT)
            }
            Kind::Update(update) => {
                let change = |run: &mut Self| {
                    let mut planner = run.planner();
                    let change = planner.update(update)?;
                    Ok((change, std::mem::take(&mut planner.binds)))
                };
                self.change(change, command::UPDATE)
            }
            Kind::Delete(delete) => {
                let change = |run: &mut Self| {
                    let mut planner = run.planner();
                    let change = planner.delete(delete)?;
                    Ok((change, std::mem::take(&mut planner.binds)))
                };
                self.change(change, command::DELETE)
            }
            Kind::Truncate(name) => self.truncate(name),
            _ => Ok(()),
        }
    }

    fn query(&mut self, query: &Query, options: QueryOptions) -> SqlResult<()> {
        if self.state.settings.implicit_transactions && has_from(query) {
            self.implicit_transaction()?;
        }
        if let Some(target) = into_target(query)? {
            return self.select_into(query, &target);
        }
        self.before_read()?;
        let mut planner = self.planner();
        planner.max_recursion = options.max_recursion.unwrap_or(100);
        let rel = planner.top_query(query)?;
        let binds = std::mem::take(&mut planner.binds);
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

    /// SELECT @x = …: the last row counts.
    fn assign(&mut self, rel: &Rel, binds: Vec<Stored>) -> SqlResult<()> {
        let mut last: Option<Vec<Value>> = None;
        let mut count = 0;
        {
            let mut statement = self.state.conn.prepare(&rel.sql)?;
            let binds = used(&statement, binds);
            let mut rows = statement.query(binds)?;
            while let Some(row) = rows.next()? {
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

    fn change(
        &mut self,
        plan: impl FnOnce(&mut Self) -> SqlResult<(Change, Vec<Stored>)>,
        command: u16,
    ) -> SqlResult<()> {
        // A first look tells whether a session's own table is meant: that needs no lock.
        let (probe, binds) = plan(self)?;
        let temp = probe.table.is_temp();
        let count = self.write(temp, |run| run.apply(&probe, binds))?;
        self.ended(command, count);
        Ok(())
    }

    fn apply(&mut self, change: &Change, binds: Vec<Stored>) -> SqlResult<i64> {
        if let Some((seed, increment)) = change.identity {
            let next = self.next_identity(&change.table)?.unwrap_or(seed);
            self.state.counter.begin(next, increment);
        }
        let count = if change.output.is_empty() {
            let mut statement = self.state.conn.prepare(&change.sql)?;
            let binds = used(&statement, binds);
            let changed = statement
                .execute(binds)
                .map_err(|error| self.constraint(error, &change.table, &change.sql))?;
            i64::try_from(changed).unwrap_or(i64::MAX)
        } else {
            self.with_output(change, binds)?
        };
        if count > 0 {
            self.note_identity(change)?;
        }
        Ok(count)
    }

    fn with_output(&mut self, change: &Change, binds: Vec<Stored>) -> SqlResult<i64> {
        let mut statement = self.state.conn.prepare(&change.sql)?;
        let binds = used(&statement, binds);
        let mut rows = statement.query(binds)?;
        // The first row comes when all changes are made: an error comes before the result.
        let mut row = rows
            .next()
            .map_err(|error| self.constraint(error, &change.table, &change.sql))?;
        self.out.columns(&change.output)?;
        let mut count = 0;
        while let Some(current) = row {
            self.out.row(|index| Ok(current.get_ref(index)?))?;
            count += 1;
            row = rows.next()?;
        }
        Ok(count)
    }

    pub(super) fn next_identity(&self, table: &Table) -> SqlResult<Option<i64>> {
        Ok(self
            .state
            .conn
            .prepare_cached(&format!(
                "SELECT identity_next FROM {}.\"~objects\" WHERE id = ?1",
                table.alias
            ))?
            .query_row([table.id], |row| row.get(0))?)
    }

    pub(super) fn note_identity(&mut self, change: &Change) -> SqlResult<()> {
        let table = &change.table;
        let conn = &self.state.conn;
        let set = format!(
            "UPDATE {}.\"~objects\" SET identity_next = ?1 WHERE id = ?2",
            table.alias
        );
        if let Some((_, increment)) = change.identity {
            let next = self.state.counter.peek();
            conn.prepare_cached(&set)?.execute([next, table.id])?;
            let last = next.saturating_sub(increment);
            self.state.identity = Some(last);
            self.state.scope_identity = Some(last);
        } else if let (Some(column), Some((seed, increment))) = (
            &change.explicit_identity,
            table.identity_column().and_then(|c| c.identity),
        ) {
            let end = if increment > 0 { "max" } else { "min" };
            let (last, far): (Stored, Stored) = conn.query_row(
                &format!("SELECT (SELECT {column} FROM {0} ORDER BY rowid DESC LIMIT 1),{end}({column}) FROM {0}", table.sql()),
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let number = |stored: &Stored| match stored {
                Stored::Integer(v) => Some(*v),
                Stored::Blob(v) => super::super::types::Decimal::from_sortable(v)
                    .and_then(super::super::types::Decimal::to_i64),
                _ => None,
            };
            let next = self.next_identity(table)?.unwrap_or(seed);
            let beyond = number(&far).map_or(next, |f| f.saturating_add(increment));
            let next = if increment > 0 {
                next.max(beyond)
            } else {
                next.min(beyond)
            };
            self.state
                .conn
                .prepare_cached(&set)?
                .execute([next, table.id])?;
            self.state.identity = number(&last);
            self.state.scope_identity = number(&last);
        } else {
            self.state.scope_identity = None;
            self.state.identity = None;
        }
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

    fn select_into(&mut self, query: &Query, target: &QualifiedName) -> SqlResult<()> {
        let mut planner = self.planner();
        let rel = planner.top_query(query)?;
        let binds = std::mem::take(&mut planner.binds);
        if let Some(index) = rel.columns.iter().position(|c| c.name.is_empty()) {
            return Err(SqlError::new(
                1038,
                format!("An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name (column {}).", index + 1),
            )
            .class(15));
        }
        let count = self.write(target.is_temp(), |run| {
            let table = run.create_like(target, &rel.columns)?;
            let names: Vec<String> = table.columns.iter().map(|c| quote(&c.name)).collect();
            let sql = format!(
                "INSERT INTO {}({}) {}",
                table.sql(),
                names.join(","),
                with_first(&rel.sql)
            );
            let mut statement = run.state.conn.prepare(&sql)?;
            let binds = used(&statement, binds);
            let count = statement.execute(binds)?;
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

/// The target of SELECT … INTO.
fn into_target(query: &Query) -> SqlResult<Option<QualifiedName>> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return Ok(None);
    };
    let Some(into) = &select.into else {
        return Ok(None);
    };
    let parts: Vec<Ident> = match into.targets.as_slice() {
        [Expr::Identifier(name)] => vec![name.clone()],
        [Expr::CompoundIdentifier(parts)] => parts.clone(),
        _ => return Err(SqlError::keyword_near("INTO")),
    };
    let name = ObjectName(parts.into_iter().map(ObjectNamePart::Identifier).collect());
    QualifiedName::of(&name).map(Some)
}

/// The values that the statement asks for: a folded variable leaves its value behind.
pub(super) fn used(
    statement: &Statement<'_>,
    mut binds: Vec<Stored>,
) -> ParamsFromIter<Vec<Stored>> {
    binds.truncate(statement.parameter_count());
    params_from_iter(binds)
}
