//! Rendered scripts, run on the emulator's engine: identities may do just what the
//! manifest says, and no step further.

use std::path::Path;

use entrada::emulator::{EngineSession, EntraKind, EntraPrincipal, Principal};
use entrada::grants::{
    Desired, Identity, Manifest, Mode, PermissionState, Principal as User, PrincipalKind,
    Securable, render, revoke,
};
use entrada::token::Environment;
use uuid::Uuid;

use super::bench::{
    Bench, HOSTILE, app as user, columns, deny, grant, member, name, role, statements, table,
};
use crate::engine::answer::{admin, ask, engine};
use crate::support::grammar::{errors, parses};

const API: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);

const MANIFEST: &str = r#"
[[role]]
name = "shop app"
roles = ["readers"]
grant = [
  { permissions = ["INSERT"], schema = "sales" },
  { permissions = ["UPDATE"], object = "sales.orders", columns = ["status"] },
  { permissions = ["SELECT"], object = "crm.people", columns = ["id", "name"] },
]
deny = [{ permissions = ["SELECT"], object = "sales.secrets" }]

[[role]]
name = "readers"
grant = [{ permissions = ["SELECT"], schema = "sales" }]

[[principal]]
name = "it's [the] API\nGO\n$$(Var)"
kind = "managed-identity"
client_id = "${API}"
default_schema = "sales"
roles = ["shop app"]

[[principal]]
name = "reports"
kind = "application"
grant = [{ permissions = ["CREATE TABLE"], database = true }]
"#;

fn script() -> String {
    let environment = Environment::from_pairs([("API", API.to_string())]);
    let manifest = Manifest::from_toml(MANIFEST, "grants.toml", Path::new(""), &environment);
    render(&manifest.unwrap().databases()[0].desired)
}

fn app(name: &str, client_id: Uuid) -> EntraPrincipal {
    let kind = EntraKind::ManagedIdentity;
    EntraPrincipal::application(kind, name, Uuid::from_u128(7), client_id, Uuid::new_v4())
}

/// The error's number, or 0.
fn outcome(session: &mut EngineSession, sql: &str) -> i32 {
    let answer = ask(session, sql);
    answer.errors.first().map_or(0, |error| error.number)
}

fn catalogue(session: &mut EngineSession) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for sql in [
        "SELECT name, type, sid, default_schema_name FROM sys.database_principals \
         WHERE principal_id > 4 AND is_fixed_role = 0 ORDER BY name",
        "SELECT USER_NAME(role_principal_id), USER_NAME(member_principal_id) \
         FROM sys.database_role_members ORDER BY 1, 2",
        "SELECT state_desc, permission_name, class, major_id, minor_id, USER_NAME(grantee_principal_id) \
         FROM sys.database_permissions ORDER BY 1, 2, 3, 4, 5, 6",
    ] {
        all.extend(ask(session, sql).rows());
    }
    all
}

#[test]
fn an_identity_may_do_what_the_manifest_says_and_no_step_further() {
    let (engine, directory) = engine();
    let api = app("some name", API);
    directory.insert(api.clone());
    directory.insert(app("reports", Uuid::new_v4()));
    let mut dbo = admin(&engine);
    for batch in [
        "CREATE SCHEMA sales",
        "CREATE SCHEMA crm",
        "CREATE TABLE sales.orders (id int, status int); CREATE TABLE sales.secrets (id int); \
         CREATE TABLE crm.people (id int, name nvarchar(20), salary int)",
    ] {
        assert_eq!(outcome(&mut dbo, batch), 0, "{batch}");
    }
    let script = script();
    let answer = ask(&mut dbo, &script);
    assert!(answer.errors.is_empty(), "{:?}\n{script}", answer.errors);
    let first = catalogue(&mut dbo);
    let shown = format!("{first:?}");
    for name in [
        "shop app",
        "readers",
        "it's [the] API\\nGO\\n$(Var)",
        "reports",
    ] {
        assert!(shown.contains(name), "{name}: {shown}");
    }
    let answer = ask(&mut dbo, &script);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    assert_eq!(catalogue(&mut dbo), first);

    let mut session = engine.connect(&Principal::Entra(api), Some("app")).unwrap();
    for (sql, wanted) in [
        ("INSERT sales.orders VALUES (1, 0)", 0),
        // The default schema finds it.
        ("SELECT id FROM orders", 0),
        ("UPDATE sales.orders SET status = 1", 0),
        ("UPDATE sales.orders SET id = 2", 230),
        ("DELETE sales.orders", 229),
        ("SELECT id FROM sales.secrets", 229),
        ("SELECT id, name FROM crm.people", 0),
        ("SELECT salary FROM crm.people", 230),
        ("INSERT crm.people VALUES (1, N'a', 1)", 229),
        ("CREATE TABLE sales.more (id int)", 262),
        // As for other statements; no document says that it is not 15247, as for users.
        ("CREATE ROLE mine", 262),
    ] {
        assert_eq!(outcome(&mut session, sql), wanted, "{sql}");
    }
}

