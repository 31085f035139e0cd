//! What clients asked of the emulator lately, without secrets: for tests that assert on it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use uuid::Uuid;

use super::Clock;

/// Requests that are remembered; older ones are forgotten.
const MOST: usize = 1000;

/// A token request or a login that the emulator has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// Counts from 1, over both kinds.
    pub number: u64,
    /// When it came, in seconds since 1970 by the emulator's clock.
    pub at: i64,
    /// What it was.
    #[serde(flatten)]
    pub kind: RequestKind,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RequestKind {
    /// A token request at Entra's token endpoint.
    Entra(EntraRequest),
    /// A token request at an identity endpoint.
    Identity(IdentityRequest),
    /// A request for an assertion at a pipeline's endpoint.
    Issuer(IssuerRequest),
    /// A request at Key Vault.
    Vault(VaultRequest),
    /// A LOGIN7 at the SQL gateway or its redirect node.
    Login(LoginRequest),
}

/// A token request at an identity endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IdentityRequest {
    /// The platform whose endpoint it is, by its [name](super::Platform::as_str).
    pub endpoint: &'static str,
    /// The HTTP method.
    pub method: String,
    /// The parameter `resource`.
    pub resource: Option<String>,
    /// The parameter `api-version`.
    pub api_version: Option<String>,
    /// The parameter that names an identity, and its value.
    pub selector: Option<(String, String)>,
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The HTTP status of the answer; `None` while there is none.
    pub status: Option<u16>,
}

/// A token request at Entra's token endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EntraRequest {
    /// The host that it was sent to, without the port.
    pub host: String,
    /// The tenant in the path.
    pub tenant: String,
    /// The field `client_id`.
    pub client_id: Option<String>,
    /// The field `scope`.
    pub scope: Option<String>,
    /// `secret` or `assertion`, by the fields that were sent.
    pub credential: Option<&'static str>,
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The HTTP status of the answer; `None` while there is none.
    pub status: Option<u16>,
    /// The AADSTS number of the answer.
    pub error: Option<u32>,
}

/// A request for an assertion at a pipeline's endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IssuerRequest {
    /// `github-actions` or `azure-pipelines`.
    pub issuer: &'static str,
    /// The audience that was asked for, where it is asked for.
    pub audience: Option<String>,
    /// The HTTP status of the answer; `None` while there is none.
    pub status: Option<u16>,
}

/// A request at Key Vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VaultRequest {
    /// The vault's name.
    pub vault: String,
    /// The secret's name.
    pub secret: String,
    /// The version that was asked for, if one was.
    pub version: Option<String>,
    /// The parameter `api-version`.
    pub api_version: Option<String>,
    /// Whether a token was sent.
    pub with_token: bool,
    /// The HTTP status of the answer; `None` while there is none.
    pub status: Option<u16>,
}

/// A login at the SQL gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LoginRequest {
    /// Whether it came to the redirect node.
    pub at_node: bool,
    /// The server that LOGIN7 names.
    pub server: String,
    /// The database that LOGIN7 names; empty if none.
    pub database: String,
    /// The application's name.
    pub application: String,
    /// The client's host name.
    pub host: String,
    /// The client library's name.
    pub library: String,
    /// How the client proved who it is: `token`, `password` or `integrated`.
    pub authentication: &'static str,
    /// The user name of a login by password.
    pub user: Option<String>,
    /// The object id of the token's principal, if the token was good.
    pub object_id: Option<Uuid>,
    /// Whether the connection was encrypted.
    pub encrypted: bool,
    /// How it ended; `None` while it goes on.
    pub outcome: Option<LoginOutcome>,
}

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LoginOutcome {
    /// With a session.
    Accepted,
    /// With a connection that broke, be it by a fault or by the client.
    Broken,
    /// With a redirect.
    Redirected,
    /// With this error.
    Refused(i32),
}

/// The requests of one emulator. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    clock: Clock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    kept: VecDeque<RecordedRequest>,
}

/// Names a request whose end is still to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

impl Requests {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            inner: Arc::default(),
        }
    }

    pub(super) fn begin(&self, kind: RequestKind) -> Ticket {
        let at = self.clock.now();
        let mut inner = self.inner();
        inner.last += 1;
        let number = inner.last;
        if inner.kept.len() == MOST {
            inner.kept.pop_front();
        }
        inner.kept.push_back(RecordedRequest { number, at, kind });
        Ticket(number)
    }

    /// Changes what is known of a request, unless it is forgotten.
    pub(super) fn amend(&self, ticket: Ticket, change: impl FnOnce(&mut RequestKind)) {
        let mut inner = self.inner();
        let found = inner.kept.iter_mut().rev().find(|r| r.number == ticket.0);
        if let Some(request) = found {
            change(&mut request.kind);
        }
    }

    /// All that are remembered, oldest first.
    pub(super) fn list(&self) -> Vec<RecordedRequest> {
        self.inner().kept.iter().cloned().collect()
    }

    /// Forgets all; numbers go on.
    pub(super) fn clear(&self) {
        self.inner().kept.clear();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RequestKind {
        RequestKind::Identity(IdentityRequest::default())
    }

    #[test]
    fn the_oldest_are_forgotten_and_numbers_go_on() {
        let requests = Requests::new(Clock::new());
        let first = requests.begin(request());
        for _ in 0..MOST {
            requests.begin(request());
        }
        requests.amend(first, |_| panic!("it is forgotten"));
        let kept = requests.list();
        assert_eq!((kept.len(), kept[0].number), (MOST, 2));
        requests.clear();
        assert!(requests.list().is_empty());
        requests.begin(request());
        assert_eq!(requests.list()[0].number, 1002);
    }
}
