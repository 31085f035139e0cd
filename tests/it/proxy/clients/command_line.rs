//! FreeTDS's `tsql`, and unixODBC's `isql` over FreeTDS's ODBC driver.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::clients_freetds::{Place, Printed, Tsql, batches, freetds_conf, shows};
use crate::raw_client::soon;
use crate::support::clients::tool;

const WHO: &str = "select user_name() as u, db_name() as d, app_name() as a";

/// For `isql`: a feature, its statements one a line, the rows, and what must be said.
const BY_ISQL: [(&str, &str, &str, &[&str]); 6] = [
    (
        "Names of user, database and application",
        WHO,
        "u|d|a\napp|demo|judge",
        &[],
    ),
    (
        "Several results of a batch",
        "select 1 as a, N'grüß 日本' as b; select 2 as c where 1 = 0; select 3 as d",
        "a|b\n1|grüß 日本\nc\nd\n3",
        &[],
    ),
    (
        "Values of every type",
        "select cast(1 as bit) a, cast(255 as tinyint) b, cast(-32768 as smallint) c, 2147483647 d, \
             cast(-9223372036854775807 as bigint) e, cast(-1.50 as decimal(9,2)) f, cast(12.5 as money) g, \
             2.5e0 h, cast(0.5 as real) i, cast('ab' as char(4)) j, 'é€' k, cast(N'ñ' as nchar(2)) l, \
             cast(N'läng' as nvarchar(max)) m, 0x0102 n, cast('6F9619FF-8B86-D011-B42D-00C04FC964FF' as uniqueidentifier) o, \
             cast('2026-11-22' as date) p, cast('2026-11-22T13:14:15.123' as datetime) q",
        "a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q\n\
             1|255|-32768|2147483647|-9223372036854775807|-1.50|12.5000|2.5|0.5|ab  |é€|ñ |läng|0102|\
             6F9619FF-8B86-D011-B42D-00C04FC964FF|2026-11-22|2026-11-22 13:14:15.123",
        &[],
    ),
    (
        "Transactions",
        "create table dbo.by_isql (a int)\nbegin tran\ninsert dbo.by_isql values (1)\nrollback\n\
             select count(*) as n, @@trancount as t from dbo.by_isql\ndrop table dbo.by_isql",
        "n|t\n0|0",
        &[],
    ),
    (
        "Errors, after which the connection lives on",
        "select 1 / 0\nselect * from nothing\nselect 'still here' as x",
        "x\nstill here",
        &["Divide by zero error", "Invalid object name 'nothing'"],
    ),
    (
        "A new connection again and again",
        "select @@lock_timeout as t\nset lock_timeout 4321",
        "t\n-1\nt\n-1\nt\n-1\nt\n-1\nt\n-1",
        &[],
    ),
];

/// Runs `tsql`; gives what it did with those of our scripts that are named.
pub(super) async fn tsql(features: &[&str], told: &Value) -> Option<Vec<Value>> {
    let login = (text(told, "user"), text(told, "password"));
    let tsql = Tsql::new(&places(told), login)?;
    let mut lines = Vec::new();
    let who = format!("{WHO}\ngo");
    let names = "u\td\ta\napp\tdemo\tjudge";
    let printed = tsql.ask("trusted", &who).await;
    let feature = "Names of user, database and application";
    lines.push(shows(feature, &printed, names, &[]));
    let printed = tsql.ask("stranger", &who).await;
    let fails = "Adaptive Server connection failed";
    let feature = "A certificate of an unknown authority";
    lines.push(shows(feature, &printed, "", &[fails]));
    let printed = again(&tsql).await;
    let feature = "A new connection again and again";
    lines.push(shows(feature, &printed, &"none\tt\n0\t-1\n".repeat(5), &[]));
    // FreeTDS cuts long values at 64 kB unless it is told otherwise.
    let long = "z".repeat(1_200_000);
    let ask = format!(
        "set textsize 2000000\ngo\nselect len('{long}') as n, replicate(cast('y' as varchar(max)), 1200000) as y\ngo"
    );
    let printed = tsql.ask("trusted", &ask).await;
    let rows = format!("n\ty\n1200000\t{}", "y".repeat(1_200_000));
    lines.push(shows("Values of more than 1 MB", &printed, &rows, &[]));
    batches(&tsql, "trusted", &mut lines).await;
    lines.retain(|line| features.contains(&text(line, "feature")));
    lines.push(json!({"version": tsql.version}));
    Some(lines)
}

