//! Applications, vaults and pipelines in the configuration.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use uuid::Uuid;

use super::{EmulatorBuilder, maybe_secret, read, secret};
use crate::Secret;
use crate::emulator::{
    Application, EmulatorError, FederatedCredential, VaultChallenge, VaultSecret,
};

/// An application of the tenant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct App {
    name: String,
    client_id: Option<Uuid>,
    object_id: Option<Uuid>,
    #[serde(default)]
    groups: Vec<Uuid>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    disabled: bool,
    #[serde(default, deserialize_with = "maybe_secret")]
    secret: Option<Secret>,
    /// When the secret ends, in seconds since 1970.
    secret_ends: Option<i64>,
    /// Files with certificates, PEM.
    #[serde(default)]
    certificates: Vec<PathBuf>,
    #[serde(default)]
    federated: Vec<Federated>,
}

/// A trust in another issuer's tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Federated {
    issuer: String,
    subject: String,
    audience: Option<String>,
}

/// A key vault.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vault {
    name: String,
    /// Names of those who may read it; everybody without it.
    #[serde(default)]
    readers: Vec<String>,
    #[serde(default)]
    secret: Vec<Kept>,
}

/// A secret of a vault; the same name again is a newer version.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    name: String,
    #[serde(deserialize_with = "secret")]
    value: Secret,
    version: Option<String>,
    content_type: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
    not_before: Option<i64>,
    expires: Option<i64>,
}

/// How vaults challenge.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Challenge {
    Resource,
    Scope,
}

/// Who the emulated jobs and pods are; what is left out stays as it is by default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Jobs {
    github_subject: Option<String>,
    gitlab_subject: Option<String>,
    azure_pipelines_subject: Option<String>,
    service_connection_id: Option<String>,
    terraform_subject: Option<String>,
    /// `namespace/name`.
    service_account: Option<String>,
}

impl EmulatorBuilder {
    pub(super) fn with_application(self, app: App, folder: &Path) -> Result<Self, EmulatorError> {
        let mut made = Application::new(app.name).disabled(app.disabled);
        made.client_id = app.client_id.unwrap_or(made.client_id);
        made.object_id = app.object_id.unwrap_or(made.object_id);
        made.groups = app.groups;
        made.roles = app.roles;
        if let Some(secret) = app.secret {
            made = made.with_secret(secret, app.secret_ends);
        }
        for path in app.certificates {
            made = made.certificate_pem(read(&folder.join(path))?);
        }
        for federated in app.federated {
            made = made.federated(federated.into());
        }
        Ok(self.application(made))
    }

    pub(super) fn with_vault(mut self, vault: Vault) -> Self {
        let Vault {
            name,
            readers,
            secret,
        } = vault;
        for reader in readers {
            self = self.vault_reader(&name, reader);
        }
        for kept in secret {
            let mut made = VaultSecret::new(&name, kept.name, kept.value).enabled(kept.enabled);
            made.version = kept.version.unwrap_or(made.version);
            made.content_type = kept.content_type;
            made.not_before = kept.not_before;
            made.expires = kept.expires;
            self = self.vault_secret(made);
        }
        self
    }

    pub(super) fn with_challenge(self, challenge: Option<Challenge>) -> Self {
        match challenge {
            Some(Challenge::Resource) => self.vault_challenge(VaultChallenge::Resource),
            Some(Challenge::Scope) => self.vault_challenge(VaultChallenge::Scope),
            None => self,
        }
    }

    pub(super) fn with_jobs(mut self, jobs: Jobs) -> Self {
        let who = &mut self.pipelines;
        for (given, kept) in [
            (jobs.github_subject, &mut who.github_subject),
            (jobs.gitlab_subject, &mut who.gitlab_subject),
            (
                jobs.azure_pipelines_subject,
                &mut who.azure_pipelines_subject,
            ),
            (jobs.service_connection_id, &mut who.service_connection_id),
            (jobs.terraform_subject, &mut who.terraform_subject),
        ] {
            if let Some(given) = given {
                *kept = given;
            }
        }
        if let Some(account) = jobs.service_account {
            // A name alone is of the default namespace, as for kubectl.
            let (namespace, name) = account.split_once('/').unwrap_or(("default", &account));
            who.service_account = (namespace.to_owned(), name.to_owned());
        }
        self
    }
}

impl From<Federated> for FederatedCredential {
    fn from(from: Federated) -> Self {
        let made = Self::new(from.issuer, from.subject);
        match from.audience {
            Some(audience) => made.with_audience(audience),
            None => made,
        }
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_vaults_and_jobs_are_understood() {
        let text = r#"
            [tenant]
            domain = "contoso.com"
            https_listen = "127.0.0.1:4443"
            vault_challenge = "scope"

            [pipelines]
            github_subject = "repo:a/b:pull_request"
            service_account = "shop/api"

            [[application]]
            name = "orders-api"
            secret = "Pa55"
            secret_ends = 2000000000
            [[application.federated]]
            issuer = "https://gitlab.com"
            subject = "x"

            [[identity]]
            name = "pod"
            assignment = "user"
            federated = [{ issuer = "https://a", subject = "b", audience = "c" }]

            [[vault]]
            name = "shop"
            readers = ["orders-api"]
            secret = [{ name = "password", value = "s3cret", expires = 1 }]
        "#;
        let builder = EmulatorBuilder::from_toml(text, "test.toml", Path::new("")).unwrap();
        assert_eq!(builder.domain, "contoso.com");
        assert_eq!(builder.https_address.port(), 4443);
        assert_eq!(builder.vault_challenge, VaultChallenge::Scope);
        assert_eq!(builder.pipelines.github_subject, "repo:a/b:pull_request");
        let account = &builder.pipelines.service_account;
        assert_eq!(account, &("shop".to_owned(), "api".to_owned()));
        let wanted = Application::new("orders-api")
            .secret_until("Pa55", 2_000_000_000)
            .federated(FederatedCredential::gitlab("x"));
        assert_eq!(builder.applications, [wanted]);
        let trust = FederatedCredential::new("https://a", "b").with_audience("c");
        assert_eq!(builder.identities[0].federated, [trust]);
        let secret = VaultSecret::new("shop", "password", "s3cret").expires(1);
        assert_eq!(builder.secrets, [secret]);
        let shown = format!("{builder:?}");
        assert!(
            !shown.contains("Pa55") && !shown.contains("s3cret"),
            "{shown}"
        );
    }

    #[test]
    fn a_certificate_that_is_not_there_is_named() {
        let text = "[[application]]\nname = \"a\"\ncertificates = [\"no.pem\"]";
        let error = EmulatorBuilder::from_toml(text, "t", Path::new("/nowhere")).unwrap_err();
        assert!(error.to_string().contains("no.pem"), "{error}");
    }
}
