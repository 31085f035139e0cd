//! The service principal that environment variables describe.

use std::sync::Arc;

use async_trait::async_trait;

use super::error::FetchError;
use super::{AccessToken, Environment, Resource, SourceKey, Sources, TokenError, TokenSource};
use crate::secret::Secret;
use crate::target::{Auth, Cloud};

/// A source for [`Auth::Environment`]: the variables of Microsoft's
/// `EnvironmentCredential`, of which the first complete set wins.
pub(super) fn source(sources: &Sources, cloud: &Cloud) -> Result<Arc<dyn TokenSource>, TokenError> {
    let described = described(&sources.env).map_err(|reason| TokenError::Setup {
        origin: SourceKey::new("environment"),
        reason: Arc::new(reason),
    })?;
    match described {
        Described::Principal { auth, reason } => {
            let principal = sources.source(&auth, cloud)?;
            Ok(Arc::new(FromEnvironment { principal, reason }))
        }
        Described::Password => Err(TokenError::Unsupported {
            method: "a user's password (AZURE_USERNAME and AZURE_PASSWORD)",
            instead: "Entra gives such users no token once they have a second factor; sign in with \
                      `az login`, or use a managed identity or a service principal, and unset both",
        }),
    }
}

/// What the variables describe.
#[derive(Debug)]
pub(super) enum Described {
    /// An application with its credential, by the variables that the reason names.
    Principal { auth: Auth, reason: &'static str },
    /// A user with a password.
    Password,
}

/// Reads the variables.
///
/// # Errors
/// [`FetchError::NotDescribed`] with what is missing.
pub(super) fn described(env: &Environment) -> Result<Described, FetchError> {
    let (client_id, tenant) = (env.var(CLIENT), env.var(TENANT));
    let (secret, certificate) = (env.var(SECRET), env.var(CERTIFICATE));
    if let (Some(client_id), Some(tenant)) = (client_id, tenant) {
        let tenant = Some(tenant);
        if let Some(secret) = secret {
            let secret = Secret::new(secret);
            let auth = Auth::ServicePrincipalSecret {
                client_id,
                tenant,
                secret,
            };
            return Ok(Described::Principal {
                auth,
                reason: "AZURE_CLIENT_SECRET is set",
            });
        }
        if let Some(certificate) = certificate {
            let auth = Auth::ServicePrincipalCertificate {
                client_id,
                tenant,
                certificate: certificate.into(),
                key: None,
                password: env
                    .var("AZURE_CLIENT_CERTIFICATE_PASSWORD")
                    .map(Secret::new),
            };
            let reason = "AZURE_CLIENT_CERTIFICATE_PATH is set";
            return Ok(Described::Principal { auth, reason });
        }
    }
    if [CLIENT, "AZURE_USERNAME", "AZURE_PASSWORD"]
        .iter()
        .all(|name| env.has(name))
    {
        return Ok(Described::Password);
    }
    Err(FetchError::NotDescribed {
        missing: missing(env),
        advice: "set all three to log in as a service principal",
    })
}

/// `AZURE_TENANT_ID and AZURE_CLIENT_ID are not set`.
fn missing(env: &Environment) -> String {
    let mut missing: Vec<_> = [TENANT, CLIENT]
        .into_iter()
        .filter(|name| !env.has(name))
        .collect();
    if !env.has(SECRET) && !env.has(CERTIFICATE) {
        missing.push("AZURE_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH)");
    }
    match missing.split_last() {
        Some((last, [])) => format!("{last} is not set"),
        Some((last, rest)) => format!("{} and {last} are not set", rest.join(", ")),
        None => "nothing is missing".to_owned(),
    }
}

/// The principal's own source, which says by which variable it was found.
#[derive(Debug)]
struct FromEnvironment {
    principal: Arc<dyn TokenSource>,
    reason: &'static str,
}

#[async_trait]
impl TokenSource for FromEnvironment {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        self.principal.token(resource).await
    }

    fn key(&self) -> SourceKey {
        self.principal.key().with_reason(self.reason)
    }
}

const CLIENT: &str = "AZURE_CLIENT_ID";
const TENANT: &str = "AZURE_TENANT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(names: &[&str]) -> Result<Described, FetchError> {
        described(&Environment::from_pairs(
            names.iter().map(|name| (*name, "MARKER")),
        ))
    }

    #[test]
    fn the_first_complete_set_wins() {
        let all = [
            CLIENT,
            TENANT,
            SECRET,
            CERTIFICATE,
            "AZURE_USERNAME",
            "AZURE_PASSWORD",
        ];
        let auth = |names: &[&str]| match read(names).unwrap() {
            Described::Principal { auth, .. } => auth,
            Described::Password => Auth::Callback,
        };
        assert!(matches!(auth(&all), Auth::ServicePrincipalSecret { .. }));
        let certificate = [
            CLIENT,
            TENANT,
            CERTIFICATE,
            "AZURE_CLIENT_CERTIFICATE_PASSWORD",
        ];
        assert!(matches!(
            auth(&certificate),
            Auth::ServicePrincipalCertificate {
                key: None,
                password: Some(_),
                ..
            }
        ));
        assert_eq!(
            auth(&[CLIENT, SECRET, "AZURE_USERNAME", "AZURE_PASSWORD"]),
            Auth::Callback
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for (names, expected) in [
            (
                &[][..],
                "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH) are not set",
            ),
            (
                &[CLIENT, TENANT],
                "AZURE_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH) is not set",
            ),
            (&[CLIENT, SECRET], "AZURE_TENANT_ID is not set"),
            (&[SECRET], "AZURE_TENANT_ID and AZURE_CLIENT_ID are not set"),
            (
                &[CLIENT, "AZURE_USERNAME"],
                "AZURE_TENANT_ID and AZURE_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH) are not set",
            ),
        ] {
            let error = read(names).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_users_password_is_refused_with_what_to_do_instead() {
        let env = Environment::from_pairs(
            [CLIENT, "AZURE_USERNAME", "AZURE_PASSWORD"].map(|name| (name, "MARKER")),
        );
        let error = source(&Sources::new(env), &Cloud::Public).unwrap_err();
        assert!(error.to_string().contains("az login"), "{error}");
        assert!(!format!("{error:?}").contains("MARKER"));
    }

    #[test]
    fn the_source_is_the_principals_and_says_why() {
        let env = Environment::from_pairs([(CLIENT, "c"), (TENANT, "t"), (SECRET, "MARKER")]);
        let source = source(&Sources::new(env), &Cloud::Public).unwrap();
        let key = source.key();
        assert!(key.to_string().contains("(secret)"), "{key}");
        assert_eq!(key.chosen_by(), "AZURE_CLIENT_SECRET is set");
        assert!(!format!("{source:?}{key:?}").contains("MARKER"));
    }
}
