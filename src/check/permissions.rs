//! What the user may do in the database as a whole.

use super::finding::{Failed, Finding};
use super::roles::Roles;
use super::session::Entered;

const PERMISSIONS: &str = "SELECT permission_name AS name FROM sys.fn_my_permissions(NULL, N'DATABASE') ORDER BY permission_name";
/// Objects are visible to whoever has some right on them.
const OBJECTS: &str =
    "SELECT COUNT(*) AS many FROM sys.objects WHERE type IN ('U', 'V', 'P', 'FN', 'IF', 'TF')";
/// What lets its holder have everything else.
const POWERFUL: [&str; 6] = [
    "CONTROL",
    "ALTER ANY USER",
    "ALTER ANY ROLE",
    "ALTER",
    "TAKE OWNERSHIP",
    "ALTER ANY SCHEMA",
];
/// How many are written out.
const SHOWN: usize = 8;

pub(super) async fn check(
    entered: &mut Entered,
    roles: &Roles,
    finding: &mut Finding,
) -> Result<(), Failed> {
    let rows = entered.rows(PERMISSIONS).await?;
    let names: Vec<String> = rows
        .iter()
        .filter_map(|row| row.try_get::<&str, _>("name").ok().flatten())
        .map(str::to_owned)
        .collect();
    let counted = entered.row(OBJECTS).await?;
    let objects = counted
        .try_get::<i32, _>("many")
        .ok()
        .flatten()
        .unwrap_or(0);
    finding.fact("database", names.clone());
    finding.fact("visible_objects", objects);
    let mut shown = names
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        shown = format!("{shown} and {} more", names.len() - SHOWN);
    }
    finding.saw(format!(
        "on the database {}; sees {objects} tables, views and procedures",
        if shown.is_empty() { "none" } else { &shown }
    ));
    let has = |power: &&&str| names.iter().any(|name| name == **power);
    // A role that gives it was warned of already.
    let told = roles.has("db_owner") || roles.has("db_ddladmin") || roles.has("db_accessadmin");
    if let Some(power) = POWERFUL.iter().find(has).filter(|_| !told) {
        finding.warn(
            format!("{power} on the database, with which the user can come by all other rights"),
            "revoke it and grant what the service does, by object or schema (`entrada grants`)",
        );
    }
    let only_connect = names
        .iter()
        .all(|name| name.starts_with("CONNECT") || name.starts_with("VIEW"));
    if only_connect && objects == 0 {
        finding.warn(
            "the user may connect and nothing else",
            "grant it a role (`entrada script add-to-role`) or rights on objects (`entrada grants`)",
        );
    }
    Ok(())
}
