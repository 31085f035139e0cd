//! Connection strings: the corpus, and properties that hold for any text.

use entrada::conn_string::{ConnectionString, Dialect, ParseError, Value, WarningKind};
use serde_json::{Map, Value as Json};

use crate::support::docs;

#[path = "conn_string/messages.rs"]
mod messages;
#[path = "conn_string/properties.rs"]
mod properties;
#[path = "conn_string/rules.rs"]
mod rules;

const CORPUS: &str = include_str!("../data/connection-strings.json");

struct Case {
    id: String,
    dialect: Dialect,
    input: String,
    expect: Map<String, Json>,
    warning: bool,
    ignored: Vec<String>,
}

fn corpus() -> Vec<Case> {
    let Json::Array(cases) = serde_json::from_str(CORPUS).unwrap() else {
        panic!("the corpus is an array");
    };
    let text = |case: &Json, name: &str| case[name].as_str().unwrap().to_owned();
    cases
        .iter()
        .map(|case| Case {
            id: text(case, "id"),
            dialect: text(case, "dialect").parse().unwrap(),
            input: text(case, "input"),
            expect: case["expect"].as_object().unwrap().clone(),
            warning: case.get("warning").is_some(),
            ignored: case["ignored"]
                .as_array()
                .map(|list| {
                    list.iter()
                        .map(|name| name.as_str().unwrap().to_owned())
                        .collect()
                })
                .unwrap_or_default(),
        })
        .collect()
}

/// A value as the corpus writes it.
fn plain(value: &Value) -> Json {
    match value {
        Value::Bool(on) => Json::from(*on),
        Value::Number(number) => Json::from(*number),
        Value::Secret(secret) => Json::from(secret.expose()),
        Value::Text(text) => Json::from(text.as_str()),
        _ => panic!("a kind of value that the corpus does not know"),
    }
}

fn same(key: &str, expected: &Json, found: &Json) -> bool {
    match (expected.as_str(), found.as_str()) {
        (Some(one), Some(other)) if matches!(key, "Host" | "Instance") => {
            one.eq_ignore_ascii_case(other)
        }
        _ => expected == found,
    }
}

/// What differs between a case and its outcome; nothing, if it holds.
fn differences(case: &Case, outcome: &Result<ConnectionString, ParseError>) -> Vec<String> {
    let string = match (outcome, case.expect.get("error")) {
        (Err(error), Some(kind)) if kind == error.kind() => return Vec::new(),
        (Err(error), _) => return vec![format!("error {}: {error}", error.kind())],
        (Ok(_), Some(kind)) => return vec![format!("no error {kind}")],
        (Ok(string), None) => string,
    };
    let mut out = Vec::new();
    for (key, expected) in &case.expect {
        let found = string
            .settings()
            .iter()
            .find(|setting| setting.key.name() == key);
        let found = found.map_or(Json::Null, |setting| plain(&setting.value));
        if !same(key, expected, &found) {
            out.push(format!("{key}: {found} in place of {expected}"));
        }
    }
    for setting in string.settings() {
        if !case.expect.contains_key(setting.key.name()) {
            out.push(format!("{} is set", setting.key.name()));
        }
    }
    let unknown = string
        .warnings()
        .iter()
        .filter(|w| w.kind == WarningKind::UnknownKeyword);
    let unknown: Vec<&str> = unknown.filter_map(|w| w.keyword.as_deref()).collect();
    if unknown != case.ignored {
        out.push(format!(
            "ignored {unknown:?} in place of {:?}",
            case.ignored
        ));
    }
    if case.warning && string.warnings().is_empty() {
        out.push("no warning".to_owned());
    }
    out
}

#[test]
fn every_case_of_the_corpus_holds_in_its_dialect() {
    let cases = corpus();
    assert!(cases.len() > 130, "the corpus has been cut");
    let mut failures = Vec::new();
    for case in &cases {
        let outcome = ConnectionString::parse_as(&case.input, case.dialect);
        for difference in differences(case, &outcome) {
            failures.push(format!("{}: {difference}", case.id));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn detection_finds_the_dialect_of_the_corpus_or_asks() {
    let mut asked = Vec::new();
    let mut failures = Vec::new();
    for case in corpus() {
        let outcome = ConnectionString::parse(&case.input);
        if let Err(ParseError::Ambiguous { .. }) = outcome {
            asked.push(case.id);
            continue;
        }
        // The ADO.NET case of an ODBC string is about forcing the dialect.
        if case.id == "ado-030" {
            assert_eq!(outcome.unwrap().dialect(), Dialect::Odbc);
            continue;
        }
        for difference in differences(&case, &outcome) {
            failures.push(format!("{}: {difference}", case.id));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(asked.iter().all(|id| id.starts_with("ado-")), "{asked:?}");
    assert!(asked.len() <= 4, "{asked:?}");
}

/// The table in the README is the code's own; `ENTRADA_BLESS=1` writes it anew.
#[test]
fn readme_has_the_table_of_keywords() {
    const BEGIN: &str = "<!-- keywords:begin -->\n";
    const END: &str = "<!-- keywords:end -->";
    let table = entrada::conn_string::keyword_table();
    docs::assert_section("README.md", BEGIN, END, &table);
}
