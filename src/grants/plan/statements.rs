//! The statements of a plan.

use crate::grants::model::{Identity, Principal, PrincipalKind, Securable};
use crate::tsql::{Name, Sid, Statement};

pub(in crate::grants) fn create_user(principal: &Principal) -> Statement {
    let start = Statement::new("CREATE USER ").name(&principal.name);
    match principal.identity {
        Identity::ByName => start.words(" FROM EXTERNAL PROVIDER"),
        Identity::ByObjectId(id) => start
            .words(" FROM EXTERNAL PROVIDER WITH OBJECT_ID = ")
            .text(&id.to_string()),
        Identity::BySid(id) => {
            start
                .words(" WITH SID = ")
                .sid(Sid::from_id(id))
                .words(match principal.kind {
                    PrincipalKind::Group => ", TYPE = X",
                    _ => ", TYPE = E",
                })
        }
    }
}

pub(in crate::grants) fn rename_user(from: &Name, to: &Name) -> Statement {
    Statement::new("ALTER USER ")
        .name(from)
        .words(" WITH NAME = ")
        .name(to)
}

pub(in crate::grants) fn default_schema(user: &Name, schema: &Name) -> Statement {
    Statement::new("ALTER USER ")
        .name(user)
        .words(" WITH DEFAULT_SCHEMA = ")
        .name(schema)
}

pub(in crate::grants) fn drop_user(name: &Name) -> Statement {
    Statement::new("DROP USER ").name(name)
}

/// Owned by dbo, so that whoever makes it can be dropped later.
pub(in crate::grants) fn create_role(name: &Name) -> Statement {
    Statement::new("CREATE ROLE ")
        .name(name)
        .words(" AUTHORIZATION [dbo]")
}

pub(in crate::grants) fn drop_role(name: &Name) -> Statement {
    Statement::new("DROP ROLE ").name(name)
}

pub(in crate::grants) fn member(role: &Name, add: bool, member: &Name) -> Statement {
    Statement::new("ALTER ROLE ")
        .name(role)
        .words(if add { " ADD MEMBER " } else { " DROP MEMBER " })
        .name(member)
}

/// To dbo, or to the schema's owner for what lies in a schema.
pub(in crate::grants) fn transfer(on: &Securable) -> Statement {
    let start = Statement::new("ALTER AUTHORIZATION ON ");
    match on {
        Securable::Object { .. } | Securable::Type { .. } => {
            target(start, on).words(" TO SCHEMA OWNER")
        }
        _ => target(start, on).words(" TO [dbo]"),
    }
}

/// Which of the three statements about permissions it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::grants) enum Verb {
    Deny,
    /// Also from those to whom it was given on.
    DenyCascade,
    Grant,
    GrantWithOption,
    Revoke,
    /// Also from those to whom it was given on.
    RevokeCascade,
    /// The grant option only.
    RevokeOption,
}

pub(in crate::grants) fn permission(
    verb: Verb,
    action: &'static str,
    columns: &[Name],
    on: &Securable,
    to: &Name,
    grantor: Option<&Name>,
) -> Statement {
    let mut statement = Statement::new(match verb {
        Verb::Deny | Verb::DenyCascade => "DENY ",
        Verb::Grant | Verb::GrantWithOption => "GRANT ",
        Verb::Revoke | Verb::RevokeCascade => "REVOKE ",
        Verb::RevokeOption => "REVOKE GRANT OPTION FOR ",
    })
    .words(action);
    if !columns.is_empty() {
        statement = statement.words(" (").names(columns).words(")");
    }
    if *on != Securable::Database {
        statement = target(statement.words(" ON "), on);
    }
    let takes_back = matches!(
        verb,
        Verb::Revoke | Verb::RevokeCascade | Verb::RevokeOption
    );
    statement = statement
        .words(if takes_back { " FROM " } else { " TO " })
        .name(to)
        .words(match verb {
            Verb::DenyCascade | Verb::RevokeCascade | Verb::RevokeOption => " CASCADE",
            Verb::GrantWithOption => " WITH GRANT OPTION",
            _ => "",
        });
    match grantor {
        Some(grantor) => statement.words(" AS ").name(grantor),
        None => statement,
    }
}

fn target(statement: Statement, on: &Securable) -> Statement {
    match on {
        Securable::Database => statement,
        Securable::Object { schema, name } => statement
            .words("OBJECT::")
            .name(schema)
            .words(".")
            .name(name),
        Securable::Role(name) => statement.words("ROLE::").name(name),
        Securable::Schema(name) => statement.words("SCHEMA::").name(name),
        Securable::Type { schema, name } => {
            statement.words("TYPE::").name(schema).words(".").name(name)
        }
        Securable::User(name) => statement.words("USER::").name(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_read_as_t_sql_has_them() {
        let name = |text: &str| Name::new(text).unwrap();
        let table = Securable::Object {
            schema: name("dbo"),
            name: name("o]1"),
        };
        let schema = Securable::Schema(name("s"));
        for (verb, columns, on, grantor, text) in [
            (
                Verb::Grant,
                vec![name("a"), name("b")],
                &table,
                None,
                "GRANT SELECT ([a], [b]) ON OBJECT::[dbo].[o]]1] TO [u]",
            ),
            (
                Verb::GrantWithOption,
                vec![],
                &schema,
                None,
                "GRANT SELECT ON SCHEMA::[s] TO [u] WITH GRANT OPTION",
            ),
            (
                Verb::RevokeOption,
                vec![],
                &Securable::Database,
                None,
                "REVOKE GRANT OPTION FOR SELECT FROM [u] CASCADE",
            ),
            (
                Verb::DenyCascade,
                vec![],
                &schema,
                None,
                "DENY SELECT ON SCHEMA::[s] TO [u] CASCADE",
            ),
            (
                Verb::Revoke,
                vec![],
                &schema,
                Some(name("x")),
                "REVOKE SELECT ON SCHEMA::[s] FROM [u] AS [x]",
            ),
        ] {
            let made = permission(verb, "SELECT", &columns, on, &name("u"), grantor.as_ref());
            assert_eq!(made.as_str(), text);
        }
    }
}
