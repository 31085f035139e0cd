//! What plans hold, and what they make of a database.

use entrada::grants::{Desired, Identity, Mode, PermissionState, Securable, revoke};
use uuid::Uuid;

use super::bench::*;

fn orders() -> Desired {
    let mut desired = Desired::default();
    desired.principals.push(app("api", 7));
    desired.roles.push(role("reader"));
    desired.memberships = vec![member("reader", "api"), member("db_datawriter", "api")];
    desired.permissions = vec![
        grant("SELECT", table("dbo", "orders"), "reader"),
        columns(grant("UPDATE", table("dbo", "orders"), "api"), &["b", "a"]),
        deny("DELETE", Securable::Schema(name("dbo")), "api"),
    ];
    desired
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_gets_all_of_it_in_order() {
    let bench = Bench::start().await;
    let mut database = bench.database("one");
    database.run(&["CREATE TABLE Orders (a int, b int)"]);
    let ran = database.reach(&orders(), Mode::Additive).await;
    assert_eq!(
        ran,
        [
            "CREATE ROLE [reader] AUTHORIZATION [dbo]",
            "CREATE USER [api] WITH SID = 0x00000000000000000000000000000007, TYPE = E",
            "ALTER ROLE [reader] ADD MEMBER [api]",
            "ALTER ROLE [db_datawriter] ADD MEMBER [api]",
            "DENY DELETE ON SCHEMA::[dbo] TO [api]",
            // As the database spells it.
            "GRANT UPDATE ([a], [b]) ON OBJECT::[dbo].[Orders] TO [api]",
            "GRANT SELECT ON OBJECT::[dbo].[Orders] TO [reader]",
        ]
    );
    assert_eq!(
        database.permissions(),
        [
            "DENY | DELETE | SCHEMA | dbo | NULL | api | dbo",
            "GRANT | CONNECT | DATABASE |  | NULL | api | dbo",
            "GRANT | SELECT | OBJECT_OR_COLUMN | Orders | NULL | reader | dbo",
            "GRANT | UPDATE | OBJECT_OR_COLUMN | Orders | a | api | dbo",
            "GRANT | UPDATE | OBJECT_OR_COLUMN | Orders | b | api | dbo",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn additive_leaves_authoritative_takes_and_prune_drops() {
    let bench = Bench::start().await;
    let mut database = bench.database("modes");
    database.run(&[
        "CREATE TABLE orders (a int, b int)",
        "CREATE USER stray WITH SID = 0x99999999999999999999999999999999, TYPE = E",
        "CREATE USER local WITHOUT LOGIN",
    ]);
    let mut desired = orders();
    database.reach(&desired, Mode::Additive).await;
    database.run(&[
        "ALTER ROLE db_datareader ADD MEMBER api",
        "GRANT INSERT ON orders TO api WITH GRANT OPTION",
        "GRANT DELETE ON orders TO reader",
        "ALTER ROLE reader ADD MEMBER local",
        "EXEC ('CREATE SCHEMA theirs AUTHORIZATION stray')",
        "CREATE ROLE leftover AUTHORIZATION stray",
        "ALTER ROLE leftover ADD MEMBER local",
    ]);
    assert!(database.plan(&desired, Mode::Additive).await.is_empty());
    assert!(
        database
            .plan(&desired, Mode::Authoritative)
            .await
            .is_empty()
    );

    desired.principals[0].authoritative = true;
    let plan = database.plan(&desired, Mode::Additive).await;
    let notes: Vec<String> = plan.notes().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        ["[api] is authoritative and has 2 more than is written, which additive mode leaves"]
    );
    let ran = database.reach(&desired, Mode::Authoritative).await;
    assert_eq!(
        ran,
        [
            "ALTER ROLE [db_datareader] DROP MEMBER [api]",
            "REVOKE INSERT ON OBJECT::[dbo].[orders] FROM [api] CASCADE",
        ]
    );
    let ran = database.reach(&desired, Mode::Prune).await;
    assert_eq!(
        ran,
        [
            "ALTER ROLE [reader] DROP MEMBER [local]",
            "ALTER ROLE [leftover] DROP MEMBER [local]",
            "ALTER AUTHORIZATION ON SCHEMA::[theirs] TO [dbo]",
            "ALTER AUTHORIZATION ON ROLE::[leftover] TO [dbo]",
            "DROP ROLE [leftover]",
            "DROP USER [stray]",
            "REVOKE DELETE ON OBJECT::[dbo].[orders] FROM [reader]",
        ]
    );
    // Users that are no identities of Entra stay.
    assert_eq!(
        database.rows("SELECT name FROM sys.database_principals WHERE name IN ('local', 'guest', 'stray') ORDER BY 1"),
        ["guest", "local"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_made_anew_gets_its_user_anew_if_that_is_allowed() {
    let bench = Bench::start().await;
    let mut database = bench.database("anew");
    database.run(&["CREATE TABLE orders (a int, b int)"]);
    let mut desired = orders();
    database.reach(&desired, Mode::Additive).await;
    desired.principals[0].identity = Identity::BySid(Uuid::from_u128(8));
    let observed = database.observe(&desired).await;
    let error = entrada::grants::plan(&desired, &observed, Mode::Additive).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("[api] belongs to the identity 00000000-0000-0000-0000-000000000007"),
        "{text}"
    );
    desired.principals[0].authoritative = true;
    let ran = database.reach(&desired, Mode::Authoritative).await;
    assert_eq!(ran[0], "DROP USER [api]");
    assert_eq!(
        ran[1],
        "CREATE USER [api] WITH SID = 0x00000000000000000000000000000008, TYPE = E"
    );
    assert_eq!(ran.len(), 6, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_with_another_name_is_renamed() {
    let bench = Bench::start().await;
    let mut database = bench.database("names");
    database.run(&[
        "CREATE USER b WITH SID = 0x00000000000000000000000000000001, TYPE = E",
        "CREATE USER c WITH SID = 0x00000000000000000000000000000002, TYPE = E",
    ]);
    let mut desired = Desired::default();
    desired.principals = vec![app("c", 1), app("d", 2)];
    let ran = database.reach(&desired, Mode::Additive).await;
    assert_eq!(
        ran,
        [
            "ALTER USER [c] WITH NAME = [d]",
            "ALTER USER [b] WITH NAME = [c]"
        ]
    );
    desired.principals = vec![app("d", 1), app("c", 2)];
    let observed = database.observe(&desired).await;
    let error = entrada::grants::plan(&desired, &observed, Mode::Prune).unwrap_err();
    assert!(error.to_string().contains("swap names"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_lifts_no_deny_unless_that_is_allowed() {
    let bench = Bench::start().await;
    let mut database = bench.database("denied");
    database.run(&["CREATE TABLE orders (a int, b int)"]);
    let mut desired = orders();
    database.reach(&desired, Mode::Additive).await;
    database.run(&["DENY SELECT ON orders (b) TO reader"]);
    assert!(
        database.plan(&desired, Mode::Additive).await.is_empty(),
        "it stands beside"
    );
    database.run(&["DENY SELECT ON orders TO reader"]);
    let observed = database.observe(&desired).await;
    let error = entrada::grants::plan(&desired, &observed, Mode::Additive).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("SELECT on [dbo].[orders] is denied to [reader]"),
        "{error}"
    );
    desired.roles[0].authoritative = true;
    let plan = database.plan(&desired, Mode::Authoritative).await;
    assert!(plan.changes()[0].what.ends_with("lifts a DENY"), "{plan:?}");
    let ran = database.reach(&desired, Mode::Authoritative).await;
    assert_eq!(ran, ["GRANT SELECT ON OBJECT::[dbo].[orders] TO [reader]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_option_to_give_on_comes_and_goes() {
    let bench = Bench::start().await;
    let mut database = bench.database("option");
    database.run(&["CREATE TABLE orders (a int, b int)"]);
    let mut desired = orders();
    desired.principals[0].authoritative = true;
    desired.permissions = vec![grant("SELECT", table("dbo", "orders"), "api")];
    desired.permissions[0].state = PermissionState::GrantWithGrantOption;
    database.reach(&desired, Mode::Authoritative).await;
    database.run(&[
        "CREATE USER local WITHOUT LOGIN",
        "EXECUTE AS USER = 'api'; GRANT SELECT ON orders TO local; REVERT",
    ]);
    desired.permissions[0].state = PermissionState::Grant;
    assert!(database.plan(&desired, Mode::Additive).await.is_empty());
    let ran = database.reach(&desired, Mode::Authoritative).await;
    assert_eq!(
        ran,
        ["REVOKE GRANT OPTION FOR SELECT ON OBJECT::[dbo].[orders] FROM [api] CASCADE"]
    );
    assert!(
        !database
            .permissions()
            .iter()
            .any(|row| row.ends_with("| api"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_takes_all_and_gives_others_back_what_goes_with_the_owner() {
    let bench = Bench::start().await;
    let mut database = bench.database("revoked");
    database.run(&["CREATE TABLE orders (a int, b int)"]);
    database.reach(&orders(), Mode::Additive).await;
    database.run(&[
        "EXEC ('CREATE SCHEMA theirs AUTHORIZATION api')",
        "CREATE TABLE theirs.t (a int)",
        "GRANT SELECT ON theirs.t TO reader",
        "GRANT INSERT ON SCHEMA::theirs TO reader",
    ]);
    let before = database.permissions();
    let none = Desired::default();
    let plan = revoke(&[name("api")], &database.observe(&none).await, true).unwrap();
    database.apply(&plan).await.unwrap();
    assert!(!database.catalogue().iter().any(|row| row.contains("api")));
    let kept = before.iter().filter(|row| row.contains("| reader |"));
    let kept: Vec<String> = kept.map(|row| row.replace("| api", "| dbo")).collect();
    assert_eq!(kept.len(), 3);
    let after: Vec<String> = database.permissions();
    assert_eq!(after, kept);
    // Once more: there is nobody left.
    let again = revoke(&[name("api")], &database.observe(&none).await, true).unwrap();
    assert!(again.is_empty());
    let reader = revoke(&[name("reader")], &database.observe(&none).await, false).unwrap();
    database.apply(&reader).await.unwrap();
    assert_eq!(database.permissions(), Vec::<String>::new());
    let dbo = revoke(&[name("dbo")], &database.observe(&none).await, true);
    assert!(dbo.unwrap_err().to_string().contains("[dbo]"));
}
