//! The manual and the JSON Schema say what the reader reads.

use std::collections::BTreeSet;
use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;

use super::mistakes::MISTAKES;
use super::{FULL, environment, name};
use crate::grants::manifest::read::{KINDS, Reading};
use crate::grants::manifest::{Manifest, SCHEMA};
use crate::grants::model::Securable;
use crate::grants::{Desired, action, manifest};
use crate::settings::Document;

/// Every key that a file may have, with its tables.
fn keys() -> BTreeSet<String> {
    // The least that has each table.
    let grants = "grant = [{}]\ndeny = [{}]\n";
    let text =
        format!("server = [{{}}]\ndatabase = [{{}}]\n[[role]]\n{grants}[[principal]]\n{grants}");
    let document = Document::parse(&text);
    let environment = environment();
    let reading = Reading {
        folder: Path::new(""),
        environment: &environment,
        room: std::cell::Cell::new(usize::MAX),
    };
    reading.manifest(document.root());
    document.keys.into_inner()
}

#[test]
fn every_key_is_in_the_manual_and_every_row_is_a_key() {
    let manual = include_str!("../../../../docs/grants.md");
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| Some(row.split_once("` |")?.0));
    // Other tables of the page are about ids, output and so on.
    let tables = ["server", "database", "role", "principal"];
    let is_key = |row: &&str| tables.contains(&row.split('.').next().unwrap_or_default());
    let rows = rows.filter(is_key);
    let rows: BTreeSet<_> = rows.map(str::to_owned).collect();
    assert_eq!(rows, keys());
}

#[test]
fn the_schema_has_the_keys_and_the_permissions_of_the_reader() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut keys_of_schema = BTreeSet::new();
    collect(&schema, &schema, "", &mut keys_of_schema);
    assert_eq!(keys_of_schema, keys());

    let name = || name("x");
    let things = [
        ("database", Securable::Database),
        (
            "object",
            Securable::Object {
                schema: name(),
                name: name(),
            },
        ),
        ("role", Securable::Role(name())),
        ("schema", Securable::Schema(name())),
        (
            "type",
            Securable::Type {
                schema: name(),
                name: name(),
            },
        ),
        ("user", Securable::User(name())),
    ];
    let all: Vec<_> = action::all().collect();
    assert_eq!(
        schema["definitions"]["permission"]["enum"],
        serde_json::json!(all)
    );
    for table in ["grant", "deny"] {
        let rules = schema["definitions"][table]["allOf"].as_array().unwrap();
        let rule_for = |key: &str| {
            let rule = rules.iter().find(|rule| rule["if"]["required"][0] == key);
            &rule.unwrap()["then"]["properties"]["permissions"]["items"]["enum"]
        };
        for (key, on) in &things {
            let fitting: Vec<_> = action::all().filter(|a| action::fits(a, on)).collect();
            assert_eq!(*rule_for(key), serde_json::json!(fitting), "{table} {key}");
        }
        let with_columns: Vec<_> = action::all().filter(|a| action::takes_columns(a)).collect();
        assert_eq!(*rule_for("columns"), serde_json::json!(with_columns));
    }
    let kinds: BTreeSet<_> = KINDS.iter().map(|(word, _)| *word).collect();
    let words = schema["definitions"]["principal"]["properties"]["kind"]["enum"].as_array();
    let words: BTreeSet<_> = words
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    assert_eq!(words, kinds);
}

/// The keys of a part of the schema, with the tables around them.
fn collect(schema: &Value, part: &Value, path: &str, keys: &mut BTreeSet<String>) {
    let part = match part["$ref"].as_str() {
        Some(to) => schema.pointer(to.trim_start_matches('#')).unwrap(),
        None => part,
    };
    if part["type"] == "object" {
        assert_eq!(part["additionalProperties"], false, "{path}");
    }
    for (key, value) in part["properties"].as_object().into_iter().flatten() {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        collect(schema, value, &path, keys);
        assert!(keys.insert(path));
    }
    if part["items"].is_object() {
        collect(schema, &part["items"], path, keys);
    }
}

fn validator() -> Validator {
    jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap()
}

fn json(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

#[test]
fn an_independent_validator_takes_what_the_reader_takes() {
    let validator = validator();
    let example = include_str!("../../../../examples/grants.toml");
    let manual = include_str!("../../../../docs/grants.md");
    let (_, of_manual) = manual.split_once("```toml\n").unwrap();
    let (of_manual, _) = of_manual.split_once("```").unwrap();
    let empty = manifest::write(&Desired::default());
    for text in [FULL, example, of_manual, empty.as_str()] {
        let read = Manifest::from_toml(text, "x", Path::new(""), &environment());
        assert!(read.is_ok(), "{}", read.unwrap_err());
        let errors: Vec<_> = validator
            .iter_errors(&json(text))
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:#?}\n{text}");
    }
}

/// Mistakes that need no knowledge of the rest of the file: the schema knows them, too.
const KNOWN: &[&str] = &[
    "there is no such key",
    "it is missing",
    "write a text",
    "did you mean \"group\"",
    "one id is enough",
    "users and groups have none",
    "it does not say on what",
    "write at least one",
    "did you mean SELECT?",
    "ALL does not mean all",
    "cannot be given on",
    "one thing is enough",
    "only objects have columns",
    "is given on the whole object",
    "write the names of the columns",
    "write true",
];

#[test]
fn it_refuses_what_a_file_can_be_refused_for_by_itself() {
    let validator = validator();
    let mut refused = 0;
    for (beginning, text, told) in MISTAKES {
        if KNOWN.iter().any(|known| told.contains(known)) {
            let text = format!("{beginning}{text}");
            assert!(!validator.is_valid(&json(&text)), "{text}");
            refused += 1;
        }
    }
    assert!(refused > 20, "{refused}");
}
