//! From a keyword as written to what it means, and back.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::keywords::{DRIVER_ONLY, KEYWORDS, Use};
use super::values::Kind;
use super::{Dialect, Key, own};

/// A spelling of a keyword in one dialect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) spelling: &'static str,
    pub(super) key: Key,
    pub(super) kind: Kind,
}

/// The spellings of a dialect, by their length.
struct Index(Vec<Vec<Entry>>);

static INDEXES: LazyLock<[Index; 4]> = LazyLock::new(|| {
    let mut indexes = [const { Index(Vec::new()) }; 4];
    for (dialect, entry) in entries() {
        let by_length = &mut indexes[dialect.index()].0;
        let length = entry.spelling.len();
        if by_length.len() <= length {
            by_length.resize_with(length + 1, Vec::new);
        }
        by_length[length].push(entry);
    }
    indexes
});

fn entries() -> impl Iterator<Item = (Dialect, Entry)> {
    let common = KEYWORDS.iter().flat_map(|keyword| {
        keyword.uses.iter().flat_map(move |usage| {
            usage.names.iter().map(move |spelling| {
                (
                    usage.dialect,
                    Entry {
                        spelling,
                        key: keyword.key,
                        kind: usage.kind,
                    },
                )
            })
        })
    });
    let driver = DRIVER_ONLY.iter().flat_map(|(dialect, kind, names)| {
        names.iter().map(move |spelling| {
            (
                *dialect,
                Entry {
                    spelling,
                    key: Key::Other(spelling),
                    kind: *kind,
                },
            )
        })
    });
    common.chain(driver)
}

/// What the dialect knows under this name, whatever its case; or what we do.
pub(super) fn find(dialect: Dialect, name: &str) -> Option<&'static Entry> {
    let same_length = INDEXES[dialect.index()].0.get(name.len());
    same_length
        .and_then(|same| {
            same.iter()
                .find(|entry| entry.spelling.eq_ignore_ascii_case(name))
        })
        .or_else(|| own::keyword(name))
}

/// How the dialect writes the keyword, and of which kind its value is.
pub(super) fn usage(dialect: Dialect, key: Key) -> Option<(&'static str, Kind)> {
    if let Key::Other(name) = key {
        return find(dialect, name).map(|entry| (entry.spelling, entry.kind));
    }
    use_of(dialect, key).map(|usage| (usage.names[0], usage.kind))
}

fn use_of(dialect: Dialect, key: Key) -> Option<&'static Use> {
    let keyword = KEYWORDS.iter().find(|keyword| keyword.key == key)?;
    keyword.uses.iter().find(|usage| usage.dialect == dialect)
}

/// The default that is in force when the dialect's string says nothing.
pub(super) fn default_of(dialect: Dialect, key: Key) -> Option<&'static str> {
    use_of(dialect, key)
        .map(|usage| usage.default)
        .filter(|default| !default.is_empty())
}

/// What to write instead of a keyword that the dialect does not know.
pub(super) fn hint(dialect: Dialect, name: &str) -> Option<String> {
    let name = name.trim();
    if let Some(entry) = find(dialect, name) {
        return Some(format!(
            "write '{}' without blanks around it",
            entry.spelling
        ));
    }
    if dialect == Dialect::Jdbc
        && ["accessToken", "gsscredential"]
            .iter()
            .any(|of| of.eq_ignore_ascii_case(name))
    {
        return Some("the driver takes it from code only, not from the URL".to_owned());
    }
    if name.eq_ignore_ascii_case("provider") {
        return Some("this is an OLE DB string, which is not supported".to_owned());
    }
    for other in Dialect::ALL.into_iter().filter(|other| *other != dialect) {
        if let Some(entry) = find(other, name) {
            let title = other.title();
            return Some(match usage(dialect, entry.key) {
                Some((known, _)) => format!("this is the {title} name; write '{known}'"),
                None => format!("this is a keyword of {title}; {} has none", dialect.title()),
            });
        }
    }
    nearest(dialect, name)
        .or_else(|| own::nearest(name))
        .map(|known| format!("did you mean '{known}'?"))
}

