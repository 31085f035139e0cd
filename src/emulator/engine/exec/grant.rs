//! GRANT, DENY and REVOKE.

use rusqlite::params;
use sqlparser::ast::Ident;

use super::super::catalogue::permissions;
use super::super::catalogue::security::{self, Rights, Securable};
use super::super::catalogue::tables::{self, QualifiedName};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Security, Target, Verb};
use super::Run;

/// What one row of permissions is about.
struct Entry<'p> {
    on: Securable,
    grantee: i64,
    grantor: i64,
    permission: &'p str,
}

impl Entry<'_> {
    /// Class, major and minor id.
    fn place(&self) -> (i64, i64, i64) {
        let (class, major) = self.on.class_and_id();
        match self.on {
            Securable::Column(.., column) => (class, major, column),
            _ => (class, major, 0),
        }
    }
}

/// How a statement changes permissions.
#[derive(Clone, Copy)]
struct How {
    verb: Verb,
    /// WITH GRANT OPTION, or GRANT OPTION FOR.
    option: bool,
    cascade: bool,
}

impl Run<'_, '_> {
    pub(super) fn permission(&mut self, statement: &Security) -> SqlResult<()> {
        let Security::Permission {
            verb,
            permissions,
            on: target,
            to,
            grant_option,
            cascade,
            grantor,
        } = statement
        else {
            return Err(SqlError::internal("a permission statement is none"));
        };
        let how = How {
            verb: *verb,
            option: *grant_option,
            cascade: *cascade,
        };
        let on = self.securable(target.as_ref())?;
        let mut entries = Vec::new();
        for (permission, columns) in permissions {
            let class = on.class_and_id().0;
            let places = self.places(on, permission, columns)?;
            for name in expand(permission, class)? {
                for place in &places {
                    entries.push((name, *place));
                }
            }
        }
        for grantee in to {
            let id = self.grantee(&grantee.value)?;
            for (permission, on) in &entries {
                let grantor = match grantor {
                    Some(name) => self.named_grantor(&name.value, permission, *on)?,
                    None => self.grantor(permission, *on, target.as_ref())?,
                };
                let entry = Entry {
                    on: *on,
                    grantee: id,
                    grantor,
                    permission,
                };
                self.write(false, |run| run.set_permission(how, &entry))?;
            }
        }
        Ok(())
    }

    /// The thing itself, or those columns of it.
    fn places(
        &self,
        on: Securable,
        permission: &str,
        columns: &[Ident],
    ) -> SqlResult<Vec<Securable>> {
        if columns.is_empty() {
            return Ok(vec![on]);
        }
        let with_columns = ["SELECT", "UPDATE", "REFERENCES"]
            .iter()
            .any(|p| p.eq_ignore_ascii_case(permission));
        let Securable::Object(id, schema) = on else {
            return Err(no_columns());
        };
        if !with_columns {
            return Err(no_columns());
        }
        let mut places = Vec::new();
        for column in columns {
            let found: Option<i64> = self
                .state
                .conn
                .prepare(&format!(
                    "SELECT id FROM {}.\"~columns\" WHERE object_id = ?1 AND name = ?2",
                    self.alias()
                ))?
                .query_map(params![id, column.value], |row| row.get(0))?
                .next()
                .transpose()?;
            let column = found.ok_or_else(|| SqlError::invalid_column(&column.value))?;
            places.push(Securable::Column(id, schema, column));
        }
        Ok(places)
    }

    fn grantee(&self, name: &str) -> SqlResult<i64> {
        let id = self
            .id_of(name)?
            .ok_or_else(|| Self::no_principal("find", "user", name))?;
        let own = self.state.acting().id;
        if id >= 16384 {
            return Err(SqlError::new(
                4617,
                "Cannot grant, deny or revoke permissions to or from special roles.",
            ));
        }
        if matches!(id, 1 | 3 | 4) || id == own {
            return Err(SqlError::new(
                4624,
                "Cannot grant, deny, or revoke permissions to sa, dbo, entity owner, information_schema, sys, or yourself.",
            ));
        }
        Ok(id)
    }

