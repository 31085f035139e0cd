//! `azd auth token`.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use super::{Call, FetchError, Finished, Printed, Tool, json};
use crate::secret::Secret;
use crate::token::program::presentable;
use crate::token::{Resource, expiry, reply};

pub(super) fn call(resource: &Resource, tenant: Option<&str>) -> Call<'static> {
    let scope = resource.scope();
    let mut args = vec![
        "auth",
        "token",
        "--output",
        "json",
        "--no-prompt",
        "--scope",
        &scope,
    ];
    if let Some(tenant) = tenant {
        args.extend(["--tenant-id", tenant]);
    }
    Call::new(args)
}

pub(super) fn read(done: &Finished) -> Result<Printed, FetchError> {
    const TOOL: Tool = Tool::Azd;
    if !done.success() {
        let said = messages(&done.stderr).unwrap_or_else(|| done.said());
        return Err(TOOL.judge(done, said, &["azd auth login", "not logged in"]));
    }
    let raw: Raw = json(TOOL, done)?;
    let secret = raw.token.filter(|secret| !secret.is_empty());
    let secret = secret.ok_or_else(|| TOOL.no_token("JSON without a token"))?;
    let told = raw.expires_on.as_ref();
    // A time without a zone is taken for UTC, which is what the tool writes.
    let expires_on = told.and_then(|value| expiry::expires_on(value, SystemTime::now()));
    let expires_on = expires_on.ok_or_else(|| TOOL.no_token("a token without its end"))?;
    Ok(Printed { secret, expires_on })
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "reply::secret")]
    token: Option<Secret>,
    #[serde(rename = "expiresOn")]
    expires_on: Option<Value>,
}

/// The messages in lines of JSON: `error`, `message` and `suggestion` since
/// version 1.24, before that `consoleMessage`s.
fn messages(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let Ok(Value::Object(line)) = serde_json::from_str(line.trim()) else {
            continue;
        };
        let console = line.get("data").and_then(|data| data.get("message"));
        let parts = [
            line.get("message").or_else(|| line.get("error")),
            line.get("suggestion"),
            console,
        ];
        let texts = parts.into_iter().flatten().filter_map(Value::as_str);
        found.extend(texts.map(presentable).filter(|text| !text.is_empty()));
    }
    (!found.is_empty()).then(|| found.join("; ").chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_errors_are_read() {
        for (stderr, expected) in [
            (
                r#"{"error":"e","message":"not logged in","suggestion":"run azd auth login"}"#,
                Some("not logged in; run azd auth login"),
            ),
            (
                "{\"type\":\"consoleMessage\",\"data\":{\"message\":\"\\nERROR: a\\n\"}}\nnoise\n{\"data\":{\"message\":\"b\"}}",
                Some("ERROR: a; b"),
            ),
            (
                "{\"data\":{\"message\":\"token=MARKER\"}}",
                Some("token=[hidden]"),
            ),
            ("ERROR: plain", None),
            ("{\"data\":7}\n[]\n\"text\"", None),
        ] {
            assert_eq!(messages(stderr.as_bytes()).as_deref(), expected);
        }
    }
}
