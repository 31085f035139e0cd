//! RPC requests: procedures by number and name, parameters in any order, what comes back.

use entrada::emulator::EngineSession;
use entrada::tds::{
    Collation, DoneKind, DoneStatus, Message, PacketType, Place, Put, Token, TypeId, TypeInfo,
};

use super::answer::{Answer, ask, message, one, send, session};

const EXECUTESQL: u16 = 10;
const PREPARE: u16 = 11;
const EXECUTE: u16 = 12;
const PREPEXEC: u16 = 13;

/// Calls under construction.
#[derive(Default)]
struct Calls(Vec<u8>);

impl Calls {
    fn id(mut self, id: u16) -> Self {
        self.0.put_u16_le(u16::MAX);
        self.0.put_u16_le(id);
        self.0.put_u16_le(0);
        self
    }

    fn named(mut self, name: &str) -> Self {
        self.0.put_us_varchar("name", name).unwrap();
        self.0.put_u16_le(0);
        self
    }

    fn param(mut self, name: &str, status: u8, info: &TypeInfo, value: Option<&[u8]>) -> Self {
        self.0.put_b_varchar("name", name).unwrap();
        self.0.put_u8(status);
        info.encode(Place::Parameter, &mut self.0).unwrap();
        info.write_value(Place::Parameter, value, &mut self.0)
            .unwrap();
        self
    }

    fn text(self, name: &str, text: &str) -> Self {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.param(name, 0, &nvarchar(8000), Some(&bytes))
    }

    fn int(self, name: &str, status: u8, value: Option<i32>) -> Self {
        let bytes = value.map(i32::to_le_bytes);
        self.param(name, status, &int(), bytes.as_ref().map(|b| &b[..]))
    }

    fn separator(mut self, byte: u8) -> Self {
        self.0.put_u8(byte);
        self
    }

    fn message(self) -> Message {
        message(PacketType::RPC, &self.0)
    }

    fn send(self, session: &mut EngineSession) -> Answer {
        send(session, &self.message())
    }
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

fn executesql(sql: &str, params: &str) -> Calls {
    Calls::default()
        .id(EXECUTESQL)
        .text("", sql)
        .text("", params)
}

#[test]
fn parameters_come_by_name_in_any_order() {
    let (_engine, mut session) = session();
    let answer = Calls::default()
        .named("[sys].sp_executesql")
        .text("@params", "@a int, @b int")
        .text("@stmt", "SELECT @a - @b")
        .int("@b", 0, Some(1))
        .int("@A", 0, Some(10))
        .send(&mut session);
    assert_eq!(answer.rows(), [["9"]]);
}

#[test]
fn wrong_parameters_are_told_apart() {
    let (_engine, mut session) = session();
    let sql = "SELECT @a";
    let call = || executesql(sql, "@a int");
    let varchar = TypeInfo::ShortLen {
        id: TypeId::BIGVARCHR,
        max: 10,
        collation: Some(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS),
    };
    let cases = [
        (call(), 8178),
        (call().int("", 2, None), 8178),
        (call().int("", 0, None).int("", 0, None), 8144),
        (call().int("@b", 0, None), 8145),
        (call().int("@a", 0, None).int("@a", 0, None), 8143),
        (call().int("@a", 1, None), 8162),
        (call().int("@a", 8, None), 40517),
        (Calls::default().id(EXECUTESQL), 201),
        (
            Calls::default()
                .id(EXECUTESQL)
                .param("", 0, &varchar, Some(b"SELECT 1")),
            214,
        ),
        (Calls::default().named("sp_novel"), 2812),
        (Calls::default().id(99), 2812),
        (Calls::default().id(2), 40517),
        (Calls::default().id(14), 201),
        (Calls::default().named("sp_describe_first_result_set"), 201),
        (Calls::default().named("sp_cursoropen"), 40517),
    ];
    for (index, (call, error)) in cases.into_iter().enumerate() {
        assert_eq!(call.send(&mut session).error(), error, "case {index}");
    }
    // A table-valued parameter, as far as its type byte.
    let mut table = call();
    table.0.put_slice(&[2, b'@', 0, b'a', 0, 0, 0xF3, 0, 0, 0]);
    let answer = table.send(&mut session);
    assert!(answer.errors[0].message.contains("table-valued"));
    assert_eq!(one(&mut session, "SELECT 1"), "1");
}

#[test]
fn outputs_come_back_in_the_types_of_the_caller_large_ones_last() {
    let (_engine, mut session) = session();
    let bigint = TypeInfo::ByteLen {
        id: TypeId::INTN,
        max: 8,
    };
    let decimal = TypeInfo::Decimal {
        id: TypeId::DECIMALN,
        max: 17,
        precision: 38,
        scale: 3,
    };
    let answer = executesql(
        "SELECT @l = REPLICATE(CAST('x' AS varchar(max)), 9000), @i = @i * 2, @d = 1.5, @n = NULL",
        "@l nvarchar(max) OUTPUT, @i int OUTPUT, @d decimal(9,1) OUTPUT, @n int OUTPUT",
    )
    .param("@l", 1, &nvarchar(u16::MAX), None)
    .param("@i", 1, &bigint, Some(&21i64.to_le_bytes()))
    .param("@d", 1, &decimal, None)
    .int("@n", 1, Some(1))
    .send(&mut session);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    let told = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        answer.outputs,
        [
            told("@i", "42"),
            told("@d", "1.500"),
            told("@n", "NULL"),
            told("@l", &"x".repeat(9000))
        ]
    );
    assert!(answer.tokens.contains(&Token::ReturnStatus(0)));
}

