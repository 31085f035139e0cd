//! What a user may do: its permissions and those of its groups and roles, read once.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::super::error::SqlResult;
use super::security::{Securable, User};

pub(crate) const OWNER: i64 = 16384;
const ACCESS_ADMIN: i64 = 16385;
const SECURITY_ADMIN: i64 = 16386;
const DDL_ADMIN: i64 = 16387;
const READER: i64 = 16390;
const WRITER: i64 = 16391;
const DENY_READER: i64 = 16392;
const DENY_WRITER: i64 = 16393;

/// The rights of a user in a database.
pub(crate) struct Rights {
    closure: BTreeSet<i64>,
    all: bool,
    held: Vec<Held>,
    /// Schemas that the user or a role of it owns.
    schemas: BTreeSet<i64>,
    /// Objects with an owner of their own, who is among the closure.
    objects: BTreeSet<i64>,
}

/// A row of permissions for somebody in the closure.
struct Held {
    class: i64,
    major: i64,
    minor: i64,
    permission: String,
    deny: bool,
    /// With GRANT OPTION.
    option: bool,
}

impl Rights {
    pub(crate) fn of(user: &User, conn: &Connection, alias: &str) -> SqlResult<Self> {
        let closure = user.closure(conn, alias)?;
        let all = user.is_dbo() || closure.contains(&OWNER);
        let mut rights = Self {
            closure,
            all,
            held: Vec::new(),
            schemas: BTreeSet::new(),
            objects: BTreeSet::new(),
        };
        if all {
            return Ok(rights);
        }
        rights.schemas = rights.owned(conn, alias, "~schemas")?;
        rights.objects = rights.owned(conn, alias, "~objects")?;
        let mut statement = conn.prepare_cached(&format!(
            "SELECT grantee, class, major, minor, permission, state FROM {alias}.\"~permissions\""
        ))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if !rights.closure.contains(&row.get(0)?) {
                continue;
            }
            let state: String = row.get(5)?;
            rights.held.push(Held {
                class: row.get(1)?,
                major: row.get(2)?,
                minor: row.get(3)?,
                permission: row.get::<_, String>(4)?.to_uppercase(),
                deny: state == "D",
                option: state == "W",
            });
        }
        Ok(rights)
    }

    fn owned(&self, conn: &Connection, alias: &str, table: &str) -> SqlResult<BTreeSet<i64>> {
        let mut owned = BTreeSet::new();
        let mut statement = conn.prepare_cached(&format!(
            "SELECT id, owner FROM {alias}.\"{table}\" WHERE owner IS NOT NULL"
        ))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            // `public` owns nothing, although everybody is in it.
            let owner: i64 = row.get(1)?;
            if owner != 0 && self.closure.contains(&owner) {
                owned.insert(row.get(0)?);
            }
        }
        Ok(owned)
    }

    /// The user, its groups and its roles.
    pub(crate) fn closure(&self) -> &BTreeSet<i64> {
        &self.closure
    }

    /// Whether the user owns the thing, or the schema that it is in.
    pub(crate) fn owns(&self, on: Securable) -> bool {
        self.all
            || match on {
                Securable::Database => false,
                Securable::Schema(id) => self.schemas.contains(&id),
                Securable::Object(id, schema) | Securable::Column(id, schema, _) => {
                    self.objects.contains(&id) || self.schemas.contains(&schema)
                }
                Securable::Principal(_) => false,
            }
    }

    /// Whether the permission is there: DENY wins over GRANT, except that one on a column is heard
    /// before the table's.
    pub(crate) fn allows(&self, permission: &str, on: Securable) -> bool {
        if self.owns(on) {
            return true;
        }
        let (by_role, denied_by_role) = self.by_fixed_role(permission, on);
        if denied_by_role {
            return false;
        }
        let (mut granted, mut denied) = (by_role, false);
        let column = self.on_column(permission, on);
        for held in self.held.iter().filter(|h| h.reaches(on)) {
            if !covers(held, permission, on) || held.minor != 0 {
                continue;
            }
            let overridden = held.class == 1 && column.is_some();
            if held.deny && !overridden {
                denied = true;
            } else if !held.deny {
                granted = true;
            }
        }
        match column {
            Some(false) => false,
            Some(true) => !denied,
            None => granted && !denied,
        }
    }

    /// What is said of a column itself: granted, denied or nothing.
    fn on_column(&self, permission: &str, on: Securable) -> Option<bool> {
        let Securable::Column(object, _, column) = on else {
            return None;
        };
        let mut found = None;
        for held in &self.held {
            let here = (held.class, held.major, held.minor) == (1, object, column);
            if here && held.permission.eq_ignore_ascii_case(permission) {
                found = Some(!held.deny && found != Some(false));
            }
        }
        found
    }

    /// Whether the permission may be given on to others.
    pub(crate) fn may_grant(&self, permission: &str, on: Securable) -> bool {
        if self.owns(on) || self.allows("CONTROL", on) {
            return true;
        }
        let wide = match on {
            Securable::Column(object, schema, _) => Securable::Object(object, schema),
            other => other,
        };
        self.held.iter().any(|held| {
            held.option
                && held.reaches(on)
                && (held.minor == 0 || on != wide)
                && held.permission.eq_ignore_ascii_case(permission)
        })
    }

    /// Whether the thing's metadata is to be seen: with any right on it.
    pub(crate) fn sees(&self, on: Securable) -> bool {
        if self.owns(on) {
            return true;
        }
        let hidden = self
            .held
            .iter()
            .any(|h| h.deny && h.reaches(on) && h.permission == "VIEW DEFINITION");
        if hidden {
            return false;
        }
        let by_right = self.held.iter().any(|held| {
            let applies = held.class != 0 || ON_OBJECTS.contains(&held.permission.as_str());
            !held.deny && applies && (held.reaches(on) || held.is_column_of(on))
        });
        by_right
            || ["SELECT", "INSERT", "ALTER", "VIEW DEFINITION"]
                .iter()
                .any(|p| self.by_fixed_role(p, on).0)
    }

    /// Whether a fixed role grants the permission, and whether one denies it.
    fn by_fixed_role(&self, permission: &str, on: Securable) -> (bool, bool) {
        let has = |role: i64| self.closure.contains(&role);
        let data = !matches!(on, Securable::Principal(_));
        let read = data && permission == "SELECT";
        let write = data && matches!(permission, "INSERT" | "UPDATE" | "DELETE");
        let granted = (has(READER) && read)
            || (has(WRITER) && write)
            || (has(DDL_ADMIN) && ddl(permission, on))
            || (has(ACCESS_ADMIN)
                && matches!(
                    permission,
                    "ALTER ANY USER" | "CREATE USER" | "CREATE SCHEMA" | "CONNECT"
                ))
            || (has(SECURITY_ADMIN)
                && matches!(
                    permission,
                    "ALTER ANY ROLE"
                        | "ALTER ANY APPLICATION ROLE"
                        | "CREATE ROLE"
                        | "VIEW DEFINITION"
                        | "CREATE SCHEMA"
                ));
        let denied = (has(DENY_READER) && read) || (has(DENY_WRITER) && write);
        (granted, denied)
    }

    /// db_securityadmin gives and takes permissions that it has not itself.
    pub(crate) fn is_security_admin(&self) -> bool {
        self.all || self.closure.contains(&SECURITY_ADMIN)
    }
}

