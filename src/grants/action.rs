//! The permissions that a database knows, and on what each may be given.

use super::model::Securable;

/// Finds a permission by its name in any case: the word as a plan writes it.
/// `EXEC` is `EXECUTE`.
///
/// ```
/// use entrada::grants::action;
///
/// assert_eq!(action::find("view definition"), Some("VIEW DEFINITION"));
/// assert_eq!(action::find("sel ect"), None);
/// ```
#[must_use]
pub fn find(name: &str) -> Option<&'static str> {
    let name = if name.eq_ignore_ascii_case("EXEC") {
        "EXECUTE"
    } else {
        name
    };
    ALL.iter()
        .map(|(action, _)| *action)
        .find(|action| action.eq_ignore_ascii_case(name))
}

/// Whether a permission, in the words of [`find`], may be given on such a thing.
#[must_use]
pub fn fits(action: &str, on: &Securable) -> bool {
    let letter = match on {
        Securable::Database => 'd',
        Securable::Object { .. } => 'o',
        Securable::Role(_) => 'r',
        Securable::Schema(_) => 's',
        Securable::Type { .. } => 't',
        Securable::User(_) => 'u',
    };
    ALL.iter()
        .any(|(name, on)| *name == action && on.contains(letter))
}

/// Whether a permission may be given on single columns.
#[must_use]
pub fn takes_columns(action: &str) -> bool {
    matches!(action, "REFERENCES" | "SELECT" | "UNMASK" | "UPDATE")
}

