//! What the catalogue keeps of constraints and indexes, beside what SQLite enforces.

use rusqlite::params;
use sqlparser::ast::Ident;

use super::super::catalogue::tables::{Table, same_name};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Column, Constraint};
use super::super::planner::denied;
use super::Run;

impl Run<'_, '_> {
    /// Enters a constraint under the name given, or one made as SQL Server makes it.
    pub(super) fn constraint_name(
        &mut self,
        table: &Table,
        name: Option<&Ident>,
        kind: &str,
        column: Option<&str>,
    ) -> SqlResult<String> {
        let count: i64 = self.state.conn.query_row(
            &format!(
                "SELECT count(*) FROM {}.\"~objects\" WHERE parent = ?1",
                table.alias
            ),
            [table.id],
            |row| row.get(0),
        )?;
        let made = || made_name(table, kind, column, table.id + count);
        let own = name.map_or_else(made, |n| n.value.clone());
        self.check_free(&table.alias, &table.schema, &own)?;
        self.new_object(&table.alias, table.schema_id, &own, kind, table.id, None)?;
        if name.is_none() {
            self.note(table, &own, "system_named = 1", &[])?;
        }
        if let (true, Some(position)) = (kind == "C", column.and_then(|c| position(table, c))) {
            self.note_parent_column(table, &own, position)?;
        }
        Ok(own)
    }

    /// The text that the catalogue shows for a default or a check.
    pub(super) fn note_definition(&self, table: &Table, name: &str, text: &str) -> SqlResult<()> {
        self.note(table, name, "definition = ?3", &[&text])
    }

    /// The column to which a constraint belongs, counted from 1.
    pub(super) fn note_parent_column(
        &self,
        table: &Table,
        name: &str,
        column: usize,
    ) -> SqlResult<()> {
        let column = i64::try_from(column).unwrap_or(0);
        self.note(table, name, "parent_column = ?3", &[&column])
    }

    fn note(
        &self,
        table: &Table,
        name: &str,
        set: &str,
        values: &[&dyn rusqlite::ToSql],
    ) -> SqlResult<()> {
        let sql = format!(
            "UPDATE {}.\"~objects\" SET {set} WHERE parent = ?1 AND name = ?2",
            table.alias
        );
        let mut all: Vec<&dyn rusqlite::ToSql> = vec![&table.id, &name];
        all.extend(values);
        self.state.conn.execute(&sql, all.as_slice())?;
        Ok(())
    }

    /// Keeps an index's columns and their order.
    pub(super) fn note_index_columns(
        &self,
        table: &Table,
        index: i64,
        columns: &[(Ident, bool)],
    ) -> SqlResult<()> {
        for (ordinal, (column, ascending)) in (1i64..).zip(columns) {
            self.state.conn.execute(
                &format!(
                    "INSERT INTO {0}.\"~index_columns\"(object_id, index_id, ordinal, column_id, descending)
                     SELECT ?1, ?2, ?3, id, ?5 FROM {0}.\"~columns\" WHERE object_id = ?1 AND name = ?4",
                    table.alias
                ),
                params![table.id, index, ordinal, column.value, !ascending],
            )?;
        }
        Ok(())
    }

