//! Application locks between sessions.

use std::thread;

use entrada::emulator::{Engine, EngineSession};

use super::answer::{admin, admin_of, ask, engine, one};

fn take(session: &mut EngineSession, arguments: &str) -> String {
    let sql = format!("DECLARE @r int; EXEC @r = sp_getapplock {arguments}; SELECT @r");
    one(session, &sql)
}

/// Returns once somebody waits for an exclusive lock on `r`, which is held in shared mode: no new
/// request may overtake it.
fn until_somebody_waits(engine: &Engine) {
    let mut observer = admin(engine);
    while one(
        &mut observer,
        "SELECT APPLOCK_TEST('public', 'r', 'Shared', 'Session')",
    ) == "1"
    {
        thread::yield_now();
    }
}

const WANT: &str = "'r', 'Exclusive', 'Session'";

/// Two sessions, the first with a shared lock on `r`.
fn held() -> (Engine, EngineSession, EngineSession) {
    let (engine, _) = engine();
    let mut holder = admin(&engine);
    assert_eq!(take(&mut holder, "'r', 'Shared', 'Session'"), "0");
    let other = admin(&engine);
    (engine, holder, other)
}

#[test]
fn the_documented_example_of_two_users() {
    let (engine, _) = engine();
    let (mut a, mut b) = (admin(&engine), admin(&engine));
    for session in [&mut a, &mut b] {
        assert!(ask(session, "BEGIN TRAN").errors.is_empty());
    }
    assert_eq!(take(&mut a, "'Form1', 'Shared', 'Transaction', 0"), "0");
    let mode = "SELECT APPLOCK_MODE('public', 'Form1', 'Transaction')";
    assert_eq!(one(&mut a, mode), "Shared");
    assert_eq!(one(&mut b, mode), "NoLock");
    let test = |mode| format!("SELECT APPLOCK_TEST('public', 'Form1', '{mode}', 'Transaction')");
    assert_eq!(one(&mut b, &test("Shared")), "1");
    assert_eq!(one(&mut b, &test("Exclusive")), "0");
    assert_eq!(take(&mut b, "'Form1', 'Exclusive', 'Transaction', 0"), "-1");
    assert_eq!(
        take(&mut b, "'Form1', 'Exclusive', 'Transaction', 20"),
        "-1"
    );
    ask(&mut b, "SET LOCK_TIMEOUT 20");
    assert_eq!(take(&mut b, "'Form1', 'Exclusive'"), "-1");
    ask(&mut a, "COMMIT");
    assert_eq!(take(&mut b, "'Form1', 'Exclusive'"), "0");
    ask(&mut b, "ROLLBACK");
    ask(&mut a, "BEGIN TRAN");
    assert_eq!(one(&mut a, &test("Exclusive")), "1");
}

#[test]
fn one_that_waits_gets_the_lock_when_it_is_released() {
    let releases: [fn(EngineSession); 3] = [
        |mut holder| {
            assert!(
                ask(&mut holder, "EXEC sp_releaseapplock 'r', 'Session'")
                    .errors
                    .is_empty()
            );
        },
        |mut holder| drop(holder.reset().unwrap()),
        drop,
    ];
    for release in releases {
        let (engine, holder, mut other) = held();
        let waiting = thread::spawn(move || take(&mut other, WANT));
        until_somebody_waits(&engine);
        release(holder);
        assert_eq!(waiting.join().unwrap(), "1");
    }
}

#[test]
fn an_attention_stops_one_that_waits() {
    let (engine, mut holder, mut other) = held();
    let stop = other.interrupter();
    let waiting = thread::spawn(move || {
        let answer = ask(
            &mut other,
            "EXEC sp_getapplock 'r', 'Exclusive', 'Session'; SELECT 1",
        );
        (answer, other)
    });
    until_somebody_waits(&engine);
    stop.interrupt();
    let (answer, mut other) = waiting.join().unwrap();
    assert!(
        answer.errors.is_empty() && answer.results.is_empty(),
        "{answer:?}"
    );
    // Nobody stands in the queue any more.
    assert_eq!(take(&mut other, "'r', 'Shared', 'Session', 0"), "0");
    assert_eq!(take(&mut holder, "'r', 'Exclusive', 'Session', 0"), "-1");
}

#[test]
fn who_closes_a_circle_is_told_and_keeps_its_transaction() {
    let (engine, mut holder, mut other) = held();
    assert_eq!(take(&mut other, "'s', 'Exclusive', 'Session'"), "0");
    let waiting = thread::spawn(move || take(&mut other, WANT));
    until_somebody_waits(&engine);
    ask(&mut holder, "BEGIN TRAN");
    assert_eq!(take(&mut holder, "'s', 'Shared', 'Transaction'"), "-3");
    assert_eq!(one(&mut holder, "SELECT @@TRANCOUNT"), "1");
    assert_eq!(
        one(&mut holder, "SELECT APPLOCK_MODE('public', 'r', 'Session')"),
        "Shared"
    );
    ask(&mut holder, "EXEC sp_releaseapplock 'r', 'Session'");
    assert_eq!(waiting.join().unwrap(), "1");
}

#[test]
fn two_that_want_more_of_what_both_hold_are_a_deadlock() {
    let (engine, mut holder, mut other) = held();
    assert_eq!(take(&mut other, "'r', 'Shared', 'Session'"), "0");
    let waiting = thread::spawn(move || take(&mut other, WANT));
    until_somebody_waits(&engine);
    assert_eq!(take(&mut holder, WANT), "-3");
    drop(holder);
    assert_eq!(waiting.join().unwrap(), "1");
}

#[test]
fn locks_are_apart_by_database_principal_and_case() {
    let (engine, mut holder, mut other) = held();
    engine.create_database("second").unwrap();
    let mut elsewhere = admin_of(&engine, "second");
    assert_eq!(take(&mut elsewhere, "'r', 'Exclusive', 'Session', 0"), "0");
    assert_eq!(take(&mut other, "'R', 'Exclusive', 'Session', 0"), "0");
    assert_eq!(
        take(&mut other, "'r', 'Exclusive', 'Session', 0, 'dbo'"),
        "0"
    );
    assert_eq!(take(&mut other, "'r', 'Exclusive', 'Session', 0"), "-1");
    assert_eq!(take(&mut holder, "'r', 'Exclusive', 'Session', 0"), "0");
}

#[test]
fn a_reset_that_keeps_the_transaction_keeps_its_locks() {
    let (engine, _) = engine();
    let (mut a, mut b) = (admin(&engine), admin(&engine));
    ask(&mut a, "BEGIN TRAN");
    assert_eq!(take(&mut a, "'t', 'Exclusive'"), "0");
    assert_eq!(take(&mut a, "'s', 'Exclusive', 'Session'"), "0");
    a.reset_keeping_transaction().unwrap();
    assert_eq!(take(&mut b, "'s', 'Shared', 'Session', 0"), "0");
    assert_eq!(take(&mut b, "'t', 'Shared', 'Session', 0"), "-1");
    a.reset().unwrap();
    assert_eq!(take(&mut b, "'t', 'Shared', 'Session', 0"), "0");
}
