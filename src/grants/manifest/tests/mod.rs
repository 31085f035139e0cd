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
    let [shop, _, reports] = manifest.databases() else {
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
}

#[test]
fn a_full_file_says_who_may_what() {
    let manifest = read(FULL).unwrap();
    let [shop, billing, reports] = manifest.databases() else {
        panic!("{manifest:?}");
    };
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
    assert!(problems(&text)[0].contains("more than 1000000 entries"));
}

#[test]
fn files_that_are_all_about_one_thing_are_read_or_refused_soon() {
    let list = |count: usize, item: &dyn Fn(usize) -> String| {
        let items: Vec<_> = (0..count).map(item).collect();
        items.join(",")
    };
    let chain =
        (0..20_000).map(|n| format!("[[role]]\nname = \"r{n}\"\nroles = [\"r{}\"]\n", n + 1));
    let chain: String = chain.collect();
    let columns = list(20_000, &|n| format!("\"c{n}\""));
    let each = list(10_000, &|n| {
        format!("{{ permissions = [\"SELECT\"], object = \"a.b\", columns = [\"c{n}\"] }}")
    });
    for text in [
        format!("{chain}[[role]]\nname = \"r20000\"\n"),
        format!(
            "{R}grant = [{{ permissions = [\"SELECT\"], object = \"a.b\", columns = [{columns}] }}]"
        ),
        format!("{R}grant = [{each}]"),
    ] {
        assert!(read(&text).is_ok(), "{}", &text[..200]);
    }
    let many = list(2_000, &|n| format!("\"s{n}\""));
    let words = list(30_000, &|n| format!("\"w{n}\""));
    let actions = list(2_000, &|_| "\"SELECT\"".to_owned());
    for (text, wanted) in [
        (
            format!("{chain}[[role]]\nname = \"r20000\"\nroles = [\"r0\"]\n"),
            "by way of 20000 others",
        ),
        (
            format!("{R}grant = [{{ permissions = [{actions}], schema = [{many}] }}]"),
            "more than 1000000 entries",
        ),
        (
            format!(
                "[[server]]\nname = \"s\"\nconnection = \"Server=a\"\ndatabases = [{many}]\ntags = [{many}]"
            ),
            "more than 1000000 entries",
        ),
        (format!("{R}roles = [{words}]"), "there is no role `w0`"),
        (
            format!("{R}grant = [{{ permissions = [{words}], database = true }}]"),
            "there is no such permission",
        ),
    ] {
        let error = read(&text).unwrap_err();
        assert!(
            error.problems()[0].what.contains(wanted),
            "{}",
            error.problems()[0]
        );
        assert!(error.to_string().lines().count() < 103);
    }
}

#[test]
fn mistakes_repeat_nothing_that_a_variable_holds() {
    let server = "[[server]]\nname = \"${SECRET}\"\nconnection = \"Server=a\"\ndatabases = [\"${SECRET}\"]\ntags = [\"${SECRET}\"]\n";
    let role = "[[role]]\nname = \"${SECRET}\"\n";
    for text in [
        format!("{role}{R}roles = [\"Pa5\"]"),
        format!("{server}{R}databases = [\"Pa5\"]"),
        format!(
            "{server}[[database]]\nname = \"b\"\nconnection = \"Server=a\"\n{role}databases = [\"b\"]\n{R}roles = [\"${{SECRET}}\"]"
        ),
        "[[database]]\nname = \"b\"\nconnection = \"Server=a;${SECRET}=x\"".to_owned(),
        "[[database]]\nname = \"b\"\nconnection = \"${SECRET}\"".to_owned(),
        format!(
            "{role}grant = [{{ permissions = [\"SELECT\"], object = \"a.${{SECRET}}\" }}]\ndeny = [{{ permissions = [\"SELECT\"], object = \"a.${{SECRET}}\" }}]"
        ),
    ] {
        let error = read(&text).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains("Pa55"), "{told}");
    }
}

#[test]
fn a_variable_does_not_choose_where_a_connection_string_comes_from() {
    let environment = Environment::from_pairs([("V", "file:/etc/hostname"), ("W", "env:V")]);
    for name in ["V", "W"] {
        let text = format!("[[database]]\nname = \"b\"\nconnection = \"${{{name}}}\"");
        let read = Manifest::from_toml(&text, "grants.toml", Path::new(""), &environment);
        let told = read.unwrap_err().to_string();
        assert!(told.contains("connection string cannot be read"), "{told}");
    }
}

mod by_chance {
    use proptest::prelude::*;

    use super::read;

    const PIECES: [&str; 30] = [
        "[[role]]\n",
        "[[principal]]\n",
        "[[server]]\n",
        "[[database]]\n",
        "[[role.grant]]\n",
        "[[principal.deny]]\n",
        "name = ",
        "kind = ",
        "roles = ",
        "databases = ",
        "connection = ",
        "permissions = ",
        "object = ",
        "columns = ",
        "grant = ",
        "\"a.b\"\n",
        "\"${SECRET}\"\n",
        "\"user\"\n",
        "[\"SELECT\"]\n",
        "[{ permissions = [\"SELECT\"], schema = \"s\" }]\n",
        "true\n",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "\n",
        "\u{feff}",
        "\u{1F600}",
        "= 0x\n",
    ];

    proptest! {
        #[test]
        fn no_text_ends_the_program(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40),
            noise in any::<String>(),
            at in any::<prop::sample::Index>(),
        ) {
            let mut text = pieces.concat();
            let places: Vec<_> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
            for noise in ["", noise.as_str()] {
                text.insert_str(*at.get(&places), noise);
                if let Err(error) = read(&text) {
                    prop_assert!(!error.problems().is_empty());
                    prop_assert!(!error.to_string().contains("Pa55"));
                }
            }
        }
    }
}
