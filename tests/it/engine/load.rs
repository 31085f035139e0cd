//! Bulk loads: INSERT BULK, then rows in pieces of any size.

use entrada::emulator::{BodyCancelled, EngineSession, RequestBody};
use entrada::tds::{Collation, DoneStatus, Place, Put, TypeId, TypeInfo, token_id};

use super::answer::{Answer, ask, one, read, session};

/// A load in pieces, which may break off.
struct Pieces {
    bytes: Vec<u8>,
    size: usize,
    cancelled: bool,
}

impl RequestBody for Pieces {
    fn next(&mut self) -> Result<Option<Vec<u8>>, BodyCancelled> {
        if self.bytes.is_empty() {
            return if self.cancelled {
                Err(BodyCancelled)
            } else {
                Ok(None)
            };
        }
        let rest = self.bytes.split_off(self.size.min(self.bytes.len()));
        Ok(Some(std::mem::replace(&mut self.bytes, rest)))
    }
}

/// The rows of a load as a driver writes them.
struct Rows {
    infos: Vec<TypeInfo>,
    bytes: Vec<u8>,
}

impl Rows {
    fn of(infos: &[TypeInfo]) -> Self {
        let mut bytes = vec![token_id::COLMETADATA];
        bytes.put_u16_le(infos.len().try_into().unwrap());
        for info in infos {
            bytes.put_slice(&[0, 0, 0, 0, 9, 0]);
            info.encode(Place::Row, &mut bytes).unwrap();
            if matches!(info, TypeInfo::LongLen { .. }) {
                bytes.put_us_varchar("table", "t").unwrap();
            }
            bytes.put_b_varchar("name", "c").unwrap();
        }
        Self {
            infos: infos.to_vec(),
            bytes,
        }
    }

    fn row(mut self, values: &[Option<&[u8]>]) -> Self {
        self.bytes.put_u8(token_id::ROW);
        for (info, value) in self.infos.iter().zip(values) {
            info.write_value(Place::Row, *value, &mut self.bytes)
                .unwrap();
        }
        self
    }

    /// With the DONE that some drivers send.
    fn done(mut self) -> Self {
        self.bytes.put_slice(&[0xFD, 0, 0, 0, 0, 0, 0, 0, 0]);
        self
    }

    fn send(self, session: &mut EngineSession) -> Answer {
        load(session, self.bytes, 1 << 20, false)
    }
}

fn load(session: &mut EngineSession, bytes: Vec<u8>, size: usize, cancelled: bool) -> Answer {
    let mut body = Pieces {
        bytes,
        size,
        cancelled,
    };
    let mut out = Vec::new();
    session.load(&mut body, &mut out).unwrap();
    assert!(body.bytes.is_empty(), "the load is taken in to its end");
    read(&out)
}

fn int() -> TypeInfo {
    TypeInfo::ByteLen {
        id: TypeId::INTN,
        max: 4,
    }
}

