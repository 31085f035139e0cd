//! The catalogue, in few queries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::time::timeout;

use super::{
    Action, FoundPermission, FoundPrincipal, FoundSchema, FoundState, FoundThing, Observed, PUBLIC,
    Place,
};
use crate::grants::action;
use crate::grants::error::GrantsError;
use crate::grants::key::Folding;
use crate::grants::model::{Desired, Securable};
use crate::pool::PooledClient;
use crate::pool::tiberius::{FromSql, QueryItem, Row};
use crate::tsql::{Name, Statement};

/// Rows that one query may have.
const MAX_ROWS: usize = 500_000;
/// How long one query may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Objects whose columns, or groups whose members, are asked for at once.
const AT_ONCE: usize = 500;

// The schema is always `sys`; whether it is `SYS` is up to the catalogue's
// collation, which in Azure SQL need not be the database's.
const WHO: &str = "SELECT DB_NAME(), CASE WHEN EXISTS (SELECT 1 FROM sys.schemas WHERE name = N'SYS') \
    THEN 0 ELSE 1 END, HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'VIEW DEFINITION'), \
    DATABASE_PRINCIPAL_ID()";
const PRINCIPALS: &str = "SELECT principal_id, name, CAST(type AS nvarchar(1)), sid, default_schema_name, \
    owning_principal_id, is_fixed_role, CAST(authentication_type AS int) FROM sys.database_principals";
const MEMBERS: &str =
    "SELECT role_principal_id, member_principal_id FROM sys.database_role_members";
// What the server itself grants on its own objects has negative ids.
const PERMISSIONS: &str = "SELECT CAST(class AS int), major_id, minor_id, grantee_principal_id, \
    grantor_principal_id, permission_name, CAST(state AS nvarchar(1)) FROM sys.database_permissions \
    WHERE NOT (class = 1 AND major_id < 0)";
const SCHEMAS: &str = "SELECT schema_id, name, principal_id FROM sys.schemas";
const OBJECTS: &str = "SELECT object_id, schema_id, name, principal_id FROM sys.objects WHERE type IN \
    ('AF', 'ET', 'FN', 'FS', 'FT', 'IF', 'P', 'PC', 'SN', 'SO', 'SQ', 'TF', 'U', 'V', 'X')";
const TYPES: &str =
    "SELECT user_type_id, schema_id, name, principal_id FROM sys.types WHERE is_user_defined = 1";

impl Observed {
    /// Reads users, roles, memberships, permissions, schemas and the names of
    /// objects; of columns those of the objects that `about` names, or that have
    /// permissions on columns. Give `Desired::default()` for none.
    ///
    /// Each query has a minute and 500,000 rows.
    ///
    /// # Errors
    /// [`GrantsError::Hidden`] if not everything may be seen: what is not seen
    /// would look as if it were not there. Otherwise what the server or the
    /// connection says.
    ///
    /// # Cancel safety
    /// Nothing is changed. The session is left inside of an answer, so the pool
    /// closes it.
    pub async fn read(client: &mut PooledClient, about: &Desired) -> Result<Self, GrantsError> {
        let mut observed = who(client).await?;
        observed.read_principals(client).await?;
        observed.members = rows(client, "the members of roles", MEMBERS, |row| {
            Ok((field(row, 0, "role")?, field(row, 1, "member")?))
        })
        .await?
        .into_iter()
        .collect();
        observed.permissions = rows(client, "permissions", PERMISSIONS, permission).await?;
        observed.permissions.sort();
        observed.schemas = rows(client, "schemas", SCHEMAS, |row| {
            let (name, owner) = (name(row, 1)?, field(row, 2, "owner of a schema")?);
            Ok((field(row, 0, "schema")?, FoundSchema { name, owner }))
        })
        .await?
        .into_iter()
        .collect();
        let objects = rows(client, "objects", OBJECTS, thing).await?;
        observed.objects = objects.into_iter().collect();
        let types = rows(client, "types", TYPES, thing).await?;
        observed.types = types.into_iter().collect();
        observed.read_columns(client, about).await?;
        Ok(observed)
    }