#[test]
fn calls_of_one_request_are_answered_one_by_one() {
    let (_engine, mut session) = session();
    ask(&mut session, "CREATE TABLE t(v int)");
    let insert = |calls: Calls, value| {
        calls
            .id(EXECUTESQL)
            .text("", "INSERT t VALUES (@v)")
            .text("", "@v int")
            .int("", 0, Some(value))
    };
    let calls = insert(Calls::default(), 1).separator(0xFF);
    let calls = insert(calls, 2).separator(0xFE);
    let calls = insert(calls, 3).separator(0x80);
    let answer = insert(calls, 4).separator(0xFF).send(&mut session);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    let ends: Vec<DoneStatus> = answer
        .dones
        .iter()
        .filter(|d| d.kind == DoneKind::DoneProc)
        .map(|d| d.status)
        .collect();
    let between = DoneStatus(DoneStatus::RPCINBATCH.0 | DoneStatus::MORE.0);
    assert_eq!(ends, [between, between, DoneStatus::FINAL]);
    // The call before 0xFE does not run.
    assert_eq!(one(&mut session, "SELECT SUM(v), COUNT(*) FROM t"), "8|3");
}

#[test]
fn preparing_shows_columns_to_those_who_ask() {
    let (_engine, mut session) = session();
    ask(
        &mut session,
        "CREATE TABLE t(id int NOT NULL, v nvarchar(7))",
    );
    let prepare = |sql: &str, options: i32| {
        Calls::default()
            .id(PREPARE)
            .int("", 1, None)
            .text("", "@p int")
            .text("", sql)
            .int("", 0, Some(options))
    };
    let sql = "SELECT v, id + @p AS n, COALESCE(@p, 1) FROM t WHERE id > @p";
    let answer = prepare(sql, 1).send(&mut session);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    let (columns, rows) = &answer.results[0];
    let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!((names, rows.len()), (vec!["v", "n", ""], 0));
    assert_eq!(columns[0].type_info, nvarchar(14));
    assert_eq!(columns[1].type_info, int());
    let handle: i32 = answer.outputs[0].1.parse().unwrap();
    ask(&mut session, "INSERT t VALUES (5, N'five')");
    let answer = Calls::default()
        .id(EXECUTE)
        .int("@handle", 0, Some(handle))
        .int("@p", 0, Some(2))
        .send(&mut session);
    assert_eq!(answer.rows(), [["five", "7", "2"]]);

    assert!(prepare(sql, 0).send(&mut session).results.is_empty());
    assert!(
        prepare("INSERT t VALUES (@p, NULL)", 1)
            .send(&mut session)
            .errors
            .is_empty()
    );
    for (sql, error) in [
        ("SELECT FROM", 156),
        ("SELECT nothing FROM t", 207),
        ("SELECT * FROM x", 208),
    ] {
        let answer = prepare(sql, 1).send(&mut session);
        let numbers: Vec<i32> = answer.errors.iter().map(|e| e.number).collect();
        assert_eq!(numbers, [error, 8180], "{sql}");
        assert!(answer.outputs.is_empty());
    }
}

