//! tiberius, unmodified and with its own TLS, against the emulator.

use judge_rust::{Outcome, emulator, feature, same, says, tell_version, text};
use tiberius::{
    AuthMethod, Client, Config, EncryptionLevel, IntoRow, Query, Uuid, numeric::Numeric,
};
use time::macros::{date, datetime, time};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

type Connection = Client<Compat<TcpStream>>;

fn config(auth: AuthMethod) -> Config {
    let emulator = emulator();
    let mut config = Config::new();
    config.host("localhost");
    config.port(u16::try_from(emulator["port"].as_u64().expect("port")).expect("a port"));
    config.database("demo");
    config.application_name("judge");
    config.encryption(encryption());
    config.trust_cert_ca(text(&emulator, "ca"));
    config.authentication(auth);
    config
}

/// What all logins ask for.
fn encryption() -> EncryptionLevel {
    match &*text(&emulator(), "encryption") {
        "off" => EncryptionLevel::NotSupported,
        "on" => EncryptionLevel::Required,
        _ => EncryptionLevel::Strict,
    }
}

fn password() -> AuthMethod {
    let emulator = emulator();
    AuthMethod::sql_server(text(&emulator, "user"), text(&emulator, "password"))
}

fn token(name: &str) -> AuthMethod {
    AuthMethod::aad_token(text(&emulator(), name))
}

async fn connect(config: Config) -> tiberius::Result<Connection> {
    let tcp = TcpStream::connect((
        "127.0.0.1",
        config
            .get_addr()
            .rsplit(':')
            .next()
            .and_then(|p| p.parse().ok())
            .unwrap_or(0),
    ))
    .await?;
    tcp.set_nodelay(true)?;
    Client::connect(config, tcp.compat_write()).await
}

async fn logs_in(config: Config, name: &str) -> Outcome {
    let mut client = connect(config).await?;
    let row = client
        .simple_query("SELECT USER_NAME(), DB_NAME()")
        .await?
        .into_row()
        .await?;
    let row = row.ok_or("no row")?;
    same(
        (row.get::<&str, _>(0), row.get::<&str, _>(1)),
        (Some(name), Some("demo")),
    )
}

async fn refused(config: Config, number: u32) -> Outcome {
    match connect(config).await {
        Ok(_) => Err("an error was expected".into()),
        Err(error) => same(error.code(), Some(number)),
    }
}

/// The value comes back as it went, and so does NULL.
macro_rules! round_trip {
    ($client:expr, $($type:ty: $value:expr),* $(,)?) => {$({
        let value: $type = $value;
        let row = $client.query("SELECT @P1, @P2", &[&value, &Option::<$type>::None]).await?.into_row().await?;
        let row = row.ok_or("no row")?;
        same(row.try_get::<$type, _>(0)?, Some(value))?;
        same(row.try_get::<$type, _>(1)?, None)?;
    })*};
}

async fn types() -> Outcome {
    let mut client = connect(config(password())).await?;
    round_trip!(client,
        bool: true, u8: 255, i16: i16::MIN, i32: i32::MIN, i64: i64::MIN, f32: 0.1, f64: f64::MAX,
        &str: "日本 🙂", &[u8]: &[0, 255],
        Uuid: Uuid::from_u128(0x6f96_19ff_8b86_d011_b42d_00c0_4fc9_64ff),
        Numeric: Numeric::new_with_scale(-1_234_567, 4),
        time::Date: date!(2026 - 11 - 22), time::Time: time!(13:14:15.1234567),
        time::PrimitiveDateTime: datetime!(2026-11-22 13:14:15.1234567),
        time::OffsetDateTime: datetime!(2026-11-22 13:14:15.1234567 -05:00),
    );
    let long = "ä".repeat(100_000);
    let row = client
        .query("SELECT @P1", &[&long.as_str()])
        .await?
        .into_row()
        .await?;
    same(
        row.ok_or("no row")?.get::<&str, _>(0) == Some(long.as_str()),
        true,
    )
}

async fn names() -> Outcome {
    let mut client = connect(config(password())).await?;
    let row = client
        .simple_query("SELECT USER_NAME(), DB_NAME(), APP_NAME()")
        .await?
        .into_row()
        .await?
        .ok_or("no row")?;
    let user = text(&emulator(), "user_name");
    let wanted = [Some(&*user), Some("demo"), Some("judge")];
    same([0, 1, 2].map(|at| row.get::<&str, _>(at)), wanted)
}

