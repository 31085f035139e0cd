//! From what a connection says to a source that exchanges assertions.

use std::sync::Arc;

use super::super::app_source::AppSource;
use super::super::entra::{AppCredential, EntraApp};
use super::super::error::FetchError;
use super::super::{SourceKey, Sources, TokenError, TokenSource};
use super::command::CommandAssertion;
use super::file::FileAssertion;
use super::from_url::UrlAssertion;
use super::github::GitHubActions;
use super::managed_identity::IdentityAssertion;
use super::origin::Origin;
use super::pipelines::{self, AzurePipelines};
use super::variable::VariableAssertion;
use super::workload_identity::{self as workload, Workload};
use super::{AssertionError, AssertionSource, gitlab, terraform};
use crate::target::{AssertionFrom, Auth, Cloud};

type Source = Arc<dyn TokenSource>;

/// The source of a method that has a token of another issuer; `None` for all others.
pub(in super::super) fn federated(
    sources: &Sources,
    auth: &Auth,
    cloud: &Cloud,
) -> Option<Result<Source, TokenError>> {
    Some(match auth {
        Auth::WorkloadIdentity {
            client_id,
            tenant,
            token_file,
        } => {
            let workload = Workload {
                client_id: client_id.as_deref(),
                tenant: tenant.as_deref(),
                token_file: token_file.as_deref(),
            };
            workload_identity(sources, cloud, &workload)
        }
        Auth::AzurePipelines {
            client_id,
            tenant,
            service_connection,
            system_token,
        } => {
            let (connection, token) = (service_connection.as_deref(), system_token.as_ref());
            let made = AzurePipelines::new(sources, connection, token).map(shared);
            let names = Names {
                kind: PIPELINES,
                client_id: &[pipelines::CLIENT_ID, workload::CLIENT_ID],
                tenant: &[pipelines::TENANT_ID, workload::TENANT_ID],
            };
            let ids = (client_id.as_deref(), tenant.as_deref());
            names.app(sources, cloud, ids, |_| {
                made.map_err(|reason| setup(PIPELINES, reason))
            })
        }
        Auth::Federated {
            client_id,
            tenant,
            from,
        } => {
            let run_client = match from {
                AssertionFrom::TerraformCloud { tag } => {
                    Some(terraform::tagged(terraform::CLIENT_ID, tag.as_deref()))
                }
                _ => None,
            };
            let is_run = run_client.is_some();
            let clients = run_client.as_deref().into_iter();
            let clients: Vec<_> = clients.chain([workload::CLIENT_ID]).collect();
            let tenants = [workload::TENANT_ID, terraform::TENANT_ID];
            let names = Names {
                kind: kind(from),
                client_id: &clients,
                tenant: &tenants[..if is_run { 2 } else { 1 }],
            };
            let ids = (client_id.as_deref(), tenant.as_deref());
            names.app(sources, cloud, ids, |client_id| {
                assertion(sources, from, client_id)
            })
        }
        _ => return None,
    })
}

fn workload_identity(
    sources: &Sources,
    cloud: &Cloud,
    workload: &Workload<'_>,
) -> Result<Source, TokenError> {
    let make = || {
        let (client_id, tenant, file) = workload.resolve(sources)?;
        let way = workload::way(sources)?;
        let credential = AppCredential::Assertion(file);
        EntraApp::new(&way, cloud, Some(&tenant), &client_id, credential)
    };
    let app = make().map_err(|reason| setup(WORKLOAD, reason))?;
    Ok(Arc::new(AppSource::new(WORKLOAD, app)))
}

/// The variables in which the ids are looked for, the first that is set, when
/// the connection names none.
struct Names<'a> {
    kind: &'static str,
    client_id: &'a [&'a str],
    tenant: &'a [&'a str],
}

impl Names<'_> {
    fn app(
        &self,
        sources: &Sources,
        cloud: &Cloud,
        (client_id, tenant): (Option<&str>, Option<&str>),
        source: impl FnOnce(&str) -> Result<Arc<dyn AssertionSource>, TokenError>,
    ) -> Result<Source, TokenError> {
        let either = |given: Option<&str>, names: &[&str]| {
            let named = || names.iter().find_map(|name| sources.env.var(name));
            given.map(str::to_owned).or_else(named)
        };
        let client_id = either(client_id, self.client_id).ok_or_else(|| self.unnamed())?;
        let tenant = either(tenant, self.tenant);
        let credential = AppCredential::Assertion(source(&client_id)?);
        let app = EntraApp::new(sources, cloud, tenant.as_deref(), &client_id, credential)
            .map_err(|reason| setup(self.kind, reason))?;
        Ok(Arc::new(AppSource::new(self.kind, app)))
    }

    fn unnamed(&self) -> TokenError {
        let reason = AssertionError::MissingVariables {
            variables: format!(
                "no client id is given, and {} is",
                self.client_id.join(" or ")
            ),
            advice: "give the client id of the application or user-assigned identity that trusts \
                     this issuer",
        };
        setup(self.kind, Origin::new(self.kind, "", "").failed(reason))
    }
}

