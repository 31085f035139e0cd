//! `ActiveDirectoryDefault`: the sources that the environment offers, in order.

mod member;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

pub use member::ChainMember;
pub(super) use member::Selection;
use member::names;

use super::env_principal;
use super::error::{Attempt, FetchError, NoIdentity};
use super::managed_identity::{AUTHORITY_HOST, ManagedIdentity};
use super::{AccessToken, Environment, Resource, SourceKey, Sources, TokenError, TokenSource};
use crate::target::{Auth, Cloud, Identity};

/// Microsoft's default chain: environment, workload identity, managed identity,
/// then the developer's tools.
///
/// Who is there but fails ends the chain, for to go on would be to log in as
/// somebody else; only a developer's tool passes on whatever it fails with, and
/// a machine that has no managed identity is none. The first to give a token is
/// the only one asked from then on: a source that changed to another identity
/// while a program runs would be a trap. If that one fails later, so does the
/// chain, until a new chain is made.
#[derive(Debug)]
pub(super) struct DefaultChain {
    links: Vec<Link>,
    left_out: Vec<String>,
    winner: OnceLock<usize>,
    key: SourceKey,
}

impl DefaultChain {
    /// The chain for the client id given, else for `AZURE_CLIENT_ID`; it is that
    /// of a managed or a workload identity, never of a service principal.
    pub(super) fn new(
        client_id: Option<&str>,
        sources: &Sources,
        cloud: &Cloud,
    ) -> Result<Self, TokenError> {
        let selection = Selection::of(&sources.env, &sources.excluded);
        let selection = selection.map_err(|reason| TokenError::Setup {
            origin: SourceKey::new(NAME),
            reason: Arc::new(reason),
        })?;
        let client_id = client_id.map(str::to_owned);
        let client_id = client_id.or_else(|| sources.env.var("AZURE_CLIENT_ID"));
        let probe = !selection.is_named && !sources.env.has(AUTHORITY_HOST);
        let link = |member| Link::new(member, client_id.clone(), sources, cloud, probe);
        let links: Vec<_> = selection.members.into_iter().map(link).collect();
        // Keys hold no secret, and tell everything apart that changes the token.
        let origins: Vec<_> = links.iter().map(Link::origin).collect();
        let mut key = SourceKey::new(NAME).with_credential(format!("{origins:?}"));
        if let Some(id) = client_id {
            key = key.with_identity(format!("client id {id}"));
        }
        Ok(Self {
            links,
            left_out: selection.left_out,
            winner: OnceLock::new(),
            key,
        })
    }

    async fn first(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        let mut tried = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            let error = match link.ask(resource, true).await {
                Ok(token) => {
                    self.settle(index, &tried);
                    return match self.winner.get() {
                        // Another fetch found somebody else meanwhile; two
                        // identities of one source would be a trap.
                        Some(first) if *first != index => {
                            self.links[*first].ask(resource, false).await
                        }
                        _ => Ok(token),
                    };
                }
                Err(error) => error,
            };
            let hint = link.ends_with(&error);
            let ends = hint.is_some();
            tried.push(Attempt {
                origin: link.origin(),
                error,
                hint,
            });
            if ends {
                let rest: Vec<_> = self.links[index + 1..]
                    .iter()
                    .map(|link| link.member)
                    .collect();
                return Err(self.exhausted(resource, tried, &rest));
            }
        }
        Err(self.exhausted(resource, tried, &[]))
    }

    fn settle(&self, index: usize, passed: &[Attempt]) {
        // Two fetches for two resources may have been under way.
        if self.winner.set(index).is_err() {
            return;
        }
        let key = self.answered_by();
        let passed: Vec<_> = passed
            .iter()
            .map(|attempt| attempt.origin.to_string())
            .collect();
        tracing::info!(
            source = %key,
            chosen_by = key.chosen_by(),
            passed_over = passed.join(", "),
            "the default chain has found who gives its tokens"
        );
    }

    fn exhausted(
        &self,
        resource: &Resource,
        tried: Vec<Attempt>,
        rest: &[ChainMember],
    ) -> TokenError {
        let mut notes = self.left_out.clone();
        if !rest.is_empty() {
            notes.push(format!(
                "not asked, since to go on would be to log in as somebody else: {}",
                names(rest)
            ));
        }
        TokenError::Exhausted {
            resource: resource.clone(),
            tried,
            notes,
        }
    }
}

#[async_trait]
impl TokenSource for DefaultChain {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        match self.winner.get() {
            Some(index) => self.links[*index].ask(resource, false).await,
            None => self.first(resource).await,
        }
    }

    fn key(&self) -> SourceKey {
        self.key.clone()
    }

    fn answered_by(&self) -> SourceKey {
        let Some(index) = self.winner.get() else {
            return self.key();
        };
        let key = self.links[*index].origin();
        let reason = match (key.chosen_by(), index) {
            ("", 0) => "the first of the default chain".to_owned(),
            ("", _) => "the first of the default chain to have a token".to_owned(),
            (own, _) => format!("the first of the default chain to have a token; {own}"),
        };
        key.with_reason(reason)
    }
}

