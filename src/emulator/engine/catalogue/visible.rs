//! What a user may know of: without a right on a thing its metadata is not shown.

use std::collections::BTreeSet;

use super::super::error::SqlResult;
use super::super::session::State;
use super::security::{Rights, Securable};

/// The objects that the session may see, as a source in FROM.
pub(crate) fn objects(state: &State, alias: &str) -> SqlResult<String> {
    let all = format!("{alias}.\"~objects\"");
    let Some(rights) = restricted(state, alias)? else {
        return Ok(all);
    };
    let mut statement = state.conn.prepare_cached(&format!(
        "SELECT id, schema_id FROM {all} WHERE kind IN ('U', 'V')"
    ))?;
    let mut seen = BTreeSet::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, schema) = (row.get(0)?, row.get(1)?);
        if rights.sees(Securable::Object(id, schema)) {
            seen.insert(id);
        }
    }
    let seen = list(&seen);
    Ok(format!(
        "(SELECT * FROM {all} WHERE id IN ({seen}) OR parent IN ({seen}))"
    ))
}

/// The schemas: the system's, and those with a right on them or in them.
pub(crate) fn schemas(state: &State, alias: &str) -> SqlResult<String> {
    let all = format!("{alias}.\"~schemas\"");
    let Some(rights) = restricted(state, alias)? else {
        return Ok(all);
    };
    let mut statement = state.conn.prepare_cached(&format!(
        "SELECT id FROM {all} WHERE id BETWEEN 5 AND 16383"
    ))?;
    let mut seen = BTreeSet::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if rights.sees(Securable::Schema(id)) {
            seen.insert(id);
        }
    }
    Ok(format!(
        "(SELECT * FROM {all} WHERE id < 5 OR id >= 16384 OR id IN ({}))",
        list(&seen)
    ))
}

/// The principals: the fixed ones, oneself and the roles that one is in.
pub(crate) fn principals(state: &State, alias: &str) -> SqlResult<String> {
    let all = format!("{alias}.\"~principals\"");
    let Some(rights) = restricted(state, alias)? else {
        return Ok(all);
    };
    let kinds = |permission: &str, kinds: &str| {
        if rights.allows(permission, Securable::Database) {
            kinds.to_owned()
        } else {
            "0".to_owned()
        }
    };
    let users = kinds("ALTER ANY USER", "kind <> 'R'");
    let roles = kinds("ALTER ANY ROLE", "kind = 'R'");
    Ok(format!(
        "(SELECT * FROM {all} WHERE id < 5 OR fixed OR {users} OR {roles} OR id IN ({0}) OR (kind = 'R' AND owner IN ({0})) \
         OR id IN (SELECT major FROM {alias}.\"~permissions\" WHERE class = 4 AND grantee IN ({0})))",
        list(rights.closure())
    ))
}

/// Memberships: one's own, unless one may see all.
pub(crate) fn members(state: &State, alias: &str) -> SqlResult<String> {
    let all = format!("{alias}.\"~members\"");
    let Some(rights) = restricted(state, alias)? else {
        return Ok(all);
    };
    if rights.allows("ALTER ANY ROLE", Securable::Database) {
        return Ok(all);
    }
    let own = list(rights.closure());
    Ok(format!(
        "(SELECT * FROM {all} WHERE member_id IN ({own}) OR role_id IN (SELECT id FROM {alias}.\"~principals\" \
         WHERE kind = 'R' AND owner IN ({own})))"
    ))
}

/// Permissions: one's own and those of one's roles, unless one may see all.
pub(crate) fn permissions(state: &State, alias: &str) -> SqlResult<String> {
    let all = format!("{alias}.\"~permissions\"");
    let Some(rights) = restricted(state, alias)? else {
        return Ok(all);
    };
    if rights.allows("ALTER ANY USER", Securable::Database) {
        return Ok(all);
    }
    let own = list(rights.closure());
    Ok(format!(
        "(SELECT * FROM {all} WHERE grantee IN ({own}) OR grantor IN ({own}))"
    ))
}

/// Oneself, one's groups and the roles that these are in, as a list of ids.
pub(crate) fn closure(state: &State, alias: &str) -> SqlResult<String> {
    let closure = state.acting().closure(&state.conn, alias)?;
    Ok(list(&closure))
}

/// The rights of a user who may not see everything.
fn restricted(state: &State, alias: &str) -> SqlResult<Option<Rights>> {
    let user = state.acting();
    if alias == "temp" || user.is_dbo() {
        return Ok(None);
    }
    let rights = Rights::of(user, &state.conn, alias)?;
    let all = rights.allows("VIEW DEFINITION", Securable::Database);
    Ok((!all).then_some(rights))
}

fn list(ids: &BTreeSet<i64>) -> String {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    ids.join(",")
}
