//! The permissions of a database: their names, their codes and what they may be given on.

/// A permission.
pub(crate) struct Permission {
    pub(crate) name: &'static str,
    /// `sys.database_permissions.type`, padded to four characters.
    pub(crate) code: &'static str,
    on: &'static str,
}

impl Permission {
    /// Whether it may be given on a class of `sys.database_permissions`.
    pub(crate) fn is_for(&self, class: i64) -> bool {
        let letter = match class {
            0 => 'd',
            1 => 'o',
            3 => 's',
            4 => 'p',
            _ => return false,
        };
        self.on.contains(letter)
    }
}

/// Finds a permission by its name, whatever its case.
pub(crate) fn find(name: &str) -> Option<&'static Permission> {
    ALL.iter().find(|p| p.name.eq_ignore_ascii_case(name))
}

const fn p(name: &'static str, code: &'static str, on: &'static str) -> Permission {
    Permission { name, code, on }
}

/// `d` database, `s` schema, `o` object, `p` principal.
pub(crate) const ALL: &[Permission] = &[
    p("ADMINISTER DATABASE BULK OPERATIONS", "DABO", "d"),
    p("ALTER", "AL  ", "dsop"),
    p("ALTER ANY APPLICATION ROLE", "ALAR", "d"),
    p("ALTER ANY ASSEMBLY", "ALAS", "d"),
    p("ALTER ANY ASYMMETRIC KEY", "ALAK", "d"),
    p("ALTER ANY CERTIFICATE", "ALCF", "d"),
    p("ALTER ANY DATABASE AUDIT", "ALDA", "d"),
    p("ALTER ANY DATABASE DDL TRIGGER", "ALTG", "d"),
    p("ALTER ANY DATABASE EVENT SESSION", "AADS", "d"),
    p("ALTER ANY DATABASE SCOPED CONFIGURATION", "ALDC", "d"),
    p("ALTER ANY DATASPACE", "ALDS", "d"),
    p("ALTER ANY EXTERNAL DATA SOURCE", "AEDS", "d"),
    p("ALTER ANY EXTERNAL FILE FORMAT", "AEFF", "d"),
    p("ALTER ANY FULLTEXT CATALOG", "ALFT", "d"),
    p("ALTER ANY MASK", "AAMK", "d"),
    p("ALTER ANY ROLE", "ALRL", "d"),
    p("ALTER ANY SCHEMA", "ALSM", "d"),
    p("ALTER ANY SECURITY POLICY", "ALSP", "d"),
    p("ALTER ANY SYMMETRIC KEY", "ALSK", "d"),
    p("ALTER ANY USER", "ALUS", "d"),
    p("AUTHENTICATE", "AUTH", "d"),
    p("BACKUP DATABASE", "BADB", "d"),
    p("BACKUP LOG", "BALO", "d"),
    p("CHECKPOINT", "CP  ", "d"),
    p("CONNECT", "CO  ", "d"),
    p("CONTROL", "CL  ", "dsop"),
    p("CREATE FUNCTION", "CRFN", "d"),
    p("CREATE PROCEDURE", "CRPR", "d"),
    p("CREATE ROLE", "CRRL", "d"),
    p("CREATE SCHEMA", "CRSM", "d"),
    p("CREATE SEQUENCE", "CRSO", "s"),
    p("CREATE SYNONYM", "CRSN", "d"),
    p("CREATE TABLE", "CRTB", "d"),
    p("CREATE TYPE", "CRTY", "d"),
    p("CREATE USER", "CUSR", "d"),
    p("CREATE VIEW", "CRVW", "d"),
    p("DELETE", "DL  ", "dso"),
    p("EXECUTE", "EX  ", "dso"),
    p("IMPERSONATE", "IM  ", "p"),
    p("INSERT", "IN  ", "dso"),
    p("KILL DATABASE CONNECTION", "KIDC", "d"),
    p("REFERENCES", "RF  ", "dso"),
    p("SELECT", "SL  ", "dso"),
    p("SHOWPLAN", "SPLN", "d"),
    p("TAKE OWNERSHIP", "TO  ", "dsop"),
    p("UNMASK", "UMSK", "dso"),
    p("UPDATE", "UP  ", "dso"),
    p("VIEW ANY COLUMN ENCRYPTION KEY DEFINITION", "VWCK", "d"),
    p("VIEW ANY COLUMN MASTER KEY DEFINITION", "VWCM", "d"),
    p("VIEW CHANGE TRACKING", "VWCT", "so"),
    p("VIEW DATABASE STATE", "VWDS", "d"),
    p("VIEW DEFINITION", "VW  ", "dsop"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_its_codes_have_four_characters() {
        assert!(ALL.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(ALL.iter().all(|p| p.code.len() == 4));
    }
}
