//! The database user that a session acts for: how it is found, entered and left again.
//!
//! A server without Entra has no users of the types E and X. There a principal's user is one
//! without login that carries the principal's SID in the extended property [`PROPERTY`]; see
//! [`rewrite`](super::rewrite), which makes such users. `EXECUTE AS USER … WITH COOKIE` enters its
//! context so that a `REVERT` of the client's does not lead out of it.

use std::fmt::Write as _;

use super::answer::{Answer, Cell, integer, text};
use crate::emulator::{Directory, EntraPrincipal};

/// The extended property of a user that holds its principal's SID.
pub(super) const PROPERTY: &str = "entrada_sid";

/// Ids up to this one belong to dbo, guest and the like.
const LAST_BUILT_IN: i64 = 4;

/// A database user, as precisely as it can be told from another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DatabaseUser {
    pub(super) id: i64,
    pub(super) name: String,
    /// SIDs of users without login are random: one that was made anew has another.
    pub(super) sid: Vec<u8>,
}

/// Who the session is outside of any user's context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outside {
    user: Vec<u8>,
    login: Vec<u8>,
}

/// A user whom the principal may be.
struct Candidate {
    user: DatabaseUser,
    /// `E` is a user of Entra's own, on a server that knows Entra.
    kind: u8,
    without_login: bool,
    entra: Option<Vec<u8>>,
}

/// Asks who we are, and for every user that the principal may be.
pub(super) fn lookup(principal: &EntraPrincipal) -> String {
    let mut sids = hex(&principal.sid());
    for group in &principal.groups {
        let _ = write!(sids, ", {}", hex(&group.to_bytes_le()));
    }
    let name = literal(&principal.display_name);
    format!(
        "{WHO};\n\
         SELECT p.principal_id, p.name, p.sid, CAST(p.type AS varchar(2)), p.authentication_type, \
         CAST(e.value AS varbinary(85)) \
         FROM sys.database_principals AS p LEFT JOIN sys.extended_properties AS e \
         ON e.class = 4 AND e.major_id = p.principal_id AND e.name = N'{PROPERTY}' \
         WHERE p.principal_id > {LAST_BUILT_IN} AND p.type IN ('S', 'E') AND \
         (p.sid IN ({sids}) OR CAST(e.value AS varbinary(85)) IN ({sids}) OR p.name = {name})"
    )
}

/// Who the session is.
const WHO: &str = "SELECT USER_NAME(), SUSER_SNAME()";

/// What `lookup` brought: who we are, and the principal's user if it has one.
pub(super) fn found(
    answer: &Answer,
    principal: &EntraPrincipal,
    directory: &dyn Directory,
) -> Option<(Outside, Option<DatabaseUser>)> {
    let [who, users] = answer.results.as_slice() else {
        return None;
    };
    let [who] = who.as_slice() else {
        return None;
    };
    let outside = outside(who.as_slice().try_into().ok()?)?;
    let mut candidates = Vec::new();
    for row in users {
        candidates.push(candidate(row.as_slice().try_into().ok()?)?);
    }
    Some((outside, chosen(candidates, principal, directory)))
}

/// The principal's own user; else that of one of its groups; else one without login that has its
/// name, if nobody else in the tenant has it.
fn chosen(
    candidates: Vec<Candidate>,
    principal: &EntraPrincipal,
    directory: &dyn Directory,
) -> Option<DatabaseUser> {
    let is = |candidate: &Candidate, sid: [u8; 16]| match candidate.kind {
        b'E' => candidate.user.sid == sid,
        _ => candidate.entra.as_deref() == Some(&sid),
    };
    let own = |candidate: &&Candidate| is(candidate, principal.sid());
    let unique = || {
        let found = directory.find_by_name(&principal.display_name);
        found.is_some_and(|found| found.object_id == principal.object_id)
    };
    let by_name = |candidate: &&Candidate| {
        candidate.kind == b'S'
            && candidate.without_login
            && candidate.entra.is_none()
            && candidate
                .user
                .name
                .eq_ignore_ascii_case(&principal.display_name)
    };
    let by_group = || {
        principal.groups.iter().find_map(|group| {
            let sid = group.to_bytes_le();
            candidates.iter().find(|candidate| is(candidate, sid))
        })
    };
    candidates
        .iter()
        .find(own)
        .or_else(by_group)
        .or_else(|| candidates.iter().find(by_name).filter(|_| unique()))
        .map(|candidate| candidate.user.clone())
}

/// Enters the user's context if the user is still the same. The answer's last row has the cookie,
/// the user's name and its id.
pub(super) fn enter(user: &DatabaseUser) -> String {
    let (id, name, sid) = (user.id, literal(&user.name), hex(&user.sid));
    format!(
        "DECLARE @cookie varbinary(8000);\n\
         IF EXISTS (SELECT * FROM sys.database_principals \
         WHERE principal_id = {id} AND name = {name} AND sid = {sid})\n\
         EXECUTE AS USER = {name} WITH COOKIE INTO @cookie;\n\
         SELECT @cookie, USER_NAME(), USER_ID()"
    )
}

