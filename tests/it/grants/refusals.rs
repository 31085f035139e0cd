//! What keeps a plan from being made or carried out.

use entrada::grants::{
    ApplyError, Desired, GrantsError, Mode, Observed, PlanProblem, Securable, apply, plan,
};

use super::bench::*;

fn full_of_mistakes() -> Desired {
    let mut desired = Desired::default();
    desired.principals = vec![app("api", 1), app("API", 2), app("local", 3)];
    desired.roles = vec![role("r1"), role("r2"), role("db_owner")];
    desired.memberships = vec![
        member("r2", "r1"),
        member("nothing", "api"),
        member("r1", "nobody"),
    ];
    desired.permissions = vec![
        grant("SELECT", table("dbo", "gone"), "r1"),
        grant("SELECT", table("gone", "t"), "r1"),
        grant("SELECT", Securable::Schema(name("gone")), "r1"),
        columns(grant("SELECT", table("dbo", "t"), "r1"), &["A", "z"]),
        columns(grant("INSERT", table("dbo", "t"), "r1"), &["a"]),
        grant("CREATE TABLE", table("dbo", "t"), "r1"),
        grant("SELECT", table("dbo", "t"), "nobody"),
        grant("SELECT", table("dbo", "t"), "db_datareader"),
        grant("CONTROL", Securable::Role(name("local")), "r1"),
    ];
    desired
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_missing_is_told_at_once() {
    let bench = Bench::start().await;
    let mut database = bench.database("missing");
    database.run(&[
        "CREATE TABLE t (a int)",
        "CREATE USER local WITHOUT LOGIN",
        "CREATE ROLE r1",
        "CREATE ROLE r2",
        "ALTER ROLE r1 ADD MEMBER r2",
    ]);
    let desired = full_of_mistakes();
    let observed = database.observe(&desired).await;
    let error = plan(&desired, &observed, Mode::Additive).unwrap_err();
    let mut seen: Vec<String> = error
        .problems()
        .iter()
        .map(|problem| match problem {
            PlanProblem::DoesNotFit {
                action, columns, ..
            } => format!("misfit {action} {columns}"),
            PlanProblem::Duplicate { name } => format!("twice {name}"),
            PlanProblem::NameTaken { name, by, .. } => format!("taken {name} {by}"),
            PlanProblem::NoColumn { column, .. } => format!("column {column}"),
            PlanProblem::NoPrincipal { name, wanted } => format!("no {wanted} {name}"),
            PlanProblem::NoSuchThing { on } => format!("no {on:?}"),
            PlanProblem::RoleRing { roles } => format!("ring {}", roles.len()),
            PlanProblem::Special { name } => format!("special {name}"),
            other => format!("{other:?}"),
        })
        .collect();
    seen.retain(|line| !line.starts_with("no Object") && !line.starts_with("no Schema"));
    seen.sort();
    assert_eq!(
        seen,
        [
            "column [z]",
            "misfit CREATE TABLE false",
            "misfit INSERT true",
            "no Role(Name(\"local\"))",
            "no role [nothing]",
            "no user or role [nobody]",
            "ring 2",
            "special [db_datareader]",
            "taken [db_owner] a role of the system's",
            "taken [local] a user of the server's or the system's",
            "twice [API]",
        ]
    );
    assert_eq!(error.problems().len(), seen.len() + 3);
    let text = error.to_string();
    assert!(text.contains("there is no [dbo].[gone]"), "{text}");
    assert!(text.contains("there is no schema [gone]"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_everything_reads_nothing() {
    let bench = Bench::start().await;
    let mut database = bench.database("hidden");
    database.run(&["CREATE USER poor WITH PASSWORD = 's3cret!Pass'"]);
    let pool = bench.pool("hidden", "poor");
    let mut client = pool.get().await.unwrap();
    let error = Observed::read(&mut client, &Desired::default())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            GrantsError::Hidden {
                right: "VIEW DEFINITION",
                ..
            }
        ),
        "{error:?}"
    );
    drop(client);
    database.run(&["GRANT VIEW DEFINITION TO poor"]);
    let mut client = pool.get().await.unwrap();
    let observed = Observed::read(&mut client, &Desired::default())
        .await
        .unwrap();
    drop(client);

    // It may see and not change: the server says so, and what it lacks is named.
    let mut desired = Desired::default();
    desired.roles.push(role("new"));
    let plan = plan(&desired, &observed, Mode::Additive).unwrap();
    let before = database.catalogue();
    let error = apply(pool.get().await.unwrap(), &plan, |_| {})
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ApplyError::Failed {
                number: 1,
                of: 1,
                ..
            }
        ),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("CREATE ROLE [new]") && text.contains("db_owner"),
        "{text}"
    );
    assert_eq!(database.catalogue(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_runs_a_plan_loses_nothing_by_it() {
    let bench = Bench::start().await;
    let mut database = bench.database("own");
    database.run(&[
        "CREATE USER boss WITH PASSWORD = 's3cret!Pass'",
        "ALTER ROLE db_owner ADD MEMBER boss",
        "CREATE ROLE admins",
        "ALTER ROLE admins ADD MEMBER boss",
        "CREATE USER [##system##] WITH SID = 0x00000000000000000000000000000009, TYPE = E",
    ]);
    let pool = bench.pool("own", "boss");
    let mut desired = Desired::default();
    desired.roles = vec![role("admins")];
    let mut client = pool.get().await.unwrap();
    let observed = Observed::read(&mut client, &desired).await.unwrap();
    let made = plan(&desired, &observed, Mode::Prune).unwrap();
    assert_eq!(statements(&made), Vec::<String>::new());
    desired
        .permissions
        .push(grant("SELECT", Securable::Database, "boss"));
    let error = plan(&desired, &observed, Mode::Additive).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("nobody change the rights of [boss]"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_stale_once_rights_have_changed() {
    let bench = Bench::start().await;
    let mut database = bench.database("stale");
    database.run(&["CREATE TABLE t (a int)"]);
    let mut desired = Desired::default();
    desired.roles.push(role("r"));
    desired.permissions = vec![grant("SELECT", table("dbo", "t"), "r")];
    let plan = database.plan(&desired, Mode::Additive).await;
    // Tables that nobody spoke of do not matter.
    database.run(&["CREATE TABLE other (a int)"]);
    let same = database.plan(&desired, Mode::Additive).await;
    assert_eq!(same.fingerprint(), plan.fingerprint());
    for change in [
        "CREATE USER x WITHOUT LOGIN",
        "GRANT SELECT TO x",
        "ALTER ROLE db_datareader ADD MEMBER x",
        "DROP TABLE t; CREATE TABLE t (a int)",
        "EXEC ('CREATE SCHEMA s')",
        "ALTER USER x WITH DEFAULT_SCHEMA = s",
    ] {
        let plan = database.plan(&desired, Mode::Additive).await;
        database.run(&[change]);
        let before = database.catalogue();
        let error = database.apply(&plan).await.unwrap_err();
        assert!(matches!(error, ApplyError::Changed), "{change}: {error:?}");
        assert_eq!(database.catalogue(), before, "{change}");
    }
    database.reach(&desired, Mode::Additive).await;
}
