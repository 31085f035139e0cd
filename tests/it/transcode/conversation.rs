//! Parameters, errors, transactions and bulk loads of clients of all versions.

use entrada::tds::PacketType;

use super::answer::{Done, Tok};
use super::answers::same;
use super::bytes::utf16;
use super::client::{Client, no_error};
use super::differential::Clients;
use super::parameters::{Declared, byte, collated, declared};
use super::requests::renewed;
use super::samples::{filled, long, short};
use super::show::View;
use super::types::{Collation, Ty, id};
use super::write::{Param, Procedure, bulk, headers, nvarchar};

/// A call of sp_executesql.
fn execute(
    collation: Collation,
    sql: &str,
    params: &str,
    values: Vec<Param>,
) -> (Procedure, Vec<Param>) {
    let text = |text| {
        let (ty, value) = nvarchar(collation, text);
        Param {
            name: String::new(),
            output: false,
            ty,
            value,
        }
    };
    let mut all = vec![text(sql), text(params)];
    all.extend(values);
    (Procedure::Id(10), all)
}

async fn compare_calls(
    clients: &mut Clients,
    at: usize,
    list: &[(Procedure, Vec<Param>)],
    what: &str,
) {
    let new: Vec<_> = list
        .iter()
        .map(|(procedure, params)| (procedure.clone(), params.iter().map(renewed).collect()))
        .collect();
    let original = clients.newest.call(&new).await;
    no_error(&original, what);
    let client = &mut clients.others[at];
    let shown = client.call(list).await;
    let view = View {
        collation: clients.newest.collation,
        ..client.view()
    };
    same(
        &format!("{:?}: {what}", client.version),
        &shown,
        &view.of(&original),
    );
}

#[tokio::test]
async fn parameters_of_each_type_come_back() {
    let mut clients = Clients::start().await;
    let collation = clients.newest.collation;
    for at in 0..clients.others.len() {
        let declared = declared(clients.others[at].version, collation);
        for one in &declared {
            let length = one.value.as_ref().map(Vec::len);
            let what = format!("{} as {:?} of {length:?}", one.sql, one.ty);
            let list = format!("@v {}", one.sql);
            let echo = execute(
                collation,
                "SELECT @v AS v, 1 AS one",
                &list,
                vec![one.param("@v")],
            );
            compare_calls(&mut clients, at, &[echo], &what).await;
            if matches!(one.ty, Ty::Long { .. }) {
                continue;
            }
            let list = format!("@v {0}, @o {0} OUTPUT", one.sql);
            let null = Param {
                output: true,
                value: one
                    .value
                    .as_ref()
                    .filter(|_| matches!(one.ty, Ty::Fixed(_)))
                    .cloned(),
                ..one.param("@o")
            };
            let set = execute(collation, "SET @o = @v", &list, vec![one.param("@v"), null]);
            compare_calls(&mut clients, at, &[set], &what).await;
        }
    }
}

#[tokio::test]
async fn several_calls_are_told_apart() {
    let mut clients = Clients::start().await;
    let collation = clients.newest.collation;
    for at in 0..clients.others.len() {
        let int = Declared::new("int", byte(id::INTN, 4), Some(filled(4)));
        let call = |sql| execute(collation, sql, "@v int", vec![int.param("@v")]);
        let list = [
            call("SELECT @v"),
            call("SELECT @v + 1; SELECT 2"),
            call("PRINT 'x'"),
        ];
        compare_calls(&mut clients, at, &list, "three calls").await;
    }
}

