//! Parameters, prepared statements, transactions, resets, attention, large results.

use entrada::emulator::{SinkClosed, TokenSink};
use entrada::tds::{
    Collation, DoneStatus, EnvChange, PacketType, Place, Put, Token, TypeId, TypeInfo,
};

use super::answer::{admin, ask, batch, engine, message, one, send, session};

/// An RPC by number with typed parameters: name, output, type, value.
pub(super) fn rpc(
    id: u16,
    params: &[(&str, bool, TypeInfo, Option<Vec<u8>>)],
) -> entrada::tds::Message {
    let mut body = Vec::new();
    body.put_u16_le(u16::MAX);
    body.put_u16_le(id);
    body.put_u16_le(0);
    for (name, output, info, value) in params {
        body.put_b_varchar("name", name).unwrap();
        body.put_u8(u8::from(*output));
        info.encode(Place::Parameter, &mut body).unwrap();
        info.write_value(Place::Parameter, value.as_deref(), &mut body)
            .unwrap();
    }
    message(PacketType::RPC, &body)
}

pub(super) fn utf16(text: &str) -> Option<Vec<u8>> {
    Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect())
}

pub(super) fn nvarchar(max: u16) -> TypeInfo {
    TypeInfo::ShortLen {
        id: TypeId::NVARCHAR,
        max,
        collation: Some(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS),
    }
}

fn int(max: u8) -> TypeInfo {
    TypeInfo::ByteLen {
        id: TypeId::INTN,
        max,
    }
}

#[test]
fn sp_executesql_takes_and_gives_parameters() {
    let (_engine, mut session) = session();
    let sql = "SELECT @a + 1, @b; SET @c = @a * 2";
    let call = rpc(
        10,
        &[
            ("", false, nvarchar(8000), utf16(sql)),
            (
                "",
                false,
                nvarchar(8000),
                utf16("@a int, @b nvarchar(20), @c bigint OUTPUT"),
            ),
            ("@a", false, int(4), Some(20i32.to_le_bytes().to_vec())),
            ("@b", false, nvarchar(40), utf16("naïve 🙂")),
            ("@c", true, int(8), None),
        ],
    );
    let answer = send(&mut session, &call);
    assert_eq!(answer.rows(), [["21", "naïve 🙂"]]);
    assert_eq!(answer.outputs, [("@c".to_owned(), "40".to_owned())]);
    assert!(answer.tokens.contains(&Token::ReturnStatus(0)));
}

#[test]
fn statements_are_prepared_run_and_forgotten() {
    let (_engine, mut session) = session();
    let one_int = |v: i32| ("", false, int(4), Some(v.to_le_bytes().to_vec()));
    let answer = send(
        &mut session,
        &rpc(
            13,
            &[
                ("", true, int(4), None),
                ("", false, nvarchar(8000), utf16("@a int")),
                ("", false, nvarchar(8000), utf16("SELECT @a * 3")),
                one_int(5),
            ],
        ),
    );
    assert_eq!(answer.rows(), [["15"]]);
    let handle: i32 = answer.outputs[0].1.parse().unwrap();
    assert_eq!(
        send(&mut session, &rpc(12, &[one_int(handle), one_int(6)])).rows(),
        [["18"]]
    );
    assert!(
        send(&mut session, &rpc(15, &[one_int(handle)]))
            .errors
            .is_empty()
    );
    assert_eq!(
        send(&mut session, &rpc(12, &[one_int(handle), one_int(6)])).error(),
        8179
    );
    assert_eq!(send(&mut session, &rpc(2, &[])).error(), 40517);
}

