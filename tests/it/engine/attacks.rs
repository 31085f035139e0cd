//! What clients try that want more than they were given, or the server down.

use std::thread;

use super::answer::{admin, admin_of, ask, engine, one};

/// A thread's usual stack, which tests and tokio's blocking threads have.
const STACK: usize = 2 << 20;

fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(STACK).spawn(run);
    thread.unwrap().join().unwrap();
}

#[test]
fn no_tree_is_too_deep_for_the_stack() {
    on_a_small_stack(|| {
        let (engine, _) = engine();
        let mut session = admin(&engine);
        ask(&mut session, "CREATE TABLE t(a int, b varchar(9))");
        let chains = [
            ("SELECT 1", "+1"),
            ("SELECT 1", "^1"),
            ("SELECT 1", " UNION SELECT 1"),
            ("SELECT 1 WHERE 1=1", " OR 1=1"),
            ("SELECT 1", " AT TIME ZONE 'UTC'"),
            ("SELECT 1", " IS NULL"),
            ("UPDATE t SET a = 1", "+a"),
            ("SELECT 1 FROM t x", " JOIN t ON 1=1"),
        ];
        for (begin, more) in chains {
            for length in [430, 890] {
                ask(&mut session, &format!("{begin}{}", more.repeat(length)));
            }
            let nested = format!("{begin}{}", more.repeat(440)).replace('\'', "''");
            ask(&mut session, &format!("EXEC('{nested}')"));
        }
        let endless = [
            ("SELECT ", "x -> ", "1"),
            ("SELECT 1", " DIV 1", ""),
            ("SELECT 1 WHERE 1", " IN (1)", ""),
            ("SELECT 1 FROM t", " PIVOT (max(a) FOR b IN ([1])) p", ""),
            ("SELECT 1 WHERE 'a'", " RLIKE 'a'", ""),
            ("SELECT ", "(", "1"),
            ("SELECT ", "CASE WHEN 1=1 THEN ", "1"),
            ("", "BEGIN ", ""),
            ("", "IF 1=1 ", ""),
        ];
        for (begin, more, end) in endless {
            let sql = format!("{begin}{}{end}", more.repeat(20_000));
            assert_eq!(ask(&mut session, &sql).error(), 191, "{more}");
        }
        assert_eq!(one(&mut session, "SELECT 1"), "1");
    });
}

#[test]
fn operands_do_not_grow_by_doubling() {
    let (engine, _) = engine();
    let mut session = admin(&engine);
    let xors = format!("SELECT 1{}", "^1".repeat(300));
    assert_eq!(one(&mut session, &xors), "1");
    assert_eq!(
        one(
            &mut session,
            "SELECT 5^3, 5^NULL, CAST(-5 AS bigint)^3, CAST(1 AS bit)^CAST(1 AS bit)"
        ),
        "6|NULL|-8|0"
    );
    let nested = format!(
        "DECLARE @a int = 1; SELECT {}@a{}",
        "NULLIF(".repeat(40),
        ",2)".repeat(40)
    );
    assert_eq!(ask(&mut session, &nested).error(), 8623);
}

#[test]
fn long_texts_are_searched_in_linear_time() {
    let (engine, _) = engine();
    let mut session = admin(&engine);
    let text = "REPLICATE(CAST('ab' AS varchar(max)), 300000)";
    for (sql, found) in [
        (
            format!("CHARINDEX({text} + 'c', {text} + {text} + 'c')"),
            "600001",
        ),
        (format!("CHARINDEX({text} + 'c', {text} + {text})"), "0"),
        (format!("PATINDEX('%a%a%a%a%a%c%', {text})"), "0"),
        (format!("PATINDEX('%bab%b%bc%', {text} + 'c')"), "2"),
    ] {
        assert_eq!(one(&mut session, &format!("SELECT {sql}")), found, "{sql}");
    }
}

#[test]
fn whoever_makes_users_does_not_become_one_with_more_rights() {
    let (engine, _) = engine();
    let mut dbo = admin(&engine);
    let setup = "CREATE USER u WITHOUT LOGIN; CREATE USER boss WITHOUT LOGIN; CREATE USER plain WITHOUT LOGIN;
        ALTER ROLE db_owner ADD MEMBER boss; GRANT ALTER ANY USER, CREATE ROLE TO u;
        CREATE LOGIN other WITH PASSWORD = 'Abcdef123!'";
    assert!(ask(&mut dbo, setup).errors.is_empty());
    ask(&mut dbo, "EXECUTE AS USER = 'u'");
    for sql in [
        "ALTER USER boss WITH LOGIN = other",
        "ALTER USER plain WITH LOGIN = other",
        "ALTER USER boss WITH NAME = nobody",
        "ALTER USER dbo WITH NAME = nobody",
        "ALTER USER public WITH NAME = nobody",
        "ALTER USER db_datareader WITH NAME = nobody",
        "CREATE ROLE r AUTHORIZATION boss",
    ] {
        assert_eq!(ask(&mut dbo, sql).error(), 15151, "{sql}");
    }
    assert_eq!(
        ask(&mut dbo, "ALTER USER guest WITH NAME = g").error(),
        15150
    );
    for sql in [
        "ALTER USER u WITH DEFAULT_SCHEMA = sys",
        "ALTER USER plain WITH NAME = plainer",
        "REVERT",
    ] {
        assert!(ask(&mut dbo, sql).errors.is_empty(), "{sql}");
    }
    assert_eq!(
        ask(&mut dbo, "ALTER ROLE db_owner WITH NAME = o").error(),
        15150
    );
    assert!(
        ask(&mut dbo, "ALTER USER boss WITH LOGIN = other")
            .errors
            .is_empty()
    );
}

#[test]
fn a_session_of_a_dropped_user_is_not_that_of_the_next_one() {
    let (engine, _) = engine();
    let mut dbo = admin(&engine);
    ask(
        &mut dbo,
        "CREATE TABLE t(a int); CREATE USER gone WITHOUT LOGIN",
    );
    let mut stays = admin_of(&engine, "app");
    ask(&mut stays, "EXECUTE AS USER = 'gone' WITH NO REVERT");
    ask(
        &mut dbo,
        "DROP USER gone; CREATE USER boss WITHOUT LOGIN; ALTER ROLE db_owner ADD MEMBER boss",
    );
    assert!(!ask(&mut stays, "SELECT * FROM t").errors.is_empty());
}