#[tokio::test]
async fn statements_have_the_same_answers_at_each_version() {
    let mut clients = Clients::start().await;
    clients
        .newest
        .run("CREATE TABLE dbo.counted (a int PRIMARY KEY, r rowversion)")
        .await;
    for sql in [
        "SELECT 1",
        "",
        "PRINT N'h\u{e4}'",
        "SELECT 1/0",
        "\n\n\n  SELECT nothing FROM nowhere",
        "RAISERROR('told', 16, 3)",
        "RAISERROR('asked', 10, 3) WITH NOWAIT; SELECT 1",
        "\n\nTHROW 50001, 'thrown', 7",
        "SELECT 1 AS a; SELECT CAST('2020-01-01' AS date) AS d WHERE 1 = 0; PRINT 'x'; SELECT 'b'",
        "SELECT a, r FROM dbo.counted",
        "SELECT NULL AS n, CAST(NULL AS varchar(max)) AS m, CAST(NULL AS datetime2) AS d",
        "DECLARE @t TABLE (a int); INSERT INTO @t VALUES (1), (2); SELECT a FROM @t; DELETE FROM @t",
        "USE shop",
        "SET NOCOUNT ON; SELECT 1; SET NOCOUNT OFF",
        "EXEC sp_executesql N'SELECT 1 AS x'",
        "syntax error here",
        "SELECT CAST('x' AS int)",
        "SELECT CAST(SYSDATETIME() AS date) AS today WHERE 1 = 0",
    ] {
        clients.compare(sql).await;
    }
}

/// The only value of an answer.
fn value(tokens: &[Tok]) -> Vec<u8> {
    no_error(tokens, "a value");
    let rows = tokens.iter().filter_map(|token| match token {
        Tok::Row(values) => values[0].clone(),
        _ => None,
    });
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), 1, "{tokens:?}");
    rows.into_iter().next().unwrap()
}

async fn count(client: &mut Client) -> i32 {
    let tokens = client
        .batch("SELECT COUNT(*) * 10 + @@TRANCOUNT FROM dbo.tran1")
        .await;
    i32::from_le_bytes(value(&tokens)[..].try_into().unwrap())
}

#[tokio::test]
async fn transactions_end_as_they_are_told_to() {
    let mut clients = Clients::start().await;
    clients.newest.run("CREATE TABLE dbo.tran1 (a int)").await;
    for client in &mut clients.others {
        let insert = "INSERT INTO dbo.tran1 VALUES (1)";
        client.run("BEGIN TRAN").await;
        assert_eq!(client.descriptor != 0, client.version.has_max());
        client.run(insert).await;
        assert_eq!(count(client).await, 11, "{:?}", client.version);
        client.run("ROLLBACK").await;
        assert_eq!((count(client).await, client.descriptor), (0, 0));
        client
            .run("BEGIN TRAN; INSERT INTO dbo.tran1 VALUES (1)")
            .await;
        let call = execute(client.collation, insert, "", vec![]);
        no_error(&client.call(&[call]).await, "a call in a transaction");
        client.run("COMMIT").await;
        assert_eq!(count(client).await, 20, "{:?}", client.version);
        client.run("DELETE FROM dbo.tran1").await;
    }
}

/// A request of the transaction manager.
async fn manage(client: &mut Client, request: &[u8]) {
    let payload = [&headers(client.version, client.descriptor), request].concat();
    client.send(PacketType::TRANSACTION_MANAGER, &payload).await;
    no_error(&client.answer().await, "the transaction manager");
}

#[tokio::test]
async fn the_transaction_manager_serves_all_that_know_it() {
    let mut clients = Clients::start().await;
    clients.newest.run("CREATE TABLE dbo.tran1 (a int)").await;
    for client in clients
        .others
        .iter_mut()
        .filter(|client| client.version.has_max())
    {
        let begin = [5, 0, 2, 0];
        manage(client, &begin).await;
        assert_ne!(client.descriptor, 0);
        client.run("INSERT INTO dbo.tran1 VALUES (1)").await;
        manage(client, &[9, 0, 2, b's', 0]).await;
        client.run("INSERT INTO dbo.tran1 VALUES (2)").await;
        manage(client, &[8, 0, 2, b's', 0, 0]).await;
        assert_eq!(count(client).await, 11, "{:?}", client.version);
        manage(client, &[7, 0, 0, 0]).await;
        assert_eq!((count(client).await, client.descriptor), (10, 0));
        manage(client, &begin).await;
        client.run("DELETE FROM dbo.tran1").await;
        manage(client, &[8, 0, 0, 0]).await;
        assert_eq!((count(client).await, client.descriptor), (10, 0));
        client.run("DELETE FROM dbo.tran1").await;
    }
}