#[test]
fn a_statement_that_cannot_be_prepared_gets_no_handle() {
    let (_engine, mut session) = session();
    let prepexec = |sql: &str| {
        Calls::default()
            .id(PREPEXEC)
            .int("", 1, None)
            .text("", "@p int")
            .text("", sql)
            .int("", 0, Some(0))
    };
    let answer = prepexec("SELECT * FROM nowhere WHERE v = @p").send(&mut session);
    let numbers: Vec<i32> = answer.errors.iter().map(|e| e.number).collect();
    assert_eq!(numbers, [208, 8180]);
    assert!(answer.outputs.is_empty());
    // An error of its run does not undo the preparation.
    let answer = prepexec("SELECT 1 / @p").send(&mut session);
    assert_eq!(answer.error(), 8134);
    assert_eq!(answer.outputs.len(), 1);
}

#[test]
fn procedures_by_name_are_those_of_exec() {
    let (_engine, mut session) = session();
    ask(&mut session, "CREATE USER u WITHOUT LOGIN; CREATE ROLE r");
    let answer = Calls::default()
        .named("dbo.sp_addrolemember")
        .text("@rolename", "r")
        .text("@membername", "u")
        .send(&mut session);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    assert!(answer.tokens.contains(&Token::ReturnStatus(0)));
    assert_eq!(
        one(
            &mut session,
            "SELECT COUNT(*) FROM sys.database_role_members WHERE member_principal_id = USER_ID('u')"
        ),
        "1"
    );
}

#[test]
fn old_types_and_typeless_nulls_are_read() {
    let (_engine, mut session) = session();
    let old = |id, max| TypeInfo::ByteLen { id, max };
    let answer = executesql(
        "SELECT @a, @b, @c",
        "@a varchar(9), @b varbinary(9), @c int",
    )
    .param("", 0, &old(TypeId::VARCHAR, 9), Some(b"old"))
    .param("", 0, &old(TypeId::VARBINARY, 9), Some(&[1, 2]))
    .param("", 0, &TypeInfo::Fixed(TypeId::NULL), None)
    .send(&mut session);
    assert_eq!(answer.rows(), [["old", "0102", "NULL"]]);
}

#[test]
fn a_value_of_unknown_length_comes_in_chunks() {
    let (_engine, mut session) = session();
    let mut calls = executesql("SELECT DATALENGTH(@v), @v", "@v varbinary(max)");
    calls.0.put_slice(&[0, 0, TypeId::BIGVARBIN.0, 0xFF, 0xFF]);
    calls.0.put_u64_le(0xFFFF_FFFF_FFFF_FFFE);
    for chunk in [&[1, 2, 3][..], &[4], &[]] {
        calls.0.put_l_varbyte("chunk", chunk).unwrap();
    }
    assert_eq!(calls.send(&mut session).rows(), [["4", "01020304"]]);
}

