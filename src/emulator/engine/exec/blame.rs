//! Which constraint and which values a refused change has broken.
//!
//! SQLite tells little. The statement runs once more, without what refused it and only to be looked
//! at, and is undone.

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{OptionalExtension, params};

use super::super::catalogue::tables::{Table, quote, stored_name};
use super::super::error::{SqlError, SqlResult};
use super::super::planner::change::Change;
use super::super::types::{MAX, SqlType, Value, convert};
use super::Run;
use super::rows::used;

/// The catalogue's name of a foreign key, its columns and those it refers to.
struct ForeignKey {
    name: String,
    own: Vec<String>,
    other: Vec<String>,
}

impl Run<'_, '_> {
    /// Completes an error of a statement that broke a constraint.
    pub(super) fn blamed(
        &mut self,
        error: SqlError,
        change: &Change,
        sql: &str,
        binds: &[Stored],
    ) -> SqlError {
        let found = match error.number {
            547 if error.message.contains("constraint \"FK\"") => {
                self.broken_reference(change, sql, binds)
            }
            2601 | 2627 => self.duplicate_value(change, sql, binds, &error),
            _ => return error,
        };
        // Where the second look fails, the first one's words must do.
        found.ok().flatten().unwrap_or(error)
    }

    fn broken_reference(
        &mut self,
        change: &Change,
        sql: &str,
        binds: &[Stored],
    ) -> SqlResult<Option<SqlError>> {
        self.look(|run| {
            run.state
                .conn
                .execute_batch("PRAGMA defer_foreign_keys=ON")?;
            let result = run
                .again(sql, binds)
                .and_then(|()| run.first_orphan(change));
            run.state
                .conn
                .execute_batch("PRAGMA defer_foreign_keys=OFF")?;
            result
        })
    }

    fn first_orphan(&mut self, change: &Change) -> SqlResult<Option<SqlError>> {
        let (table, conn) = (&change.table, &self.state.conn);
        let own = stored_name(&table.schema, &table.name);
        let mut check = conn.prepare(&format!("PRAGMA {}.foreign_key_check", table.alias))?;
        let mut rows = check.query([])?;
        while let Some(row) = rows.next()? {
            let (child, parent): (String, String) = (row.get(0)?, row.get(2)?);
            let number: i64 = row.get(3)?;
            let is_child = child.eq_ignore_ascii_case(&own);
            let is_parent = parent.eq_ignore_ascii_case(&own);
            if !is_child && !is_parent {
                continue;
            }
            let Some(key) = self.key_name(table, &child, number)? else {
                continue;
            };
            let (kind, place, column) =
                match (is_child && change.verb != "DELETE", is_child && is_parent) {
                    (true, false) => ("FOREIGN KEY", &parent, key.other),
                    (true, true) => ("FOREIGN KEY SAME TABLE", &parent, key.other),
                    (false, true) => ("SAME TABLE REFERENCE", &child, key.own),
                    (false, false) => ("REFERENCE", &child, key.own),
                };
            let column = match column.as_slice() {
                [one] => format!(", column '{one}'"),
                _ => String::new(),
            };
            return Ok(Some(
                SqlError::new(
                    547,
                    format!(
                        "The {} statement conflicted with the {kind} constraint \"{}\". The conflict occurred in database \"{}\", table \"{place}\"{column}.",
                        change.verb, key.name, self.state.database.name
                    ),
                )
                .state(0),
            ));
        }
        Ok(None)
    }