/// The columns of a table for bulk loads.
const LOADED: &str =
    "(a int, n nvarchar(40), t ntext, i image, v varchar(8000), g uniqueidentifier, f float)";

fn loaded_columns(collation: Collation) -> Vec<(String, Ty)> {
    [
        ("a", byte(id::INTN, 4)),
        ("n", short(id::NVARCHAR, 80)),
        ("t", long(id::NTEXT)),
        ("i", long(id::IMAGE)),
        ("v", short(id::VARCHAR, 8000)),
        ("g", byte(id::GUID, 16)),
        ("f", byte(id::FLTN, 8)),
    ]
    .map(|(name, ty)| (name.to_owned(), collated(ty, collation)))
    .into()
}

fn loaded_row(number: i32, size: usize) -> Vec<Option<Vec<u8>>> {
    let null = |value: Vec<u8>| (size % 7 != 3).then_some(value);
    vec![
        Some(number.to_le_bytes().into()),
        null(utf16("\u{e4}b")),
        null(utf16(&"c".repeat(size))),
        null(filled(size)),
        null(vec![b'v'; size.min(8000)]),
        null(filled(16)),
        null(2.5_f64.to_le_bytes().into()),
    ]
}

#[tokio::test]
async fn rows_loaded_in_bulk_are_read_back() {
    let mut clients = Clients::start().await;
    let columns = loaded_columns(clients.newest.collation);
    let sizes = [0, 1, 3, 255, 8000, 100_000, 10];
    let rows = (0..).zip(sizes);
    let rows: Vec<_> = rows
        .map(|(number, size)| loaded_row(number, size))
        .collect();
    for at in 0..clients.others.len() {
        let table = format!("dbo.bulk{at}");
        let create = format!("CREATE TABLE {table} {LOADED}");
        clients.newest.run(&create).await;
        let client = &mut clients.others[at];
        client.run(&format!("INSERT BULK {table} {LOADED}")).await;
        let payload = bulk(client.version, &columns, &rows);
        client.send(PacketType::BULK_LOAD, &payload).await;
        let answer = client.answer().await;
        no_error(&answer, "a bulk load");
        let Some(Tok::Done(done)) = answer.last() else {
            panic!("{answer:?}")
        };
        assert_eq!((done.status & Done::COUNT, done.count), (Done::COUNT, 7));
        let sql = format!("SELECT * FROM {table} ORDER BY a");
        let read = clients.newest.run(&sql).await.into_iter();
        let read = read.filter_map(|token| match token {
            Tok::Row(values) => Some(values),
            _ => None,
        });
        let same = read.eq(rows.iter().cloned());
        assert!(same, "{:?}", clients.others[at].version);
        clients.compare(&sql).await;
    }
}

#[tokio::test]
async fn a_cancelled_result_leaves_the_session_in_step() {
    let mut clients = Clients::start().await;
    for client in &mut clients.others {
        let sql = "WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
            SELECT i, CAST('2000-01-01' AS datetime2) AS d FROM n OPTION (MAXRECURSION 0)";
        let payload = super::write::batch(client.version, 0, sql);
        client.send(PacketType::SQL_BATCH, &payload).await;
        client.send(PacketType::ATTENTION, &[]).await;
        loop {
            let tokens = client.answer().await;
            let Some(Tok::Done(done)) = tokens.last() else {
                panic!("{tokens:?}")
            };
            if done.status & Done::ATTN != 0 {
                break;
            }
        }
        let after = client.batch("SELECT CAST(7 AS int)").await;
        assert_eq!(value(&after), [7, 0, 0, 0]);
    }
}
