//! What the header of a script says.

use super::value::Kind;
use super::{Script, Variable};

/// Reads the comment that a script begins with:
///
/// ```text
/// -- Purpose: one sentence.
/// --
/// -- Variables:
/// --   Name (kind): what it is. Example: a value
/// -- Needs: the right.
/// -- Changes: what.
/// -- Notes:
/// --   * A paragraph.
/// -- Sources:
/// --   https://…
/// ```
///
/// Lines that are indented go on with what stands above them.
pub(super) fn read(name: &'static str, text: &'static str) -> Script {
    let mut script = Script {
        name,
        purpose: String::new(),
        variables: Vec::new(),
        needs: String::new(),
        changes: String::new(),
        notes: Vec::new(),
        sources: Vec::new(),
        text,
    };
    for (section, entries) in sections(text) {
        match section {
            "Purpose" => script.purpose = entries.join(" "),
            "Needs" => script.needs = entries.join(" "),
            "Changes" => script.changes = entries.join(" "),
            "Variables" => {
                let starts = |line: &str| split_variable(line).is_some();
                let variables = paragraphs(&entries, starts).into_iter();
                script.variables = variables.filter_map(|line| variable(&line)).collect();
            }
            "Notes" => {
                let notes = paragraphs(&entries, |line| line.starts_with("* "));
                let notes = notes.iter().map(|note| note.trim_start_matches("* "));
                script.notes = notes.map(str::to_owned).collect();
            }
            "Sources" => script.sources = entries.iter().map(|&line| line.to_owned()).collect(),
            _ => {}
        }
    }
    script
}

/// The sections with their lines.
fn sections(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines().map_while(|line| line.strip_prefix("--")) {
        let indented = line.starts_with("  ");
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if indented {
            if let Some((_, lines)) = sections.last_mut() {
                lines.push(line);
            }
        } else if let Some((section, first)) = line.split_once(':') {
            let first = first.trim();
            let lines = if first.is_empty() {
                Vec::new()
            } else {
                vec![first]
            };
            sections.push((section, lines));
        }
    }
    sections
}

/// Joins lines to those that begin something.
fn paragraphs(lines: &[&str], starts: impl Fn(&str) -> bool) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    for line in lines {
        match paragraphs.last_mut() {
            Some(last) if !starts(line) => {
                last.push(' ');
                last.push_str(line);
            }
            _ => paragraphs.push((*line).to_owned()),
        }
    }
    paragraphs
}

/// `Name (kind): rest`.
fn split_variable(line: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = line.split_once(" (")?;
    let (kind, rest) = rest.split_once("): ")?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic());
    is_name.then_some((name, kind, rest))
}

fn variable(line: &str) -> Option<Variable> {
    let (name, kind, rest) = split_variable(line)?;
    let mut meaning = rest;
    let mut take = |word: &str| {
        let (before, value) = meaning.split_once(word)?;
        meaning = before.trim_end();
        Some(value.trim().to_owned())
    };
    let (example, default) = (take(" Example: "), take(" Default: "));
    Some(Variable {
        name: name.to_owned(),
        kind: Kind::read(kind),
        meaning: meaning.to_owned(),
        default,
        example,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
-- Purpose: Does
--   something.
--
-- Variables:
--   A (name): The first:
--     and more. Default: x y
--   B (E|X): The second. Example: E
-- Needs: Nothing.
-- Changes: All.
-- Notes:
--   * One
--     goes on.
--   * Two.
-- Sources:
--   https://example.com/a
SELECT 1; -- Notes: not of the header
";

    #[test]
    fn a_header_is_read() {
        let script = read("x", TEXT);
        assert_eq!(script.purpose, "Does something.");
        assert_eq!(
            (script.needs, script.changes),
            ("Nothing.".into(), "All.".into())
        );
        assert_eq!(script.notes, ["One goes on.", "Two."]);
        assert_eq!(script.sources, ["https://example.com/a"]);
        let [a, b] = &script.variables[..] else {
            panic!("{:?}", script.variables)
        };
        assert_eq!((a.name.as_str(), &a.kind), ("A", &Kind::Name));
        assert_eq!(a.meaning, "The first: and more.");
        assert_eq!((a.default.as_deref(), &a.example), (Some("x y"), &None));
        let choice = Kind::Choice(vec!["E".into(), "X".into()]);
        assert_eq!((b.name.as_str(), &b.kind), ("B", &choice));
        assert_eq!((&b.default, b.example.as_deref()), (&None, Some("E")));
    }
}