#[test]
fn requests_of_the_transaction_manager_nest_chain_and_refuse_what_azure_lacks() {
    let (_engine, mut session) = session();
    let mut request = |bytes: &[u8]| {
        send(
            &mut session,
            &message(PacketType::TRANSACTION_MANAGER, bytes),
        )
    };
    let name = [4, b's', 0, b'p', 0];
    assert!(request(&[5, 0, 4, 0]).errors.is_empty());
    assert!(request(&[&[9, 0][..], &name].concat()).errors.is_empty());
    assert!(
        request(&[&[8, 0][..], &name, &[0]].concat())
            .errors
            .is_empty()
    );
    // Commit, and begin anew with another isolation level.
    let answer = request(&[7, 0, 0, 1, 2, 0]);
    let changes = answer
        .tokens
        .iter()
        .filter(|t| matches!(t, Token::EnvChange(_)));
    assert_eq!(changes.count(), 2);
    assert_eq!(request(&[8, 0, 2, b'x', 0, 0]).error(), 6401);
    assert!(request(&[8, 0, 0, 0]).errors.is_empty());
    assert_eq!(request(&[8, 0, 0, 0]).error(), 3903);
    assert_eq!(request(&[7, 0, 0, 0]).error(), 3902);
    for kind in [0, 1, 6, 77] {
        assert_eq!(request(&[kind, 0, 0, 0]).error(), 40517);
    }
    assert_eq!(request(&[5]).error(), 4002);
    assert_eq!(one(&mut session, "SELECT @@TRANCOUNT"), "0");
}

#[test]
fn a_procedure_call_is_prepared() {
    let (_engine, mut session) = session();
    ask(
        &mut session,
        "CREATE USER u WITHOUT LOGIN; CREATE ROLE r; CREATE ROLE s",
    );
    let answer = Calls::default()
        .id(14)
        .int("", 1, None)
        .text("", "{call sp_addrolemember(?, ?)}")
        .text("", "r")
        .text("", "u")
        .send(&mut session);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    let handle = answer.outputs[0].1.parse().unwrap();
    let answer = Calls::default()
        .id(EXECUTE)
        .int("", 0, Some(handle))
        .text("", "s")
        .text("", "u")
        .send(&mut session);
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    let roles =
        "SELECT COUNT(*) FROM sys.database_role_members WHERE member_principal_id = USER_ID('u')";
    assert_eq!(one(&mut session, roles), "2");
}

#[test]
fn undeclared_parameters_take_the_types_beside_them() {
    let (_engine, mut session) = session();
    ask(
        &mut session,
        "CREATE TABLE t(id int IDENTITY, n nvarchar(7), d decimal(9,2), v varbinary(max), w varchar(3))",
    );
    let mut types = |sql: &str| {
        let answer = Calls::default()
            .named("sp_describe_undeclared_parameters")
            .text("@tsql", sql)
            .send(&mut session);
        match answer.errors.first() {
            Some(error) => error.number.to_string(),
            None => {
                let rows = answer.rows();
                let columns = answer.results[0].0.len();
                assert_eq!(columns, 24);
                rows.iter()
                    .map(|row| row[3].clone())
                    .collect::<Vec<_>>()
                    .join(" ")
            }
        }
    };
    let cases = [
        (
            "INSERT t(v, n) VALUES (@P1, @P2)",
            "varbinary(max) nvarchar(7)",
        ),
        (
            "INSERT INTO t VALUES (@P1, @P2, @P3, @P4)",
            "nvarchar(7) decimal(9,2) varbinary(max) varchar(3)",
        ),
        (
            "UPDATE t SET n = @P1, d = d + @P2 WHERE id = @P3",
            "nvarchar(7) decimal(9,2) int",
        ),
        (
            "UPDATE x SET n = @P1 FROM t AS x WHERE x.w LIKE @P2",
            "nvarchar(7) varchar(8000)",
        ),
        (
            "DELETE FROM t WHERE id IN (@P1, @P2) AND d BETWEEN @P3 AND @P4",
            "int int decimal(9,2) decimal(9,2)",
        ),
        (
            "SELECT * FROM t a JOIN t b ON a.id = b.id WHERE @P1 = b.n AND 1.5 < @P2",
            "nvarchar(7) numeric(2,1)",
        ),
        (
            "SELECT CAST(@P1 AS datetime2(3)), 1 FROM t WHERE id = (@P2)",
            "datetime2(3) int",
        ),
        ("SELECT 1", ""),
        ("SELECT @P1", "40517"),
        ("SELECT 1 FROM t WHERE id = @P1 OR id = @P1", "11502"),
        ("SELECT FROM", "156"),
    ];
    for (sql, wanted) in cases {
        assert_eq!(types(sql), wanted, "{sql}");
    }
}
