//! The emulator as FreeTDS's `tsql` sees it, by SQL login.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;

use entrada::emulator::{Emulator, EncryptionPolicy};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::clients_node::demo;
use crate::clients_python::ADMIN;
use crate::raw_client::soon;
use crate::support::certificates::Certificates;
use crate::support::clients::{judge, tool};

/// What a client printed, both streams.
pub(crate) struct Printed {
    pub(crate) rows: String,
    pub(crate) messages: String,
}

/// A server as FreeTDS is told of it.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// `off`, `request` or `require`.
    pub(crate) encryption: &'static str,
    /// Whom to trust.
    pub(crate) authority: Option<PathBuf>,
}

/// `tsql` with servers named by how they are to be reached.
pub(crate) struct Tsql {
    /// With `freetds.conf`.
    pub(crate) files: TempDir,
    login: (String, String),
    pub(crate) version: String,
    /// The version that it speaks.
    pub(crate) tds: &'static str,
}

impl Tsql {
    /// `None` if this machine has no `tsql`, which has been said then.
    pub(crate) fn new(places: &[Place], (user, password): (&str, &str)) -> Option<Self> {
        static VERSION: OnceLock<Option<String>> = OnceLock::new();
        let settings = VERSION
            .get_or_init(|| tool("tsql", &["-C"], "freetds-bin is needed for tsql"))
            .as_ref()?;
        let version = settings.split("freetds v").nth(1).unwrap();
        let version = version.split_whitespace().next().unwrap().to_owned();
        let files = TempDir::new().unwrap();
        std::fs::write(files.path().join("freetds.conf"), freetds_conf(places)).unwrap();
        let login = (user.to_owned(), password.to_owned());
        Some(Self {
            files,
            login,
            version,
            tds: "7.4",
        })
    }

    pub(crate) async fn ask(&self, server: &str, script: &str) -> Printed {
        let login = (&*self.login.0, &*self.login.1);
        self.ask_as(server, script, login, self.tds).await
    }

