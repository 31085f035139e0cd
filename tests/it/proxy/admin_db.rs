//! The admin database, asked by a client of our own and by those of others.

use std::net::SocketAddr;
use std::process::Stdio;

use entrada::tds::{
    Column, Encryption, EnvChange, Login7, PacketStatus, PacketType, Place, Reader, Scalar,
    TdsVersion, Token, all_headers, decode_columns, read_token, token_id,
};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{address, azure, proxy};
use crate::raw_client::{RawClient, soon};
use crate::support::clients::python;

/// A client that is logged in to a database, under an application's name.
async fn client(address: SocketAddr, database: &str, application: &str) -> RawClient {
    let mut client = RawClient::tcp(address).await;
    client.prelogin(Encryption::NOT_SUP, None).await;
    let answer = client.login(&login(database, application)).await;
    assert_eq!(answer.database(), Some(database), "{answer:?}");
    client
}

fn login(database: &str, application: &str) -> Login7 {
    Login7 {
        user_name: "someone".to_owned(),
        app_name: application.to_owned(),
        database: database.to_owned(),
        ..Login7::default()
    }
}

/// What an answer holds, for a reader of the version 7.4.
#[derive(Debug, Default)]
struct Answer {
    columns: Vec<String>,
    rows: Vec<Vec<Scalar>>,
    errors: Vec<(i32, String)>,
    infos: Vec<String>,
    changes: Vec<EnvChange>,
}

impl Answer {
    fn read(tokens: &[u8]) -> Self {
        let mut answer = Self::default();
        let mut reader = Reader::new(tokens);
        let mut columns: Vec<Column> = Vec::new();
        while let Some(token) = reader.peek() {
            match token {
                token_id::COLMETADATA => {
                    reader.skip(1).unwrap();
                    columns = decode_columns(&mut reader).unwrap();
                    answer.columns = columns.iter().map(|column| column.name.clone()).collect();
                }
                token_id::ROW => {
                    reader.skip(1).unwrap();
                    let value = |column: &Column| {
                        let info = &column.type_info;
                        let bytes = info.read_value(Place::Row, &mut reader).unwrap();
                        Scalar::decode(info, bytes.as_deref()).unwrap()
                    };
                    answer.rows.push(columns.iter().map(value).collect());
                }
                _ => match read_token(&mut reader, TdsVersion::V7_4).unwrap() {
                    Token::Error(error) => answer.errors.push((error.number, error.message)),
                    Token::Info(info) => answer.infos.push(info.message),
                    Token::EnvChange(change) => answer.changes.push(change),
                    _ => {}
                },
            }
        }
        answer
    }

    /// The only value.
    fn value(&self) -> &Scalar {
        match &self.rows[..] {
            [row] => match &row[..] {
                [value] => value,
                _ => panic!("one column is expected: {self:?}"),
            },
            _ => panic!("one row is expected: {self:?}"),
        }
    }
}

async fn ask(client: &mut RawClient, sql: &str) -> Answer {
    Answer::read(&client.batch(sql).await)
}

#[tokio::test]
async fn sessions_are_listed_and_can_be_killed() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let at = address(&proxy);
    soon("the listing", async {
        let mut victim = client(at, "shop", "victim").await;
        let mut other = client(at, "shop", "other").await;
        let mut admin = client(at, "entrada", "admin").await;
        let all = "SELECT COUNT(*) FROM sessions";
        assert_eq!(ask(&mut admin, all).await.value(), &Scalar::Int(3));
        let own = ask(&mut admin, "SELECT state FROM sessions WHERE id = @@SPID").await;
        assert_eq!(own.value(), &Scalar::Text("admin".to_owned()));
        let refused = ask(&mut admin, "KILL @@SPID").await;
        assert_eq!(refused.errors[0].0, 6104);
        let refused = ask(&mut admin, "KILL 12345").await;
        assert_eq!(refused.errors[0].0, 6106);

        let first = "SELECT MIN(id) FROM sessions WHERE state <> 'admin'";
        let Scalar::Int(id) = *ask(&mut admin, first).await.value() else {
            panic!("the number of a session is one");
        };
        let killed = ask(&mut admin, &format!("KILL {id}")).await;
        assert!(
            killed.errors.is_empty() && killed.infos.len() == 1,
            "{killed:?}"
        );
        assert!(
            victim.receive().await.is_none(),
            "the victim's connection ends"
        );
        let answer = other.batch("SELECT 1").await;
        assert_eq!(Answer::read(&answer).value(), &Scalar::Int(1));
        assert_eq!(ask(&mut admin, all).await.value(), &Scalar::Int(2));
    })
    .await;
}

