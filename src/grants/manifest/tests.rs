use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::grants::action;
use crate::grants::model::{Identity, Permission, PermissionState, PrincipalKind, Securable};
use crate::tsql::Name;

/// A file with every key.
const FULL: &str = r#"
[[server]]
name = "prod"
connection = "Server=${HOST};Authentication=ActiveDirectoryMSI"
databases = ["shop", "billing"]
tags = ["live"]

[[database]]
name = "reports"
connection = "env:REPORTS"
tags = ["eu"]

[[role]]
name = "shop_app"
databases = ["live"]
authoritative = true
roles = ["db_datareader"]
grant = [
  { permissions = ["select", "INSERT"], schema = "sales" },
  { permissions = ["UPDATE"], object = "sales.Orders", columns = ["Status", "Paid"] },
  { permissions = ["EXECUTE"], object = ["[a.b].[c]]d]", "sales.${PROC:-PlaceOrder}"] },
  { permissions = ["VIEW DATABASE STATE"], database = true },
  { permissions = ["EXECUTE"], type = "sales.Lines" },
]
deny = [{ permissions = ["DELETE"], object = "sales.Orders" }]

[[principal]]
name = "shop-api"
kind = "managed-identity"
client_id = "${API}"
default_schema = "sales"
roles = ["shop_app"]
databases = ["prod/shop"]

[[principal]]
name = "DBAs"
kind = "group"
object_id = "00112233-4455-6677-8899-aabbccddeef0"
ask_entra = true
authoritative = true
allow_dangerous = true
roles = ["db_owner"]
[[principal.grant]]
permissions = ["SELECT"]
schema = "sales"
with_grant_option = true
[[principal.grant]]
permissions = ["ALTER"]
role = "shop_app"
[[principal.deny]]
permissions = ["IMPERSONATE"]
user = "dbo"
"#;

fn environment() -> Environment {
    Environment::from_pairs([
        ("HOST", "contoso.database.windows.net"),
        ("API", "00112233-4455-6677-8899-aabbccddeeff"),
        (
            "REPORTS",
            "Server=b.example;Database=R;User ID=u;Password=Pa55\n",
        ),
        ("SECRET", "Pa55"),
    ])
}

fn read(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::from_toml(text, "grants.toml", Path::new("/folder"), &environment())
}

