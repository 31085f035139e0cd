//! `sp_rename` of tables, views, columns, indexes and constraints.

use rusqlite::{OptionalExtension, params};

use super::super::catalogue::security::Securable;
use super::super::catalogue::tables::{self, QualifiedName, Table, quote, same_name, stored_name};
use super::super::catalogue::{now_ticks, visible};
use super::super::error::{SqlError, SqlResult};
use super::super::types::Value;
use super::super::types::datetime::round_datetime;
use super::Run;
use super::constraint::SEPARATOR;
use super::procedures::Given;

/// An object with a name of its own.
struct Object {
    id: i64,
    /// `U`, `V`, `PK`, `UQ`, `C`, `D` or `F`.
    kind: String,
    schema: String,
    name: String,
    /// The table of a constraint; the object itself otherwise.
    owner: Table,
}

impl Run<'_, '_> {
    pub(super) fn sp_rename(&mut self, given: Vec<Given>) -> SqlResult<i32> {
        let arguments = self.bind(
            "sp_rename",
            "@objname nvarchar(1035),@newname nvarchar(128),@objtype varchar(13)=NULL",
            given,
        )?;
        let text = |name: &str| match arguments.get(name).map(|v| &v.value) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let (old, new, what) = (text("@objname"), text("@newname"), text("@objtype"));
        let renamed = self.rename_as(old, new, what.as_deref());
        match renamed {
            Ok(()) => {
                let text = "Caution: Changing any part of an object name could break scripts and stored procedures.";
                self.out.info(&SqlError::new(15477, text).class(10));
                Ok(0)
            }
            // The procedure's own errors; all others are of what it calls.
            Err(error) if matches!(error.number, 15223..=15250 | 15335 | 15336) => {
                self.call_error(error, 1)
            }
            Err(error) => Err(error),
        }
    }

    fn rename_as(
        &mut self,
        old: Option<String>,
        new: Option<String>,
        what: Option<&str>,
    ) -> SqlResult<()> {
        let kind = what.map(str::to_uppercase);
        match kind.as_deref() {
            None | Some("OBJECT" | "COLUMN" | "INDEX") => {}
            Some(other @ ("DATABASE" | "STATISTICS" | "USERDATATYPE")) => {
                return Err(SqlError::unsupported(format!("sp_rename of a {other}")));
            }
            Some(_) => {
                let what = what.unwrap_or_default();
                let text = format!("Error: Explicit @objtype '{what}' is unrecognized.");
                return Err(SqlError::new(15249, text).class(11));
            }
        }
        let not_null = |name: &str| {
            let text = format!("Error: The input parameter '{name}' is not allowed to be null.");
            SqlError::new(15223, text).class(11)
        };
        let new = new.ok_or_else(|| not_null("NewName"))?;
        let old = old.ok_or_else(|| not_null("OldName"))?;
        if new.is_empty() {
            return Err(SqlError::unsupported("sp_rename to an empty name"));
        }
        let parts = QualifiedName::parts(&old).unwrap_or_default();
        let wrong = || {
            let what = what.unwrap_or_default();
            SqlError::new(15248, format!("Either the parameter @objname is ambiguous or the claimed @objtype ({what}) is wrong.")).class(11)
        };
        match kind.as_deref() {
            Some("COLUMN") => self.rename_column(&parts, &old, &new)?.ok_or_else(wrong),
            Some("INDEX") => self.rename_index(&parts, &new)?.ok_or_else(wrong),
            Some(_) => self.rename_object(&parts, &new)?.ok_or_else(wrong),
            None => {
                if self.rename_object(&parts, &new)?.is_some() {
                    return Ok(());
                }
                if self.part_of_table(&parts)?.is_some() {
                    return Err(SqlError::unsupported(
                        "sp_rename of a part of a table without @objtype",
                    ));
                }
                Err(SqlError::new(
                    15225,
                    format!(
                        "No item by the name of '{old}' could be found in the current database '{}', given that @itemtype was input as '(null)'.",
                        self.state.database.name
                    ),
                )
                .class(11))
            }
        }
    }

