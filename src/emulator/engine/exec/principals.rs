//! Dropping principals, owning things, acting as somebody else.

use rusqlite::params;
use sqlparser::ast::Ident;

use super::super::catalogue::security::{Rights, Securable};
use super::super::catalogue::tables::QualifiedName;
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::Target;
use super::Run;

impl Run<'_, '_> {
    pub(super) fn drop_principal(
        &mut self,
        name: &str,
        if_exists: bool,
        role: bool,
    ) -> SqlResult<()> {
        let what = if role { "role" } else { "user" };
        let permission = if role {
            "ALTER ANY ROLE"
        } else {
            "ALTER ANY USER"
        };
        let mut found = None;
        if let Some(id) = self.id_of(name)? {
            let (kind, fixed) = self.kind_of(id)?;
            if (kind == "R") == role {
                if fixed {
                    return Err(SqlError::new(
                        15150,
                        format!("Cannot drop the {what} '{name}'."),
                    ));
                }
                found = Some(id);
            }
        }
        let Some(id) = found else {
            return if if_exists {
                Ok(())
            } else {
                Err(Self::no_principal("drop", what, name))
            };
        };
        if self.planner().require_on_database(permission).is_err() {
            return Err(Self::no_principal("drop", what, name));
        }
        self.remove_principal(id, role)
    }

    /// Takes a principal away that owns nothing and has no members.
    fn remove_principal(&mut self, id: i64, role: bool) -> SqlResult<()> {
        let alias = self.alias();
        let checks = [
            (
                15138,
                "SELECT count(*) FROM {d}.\"~schemas\" WHERE owner = ?1",
                "The database principal owns a schema in the database, and cannot be dropped.",
            ),
            (
                15183,
                "SELECT count(*) FROM {d}.\"~objects\" WHERE owner = ?1",
                "The database principal owns objects in the database and cannot be dropped.",
            ),
            (
                15421,
                "SELECT count(*) FROM {d}.\"~principals\" WHERE owner = ?1 AND kind = 'R' AND id <> ?1",
                "The database principal owns a database role and cannot be dropped.",
            ),
            (
                15144,
                "SELECT count(*) FROM {d}.\"~members\" WHERE role_id = ?1",
                "The role has members. It must be empty before it can be dropped.",
            ),
            (
                15284,
                "SELECT count(*) FROM {d}.\"~permissions\" WHERE grantor = ?1 AND grantee <> ?1",
                "The database principal has granted or denied permissions to objects in the database and cannot be dropped.",
            ),
        ];
        for (number, sql, message) in checks {
            let found: i64 =
                self.state
                    .conn
                    .query_row(&sql.replace("{d}", &alias), [id], |row| row.get(0))?;
            if found > 0 && (number != 15144 || role) {
                return Err(SqlError::new(number, message));
            }
        }
        let (ids, database) = (&self.state.shared.principal_ids, self.state.database.id);
        ids.note(database, id);
        self.write(false, |run| {
            for sql in [
                "DELETE FROM {d}.\"~members\" WHERE member_id = ?1",
                "DELETE FROM {d}.\"~permissions\" WHERE grantee = ?1 OR (class = 4 AND major = ?1)",
                "DELETE FROM {d}.\"~properties\" WHERE class = 4 AND major = ?1",
                "DELETE FROM {d}.\"~principals\" WHERE id = ?1",
            ] {
                run.state.conn.execute(&sql.replace("{d}", &alias), [id])?;
            }
            Ok(())
        })
    }

    /// ALTER AUTHORIZATION ON SCHEMA::…, ROLE::… or OBJECT::…
    pub(super) fn authorize(&mut self, target: &Target, owner: Option<&Ident>) -> SqlResult<()> {
        let class = target.class.as_str();
        if !matches!(class, "SCHEMA" | "ROLE" | "OBJECT") || (owner.is_none() && class != "OBJECT")
        {
            return Err(SqlError::unsupported(format!(
                "ALTER AUTHORIZATION ON {class}"
            )));
        }
        let name = QualifiedName::of(&target.name)?.name;
        let what = class.to_lowercase();
        let missing = || Self::no_principal("find", &what, &name);
        let on = self.securable(Some(target))?;
        let rights = Rights::of(self.state.acting(), &self.state.conn, &self.alias())?;
        let (_, id) = on.class_and_id();
        let takes = rights.owns(on)
            || rights.allows("TAKE OWNERSHIP", on)
            || (matches!(on, Securable::Principal(_)) && self.owns_role(id, &rights)?);
        // TO SCHEMA OWNER: the object has no owner of its own.
        let mut owner_id = None;
        if let Some(owner) = owner {
            let found = self
                .id_of(&owner.value)?
                .ok_or_else(|| Self::no_principal("find", "principal", &owner.value))?;
            if !rights.closure().contains(&found) && !self.may_impersonate(found)? {
                return Err(missing());
            }
            owner_id = Some(found);
        }
        if !takes {
            return Err(missing());
        }
        let fixed = class != "OBJECT" && (matches!(id, 0..=4) || id >= 16384);
        if fixed {
            return Err(SqlError::new(
                15150,
                format!("Cannot alter the {what} '{name}'."),
            ));
        }
        self.change_owner(class, id, owner_id)
    }

    fn change_owner(&mut self, class: &str, id: i64, owner: Option<i64>) -> SqlResult<()> {
        let alias = self.alias();
        let table = match class {
            "SCHEMA" => "~schemas",
            "ROLE" => "~principals",
            _ => "~objects",
        };
        self.write(false, |run| {
            run.state.conn.execute(
                &format!("UPDATE {alias}.\"{table}\" SET owner = ?1 WHERE id = ?2"),
                params![owner, id],
            )?;
            if class == "SCHEMA" {
                // Permissions on what the schema holds go with its old owner.
                run.state.conn.execute(
                    &format!(
                        "DELETE FROM {alias}.\"~permissions\" WHERE class = 1 AND major IN \
                         (SELECT id FROM {alias}.\"~objects\" WHERE schema_id = ?1 AND owner IS NULL)"
                    ),
                    [id],
                )?;
            }
            Ok(())
        })
    }

    /// Whether a role belongs to the user or a role of it.
    pub(super) fn owns_role(&self, role: i64, rights: &Rights) -> SqlResult<bool> {
        let owner: Option<i64> = self.state.conn.query_row(
            &format!(
                "SELECT owner FROM {}.\"~principals\" WHERE id = ?1",
                self.alias()
            ),
            [role],
            |row| row.get(0),
        )?;
        Ok(owner.is_some_and(|owner| owner != 0 && rights.closure().contains(&owner)))
    }
}