#[tokio::test]
async fn what_the_admin_database_does_not_do_is_said() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    soon("the answers", async {
        let mut admin = client(address(&proxy), "entrada", "admin").await;
        for (sql, number) in [
            ("DELETE FROM sessions", 40517),
            ("SELECT * FROM sys.dm_exec_requests", 208),
            ("USE shop", 911),
            ("PAUSE nothing", 2702),
            ("EXEC sp_nothing", 2812),
            ("SELECT FROM", 102),
        ] {
            let answer = ask(&mut admin, sql).await;
            assert_eq!(answer.errors.len(), 1, "{sql}: {answer:?}");
            assert_eq!(answer.errors[0].0, number, "{sql}: {answer:?}");
        }
        let help = ask(&mut admin, "SHOW HELP").await;
        assert_eq!(help.columns, ["command", "about"]);
        for table in [
            "errors",
            "listeners",
            "pools",
            "settings",
            "stats",
            "targets",
            "tokens",
        ] {
            let shown = ask(&mut admin, &format!("SHOW {table}")).await;
            assert!(
                shown.errors.is_empty() && !shown.columns.is_empty(),
                "{shown:?}"
            );
        }
        let stats = "SELECT COUNT(*) FROM stats WHERE name LIKE 'entrada%' AND value IS NOT NULL";
        assert_ne!(ask(&mut admin, stats).await.value(), &Scalar::Int(0));
    })
    .await;
}

#[tokio::test]
async fn cancels_and_resets_are_acknowledged() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    soon("the answers", async {
        let mut admin = client(address(&proxy), "entrada", "admin").await;
        admin
            .send(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
            .await;
        let done = admin.receive().await.unwrap().payload;
        assert_eq!(done[..3], [0xFD, 0x20, 0], "DONE with the bit ATTN");
        let begun = ask(&mut admin, "BEGIN TRAN").await;
        assert!(matches!(
            begun.changes[..],
            [EnvChange::BeginTransaction(_)]
        ));
        let reset = PacketStatus::RESET_CONNECTION;
        admin.send_batch("SELECT @@TRANCOUNT", reset).await;
        let answer = Answer::read(&admin.receive().await.unwrap().payload);
        assert_eq!(answer.changes, [EnvChange::ResetAcknowledged]);
        assert_eq!(answer.value(), &Scalar::Int(0));
        // A request beyond the bound ends the session, with a word.
        let mut long = all_headers(0);
        long.resize(2 << 20, b' ');
        admin
            .send(PacketType::SQL_BATCH, PacketStatus::NORMAL, &long)
            .await;
        let answer = Answer::read(&admin.receive().await.unwrap().payload);
        assert_eq!(answer.errors.len(), 1, "{answer:?}");
        assert!(admin.receive().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_pause_makes_new_clients_wait() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let at = address(&proxy);
    soon("the pause", async {
        let mut admin = client(at, "entrada", "admin").await;
        let paused = ask(&mut admin, "PAUSE [default]").await;
        assert!(paused.errors.is_empty(), "{paused:?}");
        let waiting = tokio::spawn(client(at, "shop", "patient"));
        let count = "SELECT COUNT(*) FROM sessions WHERE state = 'waiting'";
        while ask(&mut admin, count).await.value() != &Scalar::Int(1) {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        ask(&mut admin, "RESUME").await;
        let mut served = waiting.await.unwrap();
        ask(&mut admin, "RECONNECT default").await;
        assert_eq!(
            Answer::read(&served.batch("SELECT 1").await).value(),
            &Scalar::Int(1)
        );
    })
    .await;
}

/// FreeTDS's `tsql`, at every version that it can be told to speak.
#[tokio::test]
async fn tsql_reads_tables() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let port = address(&proxy).port().to_string();
    for version in ["7.1", "7.2", "7.3", "7.4"] {
        let started = Command::new("tsql")
            .args([
                "-H",
                "127.0.0.1",
                "-p",
                &port,
                "-U",
                "me",
                "-P",
                "x",
                "-D",
                "entrada",
            ])
            .env("TDSVER", version)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let Ok(mut tsql) = started else {
            return skip("tsql is needed to run it");
        };
        let text = "select 'v' + tds_version, state from sessions where id = @@spid\ngo\nkill 99\ngo\nexit\n";
        tsql.stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .await
            .unwrap();
        let output = soon("tsql", tsql.wait_with_output()).await.unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(shown.contains("admin"), "{version}: {shown}\n{told}");
        assert!(
            format!("{shown}{told}").contains("6106"),
            "{version}: {shown}\n{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_clients_administer() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let place = serde_json::json!({"port": address(&proxy).port()}).to_string();
    let Some(lines) = python("proxy_admin_judge.py", &[], [("ADMIN", place)]).await else {
        return;
    };
    let failed: Vec<_> = lines.iter().filter(|line| line["ok"] == false).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(
        lines.iter().filter(|line| line["ok"] == true).count(),
        4 * 3
    );
}

#[expect(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(need: &str) {
    assert!(std::env::var_os("CI").is_none(), "{need}");
    eprintln!("skipped: {need}");
}
