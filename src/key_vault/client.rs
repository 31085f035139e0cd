//! Reading one secret: the challenge, the token, the reply.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::challenge::Challenge;
use super::error::{Denial, VaultError};
use super::reference::Address;
use super::secret_value::SecretValue;
use crate::secret::Secret;
use crate::token::{
    AccessToken, FetchError, HttpReply, HttpRequest, Reply, Resource, RetryPolicy, TokenCache,
    TokenSlot, TokenSource, Transport, send,
};

/// Asks vaults; remembers the challenge of each.
#[derive(Debug)]
pub(super) struct Client {
    transport: Arc<dyn Transport>,
    api_version: Cow<'static, str>,
    challenges: Mutex<HashMap<(String, u16), Known>>,
}

/// A challenge that has been checked.
#[derive(Clone, Debug)]
struct Known {
    resource: Resource,
    tenant: Option<String>,
}

impl Client {
    pub(super) fn new(transport: Arc<dyn Transport>, api_version: Cow<'static, str>) -> Self {
        Self {
            transport,
            api_version,
            challenges: Mutex::default(),
        }
    }

    /// Reads a secret with the token of a source. A token that the vault does
    /// not accept is replaced once.
    pub(super) async fn read(
        &self,
        address: &Address,
        source: &Arc<dyn TokenSource>,
        tokens: &TokenCache,
    ) -> Result<SecretValue, VaultError> {
        let known = self.challenge(address).await?;
        let slot = tokens.slot(Arc::clone(source), known.resource.clone());
        let token = slot
            .get()
            .await
            .map_err(|source| VaultError::Token { source })?;
        let ask = Ask {
            address,
            slot: &slot,
            tenant: known.tenant.as_deref(),
        };
        let error = match self.secret(&ask, &token).await {
            Err(error @ VaultError::Unauthorized { .. }) => error,
            other => return other,
        };
        // The vault may have moved to another tenant: its next challenge tells.
        self.lock().remove(&(address.host.clone(), address.port));
        tracing::debug!("the vault does not accept the token; asking for another one");
        match slot.replace(&token).await {
            Some(fresh) => self.secret(&ask, &fresh).await,
            None => Err(error),
        }
    }

    async fn secret(&self, ask: &Ask<'_>, token: &AccessToken) -> Result<SecretValue, VaultError> {
        let mut bearer = Zeroizing::new(String::with_capacity(7 + token.secret().len()));
        bearer.push_str("Bearer ");
        bearer.push_str(token.secret().expose());
        let bearer = Secret::new(bearer.as_str());
        let reply = self.send(ask.address, Some(&bearer), &|_| ()).await;
        match reply {
            Ok(reply) => SecretValue::read(&reply),
            Err(error) => Err(ask.explain(error)),
        }
    }

    /// Whose tokens the vault takes; asked once per host, without a token.
    async fn challenge(&self, address: &Address) -> Result<Known, VaultError> {
        let key = (address.host.clone(), address.port);
        if let Some(known) = self.lock().get(&key) {
            return Ok(known.clone());
        }
        let challenge = self.ask_challenge(address).await?;
        let Some(resource) = address.accept(&challenge.resource) else {
            let printable = challenge.resource.chars().filter(|c| !c.is_control());
            return Err(VaultError::ForeignChallenge {
                resource: printable.take(100).collect(),
            });
        };
        let known = Known {
            resource: Resource::new(resource),
            tenant: challenge.tenant.filter(|tenant| is_tenant(tenant)),
        };
        self.lock().insert(key, known.clone());
        Ok(known)
    }

