//! GRANT, DENY and REVOKE.

use rusqlite::params;
use sqlparser::ast::Ident;

use super::super::catalogue::security::Securable;
use super::super::catalogue::tables::{self, QualifiedName};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Target, Verb};
use super::Run;

impl Run<'_, '_> {
    pub(super) fn permission(
        &mut self,
        verb: Verb,
        permissions: &[(String, Vec<Ident>)],
        on: Option<&Target>,
        to: &[Ident],
        option: bool,
    ) -> SqlResult<()> {
        let on = self.securable(on)?;
        let alias = self.alias();
        let user = self.state.acting().clone();
        let may = user.may(&self.state.conn, &alias, "CONTROL", on)? || self.may_administer(on)?;
        if !may {
            return Err(SqlError::new(4613, "Grantor does not have GRANT permission.").class(16));
        }
        let (class, major) = on.class_and_id();
        for (permission, columns) in permissions {
            if !columns.is_empty() {
                return Err(SqlError::unsupported("permissions on columns"));
            }
            let names = expand(permission, class)?;
            for grantee in to {
                let id = self
                    .id_of(&grantee.value)?
                    .ok_or_else(|| Self::no_principal("find", "user", &grantee.value))?;
                if matches!(id, 1 | 3 | 4) || id >= 16384 {
                    return Err(SqlError::new(
                        4624,
                        "Cannot grant, deny, or revoke permissions to sa, dbo, entity owner, information_schema, sys, or yourself.",
                    ));
                }
                for name in &names {
                    self.set_permission(verb, (class, major), id, name, option)?;
                }
            }
        }
        Ok(())
    }

    /// db_securityadmin grants everything but CONTROL of the database.
    fn may_administer(&self, on: Securable) -> SqlResult<bool> {
        let member = self
            .state
            .acting()
            .is_member(&self.state.conn, &self.alias(), 16386)?;
        Ok(member && on != Securable::Database)
    }

    fn set_permission(
        &mut self,
        verb: Verb,
        (class, major): (i64, i64),
        grantee: i64,
        permission: &str,
        option: bool,
    ) -> SqlResult<()> {
        let alias = self.alias();
        let grantor = self.state.acting().id;
        self.write(false, |run| {
            let conn = &run.state.conn;
            conn.execute(
                &format!("DELETE FROM {alias}.\"~permissions\" WHERE class = ?1 AND major = ?2 AND grantee = ?3 AND permission = ?4"),
                params![class, major, grantee, permission],
            )?;
            let state = match verb {
                Verb::Grant if option => "W",
                Verb::Grant => "G",
                Verb::Deny => "D",
                // REVOKE GRANT OPTION FOR leaves the permission itself.
                Verb::Revoke if option => "G",
                Verb::Revoke => return Ok(()),
            };
            conn.execute(
                &format!("INSERT INTO {alias}.\"~permissions\"(class, major, grantee, grantor, permission, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
                params![class, major, grantee, grantor, permission, state],
            )?;
            Ok(())
        })
    }

    fn securable(&mut self, on: Option<&Target>) -> SqlResult<Securable> {
        let Some(target) = on else {
            return Ok(Securable::Database);
        };
        let name = QualifiedName::of(&target.name)?;
        match target.class.as_str() {
            "OBJECT" => {
                let table = self
                    .planner()
                    .find_table(&name)
                    .map_err(|_| Self::no_principal("find", "object", &name.name))?;
                Ok(table.securable())
            }
            "SCHEMA" => tables::schema_id(&self.state.conn, &self.alias(), &name.name)?
                .map(Securable::Schema)
                .ok_or_else(|| Self::no_principal("find", "schema", &name.name)),
            "DATABASE" => Ok(Securable::Database),
            other => Err(SqlError::unsupported(format!(
                "permissions on class {other}"
            ))),
        }
    }
}

/// Permissions that exist, by class, and what ALL means.
fn expand(permission: &str, class: i64) -> SqlResult<Vec<String>> {
    const ANY: &[&str] = &[
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "EXECUTE",
        "REFERENCES",
        "ALTER",
        "CONTROL",
        "VIEW DEFINITION",
        "TAKE OWNERSHIP",
        "VIEW CHANGE TRACKING",
    ];
    const DATABASE: &[&str] = &[
        "CONNECT",
        "CREATE TABLE",
        "CREATE VIEW",
        "CREATE SCHEMA",
        "CREATE ROLE",
        "CREATE USER",
        "CREATE PROCEDURE",
        "CREATE FUNCTION",
        "ALTER ANY USER",
        "ALTER ANY ROLE",
        "ALTER ANY SCHEMA",
        "VIEW DATABASE STATE",
        "SHOWPLAN",
        "KILL DATABASE CONNECTION",
        "ALTER ANY EXTERNAL DATA SOURCE",
        "ALTER ANY EXTERNAL FILE FORMAT",
        "UNMASK",
        "CREATE TYPE",
    ];
    let name = permission.to_uppercase();
    if name == "ALL" || name == "ALL PRIVILEGES" {
        let all: &[&str] = if class == 0 {
            &["CREATE TABLE", "CREATE VIEW"]
        } else {
            &["SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES"]
        };
        return Ok(all.iter().map(|p| (*p).to_owned()).collect());
    }
    let name = if name == "EXEC" {
        "EXECUTE".to_owned()
    } else {
        name
    };
    if ANY.contains(&name.as_str()) || class == 0 && DATABASE.contains(&name.as_str()) {
        return Ok(vec![name]);
    }
    if DATABASE.contains(&name.as_str()) {
        return Err(SqlError::new(
            4606,
            format!("Granted or revoked privilege {name} is not compatible with object."),
        ));
    }
    Err(SqlError::syntax_near(permission).class(15))
}
