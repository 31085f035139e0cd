//! T-SQL and what SQL Server answers to it, as data: `tests/data/emulator/tsql/*.toml`.
//!
//! Each case runs in a database of its own. All run, and the failures are listed together.

mod conformance;
mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use entrada::emulator::{Engine, EngineSession};
use entrada::tds::DoneStatus;
use serde::Deserialize;

use crate::engine::answer::{Answer, admin_of, batch, engine, read_with};

/// No case takes this long, unless the engine hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Area {
    /// The heading in the documentation.
    area: String,
    case: Vec<Case>,
}

/// A batch and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The line in the documentation; several cases may share it.
    feature: String,
    /// Batches that run first, without errors.
    #[serde(default)]
    setup: Vec<String>,
    /// A user that the setup made and that the batch runs as; the administrator by default.
    user: Option<String>,
    sql: String,
    /// Rows of the only result set.
    rows: Option<Vec<String>>,
    /// Rows of each result set.
    results: Option<Vec<Vec<String>>>,
    /// Types of the first result set's columns.
    types: Option<String>,
    /// Rows affected, as the last statement that counts says.
    count: Option<u64>,
    /// Number of the first error; without it there must be none.
    error: Option<i32>,
    /// Words of the error, or of an information message if there is no error.
    says: Option<String>,
}

#[test]
fn t_sql_is_answered_as_sql_server_answers_it() {
    let areas = areas(&directory());
    let mut failures = Vec::new();
    for (file, area) in &areas {
        assert!(!area.case.is_empty(), "{file} has no cases");
        failures.extend(run(file, &area.case));
    }
    let cases: usize = areas.iter().map(|(_, area)| area.case.len()).sum();
    assert!(
        failures.is_empty(),
        "{} of {cases} cases failed\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

/// The runner finds what is wrong in the answer: each case of the right answers is asked again with
/// one expectation spoiled, and must fail.
#[test]
fn a_wrong_expectation_fails() {
    let right: Case = toml::from_str(
        r#"feature = "x"
        setup = ["create table t (a int)"]
        sql = "insert t values (1), (2); select a, 'x' from t order by a"
        rows = ["1 | x", "2 | x"]
        types = "int | varchar(1)"
        count = 2"#,
    )
    .unwrap();
    let refused: Case = toml::from_str(
        r#"feature = "x"
        sql = "select * from nothing"
        error = 208
        says = "nothing""#,
    )
    .unwrap();
    assert_eq!(
        run("right", &[right.clone(), refused.clone()]),
        [""; 0],
        "both are right"
    );
    let spoil = |case: &Case, how: fn(&mut Case)| {
        let mut case = case.clone();
        how(&mut case);
        case
    };
    let wrong = [
        spoil(&right, |c| c.rows = Some(vec!["1 | x".into()])),
        spoil(&right, |c| {
            c.rows = Some(vec!["1 | x".into(), "2 | X".into()]);
        }),
        spoil(&right, |c| {
            c.results = c.rows.take().map(|rows| vec![rows, Vec::new()]);
        }),
        spoil(&right, |c| c.types = Some("int | nvarchar(1)".into())),
        spoil(&right, |c| c.types = Some("int".into())),
        spoil(&right, |c| c.count = Some(1)),
        spoil(&right, |c| c.error = Some(208)),
        spoil(&right, |c| c.says = Some("nothing".into())),
        spoil(&right, |c| c.setup.push("create table t (a int)".into())),
        spoil(&right, |c| c.user = Some("nobody".into())),
        spoil(&right, |c| c.sql.push_str("; select 1")),
        spoil(&refused, |c| c.error = None),
        spoil(&refused, |c| c.error = Some(207)),
        spoil(&refused, |c| c.says = Some("something".into())),
        spoil(&refused, |c| c.rows = Some(Vec::new())),
    ];
    for case in wrong {
        assert_eq!(
            run("wrong", std::slice::from_ref(&case)).len(),
            1,
            "{case:?}"
        );
    }
    let unknown = "area = 'x'\n[[case]]\nfeature = 'x'\nsql = 'select 1'\nrow = ['1']";
    assert!(toml::from_str::<Area>(unknown).is_err());
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/emulator/tsql")
}

/// The files of cases, by name.
fn areas(directory: &Path) -> Vec<(String, Area)> {
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let areas: Vec<_> = paths
        .into_iter()
        .map(|path| {
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let area = toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
            (file, area)
        })
        .collect();
    assert!(!areas.is_empty());
    areas
}

/// Runs the cases in an engine of their own and tells what differs.
fn run(file: &str, cases: &[Case]) -> Vec<String> {
    let (engine, _) = engine();
    let mut failures = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let database = format!("case{index}");
        engine.create_database(&database).unwrap();
        let differences = bounded(&engine, &database, case);
        if !differences.is_empty() {
            failures.push(format!(
                "{file}, case {}, {}\n  {}\n  {}",
                index + 1,
                case.feature,
                case.sql.trim().replace('\n', "\n  "),
                differences.join("\n  ")
            ));
        }
    }
    failures
}

/// Runs a case on a thread of its own, so that neither a panic nor a hang ends the others.
fn bounded(engine: &Engine, database: &str, case: &Case) -> Vec<String> {
    let (sender, receiver) = mpsc::channel();
    let (engine, database, case) = (engine.clone(), database.to_owned(), case.clone());
    std::thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| differences(&engine, &database, &case)));
        let _ = sender.send(outcome.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            vec![format!("PANIC: {}", text.unwrap_or_default())]
        }));
    });
    receiver
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| vec!["it hangs".into()])
}

