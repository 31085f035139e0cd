//! CREATE VIEW and ALTER VIEW.

use rusqlite::params;
use sqlparser::ast::{Ident, ObjectName, Query};

use super::super::catalogue::now_ticks;
use super::super::catalogue::tables::{QualifiedName, Table};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Column, ViewChange};
use super::super::planner::Output;
use super::super::types::datetime::round_datetime;
use super::Run;

impl Run<'_, '_> {
    pub(super) fn create_view(
        &mut self,
        name: &ObjectName,
        names: &[Ident],
        (query, source): (&Query, &str),
        how: ViewChange,
    ) -> SqlResult<()> {
        let name = QualifiedName::of(name)?;
        if name.is_temp() {
            return Err(SqlError::new(
                4103,
                format!("\"{}\": Temporary views are not allowed.", name.name),
            )
            .class(15));
        }
        if query.order_by.is_some()
            && query.limit_clause.is_none()
            && !query.to_string().contains(" TOP ")
        {
            return Err(SqlError::new(1033, "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table expressions, unless TOP, OFFSET or FOR XML is also specified.").class(15));
        }
        let old = self.old_view(&name, how)?;
        let mut planner = self.planner();
        let rel = planner.top_query(query)?;
        if !planner.binds.is_empty() {
            return Err(SqlError::new(137, "Variables are not allowed in a view.").class(15));
        }
        let definition = query.to_string();
        self.write(false, |run| {
            let view = match old {
                Some(old) => run.emptied(old, &definition, source)?,
                None => run.new_view(&name, &definition, source)?,
            };
            run.view_columns(view, names, &rel.columns)?;
            // A view that reads itself shows now, when the catalogue has it.
            match run.planner().top_query(query) {
                Err(error) if error.number == 217 => Err(SqlError::new(4429, format!("View or function '{}' contains a self-reference. Views or functions cannot reference themselves directly or indirectly.", name.shown()))),
                Err(error) => Err(error),
                Ok(_) => Ok(()),
            }
        })
    }

    /// The view that is altered; `None` if a new one is made.
    fn old_view(&mut self, name: &QualifiedName, how: ViewChange) -> SqlResult<Option<Table>> {
        if how == ViewChange::Create {
            return Ok(None);
        }
        let Ok(old) = self.planner().find_table(name) else {
            if how == ViewChange::CreateOrAlter {
                return Ok(None);
            }
            return Err(
                SqlError::new(208, format!("Invalid object name '{}'.", name.shown())).state(6),
            );
        };
        if !old.is_view {
            return Err(SqlError::new(
                2010,
                format!(
                    "Cannot perform alter on '{}' because it is an incompatible object type.",
                    name.shown()
                ),
            ));
        }
        self.planner().require(&old, "ALTER")?;
        Ok(Some(old))
    }

    fn new_view(
        &mut self,
        name: &QualifiedName,
        definition: &str,
        source: &str,
    ) -> SqlResult<Table> {
        let (alias, schema, schema_id) = self.place_for(name, "CREATE VIEW")?;
        let id = self.new_object(&alias, schema_id, &name.name, "V", 0, Some(definition))?;
        self.state.conn.execute(
            &format!("UPDATE {alias}.\"~objects\" SET source = ?1 WHERE id = ?2"),
            params![source, id],
        )?;
        Ok(Table {
            id,
            schema_id,
            schema,
            name: name.name.clone(),
            is_view: true,
            definition: None,
            columns: Vec::new(),
            alias,
        })
    }

    /// The view with its new query and without columns. Its id and its permissions stay.
    fn emptied(&mut self, mut view: Table, definition: &str, source: &str) -> SqlResult<Table> {
        let conn = &self.state.conn;
        conn.execute(
            &format!(
                "UPDATE {}.\"~objects\" SET definition = ?1, source = ?2, modified = ?3 WHERE id = ?4",
                view.alias
            ),
            params![definition, source, round_datetime(now_ticks()), view.id],
        )?;
        conn.execute(
            &format!(
                "DELETE FROM {}.\"~columns\" WHERE object_id = ?1",
                view.alias
            ),
            [view.id],
        )?;
        view.columns.clear();
        Ok(view)
    }

    fn view_columns(
        &mut self,
        mut view: Table,
        names: &[Ident],
        outputs: &[Output],
    ) -> SqlResult<()> {
        if !names.is_empty() && names.len() != outputs.len() {
            let (number, word) = if names.len() > outputs.len() {
                (8159, "fewer")
            } else {
                (8158, "more")
            };
            return Err(SqlError::new(
                number,
                format!(
                    "'{}' has {word} columns than were specified in the column list.",
                    view.name
                ),
            ));
        }
        for (index, output) in outputs.iter().enumerate() {
            let own = names
                .get(index)
                .map_or_else(|| output.name.clone(), |n| n.value.clone());
            if own.is_empty() {
                return Err(SqlError::new(
                    4511,
                    format!(
                        "Create View or Function failed because no column name was specified for column {}.",
                        index + 1
                    ),
                ));
            }
            let column = Column {
                name: Ident::new(own),
                ty: output.ty,
                nullable: Some(output.nullable),
                identity: None,
                default: None,
                constraints: Vec::new(),
            };
            self.new_column(&mut view, &column, false)?;
        }
        Ok(())
    }
}