    /// In whose name a permission is given: the owner's, or that of somebody with the grant option.
    fn grantor(&self, permission: &str, on: Securable, target: Option<&Target>) -> SqlResult<i64> {
        let user = self.state.acting();
        let rights = Rights::of(user, &self.state.conn, &self.alias())?;
        let administers = rights.is_security_admin()
            && (on != Securable::Database || rights.owns(on) || permission != "CONTROL");
        if rights.owns(on) || administers || rights.allows("CONTROL", on) {
            return self.owner_of(on);
        }
        if rights.may_grant(permission, on) {
            return Ok(user.id);
        }
        Err(match target {
            Some(target) if on != Securable::Database => {
                let what = target.class.to_lowercase();
                let name = QualifiedName::of(&target.name)?;
                Self::no_principal("find", &what, &name.name)
            }
            _ => SqlError::new(4613, "Grantor does not have GRANT permission."),
        })
    }

    /// `AS principal`: somebody for whom one may act, who may give the permission.
    fn named_grantor(&self, name: &str, permission: &str, on: Securable) -> SqlResult<i64> {
        let id = self
            .id_of(name)?
            .filter(|id| self.may_act_for(*id).unwrap_or(false))
            .ok_or_else(|| Self::no_principal("find", "user", name))?;
        let (conn, alias) = (&self.state.conn, self.alias());
        let grantor = security::user_by_id(conn, &alias, id)?;
        let rights = Rights::of(&grantor, conn, &alias)?;
        if rights.owns(on) || rights.allows("CONTROL", on) || rights.may_grant(permission, on) {
            return Ok(id);
        }
        Err(SqlError::new(
            4613,
            "Grantor does not have GRANT permission.",
        ))
    }

    fn owner_of(&self, on: Securable) -> SqlResult<i64> {
        let alias = self.alias();
        let (sql, id) = match on {
            Securable::Database => return Ok(1),
            Securable::Principal(id) => (
                format!(
                    "SELECT iif(kind = 'R', ifnull(owner, 1), 1) FROM {alias}.\"~principals\" WHERE id = ?1"
                ),
                id,
            ),
            Securable::Schema(id) => (
                format!("SELECT owner FROM {alias}.\"~schemas\" WHERE id = ?1"),
                id,
            ),
            Securable::Object(id, _) | Securable::Column(id, ..) => (
                format!(
                    "SELECT coalesce(o.owner, s.owner) FROM {alias}.\"~objects\" o \
                     JOIN {alias}.\"~schemas\" s ON s.id = o.schema_id WHERE o.id = ?1"
                ),
                id,
            ),
        };
        Ok(self.state.conn.query_row(&sql, [id], |row| row.get(0))?)
    }

    fn set_permission(&mut self, how: How, entry: &Entry<'_>) -> SqlResult<()> {
        let alias = self.alias();
        let conn = &self.state.conn;
        let (class, major, minor) = entry.place();
        let before: Option<String> = conn
            .prepare_cached(&format!(
                "SELECT state FROM {alias}.\"~permissions\" WHERE class = ?1 AND major = ?2 AND minor = ?3
                 AND grantee = ?4 AND grantor = ?5 AND permission = ?6"
            ))?
            .query_map(
                params![class, major, minor, entry.grantee, entry.grantor, entry.permission],
                |row| row.get(0),
            )?
            .next()
            .transpose()?;
        let takes = how.verb != Verb::Grant;
        if takes && before.as_deref() == Some("W") {
            if !how.cascade {
                return Err(SqlError::new(
                    4611,
                    "To revoke or deny grantable privileges, specify the CASCADE option.",
                ));
            }
            self.revoke_below(entry)?;
        }
        self.clear(entry, how)?;
        let state = match how.verb {
            Verb::Grant if how.option => "W",
            // A second GRANT does not take the option away.
            Verb::Grant if before.as_deref() == Some("W") => "W",
            Verb::Grant => "G",
            Verb::Deny => "D",
            // REVOKE GRANT OPTION FOR leaves the permission itself.
            Verb::Revoke if how.option && before.is_some() => match before.as_deref() {
                Some("D") => "D",
                _ => "G",
            },
            Verb::Revoke => return Ok(()),
        };
        self.state.conn.execute(
            &format!(
                "INSERT INTO {alias}.\"~permissions\"(class, major, minor, grantee, grantor, permission, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
            ),
            params![class, major, minor, entry.grantee, entry.grantor, entry.permission, state],
        )?;
        Ok(())
    }

