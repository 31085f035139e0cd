//! FreeTDS's programs at each version that it knows: `tsql`, `bsqldb` and `freebcp`; and its ODBC
//! driver by pyodbc.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::every_type::{TYPES, Type};
use super::{OldClients, list};
use crate::clients_freetds::{Place, Printed, Tsql, batches, shows};
use crate::proxy::clients::bench::LOGIN;
use crate::proxy::clients::list::Encryption;
use crate::raw_client::soon;
use crate::support::clients::{compare, python};

/// How the programs are told of the proxy.
const SERVER: &str = "proxy";

#[tokio::test]
async fn by_7_1() {
    programs("7.1").await;
}

#[tokio::test]
async fn by_7_2() {
    programs("7.2").await;
}

#[tokio::test]
async fn by_7_3() {
    programs("7.3").await;
}

/// The newest, which nothing is rewritten for, does the same.
#[tokio::test]
async fn by_7_4() {
    programs("7.4").await;
}

#[tokio::test]
async fn by_7_0_they_are_refused_and_told_why() {
    let clients = OldClients::start().await;
    for encryption in [Encryption::Off, Encryption::Unwanted] {
        let Some(tsql) = tools(&clients, encryption, "7.0") else {
            return;
        };
        let printed = tsql.ask(SERVER, "select 1\ngo").await;
        assert_eq!(printed.rows, "");
        for words in [
            "Msg 18456",
            "Entrada: this client speaks TDS 7.0",
            "TDSVER=7.1",
            "Adaptive Server connection failed",
        ] {
            assert!(printed.messages.contains(words), "{}", printed.messages);
        }
    }
}

/// All that the programs must do, at one version.
async fn programs(tds: &'static str) {
    let clients = OldClients::start().await;
    let Some(tsql) = tools(&clients, Encryption::Off, tds) else {
        return;
    };
    let mut lines = vec![json!({"version": tsql.version})];
    batches(&tsql, SERVER, &mut lines).await;
    lines.push(what_the_version_lacks(&tsql).await);
    lines.push(every_type(&tsql).await);
    lines.push(bulk(&tsql).await);
    lines.push(long_values(&tsql).await);
    lines.push(large_result(&tsql).await);
    lines.push(line_numbers(&tsql).await);
    lines.push(again(&tsql).await);
    if let Some(tsql) = tools(&clients, Encryption::On, tds) {
        let who = "select user_name() as u, db_name() as d, app_name() as a\ngo";
        let printed = tsql.ask(SERVER, who).await;
        let rows = "u\td\ta\napp\tdemo\tjudge";
        lines.push(shows(
            "encryption required, certificate verified",
            &printed,
            rows,
            &[],
        ));
    }
    compare(
        &list::expected("FreeTDS tsql, bsqldb and freebcp", tds),
        &lines,
    );
    clients.bench.no_password_went_upstream();
}

fn tools(clients: &OldClients, encryption: Encryption, tds: &'static str) -> Option<Tsql> {
    let place = Place {
        name: SERVER,
        port: clients.bench.address(encryption).port(),
        encryption: match encryption {
            Encryption::On => "require",
            _ => "off",
        },
        authority: Some(clients.bench.file("ca.pem")),
    };
    let mut tsql = Tsql::new(&[place], LOGIN)?;
    tsql.tds = tds;
    Some(tsql)
}

fn is_before(tsql: &Tsql, version: &str) -> bool {
    tsql.tds < version
}