fn differences(engine: &Engine, database: &str, case: &Case) -> Vec<String> {
    let mut session = admin_of(engine, database);
    for sql in &case.setup {
        if let Some(error) = ask(&mut session, sql).errors.first() {
            return vec![format!(
                "setup failed: {} {}: {sql}",
                error.number, error.message
            )];
        }
    }
    if let Some(user) = &case.user {
        let change = format!("EXECUTE AS USER = N'{}'", user.replace('\'', "''"));
        if let Some(error) = ask(&mut session, &change).errors.first() {
            return vec![format!("no such user: {} {}", error.number, error.message)];
        }
    }
    compare(case, &ask(&mut session, &case.sql))
}

fn ask(session: &mut EngineSession, sql: &str) -> Answer {
    let mut bytes = Vec::new();
    session.execute(&batch(sql), &mut bytes).unwrap();
    read_with(&bytes, text::value)
}

fn compare(case: &Case, answer: &Answer) -> Vec<String> {
    let differences = [
        error(case, answer),
        message(case, answer),
        rows(case, answer),
        types(case, answer),
        count(case, answer),
    ];
    differences.into_iter().flatten().collect()
}

fn differ(what: &str, expected: &str, seen: &str) -> Option<String> {
    (expected != seen).then(|| format!("{what}\n    expected {expected}\n    seen     {seen}"))
}

fn error(case: &Case, answer: &Answer) -> Option<String> {
    let seen = answer.errors.first();
    if seen.map(|error| error.number) == case.error {
        return None;
    }
    let seen = seen.map(|error| format!("{}: {}", error.number, error.message));
    let expected = case.error.map(|number| number.to_string());
    let none = || "none".to_owned();
    differ(
        "error",
        &expected.unwrap_or_else(none),
        &seen.unwrap_or_else(none),
    )
}

fn message(case: &Case, answer: &Answer) -> Option<String> {
    let words = case.says.as_ref()?;
    let messages = if answer.errors.is_empty() {
        &answer.infos
    } else {
        &answer.errors
    };
    let seen: Vec<_> = messages.iter().map(|m| m.message.as_str()).collect();
    if seen.iter().any(|message| message.contains(words)) {
        return None;
    }
    differ("message", words, &format!("{seen:?}"))
}

fn rows(case: &Case, answer: &Answer) -> Option<String> {
    let only = case.rows.clone().map(|rows| vec![rows]);
    let expected = case.results.clone().or(only)?;
    let seen: Vec<Vec<_>> = answer
        .results
        .iter()
        .map(|(_, rows)| rows.iter().map(|row| row.join(" | ")).collect())
        .collect();
    differ("rows", &format!("{expected:?}"), &format!("{seen:?}"))
}

fn types(case: &Case, answer: &Answer) -> Option<String> {
    let expected = case.types.clone()?;
    let seen = answer.results.first().map(|(columns, _)| {
        let names: Vec<_> = columns.iter().map(text::type_name).collect();
        names.join(" | ")
    });
    differ("types", &expected, &seen.unwrap_or("no result".into()))
}

fn count(case: &Case, answer: &Answer) -> Option<String> {
    let expected = case.count?.to_string();
    let mut last_first = answer.dones.iter().rev();
    let seen = last_first.find(|done| done.status.contains(DoneStatus::COUNT));
    let seen = seen.map(|done| done.row_count.to_string());
    differ("count", &expected, &seen.unwrap_or("none".into()))
}
