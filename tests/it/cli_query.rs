//! `entrada query` as a user runs it, against the emulator.

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use entrada::emulator::{Emulator, ManagedIdentity};

struct Azure {
    emulator: Emulator,
}

impl Azure {
    async fn start() -> Self {
        let emulator = Emulator::builder()
            .identity(ManagedIdentity::system_assigned("teller"))
            .database("bank")
            .user("bank", "teller", &["db_datareader"])
            .start()
            .await
            .unwrap();
        Self { emulator }
    }

    /// Runs the program without blocking the runtime that the emulator lives on.
    async fn query(&self, conn: String, args: &[&str]) -> Assert {
        let mut command = Command::cargo_bin("entrada").unwrap();
        command.env_clear().envs(self.emulator.imds_environment());
        command.arg("query").arg(conn).args(args);
        tokio::task::spawn_blocking(move || command.assert())
            .await
            .unwrap()
    }

    fn conn(&self) -> String {
        self.emulator.connection_string("bank")
    }
}

fn output(run: &Assert) -> (String, String) {
    let output = run.get_output();
    (
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_come_in_each_format() {
    let azure = Azure::start().await;
    let sql =
        "SELECT 1 AS id, N'a,b' AS name, NULL AS nothing; SELECT CAST(-0.5 AS decimal(3,1)) AS d";
    for (format, expected) in [
        (
            "json",
            "[{\"id\":1,\"name\":\"a,b\",\"nothing\":null}]\n[{\"d\":-0.5}]\n",
        ),
        ("csv", "id,name,nothing\r\n1,\"a,b\",\r\n\r\nd\r\n-0.5\r\n"),
    ] {
        let run = azure.query(azure.conn(), &[sql, "--format", format]).await;
        let (stdout, stderr) = output(&run.success());
        assert_eq!((stdout.as_str(), stderr.as_str()), (expected, ""));
    }
    let run = azure.query(azure.conn(), &[sql]).await.success();
    let (stdout, _) = output(&run);
    assert!(stdout.contains("│  1   a,b    NULL    │"), "{stdout}");
    assert!(stdout.contains("(1 row)"), "{stdout}");
    azure.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_failure_has_its_exit_code_and_one_line() {
    let azure = Azure::start().await;
    let conn = azure.conn();
    let port = azure.emulator.sql_addr().port().to_string();
    let unverified = conn.split(";ServerCertificate").next().unwrap().to_owned();
    for (conn, sql, code, part) in [
        (
            conn.replace("Database", "Databse"),
            "SELECT 1",
            2,
            "did you mean",
        ),
        (
            format!("{conn};User ID=11111111-2222-3333-4444-555555555555"),
            "SELECT 1",
            3,
            "11111111",
        ),
        (unverified, "SELECT 1", 4, "ServerCertificate=FILE"),
        (
            conn.replace(&port, "1"),
            "SELECT 1",
            4,
            "nothing listens there",
        ),
        (
            conn.replace("Database=bank", "Database=bakn"),
            "SELECT 1",
            5,
            "4060",
        ),
        (
            conn.clone(),
            "SELECT * FROM dbo.nothing",
            5,
            "error 208, level 16, state 1, line 1",
        ),
    ] {
        let conn = format!("{conn};Connect Retry Count=0");
        let run = azure.query(conn, &[sql]).await;
        let (stdout, stderr) = output(&run.code(code));
        assert!(stderr.contains(part), "{part:?} is missing in {stderr}");
        assert_eq!(
            (stderr.lines().count(), stdout.as_str()),
            (1, ""),
            "{stderr}"
        );
    }
    azure.emulator.shutdown().await;
}