    /// `None` if there is no such object.
    fn rename_object(&mut self, parts: &[String], new: &str) -> SqlResult<Option<()>> {
        let Some(object) = self.object_named(parts)? else {
            return Ok(None);
        };
        self.may_alter(&object.owner)?;
        let alias = self.alias();
        if let Some((other, _)) = tables::object(&self.state.conn, &alias, &object.schema, new)? {
            if other == object.id {
                return Err(SqlError::unsupported("sp_rename that changes case only"));
            }
            return Err(taken(new, "object"));
        }
        self.write(false, |run| {
            let conn = &run.state.conn;
            match object.kind.as_str() {
                "U" => conn.execute_batch(&format!(
                    "ALTER TABLE {} RENAME TO {}",
                    object.owner.sql(),
                    quote(&stored_name(&object.schema, new))
                ))?,
                "PK" | "UQ" => {
                    let sql = format!(
                        "UPDATE {alias}.\"~indexes\" SET name = ?1 WHERE object_id = ?2 AND name = ?3"
                    );
                    conn.execute(&sql, params![new, object.owner.id, object.name])?;
                }
                "D" => {
                    let sql = format!(
                        "UPDATE {alias}.\"~columns\" SET default_name = ?1 WHERE object_id = ?2 AND default_name = ?3"
                    );
                    conn.execute(&sql, params![new, object.owner.id, object.name])?;
                }
                _ => {}
            }
            run.name_object(object.id, new)?;
            if matches!(object.kind.as_str(), "C" | "F") {
                run.rewrite(&object.owner)?;
            }
            Ok(())
        })?;
        Ok(Some(()))
    }

    /// `None` if there is no such column of a table.
    fn rename_column(&mut self, parts: &[String], shown: &str, new: &str) -> SqlResult<Option<()>> {
        let Some((table, name)) = self.part_of_table(parts)? else {
            return Ok(None);
        };
        let Some(at) = table.columns.iter().position(|c| same_name(&c.name, &name)) else {
            return Ok(None);
        };
        self.may_alter(&table)?;
        let own =
            |(index, column): (usize, &tables::Column)| index != at && same_name(&column.name, new);
        if table.columns.iter().enumerate().any(own) {
            return Err(taken(new, "COLUMN"));
        }
        if self.is_enforced(&table, &name)? {
            return Err(SqlError::new(
                15336,
                format!(
                    "Object '{shown}' cannot be renamed because the object participates in enforced dependencies."
                ),
            ));
        }
        let old = table.columns.get(at).map_or("", |c| c.name.as_str());
        let alias = self.alias();
        let position = i64::try_from(at + 1).unwrap_or(0);
        self.write(false, |run| {
            let conn = &run.state.conn;
            conn.execute_batch(&format!(
                "ALTER TABLE {} RENAME COLUMN {} TO {}",
                table.sql(),
                quote(old),
                quote(new)
            ))?;
            conn.execute(
                &format!(
                    "UPDATE {alias}.\"~columns\" SET name = ?1 WHERE object_id = ?2 AND id = ?3"
                ),
                params![new, table.id, position],
            )?;
            run.rename_in_indexes(&table, old, new)
        })?;
        Ok(Some(()))
    }

    /// `None` if there is no such index of a table.
    fn rename_index(&mut self, parts: &[String], new: &str) -> SqlResult<Option<()>> {
        let Some((table, name)) = self.part_of_table(parts)? else {
            return Ok(None);
        };
        let Some((id, kind)) = self.index_of(&table, &name)? else {
            return Ok(None);
        };
        self.may_alter(&table)?;
        if self
            .index_of(&table, new)?
            .is_some_and(|(other, _)| other != id)
        {
            return Err(taken(new, "INDEX"));
        }
        if matches!(kind.as_str(), "PK" | "UQ") {
            // The constraint goes by the same name.
            return self.rename_object(&[table.schema.clone(), name], new);
        }
        let alias = self.alias();
        self.write(false, |run| {
            run.state.conn.execute(
                &format!(
                    "UPDATE {alias}.\"~indexes\" SET name = ?1 WHERE object_id = ?2 AND id = ?3"
                ),
                params![new, table.id, id],
            )?;
            Ok(())
        })?;
        Ok(Some(()))
    }

    fn index_of(&self, table: &Table, name: &str) -> SqlResult<Option<(i64, String)>> {
        let sql = format!(
            "SELECT id, trim(kind) FROM {}.\"~indexes\" WHERE object_id = ?1 AND name = ?2",
            table.alias
        );
        let found = self
            .state
            .conn
            .query_row(&sql, params![table.id, name], |row| {
                Ok((row.get(0)?, row.get(1)?))
            });
        Ok(found.optional()?)
    }

