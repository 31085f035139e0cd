//! Who may open a session, and as which database user.

use std::num::NonZeroU32;
use std::sync::Arc;

use aws_lc_rs::{pbkdf2, rand};
use rusqlite::{Connection, OptionalExtension, params};

use super::super::catalogue::security::{self, User};
use super::super::error::{SqlError, SqlResult};
use super::super::{Principal, Shared};
use super::State;
use crate::emulator::directory::EntraPrincipal;
use crate::secret::Secret;

/// Opens the session's connection and finds its database user.
pub(crate) fn open(
    shared: Arc<Shared>,
    principal: Principal,
    database: Option<&str>,
    spid: u16,
) -> SqlResult<State> {
    let name = database.filter(|d| !d.is_empty()).unwrap_or("master");
    let shown = login_name(&principal);
    let Some(found) = shared.store.find(name) else {
        return Err(cannot_open(name));
    };
    let (conn, counter) = super::super::exec::connection::open()?;
    shared.store.attach(&conn, &found)?;
    let user = user_of(&conn, &found.alias(), &principal)?.ok_or_else(|| match principal {
        Principal::SqlLogin { .. } => cannot_open(name),
        _ => login_failed(&shown),
    })?;
    if !user.may_connect(&conn, &found.alias())? {
        return Err(login_failed(&shown));
    }
    Ok(State::new(
        shared,
        (conn, counter),
        principal,
        found,
        user,
        spid,
    ))
}

/// The database user of a principal: its own, else one of its groups.
pub(crate) fn user_of(
    conn: &Connection,
    alias: &str,
    principal: &Principal,
) -> SqlResult<Option<User>> {
    match principal {
        Principal::ServerAdmin { .. } => Ok(Some(User::dbo())),
        Principal::SqlLogin { name } => security::user_by_login(conn, alias, name),
        Principal::Entra(entra) => entra_user(conn, alias, entra),
    }
}

fn entra_user(conn: &Connection, alias: &str, entra: &EntraPrincipal) -> SqlResult<Option<User>> {
    let groups: Vec<i64> = entra
        .groups
        .iter()
        .map(|group| security::id_by_sid(conn, alias, &group.to_bytes_le()))
        .collect::<SqlResult<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    let own = security::id_by_sid(conn, alias, &entra.sid())?;
    let Some(id) = own.or_else(|| groups.first().copied()) else {
        return Ok(None);
    };
    let mut user = security::user_by_id(conn, alias, id)?;
    if own.is_none() {
        // A member of a group acts under its own name with the group's rights.
        entra.display_name.clone_into(&mut user.name);
    }
    user.groups = groups;
    Ok(Some(user))
}

/// Name of the principal in `SUSER_SNAME()` and in errors.
pub(crate) fn login_name(principal: &Principal) -> String {
    match principal {
        Principal::ServerAdmin { name } | Principal::SqlLogin { name } => name.clone(),
        Principal::Entra(entra) => match entra.client_id {
            Some(client) => format!("{client}@{}", entra.tenant_id),
            None => entra.display_name.clone(),
        },
    }
}

/// 18456 as Azure words it. A token's principal is not named.
pub(crate) fn login_failed(name: &str) -> SqlError {
    let shown = if name.contains('@')
        && uuid::Uuid::try_parse(name.split('@').next().unwrap_or("")).is_ok()
    {
        "<token-identified principal>"
    } else {
        name
    };
    SqlError::new(18456, format!("Login failed for user '{shown}'."))
        .class(14)
        .state(1)
}

fn cannot_open(database: &str) -> SqlError {
    SqlError::new(
        4060,
        format!("Cannot open database \"{database}\" requested by the login. The login failed."),
    )
    .class(11)
}

/// Looks a SQL login up in `master`, then a contained user in the database.
pub(crate) fn check_password(
    shared: &Shared,
    user: &str,
    password: &Secret,
    database: Option<&str>,
) -> Option<String> {
    let master = shared.store.open_master().ok()?;
    let of_login = stored_hash(
        &master,
        "SELECT name, salt, hash FROM \"~logins\" WHERE name = ?1",
        user,
    );
    let contained = || {
        let database = shared.store.find(database?)?;
        let conn = Connection::open_in_memory().ok()?;
        shared.store.attach(&conn, &database).ok()?;
        let sql = format!(
            "SELECT name, salt, hash FROM {}.\"~principals\" WHERE name = ?1 AND hash IS NOT NULL",
            database.alias()
        );
        stored_hash(&conn, &sql, user)
    };
    let (name, salt, hash) = of_login.or_else(contained)?;
    verify(password, &salt, &hash).then_some(name)
}

fn stored_hash(conn: &Connection, sql: &str, user: &str) -> Option<(String, Vec<u8>, Vec<u8>)> {
    conn.query_row(sql, params![user], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
    .optional()
    .ok()
    .flatten()
}

/// Few rounds: this guards test passwords, and every login pays for it.
const ROUNDS: NonZeroU32 = NonZeroU32::new(1_000).unwrap();

/// Salt and hash of a password.
pub(crate) fn hash(password: &str) -> SqlResult<(Vec<u8>, Vec<u8>)> {
    let mut salt = [0u8; 16];
    rand::fill(&mut salt).map_err(|_| SqlError::internal("no random numbers"))?;
    let mut out = [0u8; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        &salt,
        password.as_bytes(),
        &mut out,
    );
    Ok((salt.to_vec(), out.to_vec()))
}

fn verify(password: &Secret, salt: &[u8], hash: &[u8]) -> bool {
    pbkdf2::verify(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        salt,
        password.expose().as_bytes(),
        hash,
    )
    .is_ok()
}
