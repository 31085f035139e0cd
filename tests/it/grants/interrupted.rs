//! Plans that do not get to their end.

use std::sync::Arc;
use std::time::Duration;

use entrada::grants::{ApplyError, Desired, Mode, Plan, Progress, Securable, apply};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::bench::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A database, and a plan with statements of most kinds.
async fn prepared(bench: &Bench, text: &str) -> (Database, Desired, Plan) {
    let mut database = bench.database(text);
    database.run(&[
        "CREATE TABLE t (a int, b int)",
        "CREATE USER old WITH SID = 0x00000000000000000000000000000001, TYPE = E",
        "CREATE USER stray WITH SID = 0x00000000000000000000000000000002, TYPE = E",
        "EXEC ('CREATE SCHEMA theirs AUTHORIZATION stray')",
        "CREATE ROLE leftover",
        "ALTER ROLE leftover ADD MEMBER old",
        "CREATE ROLE kept",
        "GRANT SELECT ON t TO kept WITH GRANT OPTION",
    ]);
    let mut desired = Desired::default();
    let mut new = app("new", 1);
    new.default_schema = Some(name("theirs"));
    desired.principals = vec![new, app("other", 3)];
    desired.roles = vec![role("kept"), role("fresh")];
    desired.memberships = vec![member("kept", "new"), member("fresh", "kept")];
    desired.permissions = vec![
        columns(grant("SELECT", table("dbo", "t"), "kept"), &["a"]),
        deny("INSERT", Securable::Schema(name("dbo")), "fresh"),
    ];
    let plan = database.plan(&desired, Mode::Prune).await;
    assert_eq!(plan.changes().len(), 13, "{:?}", statements(&plan));
    (database, desired, plan)
}

/// After a while, since the server must first notice that somebody has gone.
async fn unchanged(database: &mut Database, before: &[String], when: &str) {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let now = database.catalogue();
        if now == before {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "{when}: {now:#?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_at_any_statement_leaves_the_database_as_it_was() {
    let bench = Bench::start().await;
    let (mut database, desired, plan) = prepared(&bench, "errors").await;
    let before = database.catalogue();
    for fails in 1..=plan.changes().len() {
        let faults = bench.emulator.faults();
        let outcome = apply(database.client().await, &plan, |progress| {
            if let Progress::Statement { number, .. } = progress
                && number == fails
            {
                faults.request_error(40197, Some(1));
            }
        });
        let error = outcome.await.unwrap_err();
        let text = error.to_string();
        let ApplyError::Failed {
            number,
            of: 13,
            statement,
            ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(*number, fails);
        assert_eq!(*statement, plan.changes()[fails - 1].statement);
        assert!(text.contains(statement.as_str()), "{text}");
        faults.clear();
        unchanged(&mut database, &before, &format!("statement {fails}")).await;
    }
    database.reach(&desired, Mode::Prune).await;
}

/// Ends a session and waits until the server is done with it: a request that is
/// under way meanwhile might still be carried out.
fn cut_off(bench: &Bench, spid: u16) {
    assert!(bench.emulator.kill(spid));
    let late = Instant::now() + PATIENCE;
    let is_there = || bench.emulator.sessions().iter().any(|one| one.spid == spid);
    tokio::task::block_in_place(|| {
        while is_there() {
            assert!(Instant::now() < late, "the session does not end");
            std::thread::yield_now();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_breaks_at_any_statement_leaves_the_database_as_it_was() {
    let bench = Bench::start().await;
    let (mut database, desired, plan) = prepared(&bench, "kills").await;
    let before = database.catalogue();
    for fails in 1..=plan.changes().len() {
        let client = database.client().await;
        let spid = client.info().spid;
        let outcome = apply(client, &plan, |progress| {
            if let Progress::Statement { number, .. } = progress
                && number == fails
            {
                cut_off(&bench, spid);
            }
        });
        let error = outcome.await.unwrap_err();
        assert!(matches!(error, ApplyError::Failed { .. }), "{error:?}");
        unchanged(&mut database, &before, &format!("statement {fails}")).await;
    }
    database.reach(&desired, Mode::Prune).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_future_dropped_at_any_statement_leaves_the_database_as_it_was() {
    let bench = Bench::start().await;
    let (mut database, desired, plan) = prepared(&bench, "drops").await;
    let before = database.catalogue();
    for fails in 1..=plan.changes().len() {
        let dropped = Arc::new(Notify::new());
        let tell = Arc::clone(&dropped);
        let work = apply(database.client().await, &plan, move |progress| {
            if let Progress::Statement { number, .. } = progress
                && number == fails
            {
                tell.notify_one();
            }
        });
        tokio::select! {
            biased;
            () = dropped.notified() => {}
            outcome = work => panic!("statement {fails}: {outcome:?}"),
        }
        unchanged(&mut database, &before, &format!("statement {fails}")).await;
    }
    database.reach(&desired, Mode::Prune).await;
    assert_eq!(database.pool.status().in_use, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_knows_of_a_commit_that_was_cut_off() {
    let bench = Bench::start().await;
    let (mut database, desired, plan) = prepared(&bench, "commits").await;
    let before = database.catalogue();
    let client = database.client().await;
    let spid = client.info().spid;
    let outcome = apply(client, &plan, |progress| {
        if matches!(progress, Progress::Committing) {
            cut_off(&bench, spid);
        }
    });
    let error = outcome.await.unwrap_err();
    assert!(error.is_unknown(), "{error:?}");
    assert!(error.to_string().contains("make the plan again"), "{error}");
    // Either is possible; here the server had not read it.
    unchanged(&mut database, &before, "commit").await;
    database.reach(&desired, Mode::Prune).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_knows_of_a_commit_at_which_the_server_failed() {
    let bench = Bench::start().await;
    let (database, _, plan) = prepared(&bench, "failovers").await;
    let outcome = apply(database.client().await, &plan, |progress| {
        if matches!(progress, Progress::Committing) {
            bench.emulator.faults().request_error(40197, Some(1));
        }
    });
    let error = outcome.await.unwrap_err();
    assert!(error.is_unknown(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_one_finds_the_database_changed() {
    let bench = Bench::start().await;
    let (database, desired, plan) = prepared(&bench, "twice").await;
    let (one, other) = tokio::join!(database.apply(&plan), database.apply(&plan));
    let mut errors = Vec::new();
    for outcome in [one, other] {
        match outcome {
            Ok(applied) => assert_eq!(applied.changes, 13),
            Err(error) => errors.push(error),
        }
    }
    assert!(matches!(errors[..], [ApplyError::Changed]), "{errors:?}");
    assert!(database.plan(&desired, Mode::Prune).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_free_in_time_is_told() {
    let bench = Bench::start().await;
    let (mut database, _, plan) = prepared(&bench, "locked").await;
    database.run(&[
        "EXEC sp_getapplock @Resource = N'entrada-grants', @LockMode = 'Exclusive', @LockOwner = 'Session'",
    ]);
    let before = database.catalogue();
    let error = database.apply(&plan).await.unwrap_err();
    assert!(matches!(error, ApplyError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains("entrada-grants"));
    assert_eq!(database.catalogue(), before);
}
