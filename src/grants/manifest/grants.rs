//! `grant` and `deny`.

use std::collections::HashSet;

use super::read::{Reading, Word};
use super::text::two_parts;
use crate::grants::action;
use crate::grants::model::{Permission, PermissionState, Securable};
use crate::settings::{Section, nearest};
use crate::tsql::Name;

/// A permission, and where it is said.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) permission: Permission,
    /// The word of the permission, and its key.
    pub(super) at: usize,
    pub(super) key: String,
    /// The thing as the file writes it.
    pub(super) on: String,
}

/// A thing that permissions are about.
struct Thing {
    on: Securable,
    written: String,
}

/// Reads one table of `grant` or `deny`. Nothing is given to a holder without a name.
pub(super) fn read(
    reading: &Reading<'_>,
    section: Section<'_>,
    is_grant: bool,
    to: Option<&Word<Name>>,
    given: &mut Vec<Given>,
) {
    let actions = actions(&section);
    section.missing("permissions", "a list, as [\"SELECT\"]");
    let things = things(reading, &section);
    let columns = reading.each(&section, "columns").into_iter();
    let columns: Vec<_> = columns
        .filter_map(|word| reading.named(&section, "columns", word))
        .collect();
    // A table of `deny` has no such key.
    let with_option = is_grant && section.flag("with_grant_option").unwrap_or_default();
    let state = match (is_grant, with_option) {
        (true, true) => PermissionState::GrantWithGrantOption,
        (true, false) => PermissionState::Grant,
        (false, _) => PermissionState::Deny,
    };
    check_columns(&section, &actions, &things, &columns);
    let each = things.len().saturating_mul(1 + columns.len());
    if !reading.takes(&section, actions.len().saturating_mul(each)) {
        section.end();
        return;
    }
    for action in &actions {
        for thing in &things {
            if !action::fits(action.value, &thing.on) {
                let what = format!("{} cannot be given on {}", action.value, kind_of(&thing.on));
                section.note(action.at, "permissions", what);
                continue;
            }
            let Some(to) = to else { continue };
            given.push(Given {
                permission: Permission {
                    state,
                    action: action.value,
                    on: thing.on.clone(),
                    columns: columns.iter().map(|word| word.value.clone()).collect(),
                    to: to.value.clone(),
                },
                at: action.at,
                key: section.name("permissions"),
                on: thing.written.clone(),
            });
        }
    }
    section.end();
}