    /// Takes the row away. What is said of the whole table replaces what was said of its columns.
    fn clear(&self, entry: &Entry<'_>, how: How) -> SqlResult<()> {
        let alias = self.alias();
        let (class, major, minor) = entry.place();
        let conn = &self.state.conn;
        if how.verb == Verb::Revoke && minor != 0 {
            let whole: i64 = conn.query_row(
                &format!(
                    "SELECT count(*) FROM {alias}.\"~permissions\" WHERE class = ?1 AND major = ?2 AND minor = 0
                     AND grantee = ?3 AND grantor = ?4 AND permission = ?5"
                ),
                params![class, major, entry.grantee, entry.grantor, entry.permission],
                |row| row.get(0),
            )?;
            if whole > 0 {
                return Err(SqlError::unsupported(
                    "REVOKE on a column of a permission on the whole table",
                ));
            }
        }
        conn.execute(
            &format!(
                "DELETE FROM {alias}.\"~permissions\" WHERE class = ?1 AND major = ?2 AND (minor = ?3 OR ?3 = 0)
                 AND grantee = ?4 AND grantor = ?5 AND permission = ?6"
            ),
            params![class, major, minor, entry.grantee, entry.grantor, entry.permission],
        )?;
        Ok(())
    }

    /// CASCADE: what the grantee gave on goes, too.
    fn revoke_below(&self, entry: &Entry<'_>) -> SqlResult<()> {
        let alias = self.alias();
        let (class, major, minor) = entry.place();
        self.state.conn.execute(
            &format!(
                "WITH RECURSIVE below(id) AS (SELECT ?4 UNION SELECT p.grantee FROM {alias}.\"~permissions\" p
                 JOIN below ON p.grantor = below.id WHERE p.class = ?1 AND p.major = ?2 AND p.permission = ?5)
                 DELETE FROM {alias}.\"~permissions\" WHERE class = ?1 AND major = ?2 AND (minor = ?3 OR ?3 = 0)
                 AND permission = ?5 AND grantor IN (SELECT id FROM below) AND grantor <> 1"
            ),
            params![class, major, minor, entry.grantee, entry.permission],
        )?;
        Ok(())
    }

    pub(super) fn securable(&mut self, on: Option<&Target>) -> SqlResult<Securable> {
        let Some(target) = on else {
            return Ok(Securable::Database);
        };
        let name = QualifiedName::of(&target.name)?;
        let missing = |what: &str| Self::no_principal("find", what, &name.name);
        match target.class.as_str() {
            "OBJECT" => {
                let planner = self.planner();
                let table = planner.find_table(&name).map_err(|_| missing("object"))?;
                Ok(table.securable())
            }
            "SCHEMA" => tables::schema_id(&self.state.conn, &self.alias(), &name.name)?
                .map(Securable::Schema)
                .ok_or_else(|| missing("schema")),
            class @ ("USER" | "ROLE") => {
                let what = class.to_lowercase();
                let id = self.id_of(&name.name)?.ok_or_else(|| missing(&what))?;
                let (kind, _) = self.kind_of(id)?;
                if (kind == "R") == (class == "ROLE") {
                    Ok(Securable::Principal(id))
                } else {
                    Err(missing(&what))
                }
            }
            "DATABASE" if name.name.eq_ignore_ascii_case(&self.state.database.name) => {
                Ok(Securable::Database)
            }
            "DATABASE" => Err(missing("database")),
            other => Err(SqlError::unsupported(format!(
                "permissions on class {other}"
            ))),
        }
    }
}

fn no_columns() -> SqlError {
    SqlError::new(
        1020,
        "Sub-entity lists (such as column or security expressions) cannot be specified for entity-level \
         permissions.",
    )
    .class(15)
}

/// Permissions that exist, by class, and what ALL means.
fn expand(permission: &str, class: i64) -> SqlResult<Vec<&'static str>> {
    let name = permission.to_uppercase();
    if name == "ALL" || name == "ALL PRIVILEGES" {
        return match class {
            0 => Err(SqlError::unsupported("GRANT ALL on a database")),
            1 => Ok(vec!["DELETE", "INSERT", "REFERENCES", "SELECT", "UPDATE"]),
            _ => Err(incompatible(&name)),
        };
    }
    let name = if name == "EXEC" { "EXECUTE" } else { &name };
    match permissions::find(name) {
        Some(found) if found.is_for(class) => Ok(vec![found.name]),
        Some(_) => Err(incompatible(name)),
        None => Err(SqlError::syntax_near(permission).class(15)),
    }
}

fn incompatible(name: &str) -> SqlError {
    SqlError::new(
        4606,
        format!("Granted or revoked privilege {name} is not compatible with object."),
    )
}
