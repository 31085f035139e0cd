//! A script that makes a database what it should be.

use super::model::{Desired, Identity, Permission, PermissionState, Principal, Role};
use super::plan::statements::{self, Verb};
use crate::scripts::{is_hidden, literal};
use crate::tsql::{Sid, Statement};

/// Writes a T-SQL script that gives a database what it should have, without
/// asking the database. Run again, it changes nothing; it takes nothing away.
///
/// It is one batch and one transaction, for sqlcmd as for `entrada query`. A
/// statement with a name that a client might misread (a line of its own that
/// reads `GO`, a `$(Variable)` of sqlcmd) is passed on as a text in which these
/// are taken apart.
///
/// ```
/// use entrada::grants::{Desired, render};
///
/// let script = render(&Desired::default());
/// assert!(script.contains("COMMIT TRANSACTION;"));
/// ```
#[must_use]
pub fn render(desired: &Desired) -> String {
    let mut script = Script {
        body: String::new(),
        declares_sql: false,
    };
    script.section("The roles.", &desired.roles, Script::role);
    script.section("The identities.", &desired.principals, Script::principal);
    script.section(
        "Who is in which role.",
        &desired.memberships,
        |script, membership| {
            let statement = statements::member(&membership.role, true, &membership.member);
            script.statement("", &statement);
        },
    );
    script.section(
        "What they may.",
        &desired.permissions,
        |script, permission| {
            script.statement("", &statement_of(permission));
        },
    );
    let mut out = String::from(HEADER);
    if script.declares_sql {
        out.push_str("DECLARE @statement nvarchar(max);\n");
    }
    out.push_str("BEGIN TRANSACTION;\n");
    out.push_str(&script.body);
    out.push_str("\nCOMMIT TRANSACTION;\n");
    out
}

const HEADER: &str = "\
-- Gives a database the roles, users, memberships and permissions of a manifest.
--
-- Needs: membership in db_owner, or in both db_accessadmin and db_securityadmin
--   with CONTROL on what is granted. Users that the server looks up in Entra need
--   a login by Entra, too.
--
-- Changes: adds what is missing, all of it or nothing. Run again it changes
--   nothing; it takes nothing away from anybody.
SET NOCOUNT ON;
SET XACT_ABORT ON;

";

struct Script {
    body: String,
    declares_sql: bool,
}

impl Script {
    fn section<T>(&mut self, title: &str, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        if items.is_empty() {
            return;
        }
        self.body.push_str("\n-- ");
        self.body.push_str(title);
        self.body.push('\n');
        items.iter().for_each(|item| each(self, item));
    }

    fn role(&mut self, role: &Role) {
        let name = literal(role.name.as_str());
        let create = statements::create_role(&role.name);
        self.unless(&format!("name = {name}"), &create);
        self.insist(
            &format!("name = {name} AND type = 'R'"),
            "A user has the name of a role; choose another name for one of them.",
        );
    }

    fn principal(&mut self, principal: &Principal) {
        let name = literal(principal.name.as_str());
        self.unless(
            &format!("name = {name}"),
            &statements::create_user(principal),
        );
        let (is_it, told) = match principal.identity {
            Identity::BySid(id) => (
                format!(" AND sid = {}", Sid::from_id(id)),
                "A user or role has the name of an identity, with another id; drop it or choose another name.",
            ),
            _ => (
                " AND type IN ('E', 'X')".to_owned(),
                "A user or role has the name of an identity and is none of Entra; choose another name.",
            ),
        };
        self.insist(&format!("name = {name}{is_it}"), told);
        if let Some(schema) = &principal.default_schema {
            let is_so = literal(schema.as_str());
            let alter = statements::default_schema(&principal.name, schema);
            self.unless(
                &format!("name = {name} AND default_schema_name = {is_so}"),
                &alter,
            );
        }
    }

    /// The statement, unless there is such a principal.
    fn unless(&mut self, such: &str, statement: &Statement) {
        self.body.push_str(&format!(
            "IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE {such})\nBEGIN\n"
        ));
        self.statement("    ", statement);
        self.body.push_str("END;\n");
    }

    /// Ends the script unless there is such a principal.
    fn insist(&mut self, such: &str, told: &'static str) {
        self.body.push_str(&format!(
            "IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE {such})\n    THROW 50000, N'{told}', 1;\n"
        ));
    }

    fn statement(&mut self, indent: &str, statement: &Statement) {
        let text = statement.as_str();
        if text.contains("$(") || text.chars().any(is_hidden) {
            self.declares_sql = true;
            let text = literal(text);
            self.body.push_str(&format!(
                "{indent}SET @statement = CAST(N'' AS nvarchar(max)) + {text};\n{indent}EXEC sys.sp_executesql @statement;\n"
            ));
        } else {
            self.body.push_str(&format!("{indent}{text};\n"));
        }
    }
}

fn statement_of(permission: &Permission) -> Statement {
    let verb = match permission.state {
        PermissionState::Deny => Verb::Deny,
        PermissionState::Grant => Verb::Grant,
        PermissionState::GrantWithGrantOption => Verb::GrantWithOption,
    };
    let Permission {
        action,
        on,
        columns,
        to,
        ..
    } = permission;
    statements::permission(verb, action, columns, on, to, None)
}
