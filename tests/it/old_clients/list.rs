//! What each client must do at each old version, and the table of it in the documentation.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::support::{clients, docs};

/// The data file, relative to the crate.
const EXPECTED: &str = "tests/data/proxy/old_clients.toml";

/// One client of the data file. Lists are of names of features as its judge has them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    version: String,
    over: Option<String>,
    connect: Vec<String>,
    types: Vec<String>,
    parameters: Vec<String>,
    prepared: Vec<String>,
    results: Vec<String>,
    errors: Vec<String>,
    transactions: Vec<String>,
    cancel: Vec<String>,
    large: Vec<String>,
    bulk: Vec<String>,
    more: Vec<String>,
    /// What more is to be known.
    note: Option<String>,
    session: Vec<Session>,
}

/// A version that the client is told to speak.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    tds: String,
    /// How it is told, in Markdown.
    setting: String,
    /// Features that it has not at this version.
    #[serde(default)]
    without: Vec<String>,
    /// Features that it has at this version only.
    #[serde(default)]
    also: Vec<String>,
    /// What must be refused with an error that says so; the client does nothing else then.
    #[serde(default)]
    refused: Vec<String>,
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    client: Vec<Row>,
}

/// What this client must do when it speaks this version.
pub(super) fn expected(name: &str, tds: &str) -> clients::Client {
    let (row, session) = find(name, tds);
    row.client(row.features(&session), session.refused)
}

/// Its features that connect only.
pub(super) fn connects(name: &str, tds: &str) -> clients::Client {
    let (row, _) = find(name, tds);
    row.client(row.connect.clone(), Vec::new())
}

fn find(name: &str, tds: &str) -> (Row, Session) {
    let mut rows = rows().into_iter();
    let found = rows.find(|row| row.name == name);
    let mut row = found.unwrap_or_else(|| panic!("{name} is not in {EXPECTED}"));
    let at = row.session.iter().position(|session| session.tds == tds);
    let at = at.unwrap_or_else(|| panic!("{name} has no TDS {tds} in {EXPECTED}"));
    let session = row.session.swap_remove(at);
    (row, session)
}

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXPECTED);
    let text = std::fs::read_to_string(path).unwrap();
    let expected: Expected = toml::from_str(&text).unwrap_or_else(|e| panic!("{EXPECTED}: {e}"));
    expected.client
}

impl Row {
    fn client(&self, features: Vec<String>, refused: Vec<String>) -> clients::Client {
        clients::Client {
            name: self.name.clone(),
            version: self.version.clone(),
            over: self.over.clone(),
            features,
            refused,
            missing: Vec::new(),
        }
    }

    fn features(&self, session: &Session) -> Vec<String> {
        if !session.refused.is_empty() {
            return Vec::new();
        }
        let groups = self.groups().into_iter().map(|(_, names)| names);
        let all = groups.chain([&self.more]).flatten();
        let kept = all.filter(|name| !session.without.contains(name));
        kept.chain(&session.also).cloned().collect()
    }

    fn groups(&self) -> [(&'static str, &Vec<String>); 10] {
        [
            ("Connect", &self.connect),
            ("Types", &self.types),
            ("Parameters", &self.parameters),
            ("Prepared", &self.prepared),
            ("Several results", &self.results),
            ("Errors", &self.errors),
            ("Transactions", &self.transactions),
            ("Cancel", &self.cancel),
            ("50 MB, 1 MB each way", &self.large),
            ("Bulk load", &self.bulk),
        ]
    }

    fn full_name(&self) -> String {
        let over = self.over.iter().map(|over| format!(" over {over}"));
        format!("{} {}{}", self.name, self.version, over.collect::<String>())
    }
}

/// Every name that a version is without is one that the others have.
#[test]
fn what_a_version_lacks_is_in_the_list() {
    for row in rows() {
        let groups = row.groups();
        let names: Vec<&String> = groups.iter().flat_map(|(_, names)| *names).collect();
        for session in &row.session {
            for name in &session.without {
                let known = names.contains(&name) || row.more.contains(name);
                assert!(known, "{} at {}: {name}", row.name, session.tds);
            }
        }
    }
}

/// The table is the data file's; `ENTRADA_BLESS=1` writes it anew.
#[test]
fn the_documentation_has_the_table() {
    const BEGIN: &str = "<!-- old-clients:begin -->\n";
    const END: &str = "<!-- old-clients:end -->";
    docs::assert_section("docs/clients.md", BEGIN, END, &table());
}

fn table() -> String {
    let rows = rows();
    let titles = rows[0].groups().map(|(title, _)| title);
    let mut table = format!(
        "\n| Client | TDS | Setting | {} |\n| --- | --- | --- |{}\n",
        titles.join(" | "),
        " --- |".repeat(titles.len())
    );
    for row in &rows {
        for session in &row.session {
            let cells = row.groups().map(|(_, names)| cell(names, session));
            let (name, tds, setting) = (row.full_name(), &session.tds, &session.setting);
            let cells = cells.join(" | ");
            writeln!(table, "| {name} | {tds} | {setting} | {cells} |").unwrap();
        }
    }
    table += "\n| Client | What was tried | Not at |\n| --- | --- | --- |\n";
    for row in &rows {
        let groups = row.groups();
        let all = groups.iter().flat_map(|(_, names)| *names).chain(&row.more);
        let all: Vec<&str> = all.map(String::as_str).collect();
        let note = row.note.iter().map(|note| format!(". {note}"));
        let tried = format!("{}{}", all.join("; "), note.collect::<String>());
        let name = row.full_name();
        writeln!(table, "| {name} | {tried} | {} |", lacks(&row.session)).unwrap();
    }
    table
}

/// Whether a client does something of a group at a version.
fn cell(names: &[String], session: &Session) -> &'static str {
    let does = names.iter().any(|name| !session.without.contains(name));
    match (does, session.refused.is_empty()) {
        (_, false) => "refused",
        (true, true) => "✓",
        (false, true) => "–",
    }
}

fn lacks(sessions: &[Session]) -> String {
    let mut all = Vec::new();
    for session in sessions {
        let words = session.without.iter().chain(&session.refused);
        let words = words.map(String::as_str).chain(session.note.as_deref());
        let words: Vec<&str> = words.collect();
        if !words.is_empty() {
            all.push(format!("{}: {}", session.tds, words.join(", ")));
        }
    }
    all.join("; ")
}
