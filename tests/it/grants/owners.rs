//! What others than the owners gave, what goes with an owner, and who runs a plan.

use entrada::emulator::{Emulator, EntraKind, EntraPrincipal, ManagedIdentity};
use entrada::grants::{
    Desired, Identity, Mode, Observed, Principal, PrincipalKind, Securable, plan,
};
use entrada::pool::Pool;
use entrada::target::Target;
use entrada::token::{Environment, Sources};
use uuid::Uuid;

use super::bench::*;

async fn parses(statements: &[String]) {
    let texts: Vec<(&str, &str)> = statements.iter().map(|text| ("plan", &**text)).collect();
    crate::support::grammar::parses(&texts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_from_entra_and_their_schemas_are_t_sql() {
    let bench = Bench::start().await;
    let database = bench.database("entra");
    let mut desired = Desired::default();
    for (text, kind, identity) in [
        ("o'brien@x.example", PrincipalKind::User, Identity::ByName),
        (
            "t]eam",
            PrincipalKind::Group,
            Identity::ByObjectId(Uuid::from_u128(5)),
        ),
        (
            "g",
            PrincipalKind::Group,
            Identity::BySid(Uuid::from_u128(6)),
        ),
    ] {
        let mut principal = Principal::new(name(text), kind, identity);
        principal.default_schema = Some(name("dbo"));
        desired.principals.push(principal);
    }
    let made = statements(&database.plan(&desired, Mode::Additive).await);
    assert_eq!(made.len(), 6, "{made:?}");
    let newer = " WITH OBJECT_ID = N'00000000-0000-0000-0000-000000000005'";
    assert!(made.iter().any(|text| text.ends_with(newer)), "{made:?}");
    parses(&made).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_on_is_taken_deepest_first_and_by_new_names() {
    let bench = Bench::start().await;
    let mut database = bench.database("given");
    database.run(&[
        "CREATE TABLE t (a int, b int)",
        "CREATE USER deep WITH SID = 0x00000000000000000000000000000003, TYPE = E",
        "CREATE USER first WITH SID = 0x00000000000000000000000000000001, TYPE = E",
        "CREATE USER mid WITH SID = 0x00000000000000000000000000000002, TYPE = E",
        "GRANT SELECT ON t TO first WITH GRANT OPTION",
        "EXECUTE AS USER = 'first'; GRANT SELECT ON t TO mid WITH GRANT OPTION; REVERT",
        "EXECUTE AS USER = 'mid'; GRANT SELECT (a) ON t TO deep; REVERT",
        "GRANT SELECT ON t TO deep",
    ]);
    let mut desired = Desired::default();
    desired.principals = vec![app("f]irst", 1), app("mid", 2), app("deep", 3)];
    desired.permissions = vec![grant("SELECT", table("dbo", "t"), "deep")];
    for user in &mut desired.principals[1..] {
        user.authoritative = true;
    }
    let ran = database.reach(&desired, Mode::Authoritative).await;
    assert_eq!(
        ran,
        [
            "ALTER USER [first] WITH NAME = [f]]irst]",
            "REVOKE SELECT ([a]) ON OBJECT::[dbo].[t] FROM [deep] AS [mid]",
            "REVOKE SELECT ON OBJECT::[dbo].[t] FROM [mid] CASCADE AS [f]]irst]",
        ]
    );
    parses(&ran).await;
    let rows = database.permissions();
    let rows: Vec<&String> = rows.iter().filter(|row| row.contains("SELECT")).collect();
    assert_eq!(
        rows,
        [
            "GRANT | SELECT | OBJECT_OR_COLUMN | t | NULL | deep | dbo",
            "GRANT_WITH_GRANT_OPTION | SELECT | OBJECT_OR_COLUMN | t | NULL | f]irst | dbo",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_its_own_goes_to_the_owner_of_its_schema_with_what_was_given_on_it() {
    let bench = Bench::start().await;
    let mut database = bench.database("owned");
    database.run(&[
        "CREATE TABLE t (a int, b int)",
        "CREATE USER stray WITH SID = 0x00000000000000000000000000000001, TYPE = E",
        "CREATE USER local WITHOUT LOGIN",
        "ALTER AUTHORIZATION ON OBJECT::dbo.t TO stray",
        "GRANT SELECT (b) ON t TO local",
        "DENY INSERT ON t TO local",
    ]);
    let ran = database.reach(&Desired::default(), Mode::Prune).await;
    parses(&ran).await;
    let at = |text: &str| ran.iter().position(|line| line.starts_with(text)).unwrap();
    let transfer = at("ALTER AUTHORIZATION ON OBJECT::[dbo].[t] TO SCHEMA OWNER");
    assert!(at("REVOKE") < transfer && transfer < at("DROP USER [stray]"));
    let mut rows = database.permissions();
    rows.retain(|row| row.contains("local") && !row.contains("CONNECT"));
    assert_eq!(
        rows,
        [
            "DENY | INSERT | OBJECT_OR_COLUMN | t | NULL | local | dbo",
            "GRANT | SELECT | OBJECT_OR_COLUMN | t | b | local | dbo",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_groups_and_roles_by_which_a_plan_is_run_are_kept() {
    let team = EntraPrincipal::person_or_group(
        EntraKind::Group,
        "team",
        Uuid::from_u128(1),
        Uuid::from_u128(7),
    );
    let mut me = ManagedIdentity::system_assigned("dba");
    me.groups.push(team.object_id);
    let emulator = Emulator::builder()
        .identity(me)
        .principal(team)
        .database("shop")
        .script(
            "shop",
            "CREATE USER team FROM EXTERNAL PROVIDER; \
             CREATE ROLE admins; CREATE ROLE other; ALTER ROLE admins ADD MEMBER team; \
             ALTER ROLE db_owner ADD MEMBER admins",
        )
        .start()
        .await
        .unwrap();
    let target = Target::parse(&emulator.connection_string("shop")).unwrap();
    let variables = emulator.imds_environment();
    let pool = Pool::builder(target)
        .sources(Sources::new(Environment::from_pairs(variables)))
        .build()
        .unwrap();
    let mut client = pool.get().await.unwrap();
    let none = Desired::default();
    let observed = Observed::read(&mut client, &none).await.unwrap();
    let made = plan(&none, &observed, Mode::Prune).unwrap();
    assert_eq!(statements(&made), ["DROP ROLE [other]"]);
    let notes: Vec<String> = made.notes().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "nothing is taken from [admins], by which this runs",
            "nothing is taken from [team], by which this runs",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_to_a_member_of_a_role_that_forbids_it_is_noted() {
    let bench = Bench::start().await;
    let mut database = bench.database("forbidden");
    database.run(&[
        "CREATE TABLE t (a int)",
        "CREATE USER api WITH SID = 0x00000000000000000000000000000001, TYPE = E",
        "ALTER ROLE db_denydatawriter ADD MEMBER api",
    ]);
    let mut desired = Desired::default();
    desired.principals = vec![app("api", 1)];
    desired.permissions = vec![
        grant("SELECT", table("dbo", "t"), "api"),
        grant("INSERT", Securable::Schema(name("dbo")), "api"),
    ];
    let made = database.plan(&desired, Mode::Additive).await;
    let notes: Vec<String> = made.notes().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "INSERT on schema [dbo] has no effect for [api], since it is denied to \
          [db_denydatawriter] on the database"
        ]
    );
    // Once that is taken away there is nothing to note.
    let made = database.plan(&desired, Mode::Prune).await;
    assert_eq!(made.notes(), []);
}
