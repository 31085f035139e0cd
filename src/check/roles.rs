//! The roles that the user is in, directly or through others.

use super::finding::{Failed, Finding};
use super::session::Entered;

/// Who counts for the session's rights: the user, its groups and all roles.
const TOKEN: &str = "SELECT t.name AS name, t.type AS kind, \
     CASE WHEN EXISTS (SELECT 1 FROM sys.database_role_members AS m \
     WHERE m.role_principal_id = t.principal_id AND m.member_principal_id = DATABASE_PRINCIPAL_ID()) \
     THEN 1 ELSE 0 END AS direct \
     FROM sys.user_token AS t WHERE t.name <> N'public' ORDER BY t.name";

/// Roles that can give themselves or others more, and what they mean.
const POWERFUL: [(&str, &str); 4] = [
    ("db_owner", "may do everything in the database"),
    ("db_securityadmin", "may grant rights, to itself as well"),
    ("db_accessadmin", "may let others in"),
    (
        "db_ddladmin",
        "may change and drop every object, and run code as others who use these",
    ),
];

/// The roles of a user.
#[derive(Debug, Default)]
pub(super) struct Roles {
    pub(super) all: Vec<String>,
}

impl Roles {
    pub(super) fn has(&self, role: &str) -> bool {
        self.all.iter().any(|name| name == role)
    }
}

pub(super) async fn check(entered: &mut Entered, finding: &mut Finding) -> Result<Roles, Failed> {
    let (mut direct, mut nested, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for row in entered.rows(TOKEN).await? {
        let text = |column: &str| {
            row.try_get::<&str, _>(column)
                .ok()
                .flatten()
                .unwrap_or_default()
        };
        let name = text("name").to_owned();
        let kind = text("kind");
        if kind.contains("GROUP") {
            groups.push(name);
        } else if kind == "ROLE" {
            let is_direct = row.try_get::<i32, _>("direct").ok().flatten() == Some(1);
            if is_direct { &mut direct } else { &mut nested }.push(name);
        }
    }
    finding.fact("direct", direct.clone());
    finding.fact("nested", nested.clone());
    finding.fact("groups", groups.clone());
    let mut parts = Vec::new();
    for (names, how) in [
        (&direct, ""),
        (&nested, " (through a role or group)"),
        (&groups, " (group)"),
    ] {
        parts.extend(names.iter().map(|name| format!("{name}{how}")));
    }
    finding.saw(match parts.is_empty() {
        true => "none but public".to_owned(),
        false => parts.join(", "),
    });
    let all: Vec<String> = direct.into_iter().chain(nested).collect();
    for (role, meaning) in POWERFUL {
        if all.iter().any(|name| name == role) {
            finding.warn(
                format!("member of {role}, which {meaning}: more than a service needs"),
                "grant a role of your own just what the service does (`entrada script service-role`, `entrada grants`), and take this one away; migrations run better as another identity",
            );
        }
    }
    Ok(Roles { all })
}