#[test]
fn transactions_commit_roll_back_and_nest() {
    let (engine, mut session) = session();
    ask(&mut session, "CREATE TABLE t(id int PRIMARY KEY)");
    let answer = ask(
        &mut session,
        "BEGIN TRAN; INSERT t VALUES (1); SAVE TRAN s; INSERT t VALUES (2); ROLLBACK TRAN s; SELECT @@TRANCOUNT",
    );
    assert!(matches!(answer.tokens[0], Token::EnvChange(EnvChange::BeginTransaction(d)) if d != 0));
    assert_eq!(answer.results[0].1, [["1"]]);
    let mut other = admin(&engine);
    assert_eq!(one(&mut other, "SELECT COUNT(*) FROM t"), "0");
    assert_eq!(
        ask(&mut other, "SET LOCK_TIMEOUT 0; INSERT t VALUES (9)").error(),
        1222
    );
    assert_eq!(ask(&mut session, "INSERT t VALUES (1)").error(), 2627);
    let answer = ask(&mut session, "BEGIN TRAN; COMMIT; COMMIT");
    assert!(matches!(
        answer.tokens[0],
        Token::EnvChange(EnvChange::CommitTransaction(_))
    ));
    assert_eq!(one(&mut other, "SELECT COUNT(*) FROM t"), "1");
    ask(&mut session, "BEGIN TRAN; DELETE t");
    let answer = ask(&mut session, "ROLLBACK");
    assert!(matches!(
        answer.tokens[0],
        Token::EnvChange(EnvChange::RollbackTransaction(_))
    ));
    assert_eq!(one(&mut session, "SELECT COUNT(*) FROM t"), "1");
    // The transaction manager's begin and rollback.
    let begin = send(
        &mut session,
        &message(PacketType::TRANSACTION_MANAGER, &[5, 0, 2, 0]),
    );
    assert!(matches!(
        begin.tokens[0],
        Token::EnvChange(EnvChange::BeginTransaction(_))
    ));
    ask(&mut session, "DELETE t");
    send(
        &mut session,
        &message(PacketType::TRANSACTION_MANAGER, &[8, 0, 0, 0]),
    );
    assert_eq!(
        one(&mut session, "SELECT COUNT(*), @@TRANCOUNT FROM t"),
        "1|0"
    );
}

#[test]
fn a_conversion_error_dooms_the_transaction_inside_try() {
    let (_engine, mut session) = session();
    let sql = "BEGIN TRAN; BEGIN TRY SELECT CAST('x' AS int) END TRY BEGIN CATCH SELECT XACT_STATE() ROLLBACK END CATCH";
    let answer = ask(&mut session, sql);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    assert_eq!(answer.results.last().unwrap().1, [["-1"]]);
}

#[test]
fn a_reset_clears_what_it_should_and_keeps_the_isolation_level() {
    let (_engine, mut session) = session();
    ask(
        &mut session,
        "CREATE TABLE t(id int); SELECT 1 AS x INTO #tmp; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN TRAN; INSERT t VALUES (1)",
    );
    ask(&mut session, "USE master");
    assert!(session.reset().unwrap().len() <= 1);
    assert_eq!(
        one(&mut session, "SELECT COUNT(*), @@TRANCOUNT FROM t"),
        "0|0"
    );
    assert_eq!(ask(&mut session, "SELECT * FROM #tmp").error(), 208);
    assert_eq!(
        one(
            &mut session,
            "SELECT transaction_isolation_level FROM sys.dm_exec_sessions"
        ),
        "4"
    );
}

/// Counts bytes, and the most that came at once.
#[derive(Default)]
struct Meter {
    total: usize,
    largest: usize,
    close_after: Option<usize>,
}

impl TokenSink for Meter {
    fn send(&mut self, bytes: &[u8]) -> Result<(), SinkClosed> {
        self.total += bytes.len();
        self.largest = self.largest.max(bytes.len());
        if self.close_after.is_some_and(|limit| self.total > limit) {
            Err(SinkClosed)
        } else {
            Ok(())
        }
    }
}

const MILLION: &str = "SELECT value FROM GENERATE_SERIES(1, 1000000)";

