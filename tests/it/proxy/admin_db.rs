//! The admin database, asked by a client of our own and by those of others.

use std::net::SocketAddr;

use entrada::Secret;
use entrada::proxy::config::{Admission, UserConfig};
use entrada::proxy::{Proxy, hash_password};
use entrada::tds::{
    Column, Encryption, EnvChange, Login7, PacketStatus, PacketType, Place, Reader, ResponseWalker,
    Scalar, TdsVersion, Token, all_headers, decode_columns, read_token, token_id,
};

use super::{address, azure, config, proxy, sources};
use crate::raw_client::{RawClient, soon};

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

#[tokio::test]
async fn nobody_but_admins_gets_in() {
    let emulator = azure().await;
    let mut config = config(&emulator);
    config.listeners[0].admission = Admission::Password;
    let user = |name| UserConfig::new(name, hash_password(&Secret::new("pass")).unwrap());
    config.users = vec![user("plain"), user("root")];
    config.users[1].admin = true;
    let proxy = Proxy::start(config, sources(&emulator)).await.unwrap();
    let at = address(&proxy);
    let login = |user: &str, password: &str| Login7 {
        user_name: user.to_owned(),
        password: Secret::new(password),
        ..login("entrada", "admin")
    };
    soon("the logins", async {
        for refused in [
            login("plain", "pass"),
            login("root", "wrong"),
            login("someone", ""),
        ] {
            let mut client = RawClient::tcp(at).await;
            client.prelogin(Encryption::NOT_SUP, None).await;
            let answer = client.login(&refused).await;
            assert!(answer.ack.is_none());
            assert_eq!(answer.refusal().unwrap().0, 18456, "{answer:?}");
        }
        let mut client = RawClient::tcp(at).await;
        client.prelogin(Encryption::NOT_SUP, None).await;
        client.login(&login("root", "pass")).await;
        let who = ask(&mut client, "SELECT SUSER_SNAME()").await;
        assert_eq!(who.value(), &Scalar::Text("root".to_owned()));
        // No table tells a password, or its hash.
        for table in [
            "listeners",
            "settings",
            "targets",
            "tokens",
            "errors",
            "sessions",
            "stats",
        ] {
            let shown = format!("{:?}", ask(&mut client, &format!("SHOW {table}")).await);
            for secret in ["pass\"", "$argon2", "$scrypt", "$pbkdf2", "eyJ"] {
                assert!(!shown.contains(secret), "{table}: {shown}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn names_of_clients_break_no_result() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let at = address(&proxy);
    soon("the listing", async {
        let name = format!("a\n\u{1b}[2J\u{202e}\0'{}", "\u{1F5DD}".repeat(50));
        let _named = client(at, "shop", &name).await;
        let mut admin = client(at, "entrada", &name).await;
        for sql in ["SHOW sessions", "SELECT * FROM sessions"] {
            let shown = ask(&mut admin, sql).await;
            assert_eq!(shown.rows.len(), 2, "{shown:?}");
            let place = shown
                .columns
                .iter()
                .position(|name| name == "application")
                .unwrap();
            for row in &shown.rows {
                let Scalar::Text(text) = &row[place] else {
                    panic!("a name is text: {row:?}");
                };
                assert!(text.starts_with("a??[2J??'\u{1F5DD}"), "{text:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn its_sessions_are_counted_with_how_they_ended() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let at = address(&proxy);
    soon("the counts", async {
        let mut first = client(at, "entrada", "first").await;
        let mut second = client(at, "entrada", "second").await;
        let leaves = client(at, "entrada", "leaves").await;
        let asked = "SELECT requests FROM sessions WHERE application = 'second'";
        ask(&mut second, "SELECT 1").await;
        ask(&mut second, "SELECT 2").await;
        assert_eq!(ask(&mut first, asked).await.value(), &Scalar::Int(2));
        // Two who end each other at once: one is faster, or both are gone.
        let id = ask(
            &mut first,
            "SELECT id FROM sessions WHERE application = 'second'",
        )
        .await;
        let Scalar::Int(id) = *id.value() else {
            panic!("the number of a session is one");
        };
        ask(&mut first, &format!("KILL {id}")).await;
        assert!(
            second.receive().await.is_none(),
            "an admin can be ended, too"
        );
        drop(leaves);
        let ended = "SELECT labels, value FROM stats \
            WHERE name = 'entrada_proxy_sessions_ended_total' AND value > 0 ORDER BY labels";
        loop {
            let shown = ask(&mut first, ended).await;
            let shown = format!("{:?}", shown.rows);
            if shown.contains("left") && shown.contains("killed") {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_who_end_each_other_do_not_wait_for_each_other() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let at = address(&proxy);
    soon("the end of one", async {
        let mut one = client(at, "entrada", "one").await;
        let mut two = client(at, "entrada", "two").await;
        let own = "SELECT @@SPID";
        let (a, b) = (ask(&mut one, own).await, ask(&mut two, own).await);
        let number = |answer: &Answer| match answer.value() {
            Scalar::Int(id) => *id,
            other => panic!("{other:?}"),
        };
        let kill = |id| format!("KILL {id}");
        one.send_batch(&kill(number(&b)), PacketStatus::NORMAL)
            .await;
        two.send_batch(&kill(number(&a)), PacketStatus::NORMAL)
            .await;
        let told = tokio::join!(one.receive(), two.receive());
        assert!(told.0.is_none() || told.1.is_none());
        let mut three = client(at, "entrada", "three").await;
        let left = "SELECT COUNT(*) FROM sessions WHERE application IN ('one', 'two')";
        while ask(&mut three, left).await.value() == &Scalar::Int(2) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// What tools send before anybody has asked for anything.
#[tokio::test]
async fn what_tools_send_at_the_start_is_answered() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    soon("the answers", async {
        let mut admin = client(address(&proxy), "entrada", "tool").await;
        for sql in [
            "set ansi_nulls on\nset ansi_padding on\nset textsize 2147483647\n\
             set transaction isolation level read committed\nset xact_abort off",
            "SET QUOTED_IDENTIFIER OFF SET TEXTSIZE 4096",
            "SET NOCOUNT ON; SELECT @@VERSION; SET NOCOUNT OFF",
            "set implicit_transactions on\nIF @@TRANCOUNT > 0 COMMIT TRAN",
            "SET LOCK_TIMEOUT 10000",
            "SET ROWCOUNT 0",
            "use [entrada]",
            "SELECT @@SPID; SELECT @@OPTIONS, @@MAX_PRECISION, @@SERVERNAME",
            "SELECT CAST(SERVERPROPERTY('EngineEdition') AS int)",
            "SELECT SERVERPROPERTY('ProductVersion') AS v, SERVERPROPERTY('ProductLevel'), DB_NAME() AS [db]",
            "SELECT name FROM sys.databases WHERE name = N'entrada' ORDER BY name",
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_TYPE = 'BASE TABLE'",
            "select SCHEMA_NAME(), SUSER_SNAME(), HOST_NAME(), APP_NAME(), GETDATE()",
            "SELECT 1",
            "exec sp_executesql N'SELECT @a, @b', N'@a int, @b nvarchar(10)', @a = 1, @b = N'x'",
            "-- a comment only",
            "",
        ] {
            let answer = ask(&mut admin, sql).await;
            assert!(answer.errors.is_empty(), "{sql}: {answer:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_is_refused_and_the_session_goes_on() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    soon("the answers", async {
        let mut admin = client(address(&proxy), "entrada", "hostile").await;
        let deep = |open: &str, close: &str, count: usize| {
            format!("SELECT {}1{}", open.repeat(count), close.repeat(count))
        };
        for (sql, numbers) in [
            (deep("(", ")", 5000), &[191, 102][..]),
            (deep("ABS(", ")", 400), &[191]),
            (deep("CASE WHEN 1 = 1 THEN ", " END", 300), &[191]),
            (
                format!("SELECT 1 WHERE {}1 = 1", "NOT ".repeat(900)),
                // The parser takes the one that is too deep for a name.
                &[191, 40517],
            ),
            (
                format!("SELECT 1 WHERE 1 IN (0{})", ", 1".repeat(60_000)),
                &[191],
            ),
            (format!("SELECT '{}'", "x".repeat(500_000)), &[191]),
            (
                format!("SELECT 1 WHERE 'a' LIKE '{}'", "%a".repeat(20_000)),
                &[191],
            ),
            (
                format!(
                    "SELECT {0} FROM INFORMATION_SCHEMA.COLUMNS",
                    vec![format!("'{}'", "x".repeat(60)); 900].join(",")
                ),
                &[0, 8618],
            ),
            (
                "SHOW sessions;".repeat(500) + &"SHOW stats;".repeat(160),
                &[0, 8618],
            ),
            ("PAUSE 5".to_owned(), &[102]),
            ("RECONNECT *".to_owned(), &[102]),
        ] {
            admin.send_batch(&sql, PacketStatus::NORMAL).await;
            let answer = admin.receive_long(80 << 20).await.unwrap();
            let answer = Answer::read(&answer.payload);
            let number = answer.errors.first().map_or(0, |(number, _)| *number);
            let start: String = sql.chars().take(60).collect();
            assert!(numbers.contains(&number), "{start}: {:?}", answer.errors);
        }
        let many = format!(
            "SELECT COUNT(*) FROM version WHERE 5 IN (1{}, 5)",
            ", 2".repeat(900)
        );
        assert_eq!(ask(&mut admin, &many).await.value(), &Scalar::Int(1));
        assert_eq!(ask(&mut admin, "SELECT 1").await.value(), &Scalar::Int(1));
    })
    .await;
}

#[tokio::test]
async fn halves_of_characters_and_of_units_are_no_trouble() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    soon("the answers", async {
        let mut admin = client(address(&proxy), "entrada", "odd").await;
        let mut odd = all_headers(0);
        odd.extend(
            "SELECT '"
                .encode_utf16()
                .chain([0xD800, 0xDC00, 0xDFFF, 0xD801])
                .flat_map(u16::to_le_bytes),
        );
        odd.extend([0x27, 0, 0x41]);
        admin
            .send(PacketType::SQL_BATCH, PacketStatus::NORMAL, &odd)
            .await;
        let answer = Answer::read(&admin.receive().await.unwrap().payload);
        assert_eq!(
            answer.value(),
            &Scalar::Text("\u{10000}\u{fffd}\u{fffd}".to_owned())
        );
        assert_eq!(ask(&mut admin, "SELECT 1").await.value(), &Scalar::Int(1));
    })
    .await;
}

/// Any bytes as any kind of request: an answer, and the session goes on.
#[tokio::test]
async fn no_bytes_break_a_session() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    soon("the answers", async {
        let mut admin = client(address(&proxy), "entrada", "noise").await;
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let kinds = [
            PacketType::RPC,
            PacketType::RPC,
            PacketType::SQL_BATCH,
            PacketType::TRANSACTION_MANAGER,
            PacketType::BULK_LOAD,
        ];
        for round in 0..600_usize {
            let mut bytes = if round % 5 == 0 {
                Vec::new()
            } else {
                all_headers(0)
            };
            if round % 2 == 0 {
                // The start of a call by number, so that some get further.
                bytes.extend([
                    0xFF,
                    0xFF,
                    10 + u8::try_from(random() % 6).unwrap(),
                    0,
                    0,
                    0,
                ]);
            }
            let types = [
                0x26_u8, 0xE7, 0xA5, 0x62, 0xF1, 0xF3, 0x6C, 0x38, 0xEF, 0x24,
            ];
            for _ in 0..random() % 6 {
                let which = usize::try_from(random() % 10).unwrap();
                bytes.extend([0, 0, types[which]]);
                let len = usize::try_from(random() % 9).unwrap();
                bytes.extend(&random().to_le_bytes()[..len]);
            }
            let kind = kinds[usize::try_from(random() % 5).unwrap()];
            admin.send(kind, PacketStatus::NORMAL, &bytes).await;
            let answer = admin.receive().await.expect("an answer").payload;
            let mut walker = ResponseWalker::new();
            walker.feed(&answer, &mut |_| ()).unwrap();
            walker.finish().unwrap();
        }
        assert_eq!(ask(&mut admin, "SELECT 1").await.value(), &Scalar::Int(1));
    })
    .await;
}

#[tokio::test]
async fn who_reads_nothing_can_be_ended() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let at = address(&proxy);
    soon("the end", async {
        let mut slow = client(at, "entrada", "slow").await;
        // Far more than what sockets hold.
        let sql = "SHOW stats;".repeat(600);
        slow.send_batch(&sql, PacketStatus::NORMAL).await;
        slow.send_batch(&sql, PacketStatus::NORMAL).await;
        let mut admin = client(at, "entrada", "admin").await;
        let stuck = "SELECT id FROM sessions WHERE application = 'slow' AND bytes_received > 65536";
        let id = loop {
            let found = ask(&mut admin, stuck).await;
            if let Some([Scalar::Int(id)]) = found.rows.first().map(Vec::as_slice) {
                break *id;
            }
        };
        let killed = ask(&mut admin, &format!("KILL {id}")).await;
        assert!(killed.infos[0].ends_with("is ended"), "{killed:?}");
        assert_eq!(
            ask(&mut admin, "SELECT COUNT(*) FROM sessions")
                .await
                .value(),
            &Scalar::Int(1)
        );
    })
    .await;
}