    async fn read_principals(&mut self, client: &mut PooledClient) -> Result<(), GrantsError> {
        self.principals = rows(client, "users and roles", PRINCIPALS, principal)
            .await?
            .into_iter()
            .collect();
        for (id, found) in &self.principals {
            self.names.insert(self.folding.key(&found.name), *id);
        }
        let groups: Vec<(i32, Name)> = self
            .principals
            .iter()
            .filter(|(_, found)| found.kind == 'X')
            .map(|(id, found)| (*id, found.name.clone()))
            .collect();
        for groups in groups.chunks(AT_ONCE) {
            let mut query = Statement::new("SELECT ");
            for (at, (_, name)) in groups.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                query = query
                    .words(comma)
                    .words("IS_MEMBER(")
                    .text(name.as_str())
                    .words(")");
            }
            let found = rows(client, "one's own groups", query.as_str(), |row| {
                (0..groups.len())
                    .map(|at| optional::<i32>(row, at, "membership in a group"))
                    .collect::<Result<Vec<_>, _>>()
            });
            let found = found.await?.into_iter().flatten();
            let own = groups.iter().zip(found).filter(|(_, is)| *is == Some(1));
            self.own.extend(own.map(|((id, _), _)| *id));
        }
        Ok(())
    }

    async fn read_columns(
        &mut self,
        client: &mut PooledClient,
        about: &Desired,
    ) -> Result<(), GrantsError> {
        let mut asked: BTreeSet<i32> = self
            .permissions
            .iter()
            .filter(|row| row.column != 0)
            .filter_map(|row| match row.place {
                Place::Object(id) => Some(id),
                _ => None,
            })
            .collect();
        asked.extend(self.objects_with_columns(about));
        let asked: Vec<i32> = asked.into_iter().collect();
        for ids in asked.chunks(AT_ONCE) {
            let mut query = Statement::new(
                "SELECT object_id, column_id, name FROM sys.columns WHERE object_id IN (",
            );
            for (at, id) in ids.iter().enumerate() {
                query = query.words(if at == 0 { "" } else { ", " }).number(*id);
            }
            let query = query.words(")");
            let found = rows(client, "columns", query.as_str(), |row| {
                let ids: (i32, i32) = (field(row, 0, "object")?, field(row, 1, "column")?);
                Ok((ids, name(row, 2)?))
            });
            for ((object, column), name) in found.await? {
                self.columns.entry(object).or_default().insert(column, name);
            }
        }
        Ok(())
    }

    /// Objects that a manifest names with columns.
    pub(super) fn objects_with_columns(&self, about: &Desired) -> BTreeSet<i32> {
        let named: BTreeSet<_> = about
            .permissions
            .iter()
            .filter(|permission| !permission.columns.is_empty())
            .filter_map(|permission| match &permission.on {
                Securable::Object { schema, name } => Some((self.key(schema), self.key(name))),
                _ => None,
            })
            .collect();
        if named.is_empty() {
            return BTreeSet::new();
        }
        let is_named = |object: &FoundThing| {
            self.schemas.get(&object.schema).is_some_and(|schema| {
                named.contains(&(self.key(&schema.name), self.key(&object.name)))
            })
        };
        self.objects
            .iter()
            .filter(|(_, object)| is_named(object))
            .map(|(id, _)| *id)
            .collect()
    }
}

async fn who(client: &mut PooledClient) -> Result<Observed, GrantsError> {
    let what = "what may be seen";
    let mut found = rows(client, what, WHO, |row| {
        let database: &str = field(row, 0, "name of the database")?;
        let (case, sees) = (field(row, 1, "collation")?, optional(row, 2, "rights")?);
        let me: Option<i32> = optional(row, 3, "user")?;
        Ok((database.to_owned(), case, sees, me))
    })
    .await?;
    let (database, case, sees, me): (String, i32, Option<i32>, _) =
        found.pop().ok_or(GrantsError::Unreadable { what })?;
    if sees != Some(1) {
        return Err(GrantsError::Hidden {
            database,
            right: "VIEW DEFINITION",
        });
    }
    Ok(Observed {
        database,
        folding: Folding::new(case == 1),
        me: me.unwrap_or(0),
        own: me.into_iter().collect(),
        principals: BTreeMap::new(),
        names: BTreeMap::new(),
        members: BTreeSet::new(),
        permissions: Vec::new(),
        schemas: BTreeMap::new(),
        objects: BTreeMap::new(),
        types: BTreeMap::new(),
        columns: BTreeMap::new(),
    })
}

