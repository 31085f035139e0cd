//! Database principals, memberships and permissions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension};

use super::super::error::{SqlError, SqlResult};
pub(crate) use super::rights::OWNER;
pub(crate) use super::rights::Rights;

/// A database user as a session acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) default_schema: String,
    /// Ids of the Entra groups' users that this principal is a member of.
    pub(crate) groups: Vec<i64>,
}

/// What a permission is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Securable {
    Database,
    Schema(i64),
    /// Object id and schema id.
    Object(i64, i64),
    /// Object id, schema id and column id.
    Column(i64, i64, i64),
    /// A database principal's id.
    Principal(i64),
}

impl Securable {
    /// Class and major id in `sys.database_permissions`.
    pub(crate) fn class_and_id(self) -> (i64, i64) {
        match self {
            Self::Database => (0, 0),
            Self::Schema(id) => (3, id),
            Self::Object(id, _) | Self::Column(id, ..) => (1, id),
            Self::Principal(id) => (4, id),
        }
    }
}

/// The last principal's id of each database. A session may outlive its user, and must not become
/// somebody else when an id is given again.
#[derive(Debug, Default)]
pub(crate) struct PrincipalIds(Mutex<BTreeMap<i64, i64>>);

impl PrincipalIds {
    /// The highest id that has been given in the database since the start.
    pub(crate) fn last(&self, database: i64) -> i64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&database).copied().unwrap_or(0)
    }

    pub(crate) fn note(&self, database: i64, id: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = known.entry(database).or_default();
        *last = id.max(*last);
    }
}

impl User {
    /// The owner of every database.
    pub(crate) fn dbo() -> Self {
        Self {
            id: 1,
            name: "dbo".into(),
            default_schema: "dbo".into(),
            groups: Vec::new(),
        }
    }

    pub(crate) fn is_dbo(&self) -> bool {
        self.id == 1
    }

    /// This user, its groups, and every role that holds one of them.
    pub(crate) fn closure(&self, conn: &Connection, alias: &str) -> SqlResult<BTreeSet<i64>> {
        let mut all = BTreeSet::from([0, self.id]);
        let mut open: Vec<i64> = std::iter::once(self.id)
            .chain(self.groups.clone())
            .collect();
        all.extend(self.groups.iter());
        let mut statement = conn.prepare_cached(&format!(
            "SELECT role_id FROM {alias}.\"~members\" WHERE member_id = ?1"
        ))?;
        while let Some(id) = open.pop() {
            let roles = statement
                .query_map([id], |row| row.get::<_, i64>(0))?
                .collect::<Result<Vec<_>, _>>()?;
            open.extend(roles.into_iter().filter(|role| all.insert(*role)));
        }
        Ok(all)
    }

    pub(crate) fn may_connect(&self, conn: &Connection, alias: &str) -> SqlResult<bool> {
        self.may(conn, alias, "CONNECT", Securable::Database)
    }

    /// Whether the user has the permission: DENY wins over GRANT, ownership and `CONTROL` cover all.
    pub(crate) fn may(
        &self,
        conn: &Connection,
        alias: &str,
        permission: &str,
        on: Securable,
    ) -> SqlResult<bool> {
        if self.is_dbo() {
            return Ok(true);
        }
        Ok(Rights::of(self, conn, alias)?.allows(permission, on))
    }

    /// Whether the user is in the role, by itself or through others.
    pub(crate) fn is_member(&self, conn: &Connection, alias: &str, role: i64) -> SqlResult<bool> {
        Ok(self.closure(conn, alias)?.contains(&role) || (self.is_dbo() && role == OWNER))
    }
}

/// The id of the principal with the SID.
pub(crate) fn id_by_sid(conn: &Connection, alias: &str, sid: &[u8]) -> SqlResult<Option<i64>> {
    Ok(conn
        .prepare_cached(&format!(
            "SELECT id FROM {alias}.\"~principals\" WHERE sid = ?1 AND kind IN ('E', 'X')"
        ))?
        .query_row([sid], |row| row.get(0))
        .optional()?)
}

/// The id of a principal by name, as users write it.
pub(crate) fn id_by_name(conn: &Connection, alias: &str, name: &str) -> SqlResult<Option<i64>> {
    Ok(conn
        .prepare_cached(&format!(
            "SELECT id FROM {alias}.\"~principals\" WHERE name = ?1"
        ))?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// The user with the id.
pub(crate) fn user_by_id(conn: &Connection, alias: &str, id: i64) -> SqlResult<User> {
    conn.prepare_cached(&format!(
        "SELECT id, name, default_schema FROM {alias}.\"~principals\" WHERE id = ?1"
    ))?
    .query_row([id], |row| {
        Ok(User {
            id: row.get(0)?,
            name: row.get(1)?,
            default_schema: row
                .get::<_, Option<String>>(2)?
                .unwrap_or_else(|| "dbo".into()),
            groups: Vec::new(),
        })
    })
    .map_err(SqlError::from)
}

/// The user of a SQL login, or a contained user of that name.
pub(crate) fn user_by_login(
    conn: &Connection,
    alias: &str,
    login: &str,
) -> SqlResult<Option<User>> {
    let id: Option<i64> = conn
        .prepare_cached(&format!(
            "SELECT id FROM {alias}.\"~principals\"
             WHERE login = ?1 OR (name = ?1 AND hash IS NOT NULL) ORDER BY login IS NULL"
        ))?
        .query_row([login], |row| row.get(0))
        .optional()?;
    id.map(|id| user_by_id(conn, alias, id)).transpose()
}
