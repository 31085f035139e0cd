//! `ActiveDirectoryDefault`: the sources that the environment offers, in order.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::error::Attempt;
use super::managed_identity::{AUTHORITY_HOST, ManagedIdentity};
use super::{AccessToken, Environment, Resource, SourceKey, TokenError, TokenSource};
use crate::target::Identity;

/// Microsoft's default chain, as far as it goes here: managed identity.
///
/// Microsoft's libraries would first take a service principal or a workload
/// identity that variables describe. Where such variables are set, this chain is
/// an error, for to go on would be to log in as somebody else. Developer tools,
/// which come last there, are not asked.
#[derive(Debug)]
pub(super) struct DefaultChain {
    managed: ManagedIdentity,
    /// Whether there is an endpoint must still be found out.
    probe: AtomicBool,
}

impl DefaultChain {
    /// The chain for the identity given, else for `AZURE_CLIENT_ID`, else for
    /// the system-assigned one.
    pub(super) fn new(client_id: Option<&str>, env: &Environment) -> Result<Self, TokenError> {
        let only_managed = excludes_others(env)?;
        if !only_managed {
            refuse_members_that_come_first(env)?;
        }
        let client_id = client_id
            .map(str::to_owned)
            .or_else(|| env.var("AZURE_CLIENT_ID"));
        let identity = client_id.map_or(Identity::SystemAssigned, Identity::ClientId);
        Ok(Self {
            managed: ManagedIdentity::new(identity, env)?,
            probe: AtomicBool::new(!only_managed && !env.has(AUTHORITY_HOST)),
        })
    }

    async fn ask(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        if self.probe.load(Ordering::Relaxed) {
            let probed = self.managed.probe().await;
            probed.map_err(|error| TokenError::fetch(self.managed.key(), resource, error))?;
            self.probe.store(false, Ordering::Relaxed);
        }
        self.managed.token(resource).await
    }
}

#[async_trait]
impl TokenSource for DefaultChain {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        self.ask(resource)
            .await
            .map_err(|error| TokenError::Exhausted {
                resource: resource.clone(),
                tried: vec![Attempt {
                    origin: self.managed.key(),
                    error,
                }],
            })
    }

    fn key(&self) -> SourceKey {
        let member = self.managed.key();
        SourceKey::new("the default chain")
            .with_identity(&member)
            .with_authority(member.authority())
    }
}

/// Whether `AZURE_TOKEN_CREDENTIALS` leaves nothing but managed identity.
fn excludes_others(env: &Environment) -> Result<bool, TokenError> {
    let chosen = env.var("AZURE_TOKEN_CREDENTIALS").unwrap_or_default();
    match chosen.trim().to_ascii_lowercase().as_str() {
        "" | "prod" => Ok(false),
        "managedidentitycredential" => Ok(true),
        _ => Err(TokenError::Unsupported {
            method: "what AZURE_TOKEN_CREDENTIALS chooses",
            instead: "of its values, `prod` and `ManagedIdentityCredential` are",
        }),
    }
}

fn refuse_members_that_come_first(env: &Environment) -> Result<(), TokenError> {
    let all = |names: &[&str]| names.iter().all(|name| env.has(name));
    const INSTEAD: &str = "unset these variables, or ask for a managed identity by \
                           Authentication=ActiveDirectoryManagedIdentity";
    let principal = all(&["AZURE_TENANT_ID", "AZURE_CLIENT_ID"]);
    if principal && (env.has("AZURE_CLIENT_SECRET") || env.has("AZURE_CLIENT_CERTIFICATE_PATH")) {
        return Err(TokenError::Unsupported {
            method: "the default chain with a service principal in the AZURE_CLIENT_* variables",
            instead: INSTEAD,
        });
    }
    if all(&["AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"]) {
        return Err(TokenError::Unsupported {
            method: "the default chain with a workload identity in AZURE_FEDERATED_TOKEN_FILE",
            instead: INSTEAD,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(pairs: &[(&str, &str)]) -> Result<DefaultChain, TokenError> {
        DefaultChain::new(None, &Environment::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn the_identity_is_the_one_given_else_the_variable() {
        let env = Environment::from_pairs([("AZURE_CLIENT_ID", "from-env")]);
        let identity = |given| {
            DefaultChain::new(given, &env)
                .unwrap()
                .key()
                .identity()
                .to_owned()
        };
        assert_eq!(identity(Some("given")), "IMDS (client id given)");
        assert_eq!(identity(None), "IMDS (client id from-env)");
        assert_eq!(
            chain(&[]).unwrap().key().identity(),
            "IMDS (system-assigned)"
        );
    }

    #[test]
    fn nobody_else_is_logged_in_in_silence() {
        let principal = [
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_CLIENT_SECRET", "MARKER"),
        ];
        let error = chain(&principal).unwrap_err();
        assert!(
            error.to_string().contains("ActiveDirectoryManagedIdentity"),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("MARKER"));
        assert!(
            chain(&[
                ("AZURE_TENANT_ID", "t"),
                ("AZURE_FEDERATED_TOKEN_FILE", "/f")
            ])
            .is_err()
        );
        assert!(chain(&[("AZURE_TOKEN_CREDENTIALS", "dev")]).is_err());
        assert!(chain(&[("AZURE_TOKEN_CREDENTIALS", "PROD")]).is_ok());
        let mut chosen = principal.to_vec();
        chosen.push(("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential"));
        assert!(chain(&chosen).is_ok());
    }

    #[tokio::test]
    async fn where_nothing_listens_the_error_lists_what_was_tried() {
        // Nothing listens on port 1 of the loopback; the probe is asked for as
        // on a machine where the address is the real one.
        let env = Environment::from_pairs([(AUTHORITY_HOST, "http://127.0.0.1:1")]);
        let chain = DefaultChain::new(None, &env).unwrap();
        chain.probe.store(true, Ordering::Relaxed);
        let error = chain
            .token(&Resource::new("https://database.windows.net/"))
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, TokenError::Exhausted { .. }));
        assert!(
            text.contains("IMDS (system-assigned)") && text.contains("nothing answers"),
            "{text}"
        );
    }
}
