//! The steps of a login one at a time, for whoever wants to look at each.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::prelogin::Agreed;
use super::progress::Progress;
use super::tls::{Mode, Tls, TlsStream};
use super::verifier::Watching;
use super::{AddressFailure, DialError, Dialer, Landing, LoginProfile, Route, line, tcp};
use crate::session::Session;
use crate::target::{Encrypt, Target};
use crate::tds::{FedAuthInfo, Version};
use crate::token::{AccessToken, TokenSlot};

/// A login under way. Each step takes as long as the target's `connect_timeout`
/// at the most; nothing is tried twice.
pub(crate) struct Walk {
    dialer: Dialer,
    route: Route,
    seen: Arc<Mutex<Vec<CertificateDer<'static>>>>,
    limit: Duration,
}

/// A connection with or without TLS.
pub(crate) enum Channel {
    Bare(TcpStream),
    Secure(Box<TlsStream>),
}

/// An address, and what came of connecting to it.
pub(crate) struct Reached {
    pub(crate) address: SocketAddr,
    pub(crate) took: Duration,
    pub(crate) outcome: Result<TcpStream, Unreached>,
}

/// Why an address took no connection.
pub(crate) enum Unreached {
    Failed(AddressFailure),
    Silent,
}

/// What the server said in PRELOGIN.
#[derive(Clone, Copy)]
pub(crate) struct Greeting {
    agreed: Agreed,
}

/// What TLS came to.
pub(crate) struct Secured {
    pub(crate) protocol: String,
    pub(crate) cipher: String,
}

/// Where a login has led.
pub(crate) enum Arrival {
    In(Box<Session>),
    /// To another server, which is the place from now on.
    SentOn,
}

impl Walk {
    /// Begins at the target's server; the token, if there is to be one, comes
    /// [later](Self::with_token).
    pub(crate) fn new(target: Target, limit: Duration) -> Result<Self, DialError> {
        let mut target = target;
        target.limits.connect_timeout = Some(limit);
        target.limits.connect_retry_count = 0;
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let mut dialer = Dialer::prepared(Arc::new(target), None)?;
        let target = dialer.target();
        dialer.tls = Tls::judged(&target.tls, target.auth.uses_token(), |inner| {
            let seen = Arc::clone(&seen);
            Arc::new(Watching { inner, seen })
        })
        .map_err(|source| DialError::Tls {
            server: dialer.target().server.to_string(),
            source,
        })?;
        Ok(Self {
            route: Route::to(dialer.target()),
            dialer,
            seen,
            limit,
        })
    }

    pub(crate) fn with_token(&mut self, slot: TokenSlot) {
        self.dialer.token = Some(slot);
    }

    /// What opens further sessions of the same kind.
    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// The host that comes next.
    pub(crate) fn host(&self) -> &str {
        &self.route.host
    }

    /// The place that comes next, as `host,port` or `host\instance`.
    pub(crate) fn place(&self) -> String {
        self.route.to_string()
    }

    /// Whether TLS comes before PRELOGIN.
    pub(crate) fn tls_first(&self) -> bool {
        self.dialer.target.tls.encrypt == Encrypt::Strict
    }

    /// The place's addresses, with its port.
    pub(crate) async fn addresses(&self) -> Result<Vec<SocketAddr>, DialError> {
        self.within(async |progress| self.dialer.addresses(&self.route, progress).await)
            .await
    }

    /// Connects to all of them at once.
    pub(crate) async fn connect(&self, addresses: &[SocketAddr]) -> Vec<Reached> {
        let each = addresses.iter().map(|address| async {
            let start = Instant::now();
            let attempt = tcp::attempt(*address, &self.dialer.tcp);
            let outcome = match timeout(self.limit, attempt).await {
                Ok(outcome) => outcome.map_err(Unreached::Failed),
                Err(_) => Err(Unreached::Silent),
            };
            Reached {
                address: *address,
                took: start.elapsed(),
                outcome,
            }
        });
        join_all(each).await
    }

