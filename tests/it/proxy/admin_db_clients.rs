//! The admin database, used by programs of others as they are.

use std::net::SocketAddr;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{address, azure, proxy};
use crate::raw_client::soon;
use crate::support::clients::{node, python};
use crate::support::java::java;

#[tokio::test(flavor = "multi_thread")]
async fn python_clients_administer() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let lines = python("proxy_admin_judge.py", &[], [place(address(&proxy))]).await;
    all_work(lines, 4 * 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn tedious_administers() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let (name, place) = place(address(&proxy));
    let lines = node("proxy_admin_judge.js", &[], [(name.to_owned(), place)]).await;
    all_work(lines, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn jdbc_administers() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let told = serde_json::json!({"port": address(&proxy).port()});
    all_work(java("AdminJudge", &[], &told).await, 4);
}

fn place(address: SocketAddr) -> (&'static str, String) {
    let place = serde_json::json!({"port": address.port()});
    ("ADMIN", place.to_string())
}

fn all_work(lines: Option<Vec<serde_json::Value>>, count: usize) {
    let Some(lines) = lines else { return };
    let failed: Vec<_> = lines.iter().filter(|line| line["ok"] == false).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let good = lines.iter().filter(|line| line["ok"] == true);
    assert_eq!(good.count(), count);
}

/// FreeTDS's `tsql`, at every version that it can be told to speak.
#[tokio::test]
async fn tsql_reads_tables() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    for version in ["7.1", "7.2", "7.3", "7.4"] {
        let mut tsql = tsql(address(&proxy));
        tsql.env("TDSVER", version);
        let script =
            "select 'is ' + state from sessions where id = @@spid\ngo\nkill 99\ngo\nexit\n";
        let Some(said) = tell(tsql, script).await else {
            return skip("tsql is needed to run it");
        };
        assert!(said.contains("is admin"), "{version}: {said}");
        assert!(said.contains("6106"), "{version}: {said}");
    }
}

/// What the manual shows, as it is written there.
#[tokio::test]
async fn the_manuals_commands_work_in_tsql() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let mut tables: Vec<&str> = include_str!("../../../docs/proxy.md")
        .split_once("\n## The admin database\n")
        .and_then(|(_, after)| after.split_once("\n## "))
        .expect("the section")
        .0
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(" | "))
        .flat_map(|(names, _)| names.split(", "))
        .map(|name| name.trim_matches('`'))
        .collect();
    let commands = tables.iter().position(|name| name.contains(' ')).unwrap();
    let commands: Vec<_> = tables.split_off(commands);
    assert_eq!(
        commands,
        [
            "KILL id",
            "PAUSE [target]",
            "RESUME [target]",
            "RECONNECT [target]"
        ]
    );
    assert_eq!(tables.len(), 10, "{tables:?}");
    let mut script = String::new();
    for table in &tables {
        script += &format!("SHOW {table}\ngo\nSELECT COUNT(*) AS n_{table} FROM {table}\ngo\n");
    }
    script += "SELECT id, login, application, target, state, seconds FROM sessions\ngo\n\
        PAUSE default\ngo\nRESUME default\ngo\nRECONNECT default\ngo\nPAUSE\ngo\nRESUME\ngo\nRECONNECT\ngo\nexit\n";
    let Some(said) = tell(tsql(address(&proxy)), &script).await else {
        return skip("tsql is needed to run it");
    };
    assert!(!said.contains("Level 1"), "an error: {said}");
    for table in tables {
        assert!(said.contains(&format!("n_{table}")), "{table}: {said}");
    }
    for told in [
        "target `default` is paused",
        "target `default` is resumed",
        "target `default` is reconnected",
        "every target is paused",
        "every target is resumed",
        "every target is reconnected",
        "id\tlogin\tapplication\ttarget\tstate\tseconds",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
}

/// unixODBC's `isql` by FreeTDS's ODBC driver.
#[tokio::test]
async fn isql_reads_tables_and_their_columns() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    let files = TempDir::new().unwrap();
    let driver = format!(
        "/usr/lib/{}-linux-gnu/odbc/libtdsodbc.so",
        std::env::consts::ARCH
    );
    let ini = format!("[FreeTDS]\nDriver={driver}\n");
    std::fs::write(files.path().join("odbcinst.ini"), ini).unwrap();
    let string = format!(
        "Driver=FreeTDS;Server=127.0.0.1;Port={};TDS_Version=7.4;Encryption=off;\
         UID=me;PWD=x;Database=entrada;APP=by isql",
        address(&proxy).port()
    );
    let mut isql = Command::new("isql");
    isql.args(["-k", &string, "-b", "-v", "-d|"])
        .env("ODBCSYSINI", files.path())
        .env("LC_ALL", "C.UTF-8");
    let script = "select application, state from sessions where id = @@spid\n\
        help\nhelp sessions\nselect * from nothing\npause\nresume\nselect 'still' + ' here'\n";
    let Some(said) = tell(isql, script).await else {
        return skip("isql is needed to run it");
    };
    for wanted in [
        "by isql|admin",
        "entrada|dbo|tokens|",
        "entrada|dbo|sessions|bytes_received|",
        "there is no table `nothing`",
        "still here",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

fn tsql(address: SocketAddr) -> Command {
    let port = address.port().to_string();
    let mut tsql = Command::new("tsql");
    tsql.args([
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
    ]);
    tsql
}

/// What a program says to a script; `None` if it is not there.
async fn tell(mut program: Command, script: &str) -> Option<String> {
    let mut started = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let mut stdin = started.stdin.take().unwrap();
    // If it is gone already, its output says why.
    let _ = stdin.write_all(script.as_bytes()).await;
    drop(stdin);
    let output = soon("its end", started.wait_with_output()).await.unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Some(text(&output.stdout) + &text(&output.stderr))
}

#[expect(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(need: &str) {
    assert!(std::env::var_os("CI").is_none(), "{need}");
    eprintln!("skipped: {need}");
}

#[cfg(all(feature = "cli", unix))]
#[tokio::test]
async fn its_sessions_are_in_the_log() {
    use super::connection;
    use super::program::Program;

    let emulator = azure().await;
    let conn = connection(&emulator);
    let arguments = [&*conn, "--listen", "127.0.0.1:0", "--tls", "off"];
    let mut program = Program::start(&emulator, &arguments).await;
    let script = "select 1\ngo\npause\ngo\nresume\ngo\nexit\n";
    if tell(tsql(program.address()), script).await.is_none() {
        return skip("tsql is needed to run it");
    }
    let paused = program.logs("pool paused").await;
    assert!(paused.contains(r#""by":"#), "{paused}");
    let line = program.logs("a client has left").await;
    let record: serde_json::Value = serde_json::from_str(&line).unwrap();
    let fields = &record["fields"];
    assert_eq!(fields["reason"], "left", "{line}");
    assert_eq!(fields["database"], "entrada", "{line}");
    assert!(fields["requests"].as_u64() >= Some(3), "{line}");
    assert!(fields["bytes_out"].as_u64() > Some(0), "{line}");
}