fn nvarchar(max: u16) -> TypeInfo {
    TypeInfo::ShortLen {
        id: TypeId::NVARCHAR,
        max,
        collation: Some(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS),
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn begun(session: &mut EngineSession, sql: &str) {
    let answer = ask(session, sql);
    assert!(answer.errors.is_empty(), "{sql}: {:?}", answer.errors);
}

fn count(answer: &Answer) -> u64 {
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    let [done] = &answer.dones[..] else {
        panic!("one DONE, not {:?}", answer.dones);
    };
    assert!(done.status.contains(DoneStatus::COUNT) && done.command == 0xF0);
    done.row_count
}

#[test]
fn rows_are_read_however_they_were_cut() {
    let long = "x\u{e4}\u{1f642}".repeat(3000);
    for size in [1, 13, 4088, 1 << 20] {
        let (_engine, mut session) = session();
        begun(&mut session, "CREATE TABLE t(id int, v nvarchar(max))");
        begun(
            &mut session,
            "INSERT BULK [t]([id] int, [v] nvarchar(max)) WITH (TABLOCK, ROWS_PER_BATCH = 7, ORDER(id ASC))",
        );
        let rows = Rows::of(&[int(), nvarchar(u16::MAX)])
            .row(&[Some(&1i32.to_le_bytes()), Some(&utf16(&long))])
            .row(&[None, None])
            .row(&[Some(&2i32.to_le_bytes()), Some(&[])])
            .done();
        let answer = load(&mut session, rows.bytes, size, false);
        assert_eq!(count(&answer), 3, "pieces of {size}");
        let stored = one(
            &mut session,
            "SELECT COUNT(*), SUM(LEN(v)), MAX(v) FROM t WHERE id IS NOT NULL",
        );
        assert_eq!(stored, format!("2|{}|{long}", 4 * 3000));
        assert_eq!(
            one(
                &mut session,
                "SELECT COUNT(*) FROM t WHERE id IS NULL AND v IS NULL"
            ),
            "1"
        );
    }
}

#[test]
fn text_and_image_have_their_own_form() {
    let (_engine, mut session) = session();
    begun(&mut session, "CREATE TABLE t(a ntext NULL, b image NULL)");
    begun(&mut session, "INSERT BULK t(a ntext, b image)");
    let info = |id, collation| TypeInfo::LongLen {
        id,
        max: 0x7FFF_FFFF,
        collation,
    };
    let collation = Some(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS);
    let rows = Rows::of(&[info(TypeId::NTEXT, collation), info(TypeId::IMAGE, None)])
        .row(&[Some(&utf16("text")), Some(&[1, 2, 3])])
        .row(&[None, None]);
    assert_eq!(count(&rows.send(&mut session)), 2);
    assert_eq!(
        one(
            &mut session,
            "SELECT CAST(a AS nvarchar(max)), DATALENGTH(b) FROM t WHERE a IS NOT NULL"
        ),
        "text|3"
    );
}

#[test]
fn identities_are_made_unless_they_are_given() {
    let (_engine, mut session) = session();
    begun(
        &mut session,
        "CREATE TABLE t(id int IDENTITY(10, 5) PRIMARY KEY, v int)",
    );
    begun(&mut session, "INSERT BULK t(v int)");
    let rows = || {
        Rows::of(&[int()])
            .row(&[Some(&7i32.to_le_bytes())])
            .row(&[Some(&8i32.to_le_bytes())])
    };
    assert_eq!(count(&rows().send(&mut session)), 2);
    assert_eq!(one(&mut session, "SELECT MIN(id), MAX(id) FROM t"), "10|15");
    begun(&mut session, "INSERT BULK t(id int, v int)");
    let given = Rows::of(&[int(), int()]).row(&[Some(&100i32.to_le_bytes()), None]);
    assert_eq!(count(&given.send(&mut session)), 1);
    begun(&mut session, "INSERT t(v) VALUES (9)");
    assert_eq!(one(&mut session, "SELECT MAX(id) FROM t"), "105");
}

#[test]
fn a_null_takes_the_default_unless_nulls_are_kept() {
    let (_engine, mut session) = session();
    begun(
        &mut session,
        "CREATE TABLE t(id int, a int NULL DEFAULT 5, b varchar(9) DEFAULT 'unset')",
    );
    for (options, wanted) in [("", "5|unset"), ("WITH (KEEP_NULLS)", "NULL|unset")] {
        begun(
            &mut session,
            &format!("DELETE t; INSERT BULK t(id int, a int) {options}"),
        );
        let rows = Rows::of(&[int(), int()])
            .row(&[Some(&1i32.to_le_bytes()), None])
            .row(&[Some(&2i32.to_le_bytes()), Some(&6i32.to_le_bytes())]);
        assert_eq!(count(&rows.send(&mut session)), 2);
        assert_eq!(one(&mut session, "SELECT a, b FROM t WHERE id = 1"), wanted);
        assert_eq!(
            one(&mut session, "SELECT a, b FROM t WHERE id = 2"),
            "6|unset"
        );
    }
}

#[test]
fn values_are_converted_and_what_does_not_fit_undoes_the_load() {
    let (_engine, mut session) = session();
    begun(
        &mut session,
        "CREATE TABLE t(d date NOT NULL, n decimal(9,2), s varchar(3))",
    );
    let rows = |texts: [&str; 3]| {
        let texts = texts.map(utf16);
        let cells: Vec<Option<&[u8]>> = texts.iter().map(|t| Some(&t[..])).collect();
        let good = ["2024-02-29", "1", "abc"].map(utf16);
        let first: Vec<Option<&[u8]>> = good.iter().map(|t| Some(&t[..])).collect();
        Rows::of(&[nvarchar(8000), nvarchar(8000), nvarchar(8000)])
            .row(&first)
            .row(&cells)
    };
    let begin = "INSERT BULK t(d nvarchar(4000), n nvarchar(4000), s nvarchar(4000))";
    for (texts, error) in [
        (["2023-02-29", "1", ""], 241),
        (["2023-02-28", "1", "four"], 2628),
        (["2023-02-28", "12345678.9", ""], 8115),
    ] {
        begun(&mut session, begin);
        assert_eq!(rows(texts).send(&mut session).error(), error, "{texts:?}");
        assert_eq!(
            one(&mut session, "SELECT COUNT(*) FROM t"),
            "0",
            "{texts:?}"
        );
    }
    begun(&mut session, begin);
    assert_eq!(
        count(&rows(["1999-12-31", "-2.345", "\u{20ac}"]).send(&mut session)),
        2
    );
    assert_eq!(
        one(&mut session, "SELECT n, s, YEAR(d) FROM t WHERE n < 0")
            .split('|')
            .next(),
        Some("-2.35")
    );

    begun(&mut session, "INSERT BULK t(d date)");
    let null = Rows::of(&[TypeInfo::Date]).row(&[None]);
    assert_eq!(null.send(&mut session).error(), 515);
}

#[test]
fn constraints_are_checked_when_asked_and_never_broken_in_silence() {
    let (_engine, mut session) = session();
    begun(
        &mut session,
        "CREATE TABLE t(id int PRIMARY KEY, v int CHECK (v > 0))",
    );
    let rows = |id: i32, v: i32| {
        Rows::of(&[int(), int()]).row(&[Some(&id.to_le_bytes()), Some(&v.to_le_bytes())])
    };
    for (options, error) in [("WITH (CHECK_CONSTRAINTS)", 547), ("", 40517)] {
        begun(
            &mut session,
            &format!("INSERT BULK t(id int, v int) {options}"),
        );
        assert_eq!(rows(1, -1).send(&mut session).error(), error);
        begun(
            &mut session,
            &format!("DELETE t; INSERT BULK t(id int, v int) {options}"),
        );
        assert_eq!(count(&rows(1, 1).send(&mut session)), 1);
        begun(
            &mut session,
            &format!("INSERT BULK t(id int, v int) {options}"),
        );
        assert_eq!(rows(1, 1).send(&mut session).error(), 2627);
    }
}

#[test]
fn a_load_belongs_to_the_transaction_and_a_cancelled_one_leaves_nothing() {
    let (_engine, mut session) = session();
    begun(
        &mut session,
        "CREATE TABLE t(v int); BEGIN TRAN; INSERT t VALUES (1)",
    );
    let rows = || Rows::of(&[int()]).row(&[Some(&2i32.to_le_bytes())]);
    begun(&mut session, "INSERT BULK t(v int)");
    let answer = load(&mut session, rows().bytes, 7, true);
    assert!(answer.errors.is_empty());
    assert!(answer.dones[0].status.contains(DoneStatus::ERROR));
    assert_eq!(
        one(&mut session, "SELECT COUNT(*), @@TRANCOUNT FROM t"),
        "1|1"
    );
    begun(&mut session, "INSERT BULK t(v int)");
    assert_eq!(count(&rows().send(&mut session)), 1);
    begun(&mut session, "ROLLBACK");
    assert_eq!(one(&mut session, "SELECT COUNT(*) FROM t"), "0");
}

#[test]
fn rights_are_needed() {
    let (_engine, mut session) = session();
    begun(
        &mut session,
        "CREATE TABLE t(id int IDENTITY, v int); CREATE TABLE c(v int CHECK (v > 0));
         CREATE USER writer WITHOUT LOGIN; CREATE USER reader WITHOUT LOGIN;
         ALTER ROLE db_datawriter ADD MEMBER writer; ALTER ROLE db_datareader ADD MEMBER reader",
    );
    for (user, sql, error) in [
        ("writer", "INSERT BULK t(v int)", None),
        (
            "writer",
            "INSERT BULK c(v int) WITH (CHECK_CONSTRAINTS)",
            None,
        ),
        ("writer", "INSERT BULK c(v int)", Some(4902)),
        ("writer", "INSERT BULK t(id int, v int)", Some(4902)),
        ("reader", "INSERT BULK t(v int)", Some(229)),
    ] {
        begun(&mut session, &format!("EXECUTE AS USER = '{user}'"));
        let answer = ask(&mut session, sql);
        assert_eq!(
            answer.errors.first().map(|e| e.number),
            error,
            "{user}: {sql}"
        );
        begun(&mut session, "REVERT");
    }
}

#[test]
fn what_is_no_load_is_told_so_and_the_session_lives_on() {
    let (_engine, mut session) = session();
    begun(&mut session, "CREATE TABLE t(v int)");
    let good = || Rows::of(&[int()]).row(&[Some(&2i32.to_le_bytes())]);
    assert_eq!(good().send(&mut session).error(), 4002);
    let mut short = good();
    short.bytes.pop();
    let mut noise = good();
    noise.bytes.put_slice(b"noise");
    let cases = [
        (short.bytes, 4804),
        (noise.bytes, 4002),
        (vec![1, 2, 3], 4002),
        (Vec::new(), 4804),
        (Rows::of(&[int(), int()]).bytes, 4002),
        (Rows::of(&[nvarchar(8)]).bytes, 4816),
    ];
    for (bytes, error) in cases {
        begun(&mut session, "INSERT BULK t(v int)");
        assert_eq!(load(&mut session, bytes, 5, false).error(), error);
        assert_eq!(one(&mut session, "SELECT COUNT(*) FROM t"), "0");
    }
    // A batch in between takes the announcement back.
    begun(&mut session, "INSERT BULK t(v int)");
    begun(&mut session, "SELECT 1");
    assert_eq!(good().send(&mut session).error(), 4002);
    for (sql, error) in [
        ("INSERT BULK nowhere(v int)", 208),
        ("INSERT BULK t(w int)", 207),
        ("INSERT BULK t(v int) WITH (NOVEL)", 40517),
        ("INSERT BULK t(v geography)", 40517),
    ] {
        assert_eq!(ask(&mut session, sql).error(), error, "{sql}");
    }
}

#[test]
fn fmtonly_shows_columns_and_runs_nothing() {
    let (_engine, mut session) = session();
    begun(
        &mut session,
        "CREATE TABLE t(id int IDENTITY, v varchar(5)); INSERT t VALUES ('x')",
    );
    let answer = ask(
        &mut session,
        "SET FMTONLY ON SELECT * FROM t DELETE t SET FMTONLY OFF SELECT COUNT(*) FROM t",
    );
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    let [(columns, rows), (_, after)] = &answer.results[..] else {
        panic!("two results: {answer:?}");
    };
    assert_eq!(columns.len(), 2);
    assert!(rows.is_empty());
    assert_eq!(after[0], ["1"]);
}

#[test]
fn xml_is_loaded_as_text() {
    let (_engine, mut session) = session();
    begun(&mut session, "CREATE TABLE t(v xml); INSERT BULK t(v xml)");
    let text: Vec<u8> = "<a></a>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let answer = Rows::of(&[nvarchar(0xFFFF)])
        .row(&[Some(&text)])
        .row(&[None])
        .send(&mut session);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    let sql = "SELECT CAST(v AS varchar(9)) FROM t WHERE v IS NOT NULL";
    assert_eq!(one(&mut session, sql), "<a/>");
}