    /// Keeps what a foreign key refers to. Fails if it may not, or if nothing there is unique.
    pub(super) fn note_foreign_key(
        &self,
        table: &Table,
        name: &str,
        columns: &[Ident],
        (parent, keys): (&Table, &[String]),
        actions: &str,
        to_itself: bool,
    ) -> SqlResult<()> {
        if !to_itself {
            self.may_refer(parent)?;
            self.has_key(parent, keys, name)?;
        }
        let conn = &self.state.conn;
        let id: i64 = conn.query_row(
            &format!(
                "SELECT id FROM {}.\"~objects\" WHERE parent = ?1 AND name = ?2",
                table.alias
            ),
            params![table.id, name],
            |row| row.get(0),
        )?;
        conn.execute(
            &format!(
                "INSERT INTO {}.\"~foreign_keys\"(id, referenced, on_delete, on_update) VALUES (?1, ?2, ?3, ?4)",
                table.alias
            ),
            params![id, parent.id, action(actions, "DELETE"), action(actions, "UPDATE")],
        )?;
        for (ordinal, (own, key)) in (1i64..).zip(columns.iter().zip(keys)) {
            conn.execute(
                &format!(
                    "INSERT INTO {0}.\"~foreign_key_columns\"(id, ordinal, parent_column, referenced_column)
                     SELECT ?1, ?2, (SELECT id FROM {0}.\"~columns\" WHERE object_id = ?3 AND name = ?4),
                            (SELECT id FROM {0}.\"~columns\" WHERE object_id = ?5 AND name = ?6)",
                    table.alias
                ),
                params![id, ordinal, table.id, own.value, parent.id, key],
            )?;
        }
        Ok(())
    }

    fn may_refer(&self, parent: &Table) -> SqlResult<()> {
        let state = &self.state;
        let may = parent.is_temp()
            || state.acting().may(
                &state.conn,
                &state.database.alias(),
                "REFERENCES",
                parent.securable(),
            )?;
        if may {
            return Ok(());
        }
        Err(denied(
            "REFERENCES",
            &parent.name,
            &state.database.name,
            &parent.schema,
        ))
    }

    /// 1776 unless a unique index has just these columns.
    fn has_key(&self, parent: &Table, keys: &[String], name: &str) -> SqlResult<()> {
        let mut wanted: Vec<usize> = keys.iter().filter_map(|k| position(parent, k)).collect();
        wanted.sort_unstable();
        let mut statement = self.state.conn.prepare(&format!(
            "SELECT c.index_id, group_concat(c.column_id) FROM (SELECT index_id, column_id FROM {0}.\"~index_columns\"
             WHERE object_id = ?1 AND NOT included ORDER BY column_id) c
             JOIN {0}.\"~indexes\" i ON i.object_id = ?1 AND i.id = c.index_id AND i.is_unique GROUP BY c.index_id",
            parent.alias
        ))?;
        let mut rows = statement.query([parent.id])?;
        while let Some(row) = rows.next()? {
            let found: String = row.get(1)?;
            if found
                .split(',')
                .filter_map(|p| p.parse::<usize>().ok())
                .eq(wanted.iter().copied())
            {
                return Ok(());
            }
        }
        Err(SqlError::new(
            1776,
            format!(
                "There are no primary or candidate keys in the referenced table '{}' that match the referencing \
                 column list in the foreign key '{name}'.",
                parent.shown()
            ),
        )
        .state(0))
    }
}

/// The column that a constraint stands at, if it stands at one.
pub(super) fn own_column<'c>(
    table: &Table,
    columns: &'c [Column],
    constraint: &Constraint,
) -> Option<&'c str> {
    let column = columns
        .iter()
        .find(|c| c.constraints.iter().any(|k| std::ptr::eq(k, constraint)))?;
    table
        .column(&column.name.value)
        .map(|_| column.name.value.as_str())
}

fn position(table: &Table, column: &str) -> Option<usize> {
    table
        .columns
        .iter()
        .position(|c| same_name(&c.name, column))
        .map(|index| index + 1)
}

/// `PK__orders__3214EC0767E5A5C1`, `DF__orders__state__5BE2A6F2`.
fn made_name(table: &Table, kind: &str, column: Option<&str>, number: i64) -> String {
    let start = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    let name = start(table.name.trim_start_matches('#'), 9);
    let number = number & 0xFFFF_FFFF;
    match kind {
        "PK" | "UQ" => format!("{kind}__{name}__{:08X}{number:08X}", 0x3214_EC07),
        _ => {
            let prefix = match kind {
                "C" => "CK",
                "F" => "FK",
                _ => "DF",
            };
            format!(
                "{prefix}__{name}__{}__{number:08X}",
                start(column.unwrap_or(""), 5)
            )
            .replace("____", "__")
        }
    }
}

/// `delete_referential_action`: 0 none, 1 cascade, 2 set null, 3 set default.
fn action(actions: &str, event: &str) -> i64 {
    let of = |word: &str| actions.contains(&format!("ON {event} {word}"));
    match () {
        () if of("CASCADE") => 1,
        () if of("SET NULL") => 2,
        () if of("SET DEFAULT") => 3,
        () => 0,
    }
}
