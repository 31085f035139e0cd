//! mssql-tds, Microsoft's driver for Rust, unmodified, against the emulator.

use std::path::PathBuf;

use judge_rust::{Outcome, emulator, feature, same, tell_version, text};
use mssql_tds::connection::client_context::{ClientContext, TdsAuthenticationMethod};
use mssql_tds::connection::tds_client::{ResultSet, TdsClient};
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::{EncryptionOptions, EncryptionSetting};
use mssql_tds::datatypes::column_values::ColumnValues;
use mssql_tds::datatypes::sql_string::SqlString;
use mssql_tds::datatypes::sqltypes::SqlType;
use mssql_tds::error::Error;
use mssql_tds::message::parameters::rpc_parameters::{RpcParameter, StatusFlags};
use mssql_tds::message::transaction_management::TransactionIsolationLevel;

type Rows = Vec<Vec<ColumnValues>>;
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What all logins ask for.
fn encryption() -> EncryptionSetting {
    match &*text(&emulator(), "encryption") {
        "off" => EncryptionSetting::PreferOff,
        "on" => EncryptionSetting::Required,
        _ => EncryptionSetting::Strict,
    }
}

/// A context that pins the emulator's own certificate; a proxy's is verified by the authorities of
/// OpenSSL, which the test gives by SSL_CERT_FILE.
fn context(mode: EncryptionSetting) -> ClientContext {
    let emulator = emulator();
    let mut context = ClientContext::default();
    context.database = "demo".into();
    context.application_name = "judge".into();
    let pinned = emulator["proxy"] != true;
    context.encryption_options = EncryptionOptions {
        mode,
        trust_server_certificate: false,
        host_name_in_cert: None,
        server_certificate: pinned.then(|| PathBuf::from(text(&emulator, "server_certificate"))),
    };
    context
}

fn password(mode: EncryptionSetting) -> ClientContext {
    let emulator = emulator();
    let mut context = context(mode);
    context.user_name = text(&emulator, "user");
    context.password = text(&emulator, "password");
    context
}

fn token(mode: EncryptionSetting, name: &str) -> ClientContext {
    let mut context = context(mode);
    context.tds_authentication_method = TdsAuthenticationMethod::AccessToken;
    context.access_token = Some(text(&emulator(), name));
    context
}

async fn connect(context: ClientContext) -> Result<TdsClient, Error> {
    let source = format!("tcp:localhost,{}", emulator()["port"]);
    TdsConnectionProvider {}
        .create_client(context, &source, None)
        .await
}

async fn admin() -> Result<TdsClient, Error> {
    connect(password(encryption())).await
}

/// Rows of every result of a batch.
async fn all(client: &mut TdsClient, sql: &str) -> Result<Vec<Rows>, Error> {
    client.execute(sql.to_owned(), ()).await?;
    drain(client).await
}

async fn drain(client: &mut TdsClient) -> Result<Vec<Rows>, Error> {
    let mut results = Vec::new();
    let mut more = client.on_rows() || client.advance_to_rows().await?;
    while more {
        let mut rows = Vec::new();
        while let Some(row) = client.next_row().await? {
            rows.push(row);
        }
        results.push(rows);
        more = client.advance_to_rows().await?;
    }
    client.close_query().await?;
    Ok(results)
}