/// All names, in order.
pub fn all() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// `d` database, `o` object, `r` role, `s` schema, `t` type, `u` user, as
/// `sys.fn_builtin_permissions` has them.
const ALL: &[(&str, &str)] = &[
    ("ADMINISTER DATABASE BULK OPERATIONS", "d"),
    ("ALTER", "dorsu"),
    ("ALTER ANY APPLICATION ROLE", "d"),
    ("ALTER ANY ASSEMBLY", "d"),
    ("ALTER ANY ASYMMETRIC KEY", "d"),
    ("ALTER ANY CERTIFICATE", "d"),
    ("ALTER ANY COLUMN ENCRYPTION KEY", "d"),
    ("ALTER ANY COLUMN MASTER KEY", "d"),
    ("ALTER ANY CONTRACT", "d"),
    ("ALTER ANY DATABASE AUDIT", "d"),
    ("ALTER ANY DATABASE DDL TRIGGER", "d"),
    ("ALTER ANY DATABASE EVENT NOTIFICATION", "d"),
    ("ALTER ANY DATABASE EVENT SESSION", "d"),
    ("ALTER ANY DATABASE SCOPED CONFIGURATION", "d"),
    ("ALTER ANY DATASPACE", "d"),
    ("ALTER ANY EXTERNAL DATA SOURCE", "d"),
    ("ALTER ANY EXTERNAL FILE FORMAT", "d"),
    ("ALTER ANY EXTERNAL JOB", "d"),
    ("ALTER ANY EXTERNAL LANGUAGE", "d"),
    ("ALTER ANY EXTERNAL LIBRARY", "d"),
    ("ALTER ANY EXTERNAL STREAM", "d"),
    ("ALTER ANY FULLTEXT CATALOG", "d"),
    ("ALTER ANY MASK", "d"),
    ("ALTER ANY MESSAGE TYPE", "d"),
    ("ALTER ANY REMOTE SERVICE BINDING", "d"),
    ("ALTER ANY ROLE", "d"),
    ("ALTER ANY ROUTE", "d"),
    ("ALTER ANY SCHEMA", "d"),
    ("ALTER ANY SECURITY POLICY", "d"),
    ("ALTER ANY SENSITIVITY CLASSIFICATION", "d"),
    ("ALTER ANY SERVICE", "d"),
    ("ALTER ANY SYMMETRIC KEY", "d"),
    ("ALTER ANY USER", "d"),
    ("ALTER LEDGER", "d"),
    ("ALTER LEDGER CONFIGURATION", "d"),
    ("AUTHENTICATE", "d"),
    ("BACKUP DATABASE", "d"),
    ("BACKUP LOG", "d"),
    ("CHECKPOINT", "d"),
    ("CONNECT", "d"),
    ("CONNECT REPLICATION", "d"),
    ("CONTROL", "dorstu"),
    ("CREATE AGGREGATE", "d"),
    ("CREATE ANY DATABASE EVENT SESSION", "d"),
    ("CREATE ANY EXTERNAL LIBRARY", "d"),
    ("CREATE ASSEMBLY", "d"),
    ("CREATE ASYMMETRIC KEY", "d"),
    ("CREATE CERTIFICATE", "d"),
    ("CREATE CONTRACT", "d"),
    ("CREATE DATABASE", "d"),
    ("CREATE DATABASE DDL EVENT NOTIFICATION", "d"),
    ("CREATE DEFAULT", "d"),
    ("CREATE EXTERNAL LANGUAGE", "d"),
    ("CREATE FULLTEXT CATALOG", "d"),
    ("CREATE FUNCTION", "d"),
    ("CREATE MESSAGE TYPE", "d"),
    ("CREATE PROCEDURE", "d"),
    ("CREATE QUEUE", "d"),
    ("CREATE REMOTE SERVICE BINDING", "d"),
    ("CREATE ROLE", "d"),
    ("CREATE ROUTE", "d"),
    ("CREATE RULE", "d"),
    ("CREATE SCHEMA", "d"),
    ("CREATE SEQUENCE", "s"),
    ("CREATE SERVICE", "d"),
    ("CREATE SYMMETRIC KEY", "d"),
    ("CREATE SYNONYM", "d"),
    ("CREATE TABLE", "d"),
    ("CREATE TYPE", "d"),
    ("CREATE USER", "d"),
    ("CREATE VIEW", "d"),
    ("CREATE XML SCHEMA COLLECTION", "d"),
    ("DELETE", "dos"),
    ("DROP ANY DATABASE EVENT SESSION", "d"),
    ("ENABLE LEDGER", "d"),
    ("EXECUTE", "dost"),
    ("EXECUTE ANY EXTERNAL ENDPOINT", "d"),
    ("EXECUTE ANY EXTERNAL SCRIPT", "d"),
    ("IMPERSONATE", "u"),
    ("INSERT", "dos"),
    ("KILL DATABASE CONNECTION", "d"),
    ("RECEIVE", "o"),
    ("REFERENCES", "dost"),
    ("SELECT", "dos"),
    ("SHOWPLAN", "d"),
    ("SUBSCRIBE QUERY NOTIFICATIONS", "d"),
    ("TAKE OWNERSHIP", "dorst"),
    ("UNMASK", "dos"),
    ("UPDATE", "dos"),
    ("VIEW ANY COLUMN ENCRYPTION KEY DEFINITION", "d"),
    ("VIEW ANY COLUMN MASTER KEY DEFINITION", "d"),
    ("VIEW ANY SENSITIVITY CLASSIFICATION", "d"),
    ("VIEW CHANGE TRACKING", "os"),
    ("VIEW CRYPTOGRAPHICALLY SECURED DEFINITION", "d"),
    ("VIEW DATABASE PERFORMANCE STATE", "d"),
    ("VIEW DATABASE SECURITY AUDIT", "d"),
    ("VIEW DATABASE SECURITY STATE", "d"),
    ("VIEW DATABASE STATE", "d"),
    ("VIEW DEFINITION", "dorstu"),
    ("VIEW LEDGER CONTENT", "d"),
    ("VIEW PERFORMANCE DEFINITION", "d"),
    ("VIEW SECURITY DEFINITION", "d"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_in_capitals() {
        assert!(ALL.is_sorted_by(|a, b| a.0 < b.0));
        assert!(ALL.iter().all(|(name, _)| *name == name.to_uppercase()));
    }

    #[test]
    fn a_permission_fits_some_things_only() {
        let role = Securable::Role(crate::tsql::Name::new("r").unwrap());
        assert!(fits("SELECT", &Securable::Database));
        assert!(!fits("CREATE TABLE", &role));
        assert!(!fits("IMPERSONATE", &role));
        assert_eq!(find("exec"), Some("EXECUTE"));
        assert!(takes_columns("SELECT") && !takes_columns("INSERT"));
    }
}