    async fn ask_as(
        &self,
        server: &str,
        script: &str,
        (user, password): (&str, &str),
        version: &str,
    ) -> Printed {
        let mut tsql = Command::new("tsql")
            .args(["-S", server, "-U", user, "-P", password, "-D", "demo"])
            .args(["-o", "q", "-a", "judge"])
            .env("FREETDSCONF", self.files.path().join("freetds.conf"))
            .env("TDSVER", version)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = tsql.stdin.take().unwrap();
        // It may have gone already, if it could not log in.
        let _ = stdin
            .write_all(format!("{script}\nexit\n").as_bytes())
            .await;
        drop(stdin);
        let output = soon("tsql", tsql.wait_with_output()).await.unwrap();
        Printed {
            rows: String::from_utf8(output.stdout).unwrap().trim().to_owned(),
            messages: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[tokio::test]
async fn tsql() {
    let strict = demo().await;
    let lenient = Emulator::builder()
        .sql_admin(ADMIN.0, ADMIN.1)
        .encryption(EncryptionPolicy::OnRequest)
        .start()
        .await
        .unwrap();
    let files = TempDir::new().unwrap();
    let stranger = files.path().join("stranger.pem");
    std::fs::write(&stranger, Certificates::for_names(&["localhost"]).ca_pem).unwrap();
    let trusted = Some(strict.ca_certificate_file());
    let place = |name, emulator: &Emulator, encryption, authority| Place {
        name,
        port: emulator.sql_addr().port(),
        encryption,
        authority,
    };
    let places = [
        place("require", &strict, "require", trusted.clone()),
        place("request", &strict, "request", trusted),
        place("stranger", &strict, "require", Some(stranger)),
        place("off", &strict, "off", None),
        place("lenient", &lenient, "off", None),
    ];
    let Some(tsql) = Tsql::new(&places, ADMIN) else {
        return;
    };
    let mut lines = vec![json!({"version": tsql.version})];
    logins(&tsql, &mut lines).await;
    batches(&tsql, "require", &mut lines).await;
    judge("FreeTDS tsql", &lines);
}

async fn logins(tsql: &Tsql, lines: &mut Vec<Value>) {
    let who = "select user_name(), db_name()\ngo";
    for (feature, server) in [
        (
            "SQL login, encryption required, certificate verified",
            "require",
        ),
        ("SQL login, encryption requested", "request"),
        (
            "SQL login without encryption, where it is allowed",
            "lenient",
        ),
    ] {
        let printed = tsql.ask(server, who).await;
        lines.push(shows(feature, &printed, "dbo\tdemo", &[]));
    }
    let fails = "Adaptive Server connection failed";
    let printed = tsql.ask("off", who).await;
    lines.push(shows("No encryption", &printed, "", &[fails]));
    let printed = tsql.ask("stranger", who).await;
    lines.push(shows(
        "A certificate of an unknown authority",
        &printed,
        "",
        &[fails],
    ));
    let wrong = (ADMIN.0, "wrong");
    let printed = tsql.ask_as("require", who, wrong, "7.4").await;
    let says = format!("Login failed for user '{}'.", ADMIN.0);
    lines.push(shows(
        "A wrong password",
        &printed,
        "",
        &["Msg 18456", &says],
    ));
    let mut old = Printed {
        rows: String::new(),
        messages: String::new(),
    };
    for version in ["7.1", "7.2", "7.3"] {
        let printed = tsql.ask_as("require", who, ADMIN, version).await;
        old.rows += &printed.rows;
        old.messages += &printed.messages;
    }
    let says = [
        "asked for TDS 7.1",
        "asked for TDS 7.2",
        "asked for TDS 7.3",
    ];
    lines.push(shows("TDS 7.1, 7.2 and 7.3", &old, "", &says));
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
pub(crate) async fn batches(tsql: &Tsql, server: &str, lines: &mut Vec<Value>) {
    let cases: [(&str, &str, &str, &[&str]); 7] = [
        (
            "Several results of a batch",
            "select 1 as a, N'grüß 日本' as b\nselect 2 as c where 1 = 0; select 3 as d\ngo",
            "a\tb\n1\tgrüß 日本\nc\nd\n3",
            &[],
        ),
        (
            "Batches, temporary tables and variables",
            "create table #t (a int, b varchar(10))\ngo\ninsert #t values (1, 'x'), (2, null)\ngo\n\
             declare @n int = 1\nselect a, b from #t where a > @n\ngo",
            "a\tb\n2\tNULL",
            &[],
        ),
        (
            "Transactions",
            "create table #t (a int)\ngo\nbegin tran\ninsert #t values (1)\ngo\nrollback\ngo\n\
             begin tran\ninsert #t values (2)\ncommit\ngo\nselect a, @@trancount as n from #t\ngo",
            "a\tn\n2\t0",
            &[],
        ),
        (
            "Errors, after which the connection lives on",
            "select * from nothing\ngo\nselect 1 / 0\ngo\nraiserror('own %d', 16, 2, 5)\ngo\n\
             select 'still here' as x\ngo",
            "x\nstill here",
            &[
                "Msg 208 (severity 16, state 1)",
                "\"Invalid object name 'nothing'.\"",
                "Msg 8134 (severity 16, state 1)",
                "Msg 50000 (severity 16, state 2)",
                "\"own 5\"",
            ],
        ),
        (
            "Messages of PRINT",
            "print N'hällo'\ngo\nselect 1 as x\ngo",
            "x\n1",
            &["hällo"],
        ),
        (
            "Values of every type",
            "select cast(1 as bit) a, cast(255 as tinyint) b, cast(-32768 as smallint) c, 2147483647 d, \
             cast(-9223372036854775807 as bigint) e, cast(-1.50 as decimal(9,2)) f, \
             cast(12.5 as money) g, cast(-0.0001 as smallmoney) h, 2.5e0 i, cast(0.5 as real) j\n\
             select cast('ab' as char(4)) a, 'é€' b, cast(N'ñ' as nchar(2)) c, N'日本' d, \
             cast('long' as varchar(max)) e, cast(N'läng' as nvarchar(max)) f\n\
             select 0x0102 a, cast(0x0102 as binary(4)) b, cast(0xFF as varbinary(max)) c, \
             cast('6F9619FF-8B86-D011-B42D-00C04FC964FF' as uniqueidentifier) d\n\
             select cast('2026-11-22T13:14:00' as smalldatetime) a, cast('2026-11-22T13:14:15.123' as datetime) b, \
             cast('2026-11-22' as date) c, cast('2026-11-22T13:14:15.1234567' as datetime2) d, \
             cast('2026-11-22 13:14:15 +01:00' as datetimeoffset) e\ngo",
            "a\tb\tc\td\te\tf\tg\th\ti\tj\n\
             1\t255\t-32768\t2147483647\t-9223372036854775807\t-1.50\t12.5000\t-0.0001\t2.5\t0.5\n\
             a\tb\tc\td\te\tf\nab  \té€\tñ \t日本\tlong\tläng\n\
             a\tb\tc\td\n0102\t01020000\tff\t6F9619FF-8B86-D011-B42D-00C04FC964FF\n\
             a\tb\tc\td\te\nNov 22 2026 01:14PM\tNov 22 2026 01:14PM\tNov 22 2026 12:00AM\t\
             Nov 22 2026 01:14PM\tNov 22 2026 01:14PM",
            &[],
        ),
        (
            "Rows in many packets",
            "select count(*) as n, max(len(s)) as m from (select replicate(cast('x' as varchar(max)), 20000) as s) as t\n\
             select replicate('y', 8000) as y\ngo",
            "n\tm\n1\t20000\ny\nYYYY",
            &[],
        ),
    ];
    // Of dates and times that its version has not it gets the text.
    let new_dates = "Nov 22 2026 12:00AM\tNov 22 2026 01:14PM\tNov 22 2026 01:14PM";
    let as_text = "2026-11-22\t2026-11-22 13:14:15.1234567\t2026-11-22 13:14:15.0000000 +01:00";
    for (feature, script, rows, says) in cases {
        let printed = tsql.ask(server, script).await;
        let mut rows = rows.replace("YYYY", &"y".repeat(8000));
        if tsql.tds < "7.3" {
            rows = rows.replace(new_dates, as_text);
        }
        lines.push(shows(feature, &printed, &rows, says));
    }
}

/// FreeTDS's file with these servers.
pub(crate) fn freetds_conf(places: &[Place]) -> String {
    let mut text = String::from("[global]\ntds version = 7.4\nclient charset = UTF-8\n");
    for place in places {
        let (name, port, encryption) = (place.name, place.port, place.encryption);
        text += &format!("[{name}]\nhost = localhost\nport = {port}\nencryption = {encryption}\n");
        if let Some(file) = &place.authority {
            text += &format!("ca file = {}\n", file.display());
            text += "check certificate hostname = yes\n";
        }
    }
    text
}

/// One line for the judge: the rows are these (or end with these), and the messages hold these words.
pub(crate) fn shows(feature: &str, printed: &Printed, rows: &str, says: &[&str]) -> Value {
    let lines = |text: &str| -> Vec<String> {
        let filled = text.lines().filter(|line| !line.is_empty());
        filled.map(str::to_owned).collect()
    };
    let ok = lines(&printed.rows) == lines(rows)
        && says.iter().all(|words| printed.messages.contains(words))
        && (!says.is_empty() || printed.messages.is_empty());
    json!({
        "feature": feature,
        "ok": ok,
        "detail": format!("{}\n{}", printed.rows, printed.messages),
    })
}