/// The cookie, if the user's context has been entered.
pub(super) fn entered(answer: &Answer, user: &DatabaseUser) -> Option<Vec<u8>> {
    let [cookie, name, id] = answer.last_row()?;
    let same = integer(id) == Some(user.id) && text(name).as_deref() == Some(&user.name);
    cookie.clone().filter(|cookie| same && !cookie.is_empty())
}

/// Leaves the context. REVERT works only in the database that the context belongs to, which is
/// named if the session is in another one. Options of the client's that keep statements from running
/// are taken back first.
pub(super) fn leave(back_to: Option<&str>, cookie: &[u8]) -> String {
    let back = match back_to {
        Some(database) => format!("USE {};\n", quoted(database)),
        None => String::new(),
    };
    format!(
        "SET PARSEONLY OFF; SET NOEXEC OFF; SET FMTONLY OFF;\n\
         {back}DECLARE @cookie varbinary(8000) = {};\n\
         REVERT WITH COOKIE = @cookie;\n\
         {WHO}",
        hex(cookie)
    )
}

/// Whether the session is outside again.
pub(super) fn left(answer: &Answer, before: &Outside) -> bool {
    answer.errors.is_empty() && answer.last_row().and_then(outside).as_ref() == Some(before)
}

fn outside([user, login]: &[Cell; 2]) -> Option<Outside> {
    Some(Outside {
        user: user.clone()?,
        login: login.clone()?,
    })
}

fn candidate([id, name, sid, kind, authentication, entra]: &[Cell; 6]) -> Option<Candidate> {
    Some(Candidate {
        user: DatabaseUser {
            id: integer(id)?,
            name: text(name)?,
            sid: sid.clone().unwrap_or_default(),
        },
        kind: kind.as_ref()?.first().copied()?,
        without_login: integer(authentication) == Some(0),
        entra: entra.clone(),
    })
}

/// A text between quotes.
pub(super) fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// An identifier between brackets.
fn quoted(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// A binary constant.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::from("0x");
    for byte in bytes {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::{EntraKind, InMemoryDirectory};
    use uuid::Uuid;

    fn app(name: &str) -> EntraPrincipal {
        let kind = EntraKind::Application;
        EntraPrincipal::application(kind, name, Uuid::nil(), Uuid::new_v4(), Uuid::new_v4())
    }

    fn user(id: i64, name: &str, entra: Option<&[u8]>) -> Candidate {
        Candidate {
            user: DatabaseUser {
                id,
                name: name.into(),
                sid: vec![1, 5, 9],
            },
            kind: b'S',
            without_login: true,
            entra: entra.map(<[u8]>::to_vec),
        }
    }

    #[test]
    fn the_sid_counts_more_than_a_group_and_that_more_than_the_name() {
        let directory = InMemoryDirectory::new();
        let group = Uuid::new_v4();
        let mut orders = app("orders");
        orders.groups.push(group);
        directory.insert(orders.clone());
        let all = || {
            vec![
                user(5, "ORDERS", None),
                user(6, "team", Some(&group.to_bytes_le())),
                user(7, "renamed", Some(&orders.sid())),
            ]
        };
        let pick = |candidates| chosen(candidates, &orders, &directory).map(|user| user.id);
        assert_eq!(pick(all()), Some(7));
        assert_eq!(pick(all().into_iter().take(2).collect()), Some(6));
        assert_eq!(pick(all().into_iter().take(1).collect()), Some(5));
        assert_eq!(pick(Vec::new()), None);
    }

    #[test]
    fn a_name_counts_only_without_login_property_and_namesake() {
        let directory = InMemoryDirectory::new();
        let orders = app("orders");
        directory.insert(orders.clone());
        let pick = |candidate| chosen(vec![candidate], &orders, &directory).map(|user| user.id);
        assert_eq!(pick(user(5, "orders", None)), Some(5));
        assert_eq!(pick(user(5, "orders", Some(&[7; 16]))), None, "another's");
        let mut with_login = user(5, "orders", None);
        with_login.without_login = false;
        assert_eq!(pick(with_login), None);
        directory.insert(app("orders"));
        assert_eq!(pick(user(5, "orders", None)), None, "two have the name");
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let user = DatabaseUser {
            id: 5,
            name: "o'; REVERT --".into(),
            sid: vec![0xAB],
        };
        assert!(enter(&user).contains("EXECUTE AS USER = N'o''; REVERT --' WITH COOKIE"));
        assert!(leave(Some("a]; DROP"), &[1]).contains("USE [a]]; DROP];"));
    }
}