/// A member as it is here.
#[derive(Debug)]
struct Link {
    member: ChainMember,
    here: Here,
}

#[derive(Debug)]
enum Here {
    /// Whether there is an endpoint at all must still be found out.
    Maybe(ManagedIdentity),
    /// It can be asked.
    Is(Arc<dyn TokenSource>),
    /// Nothing shows it.
    IsNot(Arc<FetchError>),
    /// It is described, but wrongly.
    IsWrong(TokenError),
}

impl Link {
    fn new(
        member: ChainMember,
        client_id: Option<String>,
        sources: &Sources,
        cloud: &Cloud,
        probe: bool,
    ) -> Self {
        let env = &sources.env;
        let auth = match member {
            ChainMember::AzureCli => Ok(Auth::AzureCli { tenant: None }),
            ChainMember::AzureDeveloperCli => Ok(Auth::AzureDeveloperCli { tenant: None }),
            ChainMember::AzurePowerShell => Ok(Auth::AzurePowerShell { tenant: None }),
            ChainMember::Environment => match env_principal::described(env) {
                Err(missing @ FetchError::NotDescribed { .. }) => Err(missing),
                _ => Ok(Auth::Environment),
            },
            ChainMember::WorkloadIdentity => workload_identity(client_id, env),
            ChainMember::ManagedIdentity => {
                return Self {
                    member,
                    here: managed_identity(client_id, sources, probe),
                };
            }
        };
        let here = match auth {
            Err(missing) => Here::IsNot(Arc::new(missing)),
            Ok(auth) => match sources.source(&auth, cloud) {
                Ok(source) => Here::Is(source),
                Err(error) => Here::IsWrong(error),
            },
        };
        Self { member, here }
    }

    async fn ask(&self, resource: &Resource, probe: bool) -> Result<AccessToken, TokenError> {
        match &self.here {
            Here::Is(source) => source.token(resource).await,
            Here::Maybe(managed) => {
                if probe {
                    let probed = managed.probe().await;
                    probed.map_err(|error| TokenError::fetch(managed.key(), resource, error))?;
                }
                managed.token(resource).await
            }
            Here::IsNot(missing) => Err(TokenError::Fetch {
                origin: self.origin(),
                resource: resource.clone(),
                reason: Arc::clone(missing),
            }),
            Here::IsWrong(error) => Err(error.clone()),
        }
    }

    fn origin(&self) -> SourceKey {
        match &self.here {
            Here::Maybe(managed) => managed.key(),
            Here::Is(source) => source.key(),
            Here::IsNot(_) | Here::IsWrong(_) => SourceKey::new(self.member.name()),
        }
    }

    /// What to know of a failure that ends the chain; `None` if it goes on.
    fn ends_with(&self, error: &TokenError) -> Option<&'static str> {
        if matches!(self.here, Here::IsNot(_)) {
            return None;
        }
        match self.member {
            ChainMember::AzureCli
            | ChainMember::AzureDeveloperCli
            | ChainMember::AzurePowerShell => None,
            ChainMember::Environment => Some(
                "the AZURE_CLIENT_* variables come before every other source, so that left-over ones \
                 hide a working managed identity: correct them, unset them, or set \
                 AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential",
            ),
            ChainMember::WorkloadIdentity => Some(
                "AZURE_FEDERATED_TOKEN_FILE comes before managed identity: correct what the cluster \
                 injects, or set AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential",
            ),
            ChainMember::ManagedIdentity if is_absent(error) => None,
            ChainMember::ManagedIdentity => Some(
                "the platform is there, so the chain ends with it; set AZURE_TOKEN_CREDENTIALS=dev \
                 to use a developer's tool instead",
            ),
        }
    }
}

/// Whether an error means that this machine has no managed identity.
fn is_absent(error: &TokenError) -> bool {
    let reason = error.reason().map(FetchError::last);
    matches!(
        reason,
        Some(
            FetchError::NoEndpoint { .. }
                // Something else has the address.
                | FetchError::NotATokenEndpoint { .. }
                | FetchError::IdentityNotFound { identity: NoIdentity::Default, .. }
        )
    )
}

fn managed_identity(client_id: Option<String>, sources: &Sources, probe: bool) -> Here {
    let identity = client_id.map_or(Identity::SystemAssigned, Identity::ClientId);
    match ManagedIdentity::from_sources(identity, None, sources) {
        Ok(managed) if probe => Here::Maybe(managed),
        Ok(managed) => Here::Is(Arc::new(managed)),
        Err(error) => Here::IsWrong(error),
    }
}

fn workload_identity(client_id: Option<String>, env: &Environment) -> Result<Auth, FetchError> {
    if !env.has("AZURE_FEDERATED_TOKEN_FILE") {
        return Err(FetchError::NotDescribed {
            missing: "AZURE_FEDERATED_TOKEN_FILE is not set".to_owned(),
            advice: "on Kubernetes, label the pod azure.workload.identity/use=true and start it again",
        });
    }
    Ok(Auth::WorkloadIdentity {
        client_id,
        tenant: None,
        token_file: None,
    })
}

const NAME: &str = "the default chain";

#[cfg(test)]
mod tests;