fn assertion(
    sources: &Sources,
    from: &AssertionFrom,
    client_id: &str,
) -> Result<Arc<dyn AssertionSource>, TokenError> {
    let env = &sources.env;
    let made = match from {
        AssertionFrom::Command { argv } => CommandAssertion::new(argv, env).map(shared),
        AssertionFrom::File(path) => Ok(shared(FileAssertion::new(path))),
        AssertionFrom::GitHubActions => GitHubActions::new(sources).map(shared),
        AssertionFrom::GitLab { variable } => gitlab::gitlab(variable, env).map(shared),
        AssertionFrom::ManagedIdentity(identity) => {
            return IdentityAssertion::new(sources, identity, client_id).map(shared);
        }
        AssertionFrom::TerraformCloud { tag } => {
            terraform::terraform(tag.as_deref(), env).map(shared)
        }
        AssertionFrom::Variable(name) => VariableAssertion::new(name, env).present().map(shared),
        AssertionFrom::Url { .. } => UrlAssertion::new(sources, from).map(shared),
    };
    made.map_err(|reason| setup(kind(from), reason))
}

fn shared<S: AssertionSource + 'static>(source: S) -> Arc<dyn AssertionSource> {
    Arc::new(source)
}

fn setup(kind: &'static str, reason: FetchError) -> TokenError {
    TokenError::Setup {
        origin: SourceKey::new(kind),
        reason: Arc::new(reason),
    }
}

/// What the source is called in keys and errors.
fn kind(from: &AssertionFrom) -> &'static str {
    match from {
        AssertionFrom::Command { .. } => "federated credential (command)",
        AssertionFrom::File(_) => "federated credential (file)",
        AssertionFrom::GitHubActions => "federated credential (GitHub Actions)",
        AssertionFrom::GitLab { .. } => "federated credential (GitLab)",
        AssertionFrom::ManagedIdentity(_) => "federated credential (managed identity)",
        AssertionFrom::TerraformCloud { .. } => "federated credential (HCP Terraform)",
        AssertionFrom::Url { .. } => "federated credential (URL)",
        AssertionFrom::Variable(_) => "federated credential (variable)",
    }
}

const WORKLOAD: &str = "workload identity";

const PIPELINES: &str = "Azure Pipelines";

#[cfg(test)]
mod tests {
    use super::super::super::Environment;
    use super::super::testing::sources;
    use super::*;
    use crate::secret::Secret;

    const JOB: &[(&str, &str)] = &[
        ("PATH", "/bin"),
        ("SYSTEM_OIDCREQUESTURI", "https://dev.azure.com/o"),
        ("SYSTEM_ACCESSTOKEN", "MARKER"),
        ("JWT", "a"),
    ];

    fn key(auth: &Auth, pairs: &[(&str, &str)]) -> SourceKey {
        let (sources, _) = sources(pairs, Vec::new());
        let source = federated(&sources, auth, &Cloud::Public).unwrap();
        source.unwrap().key()
    }

    fn from(from: AssertionFrom) -> Auth {
        Auth::Federated {
            client_id: Some("c".into()),
            tenant: Some("t".into()),
            from,
        }
    }

    fn at(url: &str, header: &str, pointer: Option<&str>, post: bool) -> Auth {
        from(AssertionFrom::Url {
            url: url.to_owned(),
            headers: vec![("X-Key".to_owned(), Secret::new(header))],
            pointer: pointer.map(str::to_owned),
            post,
        })
    }

    fn pipeline(connection: &str, token: Option<&str>) -> Auth {
        Auth::AzurePipelines {
            client_id: Some("c".into()),
            tenant: Some("t".into()),
            service_connection: Some(connection.to_owned()),
            system_token: token.map(Secret::new),
        }
    }

    fn command(words: &[&str]) -> Auth {
        let argv = words.iter().map(|word| (*word).to_owned()).collect();
        from(AssertionFrom::Command { argv })
    }

    #[test]
    fn whoever_proves_himself_in_another_way_shares_no_token() {
        let auths = [
            command(&["/bin/sh", "-c", "MARKER a"]),
            command(&["/bin/sh", "-c", "MARKER", "a"]),
            command(&["/bin/sh"]),
            at("https://h/?for=a", "MARKER", None, false),
            at("https://h/?for=b", "MARKER", None, false),
            at("https://h/?for=b", "other", None, false),
            at("https://h/?for=b", "other", Some(""), false),
            at("https://h/?for=b", "other", Some("/a"), false),
            at("https://h/?for=b", "other", Some("/a"), true),
            pipeline("one", None),
            pipeline("another", None),
            pipeline("another", Some("MARKER")),
            from(AssertionFrom::Variable("JWT".into())),
        ];
        let keys: Vec<_> = auths.iter().map(|auth| key(auth, JOB)).collect();
        for (i, a) in keys.iter().enumerate() {
            assert!(!format!("{a:?}").contains("MARKER"), "{a:?}");
            assert!(keys.iter().skip(i + 1).all(|b| a != b), "{i}: {a:?}");
            assert_eq!(*a, key(&auths[i], JOB));
        }
    }

    #[test]
    fn environments_share_no_token_as_each_has_its_own_proof() {
        let auth = from(AssertionFrom::Variable("JWT".into()));
        assert_ne!(key(&auth, &[("JWT", "a")]), key(&auth, &[("JWT", "b")]));
        let given = Auth::WorkloadIdentity {
            client_id: Some("c".into()),
            tenant: Some("t".into()),
            token_file: Some("/f".into()),
        };
        let of_process = || {
            let sources = Sources::new(Environment::from_process());
            federated(&sources, &given, &Cloud::Public)
                .unwrap()
                .unwrap()
                .key()
        };
        assert_eq!(of_process(), of_process());
    }
}
