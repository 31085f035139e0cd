//! The database user that the login came to.

use super::finding::{Failed, Finding};
use super::principal::Principal;
use super::session::Entered;
use super::token::Held;
use crate::tsql::Sid;

const USER: &str = "SELECT USER_NAME() AS name, DB_NAME() AS db, p.type_desc AS kind, p.sid AS sid \
     FROM (SELECT DATABASE_PRINCIPAL_ID() AS id) AS me \
     LEFT JOIN sys.database_principals AS p ON p.principal_id = me.id";

pub(super) async fn check(
    entered: &mut Entered,
    held: Option<&Held>,
    finding: &mut Finding,
) -> Result<(), Failed> {
    let row = entered.row(USER).await?;
    let text = |column: &str| {
        row.try_get::<&str, _>(column)
            .ok()
            .flatten()
            .unwrap_or_default()
    };
    let (name, database, kind) = (text("name"), text("db"), text("kind"));
    let sid = row.try_get::<&[u8], _>("sid").ok().flatten();
    let id = sid.and_then(Sid::from_bytes).map(Sid::id);
    finding.fact("name", name);
    finding.fact("database", database);
    finding.fact("type", (!kind.is_empty()).then(|| kind.to_owned()));
    finding.fact("id", id.map(|id| id.to_string()));
    let claims = held.and_then(|held| held.claims.as_ref());
    let principal = claims.map(Principal::of);
    let own = principal.as_ref().and_then(Principal::id);
    // A member acts as the group's user, or as one of its own that is in no catalogue.
    let through_group =
        own.is_some() && id != own && matches!(kind, "EXTERNAL_GROUP" | "") && name != "dbo";
    finding.fact("through_group", through_group);
    let kind = kind.to_lowercase().replace('_', " ");
    finding.saw(match id {
        _ if through_group => format!("{name} in {database}, through a group that has a user"),
        Some(id) => format!("{name} in {database}, {kind} with id {id}"),
        None if kind.is_empty() => format!("{name} in {database}"),
        None => format!("{name} in {database}, {kind}"),
    });
    if name == "dbo" {
        finding.warn(
            "the login acts as dbo, the owner of the database, who may do everything: the identity is the server's administrator or owns the database",
            "let services log in as identities of their own with a user and few rights (`entrada script create-user-by-sid`)",
        );
    }
    if name == "guest" {
        finding.warn(
            "the login has no user here and acts as guest",
            "create a user for the identity (`entrada script create-user-by-sid`), and take CONNECT from guest",
        );
    }
    Ok(())
}