/// Each mistake as `line key: what`.
fn problems(text: &str) -> Vec<String> {
    let error = read(text).expect_err(text);
    let shown = error.to_string() + &format!("{error:?}");
    assert!(!shown.contains("Pa55"), "{shown}");
    let problems = error.problems().iter();
    problems
        .map(|problem| {
            let (line, _) = problem.place.unwrap();
            format!("{line} {}: {}", problem.key, problem.what)
        })
        .collect()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn a_full_file_is_understood() {
    let manifest = read(FULL).unwrap();
    let labels: Vec<_> = manifest
        .databases()
        .iter()
        .map(|d| d.label.as_str())
        .collect();
    assert_eq!(labels, ["prod/shop", "prod/billing", "reports"]);
    let [shop, billing, reports] = manifest.databases() else {
        panic!("{manifest:?}");
    };
    let connection = shop
        .connection
        .as_ref()
        .unwrap()
        .read(&environment())
        .unwrap();
    assert!(
        connection.expose().contains("shop"),
        "{}",
        connection.expose()
    );
    assert!(connection.expose().contains("contoso.database.windows.net"));
    let connection = reports
        .connection
        .as_ref()
        .unwrap()
        .read(&environment())
        .unwrap();
    assert_eq!(
        connection.expose(),
        "Server=b.example;Database=R;User ID=u;Password=Pa55"
    );

    let [api, dbas] = &shop.desired.principals[..] else {
        panic!("{:?}", shop.desired);
    };
    let id = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
    assert_eq!(api.identity, Identity::BySid(id));
    assert_eq!(api.kind, PrincipalKind::ManagedIdentity);
    assert_eq!(api.default_schema, Some(name("sales")));
    assert!(!api.authoritative && dbas.authoritative);
    assert!(matches!(dbas.identity, Identity::ByObjectId(_)));
    assert!(shop.allow_dangerous);
    assert!(shop.desired.roles[0].authoritative);
    assert_eq!(shop.desired.memberships.len(), 3);
    assert_eq!(shop.desired.permissions.len(), 11);
    let update = &shop.desired.permissions[2];
    assert_eq!(
        *update,
        Permission {
            state: PermissionState::Grant,
            action: "UPDATE",
            on: Securable::Object {
                schema: name("sales"),
                name: name("Orders")
            },
            columns: vec![name("Status"), name("Paid")],
            to: name("shop_app"),
        }
    );
    let odd = &shop.desired.permissions[3];
    assert!(matches!(&odd.on, Securable::Object { schema, name }
        if schema.as_str() == "a.b" && name.as_str() == "c]d"));

    assert_eq!(billing.desired.principals.len(), 1);
    assert_eq!(billing.desired.roles.len(), 1);
    assert!(reports.desired.roles.is_empty());
    // The group is for all databases.
    assert_eq!(reports.desired.principals.len(), 1);
}

#[test]
fn a_file_without_databases_is_for_the_one_that_is_named_later() {
    let manifest = read("[[principal]]\nname = \"a\"\nkind = \"user\"\n").unwrap();
    let [only] = manifest.databases() else {
        panic!("{manifest:?}");
    };
    assert_eq!(only.label, "default");
    assert!(only.connection.is_none());
    assert_eq!(only.desired.principals[0].identity, Identity::ByName);
    assert!(read("").unwrap().databases()[0].desired == Desired::default());
}

#[test]
fn a_name_may_be_there_twice_for_different_databases() {
    let text = "[[server]]\nname = \"s\"\nconnection = \"Server=a\"\ndatabases = [\"x\", \"y\"]\n\
                [[role]]\nname = \"r\"\ndatabases = [\"x\"]\n\
                grant = [{ permissions = [\"SELECT\"], schema = \"a\" }]\n\
                [[role]]\nname = \"r\"\ndatabases = [\"Y\"]\n\
                grant = [{ permissions = [\"INSERT\"], schema = \"a\" }]\n\
                [[principal]]\nname = \"p\"\nkind = \"user\"\nroles = [\"r\"]\n";
    let manifest = read(text).unwrap();
    let action = |at: usize| manifest.databases()[at].desired.permissions[0].action;
    assert_eq!((action(0), action(1)), ("SELECT", "INSERT"));
    let told = problems(&text.replace("\"Y\"", "\"s/x\", \"y\""));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("10 role.name: a role of that name"),
        "{told:?}"
    );
}

/// The beginning of a principal, and of a role.
const P: &str = "[[principal]]\nname = \"p\"\nkind = \"application\"\n";
const R: &str = "[[role]]\nname = \"r\"\n";
/// A server with two databases, in four lines.
const S: &str = "[[server]]\nname = \"s\"\nconnection = \"Server=a\"\ndatabases = [\"x\", \"y\"]\n";