fn texts(results: Vec<Rows>) -> Vec<Vec<Vec<String>>> {
    let cell = |value: &ColumnValues| match value {
        ColumnValues::String(text) => text.to_utf8_string(),
        ColumnValues::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    results
        .iter()
        .map(|rows| {
            rows.iter()
                .map(|row| row.iter().map(cell).collect())
                .collect()
        })
        .collect()
}

async fn logs_in(context: ClientContext, name: String) -> Outcome {
    let mut client = connect(context).await?;
    let seen = texts(all(&mut client, "SELECT USER_NAME(), DB_NAME()").await?);
    same(seen, vec![vec![vec![name, "demo".into()]]])?;
    client.close_connection().await?;
    Ok(())
}

async fn names() -> Outcome {
    let mut client = admin().await?;
    let seen = texts(all(&mut client, "SELECT USER_NAME(), DB_NAME(), APP_NAME()").await?);
    let user = text(&emulator(), "user_name");
    same(seen, vec![vec![vec![user, "demo".into(), "judge".into()]]])
}

async fn again() -> Outcome {
    for _ in 0..10 {
        let mut client = admin().await?;
        let state = "SELECT @@LOCK_TIMEOUT, @@TRANCOUNT, ISNULL(OBJECT_ID('tempdb..#mine'), 0)";
        let clean = ["-1", "0", "0"].map(str::to_owned).to_vec();
        same(texts(all(&mut client, state).await?), vec![vec![clean]])?;
        all(&mut client, "CREATE TABLE #mine (id int)").await?;
        all(&mut client, "SET LOCK_TIMEOUT 4321").await?;
        same(
            count(&mut client, "SELECT @@LOCK_TIMEOUT").await?,
            "4321".into(),
        )?;
        client.close_connection().await?;
    }
    Ok(())
}

async fn large() -> Outcome {
    let mut client = admin().await?;
    let long = "wörd ".repeat(250_000);
    let value = SqlType::NVarcharMax(Some(SqlString::from_utf8_string(long.clone())));
    let parameter = RpcParameter::new(Some("@a".into()), StatusFlags::NONE, value);
    client
        .execute_sp_executesql("SELECT @a".into(), vec![parameter], ())
        .await?;
    let got = texts(drain(&mut client).await?);
    same(got == vec![vec![vec![long]]], true)
}

/// A proxy's certificate is not for this name.
async fn stranger() -> Outcome {
    let mut context = password(encryption());
    context.encryption_options.host_name_in_cert = Some("elsewhere.example".into());
    match connect(context).await {
        Ok(_) => Err("an error was expected".into()),
        Err(error) => judge_rust::says(&format!("{error:?}").to_lowercase(), "certificate"),
    }
}

async fn results() -> Outcome {
    let mut client = admin().await?;
    let sql = "SELECT 1 AS a; SELECT N'x' WHERE 1 = 0; SELECT 2, N'grüß' UNION ALL SELECT 3, N'日本' ORDER BY 1";
    let text = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
    let want = vec![
        vec![text(&["1"])],
        vec![],
        vec![text(&["2", "grüß"]), text(&["3", "日本"])],
    ];
    same(texts(all(&mut client, sql).await?), want)
}

/// A literal of each type comes back as the type's own value, and NULL as NULL.
async fn types() -> Outcome {
    let mut client = admin().await?;
    let kinds = [
        ("bit", "1", "Bit"),
        ("tinyint", "255", "TinyInt"),
        ("smallint", "-1", "SmallInt"),
        ("int", "7", "Int"),
        ("bigint", "9223372036854775807", "BigInt"),
        ("real", "0.5", "Real"),
        ("float", "0.1", "Float"),
        ("decimal(18,4)", "-12.3456", "Decimal"),
        ("money", "12.5", "Money"),
        ("smallmoney", "-0.5", "SmallMoney"),
        ("char(4)", "'ab'", "String"),
        ("varchar(10)", "'é€'", "String"),
        ("varchar(max)", "'x'", "String"),
        ("nchar(2)", "N'ñ'", "String"),
        ("nvarchar(10)", "N'日本'", "String"),
        ("nvarchar(max)", "N'🙂'", "String"),
        ("binary(4)", "0x0102", "Bytes"),
        ("varbinary(4)", "0x01", "Bytes"),
        ("varbinary(max)", "0xFF", "Bytes"),
        (
            "uniqueidentifier",
            "'6F9619FF-8B86-D011-B42D-00C04FC964FF'",
            "Uuid",
        ),
        ("date", "'2026-11-22'", "Date"),
        ("time(7)", "'13:14:15.1234567'", "Time"),
        ("smalldatetime", "'2026-11-22T13:14:00'", "SmallDateTime"),
        ("datetime", "'2026-11-22T13:14:15.123'", "DateTime"),
        ("datetime2(7)", "'2026-11-22T13:14:15.1234567'", "DateTime2"),
        (
            "datetimeoffset(7)",
            "'2026-11-22 13:14:15.1234567 -05:00'",
            "DateTimeOffset",
        ),
    ];
    let mut faults = Vec::new();
    for (kind, literal, variant) in kinds {
        let sql = format!("SELECT CAST({literal} AS {kind}), CAST(NULL AS {kind})");
        match all(&mut client, &sql).await {
            Ok(results) => {
                let row = &results[0][0];
                let shown = format!("{:?}", row[0]);
                if !shown.starts_with(&format!("{variant}("))
                    || !matches!(row[1], ColumnValues::Null)
                {
                    faults.push(format!("{kind}: {row:?}"));
                }
            }
            Err(error) => faults.push(format!("{kind}: {error}")),
        }
    }
    same(faults, Vec::new())
}

async fn parameters() -> Outcome {
    let mut client = admin().await?;
    let parameter =
        |name: &str, value| RpcParameter::new(Some(name.into()), StatusFlags::NONE, value);
    let text = |text: &str| Some(SqlString::from_utf8_string(text.into()));
    let values = vec![
        parameter("@a", SqlType::Int(Some(41))),
        parameter("@b", SqlType::NVarchar(text("日本 🙂"), 50)),
        parameter("@c", SqlType::NVarcharMax(text(&"ä".repeat(20_000)))),
        parameter("@d", SqlType::VarBinary(Some(vec![0, 255]), 10)),
        parameter("@e", SqlType::Bit(Some(true))),
        parameter("@f", SqlType::Float(Some(0.1))),
        parameter("@g", SqlType::BigInt(None)),
    ];
    let sql = "SELECT @a + 1, @b, @c, @d, @e, @f, @g";
    client.execute_sp_executesql(sql.into(), values, ()).await?;
    let results = drain(&mut client).await?;
    let row = &results[0][0];
    same(
        matches!(&row[..], [
        ColumnValues::Int(42), ColumnValues::String(b), ColumnValues::String(c), ColumnValues::Bytes(d),
        ColumnValues::Bit(true), ColumnValues::Float(f), ColumnValues::Null,
    ] if b.to_utf8_string() == "日本 🙂" && c.to_utf8_string() == "ä".repeat(20_000) && *d == [0, 255] && *f == 0.1),
        true,
    )
}

async fn errors() -> Outcome {
    let mut client = admin().await?;
    for (sql, number) in [
        ("SELECT 1 / 0", 8134),
        ("SELECT * FROM nothing", 208),
        ("THROW 50123, 'thrown', 4", 50123),
    ] {
        same(
            number_of(all(&mut client, sql).await.map(drop)),
            Some(number),
        )?;
        let _ = client.close_query().await;
        same(
            texts(all(&mut client, "SELECT 1").await?),
            vec![vec![vec!["1".into()]]],
        )?;
    }
    Ok(())
}

fn number_of(outcome: Result<(), Error>) -> Option<u32> {
    match outcome {
        Err(Error::SqlServerError { diagnostics }) => diagnostics.errors.first().map(|e| e.number),
        _ => None,
    }
}

async fn count(client: &mut TdsClient, sql: &str) -> Fallible<String> {
    let results = texts(all(client, sql).await?);
    Ok(results
        .first()
        .and_then(|rows| rows.first())
        .and_then(|row| row.first())
        .cloned()
        .ok_or("no row")?)
}

async fn transactions() -> Outcome {
    let mut client = admin().await?;
    all(&mut client, "CREATE TABLE #t (a int)").await?;
    client
        .begin_transaction(TransactionIsolationLevel::Serializable, None)
        .await?;
    all(&mut client, "INSERT #t VALUES (1)").await?;
    client.save_transaction("half".into()).await?;
    all(&mut client, "INSERT #t VALUES (2)").await?;
    client
        .rollback_transaction(Some("half".into()), None)
        .await?;
    client.commit_transaction(None, None).await?;
    same(
        count(&mut client, "SELECT COUNT(*) FROM #t").await?,
        "1".into(),
    )?;
    client
        .begin_transaction(TransactionIsolationLevel::ReadCommitted, None)
        .await?;
    all(&mut client, "DELETE #t").await?;
    client.rollback_transaction(None, None).await?;
    same(
        count(&mut client, "SELECT COUNT(*) FROM #t").await?,
        "1".into(),
    )?;
    same(count(&mut client, "SELECT @@TRANCOUNT").await?, "0".into())
}

async fn cancel() -> Outcome {
    let mut client = admin().await?;
    all(&mut client, "CREATE TABLE #n (n int NOT NULL); INSERT #n SELECT v FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) AS x(v)").await?;
    for power in [10, 100, 1000] {
        let sql = format!(
            "INSERT #n SELECT a.n + {power} * b.n FROM #n AS a CROSS JOIN (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9)) AS b(n)"
        );
        all(&mut client, &sql).await?;
    }
    client
        .execute(
            "SELECT a.n FROM #n AS a CROSS JOIN #n AS b CROSS JOIN #n AS c".into(),
            (),
        )
        .await?;
    for _ in 0..1000 {
        client.next_row().await?.ok_or("a row was expected")?;
    }
    client.cancel_query(20).await?;
    same(
        count(&mut client, "SELECT COUNT(*) FROM #n").await?,
        "10000".into(),
    )
}

async fn refused(context: ClientContext) -> Outcome {
    match connect(context).await {
        Ok(_) => Err("an error was expected".into()),
        Err(error) => same(number_of(Err(error)), Some(18456)),
    }
}

#[tokio::main]
async fn main() {
    use EncryptionSetting::{Required, Strict};
    tell_version("mssql-tds");
    let identity = text(&emulator()["identities"][0], "name");
    feature("Names of user, database and application", names()).await;
    feature("A new connection again and again", again()).await;
    feature("Values of more than 1 MB", large()).await;
    if emulator()["proxy"] == true {
        feature("A certificate for another name", stranger()).await;
    }
    feature("SQL login", logs_in(password(Required), "dbo".into())).await;
    feature(
        "SQL login over TDS 8.0",
        logs_in(password(Strict), "dbo".into()),
    )
    .await;
    feature(
        "Access token",
        logs_in(token(Required, "token"), identity.clone()),
    )
    .await;
    feature(
        "Access token over TDS 8.0",
        logs_in(token(Strict, "token"), identity),
    )
    .await;
    feature("Several results of a batch", results()).await;
    feature("Values of every type, and NULL", types()).await;
    feature("Parameters", parameters()).await;
    feature("Errors, after which the connection lives on", errors()).await;
    feature("Transactions and savepoints", transactions()).await;
    feature("Cancel in the middle of a result", cancel()).await;
    let mut wrong = password(Required);
    wrong.password = "wrong".into();
    feature("A wrong password", refused(wrong)).await;
    feature(
        "A token that has expired",
        refused(token(Required, "expired_token")),
    )
    .await;
}