fn principal(row: &Row) -> Result<(i32, FoundPrincipal), GrantsError> {
    let id: i32 = field(row, 0, "principal")?;
    let kind: &str = field(row, 2, "type of a principal")?;
    let sid: Option<&[u8]> = optional(row, 3, "SID")?;
    let default_schema: Option<&str> = optional(row, 4, "default schema")?;
    let fixed: bool = field(row, 6, "fixed role")?;
    let found = FoundPrincipal {
        name: name(row, 1)?,
        kind: kind.chars().next().unwrap_or(' '),
        sid: sid.unwrap_or_default().to_vec(),
        default_schema: default_schema.and_then(|text| Name::new(text).ok()),
        owner: optional(row, 5, "owner of a role")?,
        fixed: fixed || id == PUBLIC,
        authentication: optional(row, 7, "authentication")?.unwrap_or(0),
    };
    Ok((id, found))
}

fn permission(row: &Row) -> Result<FoundPermission, GrantsError> {
    let (class, major): (i32, i32) = (field(row, 0, "class")?, field(row, 1, "securable")?);
    let place = match class {
        0 => Place::Database,
        1 => Place::Object(major),
        3 => Place::Schema(major),
        4 => Place::Principal(major),
        6 => Place::Type(major),
        other => Place::Other(u8::try_from(other).unwrap_or(u8::MAX), major),
    };
    let name: &str = field(row, 5, "name of a permission")?;
    let what = "state of a permission";
    let state: &str = field(row, 6, what)?;
    Ok(FoundPermission {
        place,
        column: field(row, 2, "column")?,
        grantee: field(row, 3, "grantee")?,
        grantor: field(row, 4, "grantor")?,
        action: action::find(name).map_or_else(|| Action::Unknown(name.into()), Action::Known),
        state: match state {
            "D" => FoundState::Deny,
            "G" => FoundState::Grant,
            "R" => FoundState::Revoked,
            "W" => FoundState::GrantWithGrantOption,
            _ => return Err(GrantsError::Unreadable { what }),
        },
    })
}

fn thing(row: &Row) -> Result<(i32, FoundThing), GrantsError> {
    let found = FoundThing {
        schema: field(row, 1, "schema")?,
        name: name(row, 2)?,
        owner: optional(row, 3, "owner")?,
    };
    Ok((field(row, 0, "object")?, found))
}

/// All rows of a query's only result, within bounds.
async fn rows<T>(
    client: &mut PooledClient,
    what: &'static str,
    query: &str,
    read: impl Fn(&Row) -> Result<T, GrantsError>,
) -> Result<Vec<T>, GrantsError> {
    let failed = |source| GrantsError::Query { what, source };
    let asked = async {
        let mut results = client.simple_query(query).await.map_err(failed)?;
        let mut rows = Vec::new();
        while let Some(item) = results.try_next().await.map_err(failed)? {
            let QueryItem::Row(row) = item else {
                continue;
            };
            if rows.len() == MAX_ROWS {
                let limit = MAX_ROWS;
                return Err(GrantsError::TooMany { what, limit });
            }
            rows.push(read(&row)?);
        }
        Ok(rows)
    };
    let limit = LIMIT;
    timeout(limit, asked)
        .await
        .unwrap_or(Err(GrantsError::Timeout { what, limit }))
}

fn field<'r, T: FromSql<'r>>(
    row: &'r Row,
    at: usize,
    what: &'static str,
) -> Result<T, GrantsError> {
    optional(row, at, what)?.ok_or(GrantsError::Unreadable { what })
}

fn optional<'r, T: FromSql<'r>>(
    row: &'r Row,
    at: usize,
    what: &'static str,
) -> Result<Option<T>, GrantsError> {
    row.try_get(at)
        .map_err(|source| GrantsError::Query { what, source })
}

fn name(row: &Row, at: usize) -> Result<Name, GrantsError> {
    let text: &str = field(row, at, "name")?;
    Name::new(text).map_err(|_| GrantsError::Unreadable { what: "name" })
}