    async fn ask_challenge(&self, address: &Address) -> Result<Challenge, VaultError> {
        let heard = Mutex::new(None);
        let listen = |reply: &HttpReply| {
            if reply.status == 401 {
                let challenge = reply.header("www-authenticate").and_then(Challenge::read);
                *heard.lock().unwrap_or_else(PoisonError::into_inner) = challenge;
            }
        };
        let answer = self.send(address, None, &listen).await;
        if let Some(challenge) = heard.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Ok(challenge);
        }
        let endpoint = format!("https://{}:{}", address.host, address.port);
        match answer {
            Err(error) => match error.last() {
                FetchError::Refused { .. } => Err(VaultError::Challenge { endpoint }),
                _ => Err(unreached(error)),
            },
            Ok(_) => Err(VaultError::Challenge { endpoint }),
        }
    }

    async fn send(
        &self,
        address: &Address,
        bearer: Option<&Secret>,
        listen: &(dyn Fn(&HttpReply) + Send + Sync),
    ) -> Result<HttpReply, FetchError> {
        let url = address
            .url(&self.api_version)
            .map_err(|error| FetchError::Client(error.into()))?;
        let make = || {
            let request = HttpRequest::get(url.clone()).header("accept", "application/json");
            Ok(match bearer {
                Some(bearer) => request.header("authorization", bearer.clone()),
                None => request,
            })
        };
        let judge = |reply: &HttpReply| {
            listen(reply);
            judge(reply)
        };
        send(&*self.transport, &RetryPolicy::KEY_VAULT, make, judge).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, u16), Known>> {
        self.challenges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request with a token, and what is known about it for its errors.
struct Ask<'a> {
    address: &'a Address,
    slot: &'a TokenSlot,
    tenant: Option<&'a str>,
}

impl Ask<'_> {
    fn explain(&self, error: FetchError) -> VaultError {
        let FetchError::Refused { reply, .. } = error.last() else {
            return unreached(error);
        };
        let reply = reply.clone();
        // Of a chain, the member that gave the token.
        let identity = self.slot.answered_by();
        match reply.status {
            401 => VaultError::Unauthorized {
                identity,
                tenant: self.tenant.map(str::to_owned),
                reply,
            },
            403 if reply.code.as_deref() == Some("SecretDisabled") => VaultError::Disabled,
            403 => VaultError::Forbidden {
                identity,
                denial: denial(reply.code.as_deref().unwrap_or_default()),
                reply,
            },
            404 => VaultError::NotFound { reply },
            _ => VaultError::Refused { reply },
        }
    }
}

fn denial(code: &str) -> Denial {
    match code {
        "ForbiddenByFirewall" => Denial::Firewall,
        "ForbiddenByRbac" => Denial::Role,
        "AccessDenied" | "ForbiddenByPolicy" => Denial::AccessPolicy,
        _ => Denial::Unknown,
    }
}

/// A failure that says nothing about the secret.
fn unreached(error: FetchError) -> VaultError {
    match error.last() {
        FetchError::NotATokenEndpoint { endpoint, status } => VaultError::NoVault {
            endpoint: endpoint.clone(),
            status: *status,
        },
        FetchError::TooLarge { endpoint, max } => VaultError::TooLarge {
            endpoint: endpoint.clone(),
            max: *max,
        },
        _ => VaultError::Unreachable(error),
    }
}

/// What a reply that is no secret means for the retries.
fn judge(reply: &HttpReply) -> FetchError {
    let answer = answer(reply);
    let status = reply.status;
    match (status, answer) {
        (429, answer) => FetchError::Throttled {
            reply: answer.unwrap_or_else(|| Reply::of(reply)),
            retry_after: reply.retry_after,
        },
        (408 | 500..=599, answer) => FetchError::Unavailable {
            reply: answer.unwrap_or_else(|| Reply::of(reply)),
            advice: "try again later; Azure's status page knows of outages".to_owned(),
        },
        // Not followed, and no vault redirects.
        (300..=399, _) => FetchError::NotATokenEndpoint {
            endpoint: reply.endpoint.clone(),
            status,
        },
        (_, Some(reply)) => FetchError::Refused {
            reply,
            advice: String::new(),
        },
        // The challenge need not have a body.
        (401, None) => FetchError::Refused {
            reply: Reply::of(reply),
            advice: String::new(),
        },
        (_, None) => FetchError::NotATokenEndpoint {
            endpoint: reply.endpoint.clone(),
            status,
        },
    }
}

/// A vault's error. Its inner code says more than the outer one, which is then
/// always the same.
fn answer(reply: &HttpReply) -> Option<Reply> {
    let mut answer = Reply::read(reply)?;
    let body: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
    let inner = body
        .pointer("/error/innererror/code")
        .and_then(serde_json::Value::as_str);
    let word = |code: &&str| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    if let Some(inner) = inner.filter(word) {
        answer.code = Some(inner.to_owned());
    }
    Some(answer)
}

fn is_tenant(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    text.len() <= 64 && text.bytes().all(fits)
}