/// The spelling that is nearest to a misspelt one, if one is near.
fn nearest(dialect: Dialect, name: &str) -> Option<&'static str> {
    if name.len() > 64 {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let all = INDEXES[dialect.index()].0.iter().flatten();
    let near = all.map(|entry| {
        let known = entry.spelling.to_ascii_lowercase();
        (strsim::damerau_levenshtein(&lower, &known), entry.spelling)
    });
    let (distance, spelling) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + lower.len() / 4 && distance < lower.len()).then_some(spelling)
}

/// The keyword table of the README, in Markdown.
///
/// The first table has the keywords that mean something here, the second the
/// names that are read and otherwise left alone.
#[must_use]
pub fn keyword_table() -> String {
    let mut out = String::from(
        "| Keyword | ADO.NET | ODBC | JDBC | `sqlserver://` | Meaning |\n|---|---|---|---|---|---|\n",
    );
    for keyword in KEYWORDS.iter().filter(|keyword| !keyword.uses.is_empty()) {
        let _ = write!(out, "| {} ", keyword.key.name());
        for dialect in Dialect::ALL {
            out.push_str("| ");
            match keyword.uses.iter().find(|usage| usage.dialect == dialect) {
                Some(usage) => {
                    let names = usage.names.join("`, `");
                    let _ = write!(out, "`{names}`");
                    if !usage.default.is_empty() {
                        let _ = write!(out, " ({})", usage.default);
                    }
                    out.push(' ');
                }
                None => out.push_str("– "),
            }
        }
        let _ = writeln!(out, "| {} |", keyword.help);
    }
    out.push_str("\n| Dialect | Read, checked and otherwise left alone |\n|---|---|\n");
    for dialect in Dialect::ALL
        .into_iter()
        .filter(|dialect| *dialect != Dialect::AdoNet)
    {
        let own = DRIVER_ONLY.iter().filter(|(of, ..)| *of == dialect);
        let names: Vec<&str> = own
            .flat_map(|(_, _, names)| names.iter().copied())
            .collect();
        let _ = writeln!(out, "| {} | `{}` |", dialect.title(), names.join("`, `"));
    }
    own_words(&mut out);
    out
}

/// What only this crate knows.
fn own_words(out: &mut String) {
    out.push_str("\n| Own keyword | The same as | Meaning |\n|---|---|---|\n");
    for entry in own::KEYWORDS {
        let keyword = KEYWORDS.iter().find(|keyword| keyword.key == entry.key);
        let theirs = keyword.into_iter().flat_map(|keyword| {
            let first = |usage: &Use| format!("`{}` ({})", usage.names[0], usage.dialect.title());
            keyword.uses.iter().map(first)
        });
        let theirs: Vec<String> = theirs.collect();
        let theirs = if theirs.is_empty() {
            "–".to_owned()
        } else {
            theirs.join(", ")
        };
        let help = keyword.map_or("", |keyword| keyword.help);
        let _ = writeln!(out, "| `{}` | {theirs} | {help} |", entry.spelling);
    }
    out.push_str("\n| Own `Authentication` | The same as |\n|---|---|\n");
    for (name, method) in own::METHODS {
        let theirs = match method.name() {
            same if same == *name => "–".to_owned(),
            theirs => format!("`{theirs}`"),
        };
        let _ = writeln!(out, "| `{name}` | {theirs} |");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_means_two_things() {
        let mut seen = std::collections::HashSet::new();
        for (dialect, entry) in entries() {
            assert!(
                seen.insert((dialect, entry.spelling.to_ascii_lowercase())),
                "{}",
                entry.spelling
            );
        }
    }

    #[test]
    fn hints_name_the_nearest_or_the_right_spelling() {
        assert_eq!(
            hint(Dialect::AdoNet, "Databse").unwrap(),
            "did you mean 'Database'?"
        );
        assert!(
            hint(Dialect::Odbc, "User ID")
                .unwrap()
                .contains("write 'UID'")
        );
        assert!(
            hint(Dialect::Odbc, "UID ")
                .unwrap()
                .contains("without blanks")
        );
        assert!(
            hint(Dialect::Odbc, "Connection Timeout")
                .unwrap()
                .contains("ODBC has none")
        );
        assert_eq!(hint(Dialect::AdoNet, "xyzzy"), None);
    }
}