async fn again(tsql: &Tsql) -> Printed {
    let ask = "select count(object_id('tempdb..#mine')) as none, @@lock_timeout as t\ngo\n\
               create table #mine (id int)\nset lock_timeout 4321\ngo";
    let mut all = Printed {
        rows: String::new(),
        messages: String::new(),
    };
    for _ in 0..5 {
        let printed = tsql.ask("trusted", ask).await;
        all.rows += &format!("{}\n", printed.rows);
        all.messages += &printed.messages;
    }
    all
}

/// Runs `isql` with FreeTDS's ODBC driver; as [`tsql`].
pub(super) async fn isql(features: &[&str], told: &Value) -> Option<Vec<Value>> {
    let version = tool("isql", &["--version"], "unixodbc is needed for isql")?;
    let isql = Isql::new(told);
    let mut lines = vec![json!({"version": version.trim().trim_start_matches("unixODBC ")})];
    for (feature, script, rows, says) in BY_ISQL {
        if !features.contains(&feature) {
            continue;
        }
        let mut printed = isql.ask("trusted", script).await;
        if feature.starts_with("A new connection") {
            for _ in 0..4 {
                printed.rows += &format!("\n{}", isql.ask("trusted", script).await.rows);
            }
        }
        // It says after a statement that failed that it did.
        let told = printed.messages.lines();
        let told = told.filter(|line| !line.is_empty() && !line.starts_with("[ISQL]"));
        let messages: String = told.map(|line| format!("{line}\n")).collect();
        lines.push(shows(
            feature,
            &Printed {
                messages,
                ..printed
            },
            rows,
            says,
        ));
    }
    let feature = "A certificate of an unknown authority";
    if features.contains(&feature) {
        let printed = isql.ask("stranger", WHO).await;
        lines.push(shows(
            feature,
            &printed,
            "",
            &["Could not SQLDriverConnect"],
        ));
    }
    Some(lines)
}

struct Isql {
    files: TempDir,
    login: String,
}

impl Isql {
    fn new(told: &Value) -> Self {
        let files = TempDir::new().unwrap();
        let driver = format!(
            "/usr/lib/{}-linux-gnu/odbc/libtdsodbc.so",
            std::env::consts::ARCH
        );
        assert!(Path::new(&driver).exists(), "tdsodbc is needed: {driver}");
        let ini = format!("[FreeTDS]\nDriver={driver}\n");
        std::fs::write(files.path().join("odbcinst.ini"), ini).unwrap();
        let conf = freetds_conf(&places(told));
        std::fs::write(files.path().join("freetds.conf"), conf).unwrap();
        let (user, password) = (text(told, "user"), text(told, "password"));
        let login = format!("UID={user};PWD={password};Database=demo;APP=judge");
        Self { files, login }
    }

    async fn ask(&self, server: &str, script: &str) -> Printed {
        let string = format!("Driver=FreeTDS;Servername={server};{}", self.login);
        let mut isql = Command::new("isql")
            .args(["-k", &string, "-b", "-v", "-c", "-d|"])
            .env("ODBCSYSINI", self.files.path())
            .env("FREETDSCONF", self.files.path().join("freetds.conf"))
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = isql.stdin.take().unwrap();
        // It may have gone already, if it could not log in.
        let _ = stdin.write_all(format!("{script}\n").as_bytes()).await;
        drop(stdin);
        let output = soon("isql", isql.wait_with_output()).await.unwrap();
        // Messages of the server come among the rows.
        let stdout = String::from_utf8(output.stdout).unwrap();
        let (messages, rows): (Vec<&str>, Vec<&str>) =
            stdout.lines().partition(|line| line.starts_with('['));
        let stderr = String::from_utf8(output.stderr).unwrap();
        Printed {
            rows: rows.join("\n"),
            messages: format!("{}\n{stderr}", messages.join("\n")),
        }
    }
}

/// The listener, and once more for those who trust another authority.
fn places(told: &Value) -> [Place; 2] {
    let encryption = match text(told, "encryption") {
        "off" => "off",
        _ => "require",
    };
    [("trusted", "ca"), ("stranger", "other_ca")].map(|(name, authority)| Place {
        name,
        port: u16::try_from(told["port"].as_u64().unwrap()).unwrap(),
        encryption,
        authority: Some(text(told, authority).into()),
    })
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}
