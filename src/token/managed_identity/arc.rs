//! Azure Arc: the agent's endpoint, which wants proof that its files can be read.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use url::Url;

use super::super::error::{FetchError, Reply};
use super::super::http::{HttpReply, HttpRequest, Transport, endpoint_name, with_query};
use super::super::reply::{TokenReply, not_a_token_endpoint};
use super::super::retry::{self, RetryPolicy};
use super::super::{AccessToken, Environment, Resource};
use super::arc_key;
use super::selector::{Names, Selector};
use super::variable::address;
use super::{Endpoint, PlatformError};
use crate::secret::Secret;
use crate::target::IdentityPlatform;

/// Asks twice: the first answer names a file that only the privileged can read,
/// and the second request shows what is in it.
#[derive(Debug)]
pub(super) struct ArcAgent {
    token_url: Url,
    keys: PathBuf,
    http: Arc<dyn Transport>,
}

impl ArcAgent {
    /// The agent at `IDENTITY_ENDPOINT`, else at its usual address; `keys`
    /// replaces the folder that its files must be in.
    pub(super) fn new(
        env: &Environment,
        keys: Option<PathBuf>,
        http: Arc<dyn Transport>,
    ) -> Result<Self, FetchError> {
        let token_url = match env.var(ADDRESS_VARIABLE) {
            Some(text) => address(ADDRESS_VARIABLE, &text, false)?,
            None => address("", ADDRESS, false)?,
        };
        let keys = match keys {
            Some(keys) => keys,
            None => arc_key::folder(env)?,
        };
        Ok(Self {
            token_url,
            keys,
            http,
        })
    }

    /// The first leg. Nothing is tried again: any answer but a 401 is final.
    async fn challenge(&self, url: &Url) -> Result<Secret, FetchError> {
        let request = HttpRequest::get(url.clone()).header("metadata", "true");
        let reply = retry::once(&*self.http, &RetryPolicy::ARC, request).await?;
        let broken = |problem| {
            FetchError::from(PlatformError::Challenge {
                endpoint: reply.endpoint.clone(),
                problem,
            })
        };
        match reply.status {
            401 => {}
            // Whoever gives a token without proof is not the agent.
            200 => return Err(broken("it gave a token without one")),
            429 => {
                return Err(FetchError::Throttled {
                    reply: Reply::of(&reply),
                    retry_after: reply.retry_after,
                });
            }
            408 | 500..=599 => {
                return Err(FetchError::Unavailable {
                    reply: Reply::of(&reply),
                    advice: "check the service himds of the agent".to_owned(),
                });
            }
            _ if Reply::read(&reply).is_none() => return Err(not_a_token_endpoint(&reply)),
            _ => {
                return Err(FetchError::Refused {
                    reply: Reply::of(&reply),
                    advice: "the agent should have asked for a key first; update it".to_owned(),
                });
            }
        }
        let file = arc_key::file_named(&reply.headers).map_err(broken)?;
        arc_key::read(file, self.keys.clone()).await
    }

    /// The second leg.
    async fn answer(
        &self,
        url: &Url,
        key: &Secret,
        selector: &Selector,
    ) -> Result<HttpReply, FetchError> {
        let proof = Secret::new(format!("Basic {}", key.expose()));
        let make = || {
            let request = HttpRequest::get(url.clone()).header("metadata", "true");
            Ok(request.header("authorization", proof.clone()))
        };
        let judge = |reply: &HttpReply| judge(reply, selector);
        retry::send(&*self.http, &RetryPolicy::ARC, make, judge).await
    }
}

#[async_trait]
impl Endpoint for ArcAgent {
    fn names(&self) -> &Names {
        &NAMES
    }

    fn address(&self) -> String {
        endpoint_name(&self.token_url)
    }

    async fn fetch(
        &self,
        selector: &Selector,
        resource: &Resource,
    ) -> Result<AccessToken, FetchError> {
        let mut query = vec![
            ("api-version", API_VERSION),
            ("resource", resource.as_str()),
        ];
        query.extend(NAMES.parameter(selector, IdentityPlatform::Arc)?);
        let url = with_query(self.token_url.clone(), &query);
        let key = self.challenge(&url).await?;
        let reply = match self.answer(&url, &key, selector).await {
            // The agent changes its keys; this one may just have been replaced.
            Err(error) if is_stale_key(&error) => {
                let key = self.challenge(&url).await?;
                self.answer(&url, &key, selector).await?
            }
            other => other?,
        };
        let reply = TokenReply::read(&reply, SystemTime::now())?;
        // Agents that are too old ignore the id and give the machine's own token.
        selector.check_echo(&reply)?;
        Ok(reply.token)
    }
}

fn is_stale_key(error: &FetchError) -> bool {
    matches!(error.last(), FetchError::Refused { reply, .. } if reply.status == 401)
}

fn judge(reply: &HttpReply, selector: &Selector) -> FetchError {
    let said = Reply::of(reply);
    match reply.status {
        401 => FetchError::Refused {
            reply: said,
            advice: "the agent did not accept the key from its own file; restart its service \
                     himds"
                .to_owned(),
        },
        429 => FetchError::Throttled {
            reply: said,
            retry_after: reply.retry_after,
        },
        408 | 500..=599 => FetchError::Unavailable {
            reply: said,
            advice: "check with `azcmagent show` that the machine is connected".to_owned(),
        },
        _ if Reply::read(reply).is_none() => not_a_token_endpoint(reply),
        400 | 404 if said.code.as_deref() != Some("invalid_resource") => {
            FetchError::IdentityNotFound {
                identity: selector.missing(),
                reply: said,
            }
        }
        _ => FetchError::Refused {
            reply: said,
            advice: "check with `azcmagent show` that the machine is connected, and the cloud of \
                     the server's name"
                .to_owned(),
        },
    }
}

const ADDRESS_VARIABLE: &str = "IDENTITY_ENDPOINT";

/// By number, as `localhost` may mean `::1`, where the agent does not listen.
const ADDRESS: &str = "http://127.0.0.1:40342/metadata/identity/oauth2/token";

const API_VERSION: &str = "2020-06-01";

/// No agent understands `mi_res_id`.
const NAMES: Names = Names {
    client_id: Some("client_id"),
    object_id: Some("object_id"),
    resource_id: Some("msi_res_id"),
    instead: "",
};

#[cfg(all(test, unix))]
mod tests;
