//! `Entrada Federated Token`: where the token of another issuer comes from.

use super::{AssertionFrom, Identity, TargetError};
use crate::conn_string::{ConnectionString, Key};

const TAKES: &str = "github, gitlab:VARIABLE, terraform, terraform:TAG, managed-identity, \
     managed-identity:client-id:ID (or object-id, resource-id), file:PATH, env:VARIABLE, \
     command:PROGRAM ARGUMENTS or url:https://… with a JSON pointer after '#'";

/// The source that the string names.
pub(super) fn from(string: &ConnectionString) -> Result<AssertionFrom, TargetError> {
    let key = Key::FederatedToken;
    let text = match string.secret(key) {
        Some(secret) => Some(secret.expose()),
        None => string.text(key),
    };
    read(text.unwrap_or_default()).ok_or(TargetError::Setting {
        keyword: key.name(),
        expected: TAKES,
    })
}

/// Whether the string names a program that is to be run on this machine.
pub(crate) fn names_program(string: &ConnectionString) -> bool {
    matches!(from(string), Ok(AssertionFrom::Command { .. }))
}

fn read(text: &str) -> Option<AssertionFrom> {
    let (kind, rest) = match text.split_once(':') {
        Some((kind, rest)) => (kind.trim(), Some(rest.trim())),
        None => (text.trim(), None),
    };
    let rest = rest.filter(|rest| !rest.is_empty());
    let owned = || rest.map(str::to_owned);
    Some(match kind.to_ascii_lowercase().as_str() {
        "command" => AssertionFrom::Command {
            argv: words(rest?)?,
        },
        "env" => AssertionFrom::Variable(owned()?),
        "file" => AssertionFrom::File(owned()?.into()),
        "github" if rest.is_none() => AssertionFrom::GitHubActions,
        "gitlab" => AssertionFrom::GitLab { variable: owned()? },
        "managed-identity" => AssertionFrom::ManagedIdentity(identity(rest)?),
        "terraform" => AssertionFrom::TerraformCloud { tag: owned() },
        "url" => url(rest?)?,
        _ => return None,
    })
}

fn identity(text: Option<&str>) -> Option<Identity> {
    let Some(text) = text else {
        return Some(Identity::SystemAssigned);
    };
    let (kind, id) = text.split_once(':')?;
    let id = Some(id.trim()).filter(|id| !id.is_empty())?.to_owned();
    match kind.trim().to_ascii_lowercase().as_str() {
        "client-id" => Some(Identity::ClientId(id)),
        "object-id" => Some(Identity::ObjectId(id)),
        "resource-id" => Some(Identity::ResourceId(id)),
        _ => None,
    }
}

/// A JSON array of texts, or words with blanks between them. There is no other
/// quoting, for there is no shell.
fn words(text: &str) -> Option<Vec<String>> {
    let argv: Vec<String> = if text.starts_with('[') {
        serde_json::from_str(text).ok()?
    } else {
        text.split_whitespace().map(str::to_owned).collect()
    };
    let named = argv.first().is_some_and(|program| !program.is_empty());
    named.then_some(argv)
}

fn url(text: &str) -> Option<AssertionFrom> {
    let (url, pointer) = match text.split_once('#') {
        Some((url, pointer)) => (url, Some(pointer)),
        None => (text, None),
    };
    let web = ["https://", "http://"].iter().any(|scheme| {
        url.get(..scheme.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    });
    // RFC 6901: a pointer is empty or starts with a slash.
    let sound = pointer.is_none_or(|pointer| pointer.starts_with('/'));
    (web && sound).then(|| AssertionFrom::Url {
        url: url.to_owned(),
        headers: Vec::new(),
        pointer: pointer.map(str::to_owned),
        post: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_read() {
        let argv = |words: &[&str]| AssertionFrom::Command {
            argv: words.iter().map(|word| (*word).to_owned()).collect(),
        };
        let at = |pointer: Option<&str>| AssertionFrom::Url {
            url: "https://h/t?a=b".to_owned(),
            headers: Vec::new(),
            pointer: pointer.map(str::to_owned),
            post: false,
        };
        for (text, expected) in [
            ("github", AssertionFrom::GitHubActions),
            (
                "GitLab: AZURE_JWT",
                AssertionFrom::GitLab {
                    variable: "AZURE_JWT".into(),
                },
            ),
            ("terraform", AssertionFrom::TerraformCloud { tag: None }),
            (
                "terraform:DB",
                AssertionFrom::TerraformCloud {
                    tag: Some("DB".into()),
                },
            ),
            (
                "managed-identity",
                AssertionFrom::ManagedIdentity(Identity::SystemAssigned),
            ),
            (
                "managed-identity:client-id:c",
                AssertionFrom::ManagedIdentity(Identity::ClientId("c".into())),
            ),
            (
                "managed-identity:resource-id:/a:b",
                AssertionFrom::ManagedIdentity(Identity::ResourceId("/a:b".into())),
            ),
            ("file:C:\\t", AssertionFrom::File("C:\\t".into())),
            ("env:JWT", AssertionFrom::Variable("JWT".into())),
            (
                "command:/bin/t --for sql",
                argv(&["/bin/t", "--for", "sql"]),
            ),
            (
                r#"command:["/my bin/t", "a b"]"#,
                argv(&["/my bin/t", "a b"]),
            ),
            ("url:https://h/t?a=b", at(None)),
            ("url:https://h/t?a=b#/data/jwt", at(Some("/data/jwt"))),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for text in [
            "",
            "github:x",
            "gitlab",
            "gitlab:",
            "managed-identity:c",
            "managed-identity:name:c",
            "managed-identity:client-id:",
            "file:",
            "env: ",
            "command:",
            "command:[]",
            "command:[1]",
            "url:ftp://h",
            "url:h",
            "url:https://h#jwt",
            "vault:x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