    fn key_name(&self, table: &Table, child: &str, number: i64) -> SqlResult<Option<ForeignKey>> {
        let a = &table.alias;
        let pairs: Vec<(String, String)> = self
            .state
            .conn
            .prepare("SELECT \"from\", \"to\" FROM pragma_foreign_key_list(?1, ?2) WHERE id = ?3 ORDER BY seq")?
            .query_map(params![child, a, number], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let own: Vec<String> = pairs.iter().map(|(own, _)| own.clone()).collect();
        let other: Vec<String> = pairs.into_iter().map(|(_, other)| other).collect();
        let sql = format!(
            "SELECT o.name, (SELECT group_concat(c.name, char(31)) FROM (SELECT c.name FROM {a}.\"~foreign_key_columns\" f
               JOIN {a}.\"~columns\" c ON c.object_id = o.parent AND c.id = f.parent_column WHERE f.id = o.id ORDER BY f.ordinal) c)
             FROM {a}.\"~objects\" o JOIN {a}.\"~objects\" t ON t.id = o.parent JOIN {a}.\"~schemas\" s ON s.id = t.schema_id
             WHERE trim(o.kind) = 'F' AND s.name || '.' || t.name = ?1 COLLATE NOCASE"
        );
        let mut statement = self.state.conn.prepare(&sql)?;
        let mut rows = statement.query([child])?;
        let wanted = own.join("\u{1f}");
        while let Some(row) = rows.next()? {
            let columns: Option<String> = row.get(1)?;
            if columns.is_some_and(|c| c.eq_ignore_ascii_case(&wanted)) {
                return Ok(Some(ForeignKey {
                    name: row.get(0)?,
                    own,
                    other,
                }));
            }
        }
        Ok(None)
    }

    fn duplicate_value(
        &mut self,
        change: &Change,
        sql: &str,
        binds: &[Stored],
        error: &SqlError,
    ) -> SqlResult<Option<SqlError>> {
        let table = &change.table;
        let name = error
            .message
            .split('\'')
            .nth(if error.number == 2627 { 1 } else { 3 });
        let found: Option<(i64, String)> = self
            .state
            .conn
            .query_row(
                &format!(
                    "SELECT id, columns FROM {}.\"~indexes\" WHERE object_id = ?1 AND name = ?2 AND filter IS NULL",
                    table.alias
                ),
                params![table.id, name],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let Some((index, columns)) = found else {
            return Ok(None);
        };
        let keys: Vec<String> = columns
            .split(super::constraint::SEPARATOR)
            .map(str::to_owned)
            .collect();
        self.begin_identity(change)?;
        let value = self.look(|run| {
            if change.verb == "INSERT" {
                run.inserted_twice(change, sql, binds, &keys)
            } else {
                run.state.conn.execute_batch(&format!(
                    "DROP INDEX {}.{}",
                    table.alias,
                    quote(&format!("ix.{}.{index}", table.id))
                ))?;
                run.again(sql, binds)?;
                run.first_twice(&table.sql(), table, &keys)
            }
        })?;
        Ok(value.map(|value| SqlError {
            message: format!("{} The duplicate key value is ({value}).", error.message),
            ..error.clone()
        }))
    }

    /// The first new row whose key is there already, or comes twice.
    fn inserted_twice(
        &mut self,
        change: &Change,
        sql: &str,
        binds: &[Stored],
        keys: &[String],
    ) -> SqlResult<Option<String>> {
        const ASIDE: &str = "temp.\"~aside\"";
        let table = &change.table;
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|c| {
                let collation =
                    c.ty.collation()
                        .map_or_else(String::new, |n| format!(" COLLATE {n}"));
                format!("{}{collation}", quote(&c.name))
            })
            .collect();
        self.state
            .conn
            .execute_batch(&format!("CREATE TABLE {ASIDE}({})", columns.join(",")))?;
        let into = format!("INSERT INTO {} (", table.sql());
        self.again(
            &sql.replacen(&into, &format!("INSERT INTO {ASIDE} ("), 1),
            binds,
        )?;
        let same: Vec<String> = keys
            .iter()
            .map(|k| format!("z.{0} IS w.{0}", quote(k)))
            .collect();
        let list: Vec<String> = keys.iter().map(|k| format!("w.{}", quote(k))).collect();
        let there = format!(
            "SELECT {} FROM {ASIDE} w WHERE EXISTS (SELECT 1 FROM {} z WHERE {}) ORDER BY w.rowid LIMIT 1",
            list.join(","),
            table.sql(),
            same.join(" AND ")
        );
        match self.key_text(&there, table, keys)? {
            Some(text) => Ok(Some(text)),
            None => self.first_twice(ASIDE, table, keys),
        }
    }

    fn first_twice(
        &mut self,
        place: &str,
        table: &Table,
        keys: &[String],
    ) -> SqlResult<Option<String>> {
        let list: Vec<String> = keys.iter().map(|k| quote(k)).collect();
        let list = list.join(",");
        let sql = format!(
            "SELECT {list} FROM {place} GROUP BY {list} HAVING count(*) > 1 ORDER BY min(rowid) LIMIT 1"
        );
        self.key_text(&sql, table, keys)
    }

    fn key_text(&self, sql: &str, table: &Table, keys: &[String]) -> SqlResult<Option<String>> {
        let mut statement = self.state.conn.prepare(sql)?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let mut texts = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let ty = table.column(key).map_or(SqlType::Int, |c| c.ty);
            texts.push(shown(row.get_ref(index)?, ty)?);
        }
        Ok(Some(texts.join(", ")))
    }

    fn again(&self, sql: &str, binds: &[Stored]) -> SqlResult<()> {
        let mut statement = self.state.conn.prepare(sql)?;
        let given = used(&statement, binds.to_vec());
        let mut rows = statement.query(given)?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    /// Does something and undoes it.
    fn look<T>(&mut self, work: impl FnOnce(&mut Self) -> SqlResult<T>) -> SqlResult<T> {
        self.state.conn.execute_batch("SAVEPOINT look")?;
        let result = work(self);
        self.state
            .conn
            .execute_batch("ROLLBACK TO look; RELEASE look")?;
        result
    }
}

fn shown(value: ValueRef<'_>, ty: SqlType) -> SqlResult<String> {
    let value = Value::from_stored(value, ty).unwrap_or(Value::Null);
    if value.is_null() {
        return Ok("<NULL>".into());
    }
    Ok(
        match convert::cast(value, ty, SqlType::NVarChar(MAX), None)? {
            Value::Text(text) => text.trim_end().to_owned(),
            _ => String::new(),
        },
    )
}
