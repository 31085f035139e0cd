mod mistakes;
mod schema;
mod written;

use std::path::Path;

use super::*;
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
  { permissions = ["SELECT", "INSERT"], schema = "sales" },
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