    fn name_object(&self, id: i64, name: &str) -> SqlResult<()> {
        self.state.conn.execute(
            &format!(
                "UPDATE {}.\"~objects\" SET name = ?1, modified = ?2, system_named = 0 WHERE id = ?3",
                self.alias()
            ),
            params![name, round_datetime(now_ticks()), id],
        )?;
        Ok(())
    }

    /// The lists of columns that indexes keep by name.
    fn rename_in_indexes(&self, table: &Table, old: &str, new: &str) -> SqlResult<()> {
        let conn = &self.state.conn;
        let lists: Vec<(i64, String)> = conn
            .prepare(&format!(
                "SELECT id, columns FROM {}.\"~indexes\" WHERE object_id = ?1",
                table.alias
            ))?
            .query_map([table.id], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (id, list) in lists {
            let names: Vec<&str> = list
                .split(SEPARATOR)
                .map(|name| if same_name(name, old) { new } else { name })
                .collect();
            conn.execute(
                &format!(
                    "UPDATE {}.\"~indexes\" SET columns = ?1 WHERE object_id = ?2 AND id = ?3",
                    table.alias
                ),
                params![names.join(&SEPARATOR.to_string()), table.id, id],
            )?;
        }
        Ok(())
    }

    /// Whether a check or an index's filter speaks of the column.
    fn is_enforced(&self, table: &Table, column: &str) -> SqlResult<bool> {
        let shown = format!("[{}]", column.replace(']', "]]"));
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {0}.\"~objects\" WHERE parent = ?1 AND trim(kind) = 'C' AND instr(lower(definition), lower(?2)) > 0)
             OR EXISTS (SELECT 1 FROM {0}.\"~indexes\" WHERE object_id = ?1 AND instr(lower(filter), lower(?2)) > 0)",
            table.alias
        );
        let found = self
            .state
            .conn
            .query_row(&sql, params![table.id, shown], |row| row.get(0));
        Ok(found?)
    }

    /// The object of a name of up to three parts, if the user may know of it.
    fn object_named(&self, parts: &[String]) -> SqlResult<Option<Object>> {
        let Some(name) = QualifiedName::from_parts(parts.to_vec()) else {
            return Ok(None);
        };
        let own = &self.state.database.name;
        if name.database.as_ref().is_some_and(|d| !same_name(d, own)) {
            return Err(SqlError::new(
                15250,
                "The database name component of the object qualifier must be the name of the current database.",
            ));
        }
        let alias = self.alias();
        let schemas = match &name.schema {
            Some(schema) => vec![schema.clone()],
            None => vec![self.state.acting().default_schema.clone(), "dbo".into()],
        };
        let conn = &self.state.conn;
        for schema in schemas {
            let Some((id, kind)) = tables::object(conn, &alias, &schema, &name.name)? else {
                continue;
            };
            let seen = format!(
                "SELECT t.name, s.name, o.name FROM {} o JOIN {alias}.\"~objects\" t ON t.id = iif(o.parent = 0, o.id, o.parent)
                 JOIN {alias}.\"~schemas\" s ON s.id = t.schema_id WHERE o.id = ?1",
                visible::objects(self.state, &alias)?
            );
            let names: Option<(String, String, String)> = conn
                .query_row(&seen, [id], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            let Some((table, schema, name)) = names else {
                return Ok(None);
            };
            let owner = tables::find(conn, &alias, &schema, &table)?;
            return Ok(owner.map(|owner| Object {
                id,
                kind: kind.trim().to_owned(),
                schema,
                name,
                owner,
            }));
        }
        Ok(None)
    }

    /// `schema.table.part`: the table, and the last name.
    fn part_of_table(&self, parts: &[String]) -> SqlResult<Option<(Table, String)>> {
        let Some((last, rest)) = parts.split_last() else {
            return Ok(None);
        };
        if rest.is_empty() {
            return Ok(None);
        }
        let object = self.object_named(rest)?.filter(|o| o.kind == "U");
        Ok(object.map(|object| (object.owner, last.clone())))
    }

    fn may_alter(&self, table: &Table) -> SqlResult<()> {
        let user = self.state.acting();
        let on = Securable::Object(table.id, table.schema_id);
        if user.may(&self.state.conn, &self.alias(), "ALTER", on)? {
            return Ok(());
        }
        Err(SqlError::new(
            15247,
            "User does not have permission to perform this action.",
        ))
    }
}

fn taken(name: &str, what: &str) -> SqlError {
    SqlError::new(
        15335,
        format!("Error: The new name '{name}' is already in use as a {what} name and would cause a duplicate that is not permitted."),
    )
    .class(11)
}