/// Runs one of the other programs in the folder of its files.
async fn run(tsql: &Tsql, program: &str, arguments: &[&str], stdin: &str) -> Printed {
    let mut process = Command::new(program)
        .args(arguments)
        .args(["-S", SERVER, "-U", LOGIN.0, "-P", LOGIN.1])
        .current_dir(tsql.files.path())
        .env("FREETDSCONF", tsql.files.path().join("freetds.conf"))
        .env("TDSVER", tsql.tds)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    // It may have gone already.
    let _ = input.write_all(stdin.as_bytes()).await;
    drop(input);
    let output = soon(program, process.wait_with_output()).await.unwrap();
    Printed {
        rows: String::from_utf8_lossy(&output.stdout).into_owned(),
        messages: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn line(feature: &str, problem: Option<String>) -> Value {
    json!({"feature": feature, "ok": problem.is_none(), "detail": problem.unwrap_or_default()})
}

/// The types of columns as `bsqldb` tells them: a program that spoke another version than it was
/// told to would show others.
async fn what_the_version_lacks(tsql: &Tsql) -> Value {
    let select = "select varchar_max, nvarchar_max, varbinary_max, [date], [time], datetime2, \
                  datetimeoffset from dbo.every_type where 1 = 0\ngo\n";
    let printed = run(tsql, "bsqldb", &["-v", "-D", "demo"], select).await;
    let types = printed
        .messages
        .lines()
        .skip_while(|line| *line != "Metadata");
    // Number, name, source and type.
    let types: Vec<&str> = types
        .skip(3)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .take_while(|words| words.first().is_some_and(|word| word.parse::<u8>().is_ok()))
        .filter_map(|words| words.get(3).copied())
        .collect();
    let wanted: &[&str] = match tsql.tds {
        "7.1" => &["text", "text", "image", "char", "char", "char", "char"],
        "7.2" => &["char", "char", "binary", "char", "char", "char", "char"],
        // It knows no name for a date's type and gives up there.
        _ => &["char", "char", "binary", "date"],
    };
    let problem = (types != wanted).then(|| format!("{types:?}\n{}", printed.messages));
    line(
        "What the version has no type for is shown as another",
        problem,
    )
}

/// What `freebcp` writes for a value.
fn written(tsql: &Tsql, of: &Type, row: usize) -> String {
    let Some(text) = of.text(row) else {
        return String::new();
    };
    let as_text = is_before(tsql, "7.3");
    let base = of.sql_type.split('(').next().unwrap();
    match base {
        _ if text.is_empty() => "\0".to_owned(),
        "float" => text.replace('E', "e+"),
        "binary" | "varbinary" | "image" => text.to_lowercase(),
        "smalldatetime" => format!("{text}.000"),
        "date" | "time" | "datetime2" | "datetimeoffset" if !as_text => as_datetime(base, text),
        _ => text.to_owned(),
    }
}

/// It shows the new dates and times as it does a datetime, to milliseconds.
fn as_datetime(base: &str, text: &str) -> String {
    let text = match base {
        "date" => format!("{text} 00:00:00"),
        "time" => format!("1900-01-01 {text}"),
        _ => text.get(..27).unwrap_or(text).to_owned(),
    };
    let (whole, fraction) = match base {
        "datetimeoffset" => text.split_at(19),
        _ => text.split_once('.').unwrap_or((&text, "")),
    };
    let fraction: String = fraction.chars().filter(char::is_ascii_digit).collect();
    let millis = if fraction.len() < 3 || !text.contains('.') {
        "000"
    } else {
        &fraction[..3]
    };
    format!("{}.{millis}", whole.trim_start_matches("000"))
}

async fn every_type(tsql: &Tsql) -> Value {
    let feature = "freebcp out: every type, extremes and NULL";
    let file = tsql.files.path().join("out.txt");
    let arguments = [
        "demo.dbo.every_type",
        "out",
        "out.txt",
        "-c",
        "-t",
        "|",
        "-r",
        "\\n",
    ];
    let printed = run(tsql, "freebcp", &arguments, "").await;
    let Ok(got) = std::fs::read_to_string(file) else {
        return line(feature, Some(printed.messages));
    };
    let wanted: Vec<String> = (0..super::rows())
        .map(|row| {
            let values = TYPES.iter().map(|of| written(tsql, of, row));
            let values: Vec<String> = values.collect();
            format!("{row}|{}", values.join("|"))
        })
        .collect();
    let got: Vec<&str> = got.lines().collect();
    line(
        feature,
        (got != wanted).then(|| format!("{got:#?}\n{wanted:#?}")),
    )
}

/// `freebcp in` of what `freebcp out` wrote: as it stands at the server it is the same.
async fn bulk(tsql: &Tsql) -> Value {
    let feature = "freebcp in: what it wrote comes back the same";
    // From 7.3 on FreeTDS itself cuts the new dates to milliseconds.
    let columns = TYPES.iter().filter(|of| {
        is_before(tsql, "7.3")
            || !["date", "time", "datetime2"].iter().any(|new| {
                of.sql_type == *new
                    || of.sql_type.starts_with(&format!("{new}("))
                    || of.sql_type.starts_with("datetimeoffset")
            })
    });
    let columns: Vec<&Type> = columns.collect();
    let names: Vec<String> = columns.iter().map(|of| format!("[{}]", of.name)).collect();
    let names = names.join(", ");
    let prepare = format!(
        "drop table if exists dbo.source; drop table if exists dbo.copied\n\
         select id, {names} into dbo.source from dbo.every_type\n\
         select id, {names} into dbo.copied from dbo.every_type where 1 = 0\ngo"
    );
    let mut told = tsql.ask(SERVER, &prepare).await.messages;
    for (table, way) in [("source", "out"), ("copied", "in")] {
        let table = format!("demo.dbo.{table}");
        let arguments = [&*table, way, "bulk.txt", "-c", "-t", "|", "-r", "\\n"];
        let printed = run(tsql, "freebcp", &arguments, "").await;
        told += &format!("{}{}", printed.rows, printed.messages);
    }
    // Types that cannot be compared as they are.
    let same = columns.iter().map(|of| {
        let side = |table: &str| match of.sql_type {
            "text" | "ntext" => format!("cast({table}.[{}] as nvarchar(max))", of.name),
            "image" => format!("cast({table}.[{}] as varbinary(max))", of.name),
            _ => format!("{table}.[{}]", of.name),
        };
        let (a, b) = (side("a"), side("b"));
        format!("({a} = {b} or ({a} is null and {b} is null))")
    });
    let same: Vec<String> = same.collect();
    let ask = format!(
        "select count(*) as n from dbo.source a join dbo.copied b on a.id = b.id where {}\ngo",
        same.join(" and ")
    );
    let printed = tsql.ask(SERVER, &ask).await;
    let all = format!("n\n{}", super::rows());
    let ok = printed.rows == all && printed.messages.is_empty();
    line(
        feature,
        (!ok).then(|| format!("{}\n{}\n{told}", printed.rows, printed.messages)),
    )
}

/// Values of 1 MB in both directions by bulk load and as rows.
async fn long_values(tsql: &Tsql) -> Value {
    let feature = "freebcp in and out: values of 1 MB";
    let row = |id: usize| {
        let text = "wörd €_".repeat(150_000 + id);
        let wide = "日本_".repeat(200_000 + id);
        let bytes = "00ff10".repeat(400_000 + id);
        format!("{id}|{text}|{wide}|{bytes}|{text}|{wide}|{bytes}\n")
    };
    let wanted: String = (0..2).map(row).collect();
    std::fs::write(tsql.files.path().join("long.txt"), &wanted).unwrap();
    let prepare = "drop table if exists dbo.long_values\n\
                   create table dbo.long_values (id int not null, t text, n ntext, i image, \
                   vt varchar(max), vn nvarchar(max), vi varbinary(max))\ngo";
    let mut told = tsql.ask(SERVER, prepare).await.messages;
    for (way, file) in [("in", "long.txt"), ("out", "back.txt")] {
        let table = "demo.dbo.long_values";
        let arguments = [
            table, way, file, "-c", "-t", "|", "-r", "\\n", "-T", "20000000",
        ];
        let printed = run(tsql, "freebcp", &arguments, "").await;
        told += &format!("{}{}", printed.rows, printed.messages);
    }
    let ask = "select datalength(t) as t, datalength(n) as n, datalength(i) as i, datalength(vt) as vt, \
               datalength(vn) as vn, datalength(vi) as vi from dbo.long_values order by id\ngo";
    let lengths = tsql.ask(SERVER, ask).await.rows;
    let rows = "t\tn\ti\tvt\tvn\tvi\n\
                1050000\t1200000\t1200000\t1050000\t1200000\t1200000\n\
                1050007\t1200006\t1200003\t1050007\t1200006\t1200003";
    let back = std::fs::read_to_string(tsql.files.path().join("back.txt")).unwrap_or_default();
    let ok = back == wanted && lengths == rows;
    line(
        feature,
        (!ok).then(|| format!("{lengths}\n{} bytes\n{told}", back.len())),
    )
}

async fn large_result(tsql: &Tsql) -> Value {
    let feature = "a result of 50 MB";
    let query = "select n, replicate(char(65 + n % 26), 5000) from demo.dbo.numbers order by n";
    let arguments = [query, "queryout", "large.txt", "-c", "-t", "|", "-r", "\\n"];
    let printed = run(tsql, "freebcp", &arguments, "").await;
    let got = std::fs::read_to_string(tsql.files.path().join("large.txt")).unwrap_or_default();
    let mut rows = 0_u32;
    let all = got.lines().all(|text| {
        let letter = char::from(b'A' + u8::try_from(rows % 26).unwrap());
        let row = text.strip_prefix(&format!("{rows}|"));
        rows += 1;
        row.is_some_and(|row| row.len() == 5000 && row.chars().all(|c| c == letter))
    });
    let ok = all && rows == 10_000;
    line(
        feature,
        (!ok).then(|| format!("{rows} rows of {} bytes\n{}", got.len(), printed.messages)),
    )
}

/// What `bsqldb` tells of counts, messages and errors.
async fn line_numbers(tsql: &Tsql) -> Value {
    let feature = "errors with number, state and line; counts of rows";
    let script = "insert dbo.numbers select 70000 + n from dbo.numbers where n < 7\ngo\n\
                  delete dbo.numbers where n >= 70003\ngo\n\
                  print 'hällo'\n\nraiserror('own %d', 11, 3, 5)\ngo\n";
    let printed = run(tsql, "bsqldb", &["-D", "demo"], script).await;
    let said = [
        "7 rows affected",
        "4 rows affected",
        "hällo",
        "Msg 50000, Level 11, State 3",
        "Line 3",
        "own 5",
    ];
    let all = printed.rows + &printed.messages;
    let ok = said.iter().all(|words| all.contains(words));
    line(feature, (!ok).then_some(all))
}

/// A new session each time, each of them clean.
async fn again(tsql: &Tsql) -> Value {
    let ask = "select count(object_id('tempdb..#mine')) as none, @@lock_timeout as t, @@trancount as n\ngo\n\
               create table #mine (id int)\nset lock_timeout 4321\nbegin tran\ngo\n";
    let mut all = Printed {
        rows: String::new(),
        messages: String::new(),
    };
    for _ in 0..5 {
        let printed = tsql.ask(SERVER, ask).await;
        all.rows += &format!("{}\n", printed.rows);
        all.messages += &printed.messages;
    }
    let rows = "none\tt\tn\n0\t-1\t0\n".repeat(5);
    shows("A new connection again and again", &all, &rows, &[])
}

#[tokio::test]
async fn odbc_by_7_1() {
    odbc("7.1").await;
}

#[tokio::test]
async fn odbc_by_7_2() {
    odbc("7.2").await;
}

#[tokio::test]
async fn odbc_by_7_3() {
    odbc("7.3").await;
}

/// The same program that judges it at 7.4.
async fn odbc(tds: &str) {
    let clients = OldClients::start().await;
    let expected = list::expected("FreeTDS ODBC by pyodbc", tds);
    let features = expected.features.iter().chain(&expected.refused);
    let names: Vec<&str> = features.map(String::as_str).collect();
    let told = clients.told(Encryption::Off);
    let environment = [("EMULATOR", told.to_string()), ("TDSVER", tds.to_owned())];
    if let Some(lines) = python("freetds_odbc_judge.py", &names, environment).await {
        compare(&expected, &lines);
    }
}
