//! Whether a text is T-SQL, by a grammar that others wrote: sqlfluff's.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::clients::python;

/// What the grammar has against each text, in their order; `None` if this machine has no Python,
/// which has been said then.
///
/// It reads GRANT, DENY and REVOKE strictly, but knows columns only in front of ON:
/// `GRANT SELECT ([a]) ON OBJECT::[s].[t] TO [u]`.
pub(crate) async fn errors<N: AsRef<str>, T: AsRef<str>>(
    texts: &[(N, T)],
) -> Option<Vec<Vec<String>>> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("texts.json");
    let pairs: Vec<[&str; 2]> = texts
        .iter()
        .map(|(name, text)| [name.as_ref(), text.as_ref()])
        .collect();
    fs::write(&file, serde_json::to_string(&pairs).unwrap()).unwrap();
    let lines = python("tsql_grammar_judge.py", &[file.to_str().unwrap()], []).await?;
    assert_eq!(lines[0]["version"], "4.5.0", "the release of sqlfluff");
    assert_eq!(lines.len(), texts.len() + 1);
    let read =
        |line: &Value| -> Vec<String> { serde_json::from_value(line["errors"].clone()).unwrap() };
    Some(lines[1..].iter().map(read).collect())
}

/// Fails unless every text, given with a name, is T-SQL by the grammar.
pub(crate) async fn parses<N: AsRef<str>, T: AsRef<str>>(texts: &[(N, T)]) {
    let Some(found) = errors(texts).await else {
        return;
    };
    let faults: Vec<String> = texts
        .iter()
        .zip(found)
        .filter(|(_, errors)| !errors.is_empty())
        .map(|((name, text), errors)| format!("{}: {errors:#?}\n{}", name.as_ref(), text.as_ref()))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