#[test]
fn a_user_of_another_identity_ends_the_script_and_nothing_is_changed() {
    let (engine, directory) = engine();
    directory.insert(app("reports", Uuid::new_v4()));
    let mut dbo = admin(&engine);
    ask(&mut dbo, "CREATE SCHEMA sales");
    ask(&mut dbo, "CREATE SCHEMA crm");
    let text = MANIFEST.replace("it's [the] API\\nGO\\n$$(Var)", "reports-api");
    ask(
        &mut dbo,
        "CREATE USER [reports-api] WITH SID = 0x11111111111111111111111111111111, TYPE = E",
    );
    let before = catalogue(&mut dbo);
    let environment = Environment::from_pairs([("API", API.to_string())]);
    let manifest = Manifest::from_toml(&text, "grants.toml", Path::new(""), &environment);
    let script = render(&manifest.unwrap().databases()[0].desired);
    assert_eq!(outcome(&mut dbo, &script), 50000);
    ask(&mut dbo, "IF @@TRANCOUNT > 0 ROLLBACK");
    assert_eq!(catalogue(&mut dbo), before);
}

/// All that a manifest can say, with this name wherever there is one.
fn everything(hostile: &str) -> Desired {
    let mut desired = Desired::default();
    let named = |prefix: &str| format!("{prefix}{hostile}");
    let of = |prefix: &str| name(&named(prefix));
    desired.roles = vec![role(hostile), role(&named("r"))];
    let id = Uuid::from_u128(7);
    for (prefix, kind, identity) in [
        ("s", PrincipalKind::Application, Identity::BySid(id)),
        ("g", PrincipalKind::Group, Identity::BySid(id)),
        ("o", PrincipalKind::User, Identity::ByObjectId(id)),
        ("n", PrincipalKind::ManagedIdentity, Identity::ByName),
    ] {
        let mut principal = User::new(of(prefix), kind, identity);
        principal.default_schema = Some(of(""));
        desired.principals.push(principal);
    }
    desired.memberships = vec![
        member(hostile, &named("s")),
        member("db_owner", &named("r")),
    ];
    let things = [
        ("VIEW DATABASE STATE", Securable::Database),
        ("SELECT", Securable::Schema(of(""))),
        ("EXECUTE", table(hostile, hostile)),
        ("ALTER", Securable::Role(of(""))),
        ("IMPERSONATE", Securable::User(of("s"))),
        (
            "REFERENCES",
            Securable::Type {
                schema: of(""),
                name: of(""),
            },
        ),
    ];
    for (action, on) in things {
        let mut given_on = grant(action, on.clone(), hostile);
        given_on.state = PermissionState::GrantWithGrantOption;
        let (to, not_to) = (named("r"), named("s"));
        desired.permissions.extend([
            grant(action, on.clone(), &to),
            deny(action, on, &not_to),
            given_on,
        ]);
    }
    let some = columns(
        grant("SELECT", table(hostile, hostile), hostile),
        &[hostile, "b"],
    );
    desired.permissions.push(some);
    desired
}

#[tokio::test]
async fn scripts_are_t_sql_whatever_the_names_are() {
    let mut texts: Vec<(String, String)> = HOSTILE
        .iter()
        .map(|hostile| (format!("{hostile:?}"), render(&everything(hostile))))
        .collect();
    texts.push(("nothing".to_owned(), render(&Desired::default())));
    parses(&texts).await;
    // The grammar sees what is wrong.
    let spoiled = render(&everything("o'brien")).replace("ADD MEMBER", "ADD");
    if let Some(found) = errors(&[("spoiled", spoiled)]).await {
        assert!(!found[0].is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_plans_do_is_t_sql() {
    let bench = Bench::start().await;
    let mut database = bench.database("one");
    database.run(&[
        "CREATE TABLE orders (a int, b int)",
        "CREATE USER [o'br]]ien] WITH SID = 0x99999999999999999999999999999999, TYPE = E",
        "CREATE ROLE leftover AUTHORIZATION [o'br]]ien]",
        "EXEC ('CREATE SCHEMA theirs AUTHORIZATION [o''br]]ien]')",
        "GRANT SELECT ON orders TO [o'br]]ien] WITH GRANT OPTION",
        "GRANT UPDATE (a) ON orders TO [o'br]]ien]",
        "DENY DELETE ON SCHEMA::dbo TO [o'br]]ien]",
        "ALTER ROLE db_datareader ADD MEMBER [o'br]]ien]",
    ]);
    let mut desired = Desired::default();
    desired.principals.push(user("a]pi", 7));
    desired.roles.push(role("read]er"));
    desired.memberships.push(member("read]er", "a]pi"));
    desired.permissions = vec![
        columns(grant("SELECT", table("dbo", "orders"), "read]er"), &["a"]),
        deny("DELETE", Securable::Schema(name("dbo")), "a]pi"),
    ];
    let mut all = statements(&database.plan(&desired, Mode::Prune).await);
    let observed = database.observe(&Desired::default()).await;
    for drop in [true, false] {
        let gone = revoke(&[name("o'br]ien")], &observed, drop).unwrap();
        all.extend(statements(&gone));
    }
    for words in [
        "CREATE USER",
        "CREATE ROLE",
        "ADD MEMBER",
        "GRANT",
        "DENY",
        "REVOKE",
        "DROP MEMBER",
        "DROP USER",
        "ALTER AUTHORIZATION",
    ] {
        assert!(
            all.iter().any(|sql| sql.contains(words)),
            "{words}: {all:#?}"
        );
    }
    let texts: Vec<(&str, &str)> = all.iter().map(|sql| ("a plan", sql.as_str())).collect();
    parses(&texts).await;
}
