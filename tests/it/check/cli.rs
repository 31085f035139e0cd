//! `entrada check` as a user runs it.

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use serde_json::Value;

use super::*;

/// Runs the program without blocking the runtime that the emulator lives on.
async fn program(azure: &Emulator, conn: String, args: &[&str]) -> Assert {
    let mut command = Command::cargo_bin("entrada").unwrap();
    command.env_clear().envs(azure.imds_environment());
    command.arg("check").arg(conn).args(args);
    tokio::task::spawn_blocking(move || command.assert())
        .await
        .unwrap()
}

fn stdout(run: &Assert) -> String {
    let output = run.get_output();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_check_is_a_line_and_the_last_says_how_it_went() {
    let azure = bank().start().await.unwrap();
    azure
        .run_sql("bank", "CREATE TABLE dbo.t (a int)")
        .await
        .unwrap();
    let conn = azure.connection_string("bank");
    let text = stdout(&program(&azure, conn.clone(), &[]).await.success());
    let words: Vec<Vec<&str>> = text
        .lines()
        .take(CHECKS.len())
        .map(|line| line.split_whitespace().take(3).collect())
        .collect();
    for (words, check) in words.iter().zip(CHECKS) {
        let mark = if check == "redirect" {
            ["-", "skip"]
        } else {
            ["✓", "ok"]
        };
        assert_eq!(words[..], [mark[0], mark[1], check], "{text}");
    }
    assert!(text.ends_with("\nall is well\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours beyond a terminal");
    let text = stdout(&program(&azure, conn, &["--no-login"]).await.success());
    assert_eq!(text.lines().count(), 7, "{text}");
    azure.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_failure_has_its_exit_code() {
    let azure = bank().start().await.unwrap();
    let conn = azure.connection_string("bank");
    let port = azure.sql_addr().port().to_string();
    let unknown = "User ID=11111111-2222-3333-4444-555555555555";
    for (conn, arguments, code, part) in [
        (conn.clone(), &[][..], 0, "it works, with 1 warning"),
        (
            conn.clone(),
            &["--strict"],
            1,
            "may connect and nothing else",
        ),
        (conn.replace("Database", "Databse"), &[], 2, "did you mean"),
        (format!("{conn};{unknown}"), &[], 3, "assign that identity"),
        (
            conn.replace(&port, "1"),
            &[],
            4,
            "nothing listens at 127.0.0.1,1",
        ),
        (
            conn.clone(),
            &["--database", "bakn"],
            5,
            "no database `bakn`",
        ),
    ] {
        azure
            .run_sql("bank", "ALTER ROLE db_datareader DROP MEMBER teller")
            .await
            .unwrap();
        let text = stdout(&program(&azure, conn, arguments).await.code(code));
        assert!(text.contains(part), "{part:?} is missing in {text}");
        if code > 1 {
            assert!(text.contains("cause: ") && text.contains("fix: "), "{text}");
        }
        azure
            .run_sql("bank", "ALTER ROLE db_datareader ADD MEMBER teller")
            .await
            .unwrap();
    }
    azure.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_get_one_json_document() {
    let azure = bank().start().await.unwrap();
    azure.run_sql("bank", "DROP USER teller").await.unwrap();
    let conn = azure.connection_string("bank");
    let run = program(&azure, conn, &["--format", "json"]).await.code(3);
    let report: Value = serde_json::from_str(&stdout(&run)).unwrap();
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let mut top = keys(&report);
    top.sort();
    assert_eq!(
        top,
        [
            "checks", "database", "kind", "not_made", "outcome", "server", "version"
        ]
    );
    assert_eq!(report["version"], 1);
    assert_eq!(
        (&report["outcome"], &report["kind"]),
        (&"fail".into(), &"auth".into())
    );
    let checks = report["checks"].as_array().unwrap();
    for check in checks {
        let mut keys = keys(check);
        keys.sort();
        assert_eq!(
            keys,
            ["check", "facts", "outcome", "took_ms", "troubles", "what"]
        );
    }
    let last = checks.last().unwrap();
    assert_eq!(
        (&last["check"], &last["outcome"]),
        (&"login".into(), &"fail".into())
    );
    assert!(
        last["troubles"][0]["script"]
            .as_str()
            .unwrap()
            .contains("N'teller'")
    );
    assert_eq!(report["not_made"][0], "redirect");
    azure.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_that_make_no_sense() {
    let azure = bank().start().await.unwrap();
    for (arguments, part) in [
        (["--timeout", "soon"], "it takes seconds"),
        (["--timeout", "0"], "more than no time"),
        (["--nameserver", "dns.example"], "an IP address"),
    ] {
        let run = program(&azure, "Server=x".to_owned(), &arguments)
            .await
            .code(2);
        let stderr = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(stderr.contains(part), "{stderr}");
    }
    azure.shutdown().await;
}