async fn again() -> Outcome {
    for _ in 0..10 {
        let mut client = connect(config(password())).await?;
        let mine = "SELECT COUNT(OBJECT_ID('tempdb..#mine')) + @@TRANCOUNT";
        same(count(&mut client, mine).await?, 0)?;
        same(count(&mut client, "SELECT @@LOCK_TIMEOUT").await?, -1)?;
        client
            .simple_query("CREATE TABLE #mine (id int); SET LOCK_TIMEOUT 4321")
            .await?
            .into_results()
            .await?;
        same(count(&mut client, "SELECT @@LOCK_TIMEOUT").await?, 4321)?;
        client.close().await?;
    }
    Ok(())
}

/// What pysqlbridge can do, a server of a part of T-SQL over a table of two people.
async fn bridge() {
    feature("bridge: a query", async {
        let mut client = connect(config(password())).await?;
        let sql = "SELECT id, name, score FROM people ORDER BY id";
        let rows = client.simple_query(sql).await?.into_first_result().await?;
        let names: Vec<Option<&str>> = rows.iter().map(|row| row.get(1)).collect();
        same(names, vec![Some("Ada"), Some("Grace")])
    })
    .await;
    feature("bridge: parameters", async {
        let mut client = connect(config(password())).await?;
        let row = client
            .query("SELECT name FROM people WHERE id = @P1", &[&2])
            .await?
            .into_row()
            .await?;
        same(
            row.as_ref().and_then(|row| row.get::<&str, _>(0)),
            Some("Grace"),
        )
    })
    .await;
    let what = "bridge: temporary tables, and a transaction that is rolled back";
    feature(what, async {
        let mut client = connect(config(password())).await?;
        client.begin_transaction().await?;
        let table = "SELECT * INTO #t FROM people";
        client.simple_query(table).await?.into_results().await?;
        let row = "INSERT INTO #t VALUES (3, 'Barbara', 1)";
        client.simple_query(row).await?.into_results().await?;
        same(count(&mut client, "SELECT COUNT(*) FROM #t").await?, 3)?;
        // It counts transactions, and takes nothing back.
        client.rollback_transaction().await?;
        same(count(&mut client, "SELECT @@TRANCOUNT").await?, 0)?;
        let drop = "DROP TABLE #t";
        client.simple_query(drop).await?.into_results().await?;
        Ok(())
    })
    .await;
    let people = "SELECT COUNT(*) FROM people";
    feature(
        "bridge: an error, after which the connection lives on",
        async move {
            let mut client = connect(config(password())).await?;
            match count(&mut client, "SELECT COUNT(*) FROM nowhere").await {
                Ok(_) => return Err("an error was expected".into()),
                Err(error) => says(&error.to_string(), "nowhere")?,
            }
            same(count(&mut client, people).await?, 2)
        },
    )
    .await;
    feature("bridge: a new connection again and again", async move {
        for _ in 0..5 {
            let mut client = connect(config(password())).await?;
            same(count(&mut client, people).await?, 2)?;
            client.close().await?;
        }
        Ok(())
    })
    .await;
}

async fn large() -> Outcome {
    let mut client = connect(config(password())).await?;
    let (text, bytes) = ("wörd 😀 ".repeat(150_000), vec![7; 1_280_000]);
    let row = client
        .query("SELECT @P1, @P2", &[&text.as_str(), &bytes.as_slice()])
        .await?
        .into_row()
        .await?
        .ok_or("no row")?;
    same(row.get::<&str, _>(0) == Some(&*text), true)?;
    same(row.get::<&[u8], _>(1) == Some(&*bytes), true)
}

async fn results() -> Outcome {
    let mut client = connect(config(password())).await?;
    let sql =
        "SELECT 1 AS a; SELECT N'x' AS b WHERE 1 = 0; SELECT 2 AS c UNION ALL SELECT 3 ORDER BY 1";
    let results = client.simple_query(sql).await?.into_results().await?;
    let numbers: Vec<Vec<Option<i32>>> = results
        .iter()
        .map(|rows| rows.iter().map(|row| row.get::<i32, _>(0)).collect())
        .collect();
    same(numbers, vec![vec![Some(1)], vec![], vec![Some(2), Some(3)]])?;
    client
        .simple_query("CREATE TABLE #t (a int)")
        .await?
        .into_results()
        .await?;
    let done = client
        .execute("INSERT #t SELECT @P1 UNION ALL SELECT @P1 + 1", &[&1i32])
        .await?;
    same(done.total(), 2)
}

async fn errors() -> Outcome {
    let mut client = connect(config(password())).await?;
    for (sql, number) in [
        ("SELECT 1 / 0", 8134),
        ("SELECT * FROM nothing", 208),
        ("THROW 50123, 'thrown', 4", 50123),
    ] {
        let error = match client.simple_query(sql).await {
            Ok(stream) => stream.into_results().await.err(),
            Err(error) => Some(error),
        };
        same(error.and_then(|error| error.code()), Some(number))?;
        let row = Query::new("SELECT 1")
            .query(&mut client)
            .await?
            .into_row()
            .await?;
        same(row.and_then(|row| row.get::<i32, _>(0)), Some(1))?;
    }
    Ok(())
}