#[test]
fn a_million_rows_stream_in_bounded_pieces() {
    let (_engine, mut session) = session();
    let mut meter = Meter::default();
    session.execute(&batch(MILLION), &mut meter).unwrap();
    // A row token and four bytes each.
    assert!(meter.total > 5_000_000, "{}", meter.total);
    assert!(meter.largest < 128 * 1024, "{}", meter.largest);
    let mut gone = Meter {
        close_after: Some(100_000),
        ..Meter::default()
    };
    assert_eq!(session.execute(&batch(MILLION), &mut gone), Err(SinkClosed));
    assert!(gone.total < 300_000);
    assert_eq!(one(&mut session, "SELECT 1"), "1");
}

#[test]
fn an_interrupt_stops_a_statement_and_the_session_lives_on() {
    let (_engine, mut session) = session();
    /// Interrupts from inside the response, as an attention would.
    struct Stopper(entrada::emulator::Interrupter, Vec<u8>);
    impl TokenSink for Stopper {
        fn send(&mut self, bytes: &[u8]) -> Result<(), SinkClosed> {
            self.0.interrupt();
            self.1.extend_from_slice(bytes);
            Ok(())
        }
    }
    let mut stopper = Stopper(session.interrupter(), Vec::new());
    session.execute(&batch(MILLION), &mut stopper).unwrap();
    let answer = super::answer::read(&stopper.1);
    assert!(answer.errors.is_empty());
    assert!(answer.results[0].1.len() < 100_000);
    let last = answer.dones.last().unwrap().status;
    assert_eq!(last, DoneStatus::FINAL);
    assert_eq!(one(&mut session, "SELECT 1"), "1");
}

#[test]
fn databases_are_kept_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.db");
    {
        let kept = entrada::emulator::Engine::open(&path, Default::default()).unwrap();
        kept.create_database("shop").unwrap();
        kept.run_script("shop", "CREATE TABLE t(id int)\nGO\nINSERT t VALUES (42)")
            .unwrap();
    }
    let kept = entrada::emulator::Engine::open(&path, Default::default()).unwrap();
    let admin = entrada::emulator::Principal::ServerAdmin { name: "a".into() };
    let mut session = kept.connect(&admin, Some("shop")).unwrap();
    assert_eq!(one(&mut session, "SELECT id FROM t"), "42");
    let (_other, _) = engine();
}

#[test]
fn no_bytes_panic() {
    use proptest::prelude::*;
    let (_engine, session) = session();
    let session = std::cell::RefCell::new(session);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(600));
    let start = prop::sample::select(vec![
        vec![],
        vec![0xFF, 0xFF, 10, 0, 0, 0],
        vec![0xFF, 0xFF, 13, 0, 0, 0, 0, 1, 0x26, 4, 0],
        vec![
            0xFF, 0xFF, 10, 0, 0, 0, 0, 0, 0xE7, 0x40, 0x1F, 9, 4, 0xD0, 0, 0x34,
        ],
    ]);
    let bytes = (
        0u8..20,
        start,
        prop::collection::vec(any::<u8>(), 0..60),
        any::<bool>(),
    );
    let result = runner.run(&bytes, |(kind, start, rest, whole)| {
        let mut message = message(PacketType(kind), &[start, rest.clone()].concat());
        if !whole {
            message.payload = rest;
        }
        send(&mut session.borrow_mut(), &message);
        Ok(())
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn writers_wait_for_each_other() {
    let (engine, mut session) = session();
    ask(
        &mut session,
        "CREATE TABLE t(n int NOT NULL); INSERT t VALUES (0)",
    );
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let engine = engine.clone();
            std::thread::spawn(move || {
                let mut session = admin(&engine);
                for _ in 0..25 {
                    let answer = ask(
                        &mut session,
                        "BEGIN TRAN; UPDATE t SET n = n + 1; SELECT n FROM t; COMMIT",
                    );
                    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(one(&mut session, "SELECT n FROM t"), "100");
}