/// db_ddladmin: everything that is defined in schemas, but no principals and no databases.
fn ddl(permission: &str, on: Securable) -> bool {
    match permission {
        "CREATE USER" | "CREATE ROLE" | "CREATE DATABASE" => false,
        "ALTER" => !matches!(on, Securable::Database | Securable::Principal(_)),
        "REFERENCES" | "VIEW DEFINITION" | "ALTER ANY SCHEMA" => true,
        other => other.starts_with("CREATE "),
    }
}

impl Held {
    /// Whether the row is about the thing or about what holds it.
    fn reaches(&self, on: Securable) -> bool {
        let place = (self.class, self.major);
        match on {
            Securable::Database => place == (0, 0),
            Securable::Schema(id) => place == (3, id) || self.class == 0,
            Securable::Object(id, schema) => {
                (place == (1, id) && self.minor == 0) || place == (3, schema) || self.class == 0
            }
            Securable::Column(id, schema, column) => {
                (place == (1, id) && (self.minor == 0 || self.minor == column))
                    || place == (3, schema)
                    || self.class == 0
            }
            Securable::Principal(id) => place == (4, id) || self.class == 0,
        }
    }

    fn is_column_of(&self, on: Securable) -> bool {
        matches!(on, Securable::Object(id, _) if (self.class, self.major) == (1, id))
    }
}

/// Permissions on the database that reach its objects.
const ON_OBJECTS: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "EXECUTE",
    "REFERENCES",
    "ALTER",
    "ALTER ANY SCHEMA",
    "CONTROL",
    "TAKE OWNERSHIP",
    "VIEW DEFINITION",
    "VIEW CHANGE TRACKING",
];

/// Whether a permission that is held includes the wanted one.
fn covers(held: &Held, wanted: &str, on: Securable) -> bool {
    let name = held.permission.as_str();
    let on_database = held.class == 0;
    match name {
        _ if name.eq_ignore_ascii_case(wanted) => true,
        "CONTROL" => true,
        "ALTER" if on_database => wanted.starts_with("CREATE ") || wanted.starts_with("ALTER ANY "),
        "ALTER ANY SCHEMA" => {
            wanted == "CREATE SCHEMA"
                || (wanted == "ALTER"
                    && !matches!(on, Securable::Database | Securable::Principal(_)))
        }
        "ALTER ANY USER" => wanted == "CREATE USER",
        "ALTER ANY ROLE" => wanted == "CREATE ROLE",
        _ => false,
    }
}
