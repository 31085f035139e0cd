//! What gives more than it seems to, and so needs a word of its own
//! (`allow_dangerous`).

use super::model::{Permission, PermissionState, Securable};
use crate::tsql::Name;

/// Why membership in a role is dangerous, if it is.
#[must_use]
pub fn of_role(role: &Name) -> Option<&'static str> {
    let name = role.as_str().to_ascii_lowercase();
    Some(match name.as_str() {
        "db_owner" => "db_owner may do everything in the database, and drop it",
        "db_securityadmin" => "db_securityadmin may give permissions to others, itself included",
        "db_accessadmin" => "db_accessadmin may let anybody in",
        "db_ddladmin" => {
            "db_ddladmin may change every object, and so have others run its statements"
        }
        _ => return None,
    })
}

/// Why a permission is dangerous, if it is. Forbidding is not.
#[must_use]
pub fn of_permission(permission: &Permission) -> Option<&'static str> {
    if permission.state == PermissionState::Deny {
        return None;
    }
    if is_public(&permission.to) {
        return Some("public is everybody who may log in");
    }
    if permission.state == PermissionState::GrantWithGrantOption {
        return Some("WITH GRANT OPTION lets it be given on to others");
    }
    of_action(permission.action, &permission.on)
}

fn of_action(action: &str, on: &Securable) -> Option<&'static str> {
    Some(match action {
        "CONTROL" => "CONTROL includes every other permission, and giving them to others",
        "TAKE OWNERSHIP" => "TAKE OWNERSHIP makes its holder the owner at will",
        "IMPERSONATE" => "IMPERSONATE lets its holder act as the other user",
        "AUTHENTICATE" => "AUTHENTICATE lets its holder vouch for users of other databases",
        "ALTER" => match on {
            Securable::Database => "ALTER on the database includes every ALTER ANY",
            Securable::Role(_) => "ALTER on a role lets its holder add members, itself included",
            Securable::User(_) => "ALTER on a user lets its holder change who that is",
            _ => return None,
        },
        "ALTER ANY USER" => "ALTER ANY USER lets anybody in",
        "ALTER ANY ROLE" => "ALTER ANY ROLE lets its holder join any role of the database",
        action if action.starts_with("ALTER ANY ") => {
            "ALTER ANY lets its holder change what others rely on"
        }
        _ => return None,
    })
}

/// Whether a name is the role that everybody is in.
#[must_use]
pub fn is_public(name: &Name) -> bool {
    name.as_str().eq_ignore_ascii_case("public")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn permission(state: PermissionState, action: &'static str, to: &str) -> Permission {
        Permission {
            state,
            action,
            on: Securable::Database,
            columns: Vec::new(),
            to: name(to),
        }
    }

    #[test]
    fn power_is_named_and_ordinary_rights_are_not() {
        use PermissionState::{Deny, Grant, GrantWithGrantOption};
        assert!(of_role(&name("DB_Owner")).is_some());
        assert!(of_role(&name("db_datareader")).is_none());
        for (state, action, to, dangerous) in [
            (Grant, "SELECT", "app", false),
            (Grant, "SELECT", "Public", true),
            (GrantWithGrantOption, "SELECT", "app", true),
            (Grant, "CONTROL", "app", true),
            (Deny, "CONTROL", "app", false),
            (Grant, "ALTER ANY MASK", "app", true),
        ] {
            let found = of_permission(&permission(state, action, to)).is_some();
            assert_eq!(found, dangerous, "{state:?} {action} {to}");
        }
    }
}