async fn count(
    client: &mut Connection,
    sql: &str,
) -> Result<i32, Box<dyn std::error::Error + Send + Sync>> {
    let row = client.simple_query(sql).await?.into_row().await?;
    Ok(row.and_then(|row| row.get(0)).ok_or("no number")?)
}

async fn transactions() -> Outcome {
    let mut client = connect(config(password())).await?;
    client
        .simple_query("CREATE TABLE #t (a int)")
        .await?
        .into_results()
        .await?;
    let all = "SELECT COUNT(*) FROM #t";
    client.begin_transaction().await?;
    client.execute("INSERT #t VALUES (1)", &[]).await?;
    // Its own `save_transaction` counts characters where SQL Server, and every other driver, counts
    // bytes, so that a server keeps half of the name.
    client
        .simple_query("SAVE TRANSACTION half")
        .await?
        .into_results()
        .await?;
    client.execute("INSERT #t VALUES (2)", &[]).await?;
    client
        .simple_query("ROLLBACK TRANSACTION half")
        .await?
        .into_results()
        .await?;
    client.commit_transaction().await?;
    same(count(&mut client, all).await?, 1)?;
    client.begin_transaction().await?;
    client.execute("DELETE #t", &[]).await?;
    client.rollback_transaction().await?;
    same(count(&mut client, all).await?, 1)?;
    same(count(&mut client, "SELECT @@TRANCOUNT").await?, 0)
}

async fn bulk() -> Outcome {
    let mut client = connect(config(password())).await?;
    let table = "CREATE TABLE dbo.tiberius_bulk (id int NOT NULL, name nvarchar(40) NULL, score float NULL, flag bit NOT NULL)";
    client.simple_query(table).await?.into_results().await?;
    let mut load = client.bulk_insert("dbo.tiberius_bulk").await?;
    for n in 0..2000i32 {
        let name = (n % 3 != 0).then(|| format!("näme {n}"));
        load.send((n, name, Some(f64::from(n) / 4.0), n % 2 == 0).into_row())
            .await?;
    }
    same(load.finalize().await?.total(), 2000)?;
    same(
        count(&mut client, "SELECT COUNT(name) FROM dbo.tiberius_bulk").await?,
        1333,
    )?;
    same(
        count(
            &mut client,
            "SELECT CAST(SUM(score) AS int) FROM dbo.tiberius_bulk",
        )
        .await?,
        499_750,
    )?;
    same(
        count(
            &mut client,
            "SELECT COUNT(*) FROM dbo.tiberius_bulk WHERE flag = 1",
        )
        .await?,
        1000,
    )
}

async fn stranger() -> Outcome {
    let mut config = Config::new();
    let known = self::config(password());
    config.host("localhost");
    config.port(
        known
            .get_addr()
            .rsplit(':')
            .next()
            .and_then(|p| p.parse().ok())
            .unwrap_or(0),
    );
    config.encryption(encryption());
    config.authentication(password());
    match connect(config).await {
        Ok(_) => Err("an error was expected".into()),
        Err(error) => says(&error.to_string().to_lowercase(), "certificate"),
    }
}

fn strict(auth: AuthMethod) -> Config {
    let mut config = config(auth);
    config.encryption(EncryptionLevel::Strict);
    config
}

#[tokio::main]
async fn main() {
    tell_version("tiberius");
    if emulator()["bridge"] == true {
        return bridge().await;
    }
    let identity = text(&emulator()["identities"][0], "name");
    let me: &'static str = text(&emulator(), "user_name").leak();
    feature("SQL login", logs_in(config(password()), me)).await;
    feature("Names of user, database and application", names()).await;
    feature("A new connection again and again", again()).await;
    feature("Values of more than 1 MB", large()).await;
    let name: &'static str = identity.leak();
    feature("Access token", logs_in(config(token("token")), name)).await;
    feature(
        "Access token over TDS 8.0",
        logs_in(strict(token("token")), name),
    )
    .await;
    feature("Parameters of every type, and NULL", types()).await;
    feature("Several results and row counts", results()).await;
    feature("Errors, after which the connection lives on", errors()).await;
    feature("Transactions and savepoints", transactions()).await;
    feature("Bulk insert", bulk()).await;
    let wrong = AuthMethod::sql_server(text(&emulator(), "user"), "wrong");
    feature("A wrong password", refused(config(wrong), 18456)).await;
    feature(
        "A token that has expired",
        refused(config(token("expired_token")), 18456),
    )
    .await;
    feature("A certificate of an unknown authority", stranger()).await;
}
