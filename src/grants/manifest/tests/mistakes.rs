//! Mistakes, and what is said of each.

use super::{P, R, S, problems};

/// A mistake alone behind a beginning, and what is said of it.
pub(super) const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "",
        "[[principle]]\nname = \"x\"",
        "1 principle: there is no such key; did you mean principal?",
    ),
    (
        "",
        "[role]\nname = \"x\"",
        "1 role: there can be several: write it as [[role]]",
    ),
    ("", "[[role]]", "1 role.name: it is missing"),
    (
        "",
        "[[role]]\nname = \"\"",
        "2 role.name: a name has at least one character",
    ),
    ("", "[[role]]\nname = 3", "2 role.name: write a text"),
    (
        "",
        "[[role]]\nname = \"db_owner\"",
        "2 role.name: `db_owner` is a fixed role",
    ),
    (
        "",
        "[[principal]]\nname = \"dbo\"\nkind = \"user\"",
        "2 principal.name: every database has its own `dbo`",
    ),
    (
        "",
        "[[principal]]\nname = \"Public\"\nkind = \"user\"",
        "2 principal.name: public is a role",
    ),
    (
        "",
        "[[principal]]\nname = \"x\"",
        "1 principal.kind: it is missing",
    ),
    (
        "",
        "[[principal]]\nname = \"x\"\nkind = \"gruop\"",
        "3 principal.kind: did you mean \"group\"?",
    ),
    (
        "",
        "[[role]]\nname = \"public\"\nauthoritative = true",
        "3 role.authoritative: public holds rights",
    ),
    (
        "",
        "[[role]]\nname = \"public\"\nroles = [\"db_datareader\"]",
        "3 role.roles: public is in no role",
    ),
    (
        R,
        "autoritative = true",
        "3 role.autoritative: there is no such key; did you mean authoritative?",
    ),
    (
        R,
        "kind = \"group\"",
        "3 role.kind: there is no such key; there are name",
    ),
    (
        P,
        "client_id = \"12\"",
        "4 principal.client_id: write an id of 36",
    ),
    (
        P,
        "client_id = \"${NONE}\"",
        "4 principal.client_id: the variable NONE is not set",
    ),
    (
        P,
        "client_id = \"${SECRET}\"",
        "4 principal.client_id: write an id of 36",
    ),
    (
        P,
        "client_id = \"00000000-0000-0000-0000-000000000000\"",
        "4 principal.client_id: write an id of 36",
    ),
    (
        P,
        "ask_entra = false",
        "4 principal.ask_entra: without Entra the client_id is needed",
    ),
    (
        P,
        "object_id = \"${API}\"\nask_entra = false",
        "5 principal.ask_entra: what the database knows",
    ),
    (
        P,
        "client_id = \"${API}\"\nask_entra = true",
        "5 principal.ask_entra: Entra is asked by name",
    ),
    (
        P,
        "client_id = \"${API}\"\nobject_id = \"${API}\"",
        "5 principal.object_id: one id is enough",
    ),
    (
        "[[principal]]\nname = \"p\"\nkind = \"user\"\n",
        "client_id = \"${API}\"",
        "4 principal.client_id: users and groups have none",
    ),
    (
        "[[principal]]\nname = \"p\"\nkind = \"user\"\n",
        "ask_entra = false",
        "4 principal.ask_entra: without Entra the object_id",
    ),
    (
        P,
        "roles = [\"db_datareaderr\"]",
        "4 principal.roles: there is no role `db_datareaderr`; did you mean `db_datareader`?",
    ),
    (
        P,
        "roles = [\"zzzzzzzzz\"]",
        "4 principal.roles: there is no role `zzzzzzzzz`: write [[role]]",
    ),
    (
        P,
        "roles = [\"${SECRET}\"]",
        "4 principal.roles: there is no role `${SECRET}`",
    ),
    (
        P,
        "roles = [\"public\"]",
        "4 principal.roles: everybody is in public",
    ),
    (
        P,
        "roles = [\"db_datareader\", \"db_datareader\"]",
        "4 principal.roles: `db_datareader` is named twice",
    ),
    (
        P,
        "roles = [\"db_owner\"]",
        "4 principal.roles: db_owner may do everything",
    ),
    (
        P,
        "roles = \"db_datareader\"",
        "4 principal.roles: write a list of texts",
    ),
    (
        P,
        "databases = []",
        "2 principal.databases: it would be for no database",
    ),
    (
        P,
        "databases = [\"x\"]",
        "4 principal.databases: the file names no database",
    ),
    (
        S,
        "[[role]]\nname = \"r\"\ndatabases = [\"s/z\"]",
        "7 role.databases: there is no database, server or tag `s/z`; did you mean `s/x`?",
    ),
    (
        S,
        "[[role]]\nname = \"r\"\ndatabases = [\"x\"]\n[[principal]]\nname = \"p\"\nkind = \"user\"\nroles = [\"r\"]",
        "11 principal.roles: the role `r` is not for the database `s/y`",
    ),
    (
        S,
        "[[server]]\nname = \"S\"\nconnection = \"Server=a\"\ndatabases = [\"X\"]",
        "8 server.databases: another database has this name",
    ),
    (
        S,
        "[[database]]\nname = \"s/x\"\nconnection = \"Server=a\"",
        "6 database.name: another database",
    ),
    (
        "",
        "[[server]]\nname = \"s\"\nconnection = \"Server=a\"\ndatabases = []",
        "4 server.databases: write at least one name",
    ),
    (
        "",
        "[[server]]\nname = \"s\"\ndatabases = [\"a\"]",
        "1 server.connection: it is missing",
    ),
    (
        "",
        "[[server]]\nname = \"s\"\nconnection = \"@Microsoft.KeyVault(VaultName=v;SecretName=s)\"\ndatabases = [\"a\"]",
        "3 server.connection: the connection string is a reference",
    ),
    (
        "",
        "[[database]]\nname = \"s\"\nconnection = \"Server=a;Password='Pa55\"",
        "3 database.connection: the connection string cannot be read",
    ),
    (
        "",
        "[[database]]\nname = \"a\\tb\"\nconnection = \"Server=a\"",
        "2 database.name: write a name of visible",
    ),
    (
        R,
        "roles = [\"r\"]",
        "3 role.roles: the role would be a member of itself",
    ),
    (
        R,
        "roles = [\"q\"]\n[[role]]\nname = \"q\"\nroles = [\"t\"]\n[[role]]\nname = \"t\"\nroles = [\"q\"]",
        "6 role.roles: the role would be a member of itself, by way of another",
    ),
    (
        R,
        "[[principal]]\nname = \"R\"\nkind = \"user\"",
        "4 principal.name: a role of that name",
    ),
    (
        P,
        "client_id = \"${API}\"\n[[principal]]\nname = \"q\"\nkind = \"application\"\nclient_id = \"${API}\"",
        "6 principal.name: the principal `p` has the same id",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\"] }]",
        "3 role.grant: it does not say on what",
    ),
    (
        R,
        "grant = [{ schema = \"a\" }]",
        "3 role.grant.permissions: it is missing",
    ),
    (
        R,
        "grant = [{ permissions = [], schema = \"a\" }]",
        "3 role.grant.permissions: write at least one",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELCT\"], schema = \"a\" }]",
        "3 role.grant.permissions: there is no such permission; did you mean SELECT?",
    ),
    (
        R,
        "grant = [{ permissions = [\"ALL\"], schema = \"a\" }]",
        "3 role.grant.permissions: ALL does not mean all",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT; DROP TABLE x\"], schema = \"a\" }]",
        "3 role.grant.permissions: there is no such permission; write a name",
    ),
    (
        R,
        "grant = [{ permissions = [\"CREATE TABLE\"], schema = \"a\" }]",
        "3 role.grant.permissions: CREATE TABLE cannot be given on a schema",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\"], database = false }]",
        "3 role.grant.database: write true",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\"], object = [] }]",
        "3 role.grant.object: write at least one name",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\"], object = \"Orders\" }]",
        "3 role.grant.object: write schema and name",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\"], object = \"a.b\", schema = \"a\" }]",
        "3 role.grant.schema: one thing is enough",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\"], schema = \"a\", columns = [\"b\"] }]",
        "3 role.grant.columns: only objects have columns",
    ),
    (
        R,
        "grant = [{ permissions = [\"INSERT\"], object = \"a.b\", columns = [\"b\"] }]",
        "3 role.grant.columns: INSERT is given on the whole object",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\"], object = \"a.b\", columns = [] }]",
        "3 role.grant.columns: write the names",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\"], object = \"a.b\", columns = [\"c\", \"c\"] }]",
        "3 role.grant.columns: `c` is named twice",
    ),
    (
        R,
        "grant = [{ permissions = [\"CONTROL\"], schema = \"a\" }]",
        "3 role.grant.permissions: CONTROL includes every other",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\"], schema = \"a\", with_grant_option = true }]",
        "3 role.grant.permissions: WITH GRANT OPTION",
    ),
    (
        R,
        "deny = [{ permissions = [\"SELECT\"], schema = \"a\", with_grant_option = true }]",
        "3 role.deny.with_grant_option: there is no such key",
    ),
    (
        "[[role]]\nname = \"public\"\n",
        "grant = [{ permissions = [\"SELECT\"], schema = \"a\" }]",
        "3 role.grant.permissions: public is everybody",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\"], schema = \"a\" }]\ndeny = [{ permissions = [\"select\"], schema = \"a\" }]",
        "4 role.deny.permissions: SELECT on schema a is both granted and denied",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\", \"SELECT\"], schema = \"a\" }]",
        "3 role.grant.permissions: SELECT on schema a is granted twice",
    ),
    (
        R,
        "grant = [{ permissions = [\"SELECT\"], object = \"a.b\", columns = [\"c\", \"d\"] }]\ndeny = [{ permissions = [\"SELECT\"], object = \"a.b\", columns = [\"d\"] }]",
        "4 role.deny.permissions: SELECT on a.b is both",
    ),
];

#[test]
fn a_mistake_is_named_with_line_key_and_what_to_write() {
    for (beginning, text, wanted) in MISTAKES {
        let told = problems(&format!("{beginning}{text}"));
        assert!(
            told.len() == 1 && told[0].starts_with(wanted),
            "{beginning}{text}\n{told:#?}"
        );
    }
    let long = format!("[[role]]\nname = \"{}\"\n", "x".repeat(129));
    assert_eq!(
        problems(&long),
        ["2 role.name: a name has at most 128 UTF-16 code units, this one has 129"]
    );
}
