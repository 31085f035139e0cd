//! The architecture as a test: who may use whom, and how large a file may grow.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module and the modules of this crate that it may name. `error` and `cli` stand above all.
const ALLOWED: &[(&str, &[&str])] = &[
    ("causes", &[]),
    ("secret", &[]),
    ("tds", &["secret"]),
    ("conn_string", &["secret"]),
    ("target", &["conn_string", "secret"]),
    ("token", &["causes", "target", "secret"]),
    ("key_vault", &["token", "target", "conn_string", "secret"]),
    ("session", &["tds", "secret"]),
    ("front", &["session", "tds", "secret"]),
    ("dial", &["target", "token", "tds", "session", "secret"]),
    (
        "pool",
        &[
            "dial",
            "session",
            "front",
            "target",
            "token",
            "key_vault",
            "tds",
            "secret",
        ],
    ),
    (
        "proxy",
        &[
            "causes",
            "conn_string",
            "dial",
            "front",
            "key_vault",
            "secret",
            "session",
            "settings",
            "target",
            "tds",
            "token",
            "transcode",
        ],
    ),
    ("transcode", &["tds"]),
    ("tsql", &[]),
    ("settings", &["secret"]),
    ("scripts", &["tsql"]),
    (
        "grants",
        &[
            "conn_string",
            "dial",
            "key_vault",
            "pool",
            "scripts",
            "secret",
            "settings",
            "target",
            "token",
            "tsql",
        ],
    ),
    (
        "check",
        &[
            "causes",
            "conn_string",
            "dial",
            "key_vault",
            "pool",
            "scripts",
            "secret",
            "session",
            "target",
            "tds",
            "token",
            "tsql",
        ],
    ),
    ("emulator", &["tds", "secret"]),
    (
        "error",
        &[
            "conn_string",
            "target",
            "token",
            "key_vault",
            "tds",
            "dial",
            "pool",
            "proxy",
            "grants",
            "check",
            "emulator",
        ],
    ),
];

/// A part of a module that may name more than the rest of it: the emulator's leg to a real server.
/// Nothing else of the emulator may, so that no test compares our logic with itself.
const EXCEPTION: (&str, &[&str]) = ("emulator/forward", &["causes", "dial", "session", "target"]);

/// Files longer than this hold more than one idea.
const MAX_LINES: usize = 600;

#[test]
fn modules_use_only_what_the_design_allows() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
            assert!(
                ["cli", "lib", "main"].contains(&module.as_str()),
                "{module} is not in the table of layers"
            );
            continue;
        };
        let (place, more) = EXCEPTION;
        let more = if is_below(&path, place) { more } else { &[] };
        for used in used_modules(&text) {
            if more.contains(&used.as_str()) {
                continue;
            }
            if used != module && !allowed.contains(&used.as_str()) {
                faults.push(format!("{} uses crate::{used}", path.display()));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "forbidden arrows:\n{}",
        faults.join("\n")
    );
}

#[test]
fn every_file_is_one_idea() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(path, text)| (text.lines().count(), path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "over {MAX_LINES} lines: {long:?}");
}

#[test]
fn the_codec_knows_no_sockets_and_no_runtime() {
    for (path, text) in sources() {
        if module_of(&path) == "tds" {
            for word in ["tokio", "async fn", "std::net", ".await"] {
                assert!(!text.contains(word), "{} has {word}", path.display());
            }
        }
    }
}

#[test]
fn only_the_pool_and_its_users_name_the_driver() {
    for (path, text) in sources() {
        let module = module_of(&path);
        if ["pool", "error", "cli", "grants", "check"].contains(&module.as_str()) {
            continue;
        }
        let named = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .any(|line| line.contains("tiberius::") || line.contains("bb8::"));
        assert!(!named, "{} names tiberius or bb8", path.display());
    }
}

/// Every file below `src`, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    assert!(found.len() > 10, "the tree was not found");
    found
}

/// Whether a file is of the submodule at that place.
fn is_below(path: &Path, place: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    path.starts_with(root.join(place))
}

/// The top-level module that a file belongs to.
fn module_of(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let first = path.strip_prefix(root).unwrap().iter().next().unwrap();
    first.to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The modules after `crate::`, wherever they stand; groups in braces are opened.
fn used_modules(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|l| !l.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            let rest = &line[at + "crate::".len()..];
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(group) => group.split(',').collect(),
                None => vec![rest],
            };
            for name in names {
                let word: String = name
                    .trim()
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let is_type = word.starts_with(|c: char| c.is_uppercase());
                if !word.is_empty() && !is_type {
                    found.insert(word);
                }
            }
        }
    }
    // `crate::Secret` and `crate::Error` are re-exports of modules at the bottom.
    found
}