    /// PRELOGIN.
    pub(crate) async fn greet(&self, channel: &mut Channel) -> Result<Greeting, DialError> {
        let ask = self.dialer.ask(&self.route);
        let agreed = self.within(async |progress| match channel {
            Channel::Bare(socket) => line::greet(socket, ask, &self.route, progress).await,
            Channel::Secure(stream) => {
                line::greet(stream.as_mut(), ask, &self.route, progress).await
            }
        });
        agreed.await.map(|agreed| Greeting { agreed })
    }

    /// The TLS handshake: as the server's greeting wants it, or before it.
    pub(crate) async fn encrypt(
        &self,
        channel: Channel,
        greeting: Option<Greeting>,
    ) -> Result<(Channel, Secured), DialError> {
        let mode = greeting.map_or(Some(Mode::Strict), |greeting| greeting.agreed.tls);
        let (Channel::Bare(socket), Some(mode)) = (channel, mode) else {
            // TLS is there already, or nobody wants it: callers do not come here.
            return Err(DialError::Tls {
                server: self.place(),
                source: super::TlsError::Closed { strict: false },
            });
        };
        let tls = &self.dialer.tls;
        let stream = self
            .within(async |progress| line::encrypt(socket, tls, mode, &self.route, progress).await)
            .await?;
        let (_, state) = stream.get_ref();
        let name = |text: Option<String>| text.unwrap_or_default();
        let secured = Secured {
            protocol: name(state.protocol_version().map(|it| format!("{it:?}"))),
            cipher: name(
                state
                    .negotiated_cipher_suite()
                    .map(|it| format!("{:?}", it.suite())),
            ),
        };
        Ok((Channel::Secure(Box::new(stream)), secured))
    }

    /// The certificates that the server showed last, its own first.
    pub(crate) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }

    /// Asks the server which token it wants; none is sent.
    pub(crate) async fn token_service(&self) -> Result<FedAuthInfo, DialError> {
        self.dialer.token_service().await
    }

    /// Logs in at the place, on a connection of its own.
    pub(crate) async fn log_in(
        &mut self,
        token: Option<&AccessToken>,
    ) -> Result<Arrival, DialError> {
        let profile = LoginProfile::default();
        let landing = self.within(async |progress| {
            let at = &self.route;
            self.dialer.attempt_at(at, token, &profile, progress).await
        });
        match landing.await? {
            Landing::In(session) => Ok(Arrival::In(session)),
            Landing::SentOn(next) => {
                self.route = next;
                Ok(Arrival::SentOn)
            }
        }
    }

    async fn within<T>(
        &self,
        step: impl AsyncFnOnce(&Progress) -> Result<T, DialError>,
    ) -> Result<T, DialError> {
        let progress = Progress::new();
        timeout(self.limit, step(&progress))
            .await
            .unwrap_or_else(|_| Err(progress.timed_out(self.place(), self.limit)))
    }
}

impl Greeting {
    pub(crate) fn server_version(self) -> Version {
        self.agreed.server_version
    }

    /// Whether the server asks for tokens (FEDAUTHREQUIRED).
    pub(crate) fn takes_tokens(self) -> bool {
        self.agreed.fed_auth_echo
    }

    /// How much is encrypted from here on.
    pub(crate) fn encryption(self) -> &'static str {
        match self.agreed.tls {
            Some(Mode::Strict) => "everything, the greeting too (TDS 8.0)",
            Some(Mode::Tunnelled) => "the whole session",
            Some(Mode::LoginOnly) => "the login only",
            None => "nothing",
        }
    }

    /// Whether nothing but the login is encrypted.
    pub(crate) fn is_for_login_only(self) -> bool {
        self.agreed.tls == Some(Mode::LoginOnly)
    }

    pub(crate) fn has_tls(self) -> bool {
        self.agreed.tls.is_some()
    }
}