/// A mistake alone behind a beginning, and what is said of it.
const MISTAKES: &[(&str, &str, &str)] = &[
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
        "6 role.roles: the role would be a member of itself, by way of 1 others",
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

#[test]
fn what_is_beside_each_other_is_no_mistake() {
    for text in [
        // A whole table denied, some of its columns granted: the server hears columns first.
        "deny = [{ permissions = [\"SELECT\"], object = \"a.b\" }]\n\
         grant = [{ permissions = [\"SELECT\"], object = \"a.b\", columns = [\"c\"] }]\n",
        "grant = [{ permissions = [\"SELECT\"], schema = \"a\" }, { permissions = [\"SELECT\"], schema = \"A\" }]\n",
        "roles = [\"s\"]\n[[role]]\nname = \"s\"\nroles = [\"t\"]\n[[role]]\nname = \"t\"\n",
    ] {
        read(&format!("{R}{text}")).unwrap();
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_their_order() {
    let text = "[[principal]]\nname = \"p\"\nkind = \"grup\"\nroles = [1]\n[[role]]\nnam = \"r\"\ngrant = [{ permissions = [\"X\"], schema = \"\" }]\n";
    let told = problems(text);
    let keys: Vec<_> = told
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "3 principal.kind",
            "4 principal.roles",
            "5 role.name",
            "6 role.nam",
            "7 role.grant.permissions",
            "7 role.grant.schema"
        ]
    );
    let error = read(text).unwrap_err().to_string();
    assert!(
        error.starts_with("grants.toml has 6 mistakes\n  line 3, column 8, principal.kind: "),
        "{error}"
    );
}

#[test]
fn broken_syntax_has_a_line_too() {
    let told = problems("[[role]]\nname = \"Pa55\nx = 3\n");
    assert!(told[0].starts_with("2 : "), "{told:?}");
}

#[test]
fn a_file_that_would_fill_the_memory_is_refused() {
    let databases: Vec<_> = (0..3000).map(|n| format!("\"d{n}\"")).collect();
    let objects: Vec<_> = (0..2000).map(|n| format!("\"a.t{n}\"")).collect();
    let text = format!(
        "[[server]]\nname = \"s\"\nconnection = \"Server=a\"\ndatabases = [{}]\n{R}grant = [{{ permissions = [\"SELECT\"], object = [{}] }}]",
        databases.join(","),
        objects.join(",")
    );
    assert!(problems(&text)[0].contains("more than 4000000 entries"));
}

/// Every key that a file may have, with its tables.
fn keys() -> BTreeSet<String> {
    // The least that has each table.
    let grants = "grant = [{}]\ndeny = [{}]\n";
    let text =
        format!("server = [{{}}]\ndatabase = [{{}}]\n[[role]]\n{grants}[[principal]]\n{grants}");
    let document = Document::parse(&text);
    let environment = environment();
    let reading = Reading {
        folder: Path::new(""),
        environment: &environment,
    };
    reading.manifest(document.root());
    document.keys.into_inner()
}

#[test]
fn every_key_is_in_the_manual_and_every_row_is_a_key() {
    let manual = include_str!("../../../docs/grants.md");
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| Some(row.split_once("` |")?.0));
    // The table of kinds and ids is about values.
    let rows = rows.filter(|row| !row.contains('`'));
    let rows: BTreeSet<_> = rows.map(str::to_owned).collect();
    assert_eq!(rows, keys());
}

#[test]
fn the_schema_has_the_keys_and_the_permissions_of_the_reader() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut keys_of_schema = BTreeSet::new();
    collect(&schema, &schema, "", &mut keys_of_schema);
    assert_eq!(keys_of_schema, keys());

    let name = || name("x");
    let things = [
        ("database", Securable::Database),
        (
            "object",
            Securable::Object {
                schema: name(),
                name: name(),
            },
        ),
        ("role", Securable::Role(name())),
        ("schema", Securable::Schema(name())),
        (
            "type",
            Securable::Type {
                schema: name(),
                name: name(),
            },
        ),
        ("user", Securable::User(name())),
    ];
    let all: Vec<_> = action::all().collect();
    assert_eq!(
        schema["definitions"]["permission"]["enum"],
        serde_json::json!(all)
    );
    for table in ["grant", "deny"] {
        let rules = schema["definitions"][table]["allOf"].as_array().unwrap();
        let rule_for = |key: &str| {
            let rule = rules.iter().find(|rule| rule["if"]["required"][0] == key);
            &rule.unwrap()["then"]["properties"]["permissions"]["items"]["enum"]
        };
        for (key, on) in &things {
            let fitting: Vec<_> = action::all().filter(|a| action::fits(a, on)).collect();
            assert_eq!(*rule_for(key), serde_json::json!(fitting), "{table} {key}");
        }
        let with_columns: Vec<_> = action::all().filter(|a| action::takes_columns(a)).collect();
        assert_eq!(*rule_for("columns"), serde_json::json!(with_columns));
    }
    let kinds: BTreeSet<_> = read::KINDS.iter().map(|(word, _)| *word).collect();
    let words = schema["definitions"]["principal"]["properties"]["kind"]["enum"].as_array();
    let words: BTreeSet<_> = words
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    assert_eq!(words, kinds);
}

/// The keys of a part of the schema, with the tables around them.
fn collect(schema: &Value, part: &Value, path: &str, keys: &mut BTreeSet<String>) {
    let part = match part["$ref"].as_str() {
        Some(to) => schema.pointer(to.trim_start_matches('#')).unwrap(),
        None => part,
    };
    if part["type"] == "object" {
        assert_eq!(part["additionalProperties"], false, "{path}");
    }
    for (key, value) in part["properties"].as_object().into_iter().flatten() {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        collect(schema, value, &path, keys);
        assert!(keys.insert(path));
    }
    if part["items"].is_object() {
        collect(schema, &part["items"], path, keys);
    }
}
