//! How it ended: a table of all databases, and the failures with cause and fix.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::Value;

use super::show::{Paint, one_line};
use super::trouble::Trouble;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::grants::fleet::{Ended, Outcome};

/// How a command ended, database by database.
pub(super) struct Report {
    command: &'static str,
    rows: Vec<Row>,
    /// What else the JSON says, in front of the databases.
    head: Vec<(&'static str, Value)>,
}

/// How it ended in one database.
pub(super) struct Row {
    pub(super) label: String,
    /// The server and the database, as far as that was found out.
    pub(super) place: Option<String>,
    pub(super) end: End,
    /// How many changes it is about, if that was found out.
    pub(super) changes: Option<usize>,
    pub(super) took: Duration,
    /// What else the JSON says.
    pub(super) more: Vec<(&'static str, Value)>,
}

/// How it ended.
pub(super) enum End {
    /// As wished; the word for it.
    Well(&'static str),
    /// The command did its work, and found what fails a check.
    Found(&'static str),
    /// It did not.
    Badly(Bad),
}

/// What went wrong.
pub(super) struct Bad {
    word: &'static str,
    exit: Exit,
    kind: &'static str,
    cause: String,
    fix: Option<String>,
}

#[derive(Serialize)]
struct ErrorShape<'r> {
    kind: &'static str,
    message: &'r str,
    fix: Option<&'r str>,
}

impl Report {
    pub(super) fn new(command: &'static str, rows: Vec<Row>) -> Self {
        Self {
            command,
            rows,
            head: Vec::new(),
        }
    }

    /// Adds something to the head of the JSON.
    pub(super) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.head.push((key, value.into()));
        self
    }

    /// Prints the table, and what failed.
    pub(super) fn print_text(&self) -> Result<(), Failure> {
        let paint = Paint::of_output();
        let mut text = format!("{}\n", self.table());
        let bad = self.rows.iter().filter_map(|row| match &row.end {
            End::Badly(bad) => Some((row, bad)),
            _ => None,
        });
        let bad: Vec<(&Row, &Bad)> = bad.collect();
        if !bad.is_empty() {
            let heading = format!("{} of {} failed:", bad.len(), self.rows.len());
            let _ = writeln!(text, "\n{}", paint.bold(&heading));
        }
        for (row, bad) in bad {
            let label = paint.bad(&one_line(&row.label));
            let _ = writeln!(text, "  {label}: {}", one_line(&bad.cause));
            if let Some(fix) = &bad.fix {
                let _ = writeln!(text, "    fix: {fix}");
            }
        }
        output::print(&text)
    }

    /// As one JSON document.
    pub(super) fn json(&self) -> Value {
        let mut document = serde_json::Map::new();
        document.insert("version".into(), 1.into());
        document.insert("command".into(), self.command.into());
        let head = self.head.iter().cloned();
        document.extend(head.map(|(key, value)| (key.to_owned(), value)));
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        document.insert("databases".into(), rows.into());
        let bad = |row: &&Row| matches!(row.end, End::Badly(_));
        let summary = serde_json::json!({
            "databases": self.rows.len(),
            "failed": self.rows.iter().filter(bad).count(),
            "changes": self.rows.iter().filter_map(|row| row.changes).sum::<usize>(),
            "exit_code": self.exit() as u8,
        });
        document.insert("summary".into(), summary);
        Value::Object(document)
    }

    pub(super) fn print_json(&self) -> Result<(), Failure> {
        output::print_line(&format!("{:#}", self.json()))
    }

    /// The one code of all failures if nothing went well and they agree; 1 if
    /// only some failed, or in several ways.
    pub(super) fn exit(&self) -> Exit {
        let exits = self.rows.iter().map(|row| match &row.end {
            End::Well(_) => Exit::Ok,
            End::Found(_) => Exit::Failed,
            End::Badly(bad) => bad.exit,
        });
        exits
            .reduce(|a, b| if a == b { a } else { Exit::Failed })
            .unwrap_or(Exit::Ok)
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header(["database", "changes", "outcome", "time"]);
        for row in &self.rows {
            let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
            let changes = row
                .changes
                .map_or_else(|| "-".to_owned(), |n| n.to_string());
            let took = format!("{:.1} s", row.took.as_secs_f64());
            table.add_row([
                Cell::new(one_line(&row.label)),
                right(changes),
                Cell::new(row.end.word()),
                right(took),
            ]);
        }
        table
    }
}

impl Row {
    /// Of work that ended in `outcome`; `well` makes the rest of what was done.
    pub(super) fn of<T>(
        label: &str,
        ended: Ended<T, Trouble>,
        well: impl FnOnce(T, &mut Self) -> End,
    ) -> Self {
        let mut row = Self {
            label: label.to_owned(),
            place: None,
            end: End::Well(""),
            changes: None,
            took: ended.took,
            more: Vec::new(),
        };
        row.end = End::of(ended.outcome, |done| well(done, &mut row));
        row
    }

    fn json(&self) -> Value {
        let mut shape = serde_json::Map::new();
        shape.insert("database".into(), self.label.as_str().into());
        shape.insert("place".into(), self.place.as_deref().into());
        shape.insert("outcome".into(), self.end.word().into());
        let error = match &self.end {
            End::Badly(bad) => serde_json::json!(ErrorShape {
                kind: bad.kind,
                message: &bad.cause,
                fix: bad.fix.as_deref(),
            }),
            _ => Value::Null,
        };
        shape.insert("error".into(), error);
        shape.insert("seconds".into(), seconds(self.took).into());
        let more = self.more.iter().cloned();
        shape.extend(more.map(|(key, value)| (key.to_owned(), value)));
        Value::Object(shape)
    }
}

impl End {
    pub(super) fn of<T>(outcome: Outcome<T, Trouble>, well: impl FnOnce(T) -> Self) -> Self {
        match outcome {
            Outcome::Done(done) => well(done),
            Outcome::Failed(trouble) => Self::Badly(Bad::of(trouble)),
            other => Self::Badly(Bad::unfinished(&other)),
        }
    }

    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Well(word) | Self::Found(word) => word,
            Self::Badly(bad) => bad.word,
        }
    }
}

impl Bad {
    fn of(trouble: Trouble) -> Self {
        let fix = trouble.fix().map(str::to_owned);
        let word = if trouble.is_in_doubt() {
            "in-doubt"
        } else {
            "failed"
        };
        Self {
            word,
            exit: trouble.exit(),
            kind: trouble.kind(),
            fix,
            cause: trouble.cause(),
        }
    }

    fn unfinished<T>(outcome: &Outcome<T, Trouble>) -> Self {
        let (word, cause, fix) = match outcome {
            Outcome::InDoubt => (
                "in-doubt",
                "the server was committing and did not say how that ended".to_owned(),
                "plan again: it is empty if the changes were made",
            ),
            Outcome::TimedOut(limit) => (
                "timed-out",
                format!("not done within {limit:?}; nothing was changed"),
                "raise --timeout, or find out what holds the database up",
            ),
            Outcome::NotBegun => (
                "not-begun",
                "not begun, for the run ended before".to_owned(),
                "run it again; --journal and --resume skip what is done",
            ),
            _ => (
                "interrupted",
                "interrupted; nothing was changed".to_owned(),
                "run it again; --journal and --resume skip what is done",
            ),
        };
        Self {
            word,
            exit: Exit::Failed,
            kind: word,
            cause,
            fix: Some(fix.to_owned()),
        }
    }
}

/// To the millisecond.
fn seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1000.0).round() / 1000.0
}