fn actions(section: &Section<'_>) -> Vec<Word<&'static str>> {
    let found = section.each("permissions");
    let mut actions = Vec::with_capacity(found.len());
    for word in found {
        match action::find(word.value) {
            Some(value) => actions.push(Word {
                value,
                written: word.value.to_owned(),
                at: word.at,
            }),
            None => {
                let what = unknown(word.value, section.is_full());
                section.note(word.at, "permissions", what);
            }
        }
    }
    if let Some(at) = section.place("permissions")
        && section.is_empty_list("permissions")
    {
        section.note(at, "permissions", "write at least one, as [\"SELECT\"]");
    }
    actions
}

fn unknown(written: &str, in_short: bool) -> String {
    if written.eq_ignore_ascii_case("ALL") || written.eq_ignore_ascii_case("ALL PRIVILEGES") {
        return "ALL does not mean all to the server: name each permission".to_owned();
    }
    let near = match in_short {
        true => None,
        false => nearest(written, action::all()),
    };
    match near {
        Some(meant) => format!("there is no such permission; did you mean {meant}?"),
        None => "there is no such permission; write a name of SQL Server's, as SELECT or VIEW DEFINITION"
            .to_owned(),
    }
}

/// What the permissions are about: exactly one key says so.
fn things(reading: &Reading<'_>, section: &Section<'_>) -> Vec<Thing> {
    let mut things = Vec::new();
    if section.flag("database") == Some(true) {
        things.push(Thing {
            on: Securable::Database,
            written: "the database".to_owned(),
        });
    }
    let mut simple = |key, of: fn(Name) -> Securable| {
        for found in section.one_or_more(key) {
            let word = reading.filled(section, key, found);
            let word = word.and_then(|word| reading.named(section, key, word));
            things.extend(word.map(|word| Thing {
                on: of(word.value),
                written: format!("{key} {}", word.written),
            }));
        }
    };
    simple("role", Securable::Role);
    simple("schema", Securable::Schema);
    simple("user", Securable::User);
    let mut double = |key, of: fn(Name, Name) -> Securable| {
        for found in section.one_or_more(key) {
            let names = in_schema(reading, section, key, found.value, found.at);
            things.extend(names.map(|(schema, name)| Thing {
                on: of(schema, name),
                written: found.value.to_owned(),
            }));
        }
    };
    double("object", |schema, name| Securable::Object { schema, name });
    double("type", |schema, name| Securable::Type { schema, name });
    let mut named = ON.iter().filter(|key| section.place(key).is_some());
    match (named.next(), named.next()) {
        (None, _) => section.note_itself(NOTHING),
        (_, Some(second)) => {
            let what = "one thing is enough for each table: write another table for this";
            section.note(section.place(second).unwrap_or(section.at), second, what);
        }
        (Some(&"database"), None) if things.is_empty() => {
            let at = section.place("database").unwrap_or(section.at);
            section.note(
                at,
                "database",
                "write true, or another key for what it is about",
            );
        }
        (Some(first), None) => {
            let at = section.place(first).unwrap_or(section.at);
            if things.is_empty() && section.is_empty_list(first) {
                section.note(at, first, "write at least one name");
            }
        }
    }
    things
}

/// The schema and the name of something in a schema.
fn in_schema(
    reading: &Reading<'_>,
    section: &Section<'_>,
    key: &str,
    written: &str,
    at: usize,
) -> Option<(Name, Name)> {
    let Some((schema, name)) = two_parts(written) else {
        let what = "write schema and name with a point between them, as \"sales.Orders\", and brackets around a part that holds a point: \"[a.b].Orders\"";
        section.note(at, key, what);
        return None;
    };
    let name_of = |part: &str| {
        let found = crate::settings::Found { value: part, at };
        let word = reading.filled(section, key, found)?;
        Some(reading.named(section, key, word)?.value)
    };
    name_of(&schema).zip(name_of(&name))
}

fn check_columns(
    section: &Section<'_>,
    actions: &[Word<&'static str>],
    things: &[Thing],
    columns: &[Word<Name>],
) {
    let Some(at) = section.place("columns") else {
        return;
    };
    let note = |at, what: String| section.note(at, "columns", what);
    if columns.is_empty() {
        note(
            at,
            "write the names of the columns, or leave the key out for all".to_owned(),
        );
    }
    let mut before = HashSet::new();
    for column in columns {
        if !before.insert(&column.value) {
            note(column.at, format!("`{}` is named twice", column.written));
        }
    }
    if things
        .iter()
        .any(|thing| !matches!(thing.on, Securable::Object { .. }))
    {
        note(
            at,
            "only objects have columns: write object = \"schema.name\"".to_owned(),
        );
    }
    for action in actions {
        if !action::takes_columns(action.value) {
            let what = format!(
                "{} is given on the whole object: write another table for it, without columns",
                action.value
            );
            note(at, what);
        }
    }
}

fn kind_of(on: &Securable) -> &'static str {
    match on {
        Securable::Database => "a database",
        Securable::Object { .. } => "an object",
        Securable::Role(_) => "a role",
        Securable::Schema(_) => "a schema",
        Securable::Type { .. } => "a type",
        Securable::User(_) => "a user",
    }
}

/// The keys that say what permissions are about.
const ON: [&str; 6] = ["database", "object", "role", "schema", "type", "user"];
const NOTHING: &str = "it does not say on what: write database = true, schema = \"sales\", object = \"sales.Orders\", role, type or user";
