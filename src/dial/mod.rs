//! The one login: from a [`Target`] to a [`Session`].
//!
//! Whoever opens a session to a server does it here, so that TLS, tokens,
//! redirects, deadlines, retries and error texts are the same everywhere.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use entrada::dial::Dialer;
//! use entrada::target::{Auth, Server, Target};
//! use entrada::token::{AccessToken, CallbackToken, TokenSlot};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! let source = CallbackToken::new(|_resource| async {
//!     Ok::<_, std::io::Error>(AccessToken::new("a token", Duration::from_secs(3600)))
//! });
//! let target = Target::new(Server::new("app.database.windows.net"), Auth::Callback)
//!     .with_database("app");
//! let slot = TokenSlot::new(Arc::new(source), target.cloud);
//! let session = Dialer::new(target, Some(slot))?.dial().await?;
//! println!("in {}", session.info().database);
//! # Ok(())
//! # }
//! ```

mod answer;
mod browser;
mod error;
mod line;
mod login;
mod login_error;
mod prelogin;
mod profile;
mod progress;
mod retry;
mod routing;
mod tcp;
mod tenant;
mod text;
mod tls;
pub(crate) mod tunnel;
mod verifier;
#[cfg(feature = "check")]
pub(crate) mod walk;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

pub use browser::BrowserError;
pub use error::DialError;
pub use login::FedAuthFlow;
pub use login_error::LoginError;
pub use prelogin::PreloginError;
pub use profile::LoginProfile;
pub use progress::Step;
pub use routing::RoutingError;
pub use tcp::{AddressFailure, TcpError};
pub use tenant::token_source;
pub use tls::TlsError;
pub use wire::WireError;

use self::answer::{About, Verdict};
use self::line::Line;
use self::login::{Bearer, Login};
use self::prelogin::{Agreed, Ask};
use self::progress::Progress;
use self::retry::Retries;
use self::routing::Route;
use self::tcp::TcpOptions;
pub(crate) use self::text::printable;
use self::tls::Tls;
use crate::session::{Session, SessionStream};
use crate::target::{Auth, Encrypt, Endpoint, Target};
use crate::tds::Routing;
use crate::token::{AccessToken, TokenSlot};

/// The part of the remaining time that may go into replacing a refused token.
const FOR_A_FRESH_TOKEN: f32 = 0.8;

/// Opens sessions to one target.
///
/// Clones share everything and cost little.
#[derive(Debug, Clone)]
pub struct Dialer {
    target: Arc<Target>,
    token: Option<TokenSlot>,
    tls: Tls,
    tcp: TcpOptions,
    flow: FedAuthFlow,
    browser_port: u16,
    workstation: Arc<str>,
}

impl Dialer {
    /// Prepares to dial: reads certificate files and the platform's trusted roots.
    ///
    /// A target that logs in by SQL password needs no token slot, and passes
    /// one over.
    ///
    /// # Errors
    /// [`DialError::Tls`] if a certificate file or a name in the target's TLS
    /// policy cannot be used, [`DialError::NoTokenSource`] if the target needs
    /// a token and there is no slot.
    pub fn new(
        target: impl Into<Arc<Target>>,
        token: Option<TokenSlot>,
    ) -> Result<Self, DialError> {
        let target = target.into();
        let by_token = target.auth.uses_token();
        let token = token.filter(|_| by_token);
        if by_token && token.is_none() {
            return Err(DialError::NoTokenSource {
                server: target.server.to_string(),
            });
        }
        Self::prepared(target, token)
    }

    /// As [`new`](Self::new), whether there is a token or not.
    fn prepared(target: Arc<Target>, token: Option<TokenSlot>) -> Result<Self, DialError> {
        let by_token = target.auth.uses_token();
        let tls = Tls::new(&target.tls, by_token).map_err(|source| DialError::Tls {
            server: target.server.to_string(),
            source,
        })?;
        let workstation = hostname::get().unwrap_or_default();
        Ok(Self {
            tcp: TcpOptions::from(&target.login),
            tls,
            token,
            target,
            flow: FedAuthFlow::default(),
            browser_port: browser::PORT,
            workstation: workstation.to_string_lossy().into(),
        })
    }

    /// How a token reaches the server. Defaults to
    /// [`FedAuthFlow::SecurityToken`].
    #[must_use]
    pub fn with_fed_auth_flow(mut self, flow: FedAuthFlow) -> Self {
        self.flow = flow;
        self
    }

    /// Where SQL Browser listens. Defaults to UDP port 1434.
    #[must_use]
    pub fn with_browser_port(mut self, port: u16) -> Self {
        self.browser_port = port;
        self
    }

    /// Where sessions are opened to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Opens a session.
    ///
    /// # Errors
    /// What kept it from opening, within the target's `connect_timeout` at the
    /// latest; see [`DialError`].
    ///
    /// # Cancel safety
    /// Dropping the future closes its socket. A login that the server was about
    /// to grant ends unused; nothing else is lost.
    pub async fn dial(&self) -> Result<Session, DialError> {
        self.dial_with(&LoginProfile::default()).await
    }

    /// Opens a session that presents itself as the profile says.
    ///
    /// # Errors
    /// As [`dial`](Self::dial).
    ///
    /// # Cancel safety
    /// As [`dial`](Self::dial).
    #[tracing::instrument(name = "dial", level = "debug", skip_all, fields(server = %self.target.server))]
    pub async fn dial_with(&self, profile: &LoginProfile) -> Result<Session, DialError> {
        let progress = Progress::new();
        let limit = self.target.limits.connect_timeout;
        // A limit beyond what the clock can tell is none.
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let (Some(limit), Some(deadline)) = (limit, deadline) else {
            return self.open(profile, &progress, None).await;
        };
        timeout_at(deadline, self.open(profile, &progress, Some(deadline)))
            .await
            .unwrap_or_else(|_| {
                self.note_trouble(&progress);
                Err(progress.timed_out(self.target.server.to_string(), limit))
            })
    }

    /// If the time went into a token, what its source struggles with is the cause.
    fn note_trouble(&self, progress: &Progress) {
        let trouble = self.token.as_ref().and_then(TokenSlot::trouble);
        if let Some(source) = trouble.filter(|_| progress.is_at(Step::Token)) {
            let server = self.target.server.to_string();
            progress.failed(&DialError::Token { server, source });
        }
    }

    /// Tries until a session is open or another try makes no sense.
    async fn open(
        &self,
        profile: &LoginProfile,
        progress: &Progress,
        deadline: Option<Instant>,
    ) -> Result<Session, DialError> {
        let mut retries = Retries::new(&self.target.limits);
        let mut token = self.token(progress).await?;
        loop {
            let error = match self.attempt(token.as_ref(), profile, progress).await {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            tracing::debug!(error = &error as &dyn std::error::Error, "login failed");
            progress.failed(&error);
            if error.refuses_token() && retries.may_renew_token() {
                let fresh = self.fresh_token(token.as_ref(), deadline, progress);
                let Some(fresh) = fresh.await else {
                    return Err(error);
                };
                token = Some(fresh);
                continue;
            }
            let Some(pause) = retries.pause(&error, deadline) else {
                return Err(retries.give_up(self.target.server.to_string(), error));
            };
            progress.enter(Step::Pause);
            sleep(pause).await;
            token = self.token(progress).await?;
        }
    }

    /// One login, and whatever redirects it leads to.
    async fn attempt(
        &self,
        token: Option<&AccessToken>,
        profile: &LoginProfile,
        progress: &Progress,
    ) -> Result<Session, DialError> {
        let mut route = Route::to(&self.target);
        loop {
            match self.attempt_at(&route, token, profile, progress).await? {
                Landing::In(session) => return Ok(*session),
                Landing::SentOn(next) => route = next,
            }
        }
    }

    /// One login at one place.
    async fn attempt_at(
        &self,
        route: &Route,
        token: Option<&AccessToken>,
        profile: &LoginProfile,
        progress: &Progress,
    ) -> Result<Landing, DialError> {
        let socket = self.connect(route, progress).await?;
        let endpoint = socket.peer_addr();
        let ask = self.ask(route);
        let (line, agreed) = line::secure(socket, &self.tls, ask, route, progress).await?;
        let encrypted = line.is_encrypted();
        progress.enter(Step::Login);
        let (stream, verdict) = self.log_in(line, route, agreed, token, profile).await?;
        let granted = match verdict {
            Verdict::Granted(granted) => granted,
            Verdict::Routed(to) => {
                // Closed before the next connection: a gateway counts both.
                drop(stream);
                return self.follow(route, &to).map(Landing::SentOn);
            }
        };
        let info = granted.into_info(About {
            route,
            endpoint: endpoint.map_or_else(|_| route.to_string(), |peer| peer.to_string()),
            server_version: agreed.server_version,
            encrypted,
            token,
            identity: self.identity(token),
        });
        tracing::debug!(endpoint = %info.endpoint, spid = info.spid, "logged in");
        Ok(Landing::In(Box::new(Session::new(stream, info))))
    }

    async fn token(&self, progress: &Progress) -> Result<Option<AccessToken>, DialError> {
        let Some(slot) = &self.token else {
            return Ok(None);
        };
        progress.enter(Step::Token);
        slot.get()
            .await
            .map(Some)
            .map_err(|source| DialError::Token {
                server: self.target.server.to_string(),
                source,
            })
    }

    /// Another token than the one refused, if there is one to be had while
    /// there is time: the refusal says more than why there is none.
    async fn fresh_token(
        &self,
        refused: Option<&AccessToken>,
        deadline: Option<Instant>,
        progress: &Progress,
    ) -> Option<AccessToken> {
        let (slot, refused) = self.token.as_ref().zip(refused)?;
        progress.enter(Step::Token);
        let fresh = slot.replace(refused);
        let Some(deadline) = deadline else {
            return fresh.await;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        timeout(left.mul_f32(FOR_A_FRESH_TOKEN), fresh)
            .await
            .ok()
            .flatten()
    }

    async fn connect(&self, route: &Route, progress: &Progress) -> Result<TcpStream, DialError> {
        let addresses = self.addresses(route, progress).await?;
        let port = addresses.first().map_or(0, SocketAddr::port);
        progress.connecting(&addresses);
        tcp::connect(&route.host, port, &addresses, &self.tcp)
            .await
            .map_err(|source| in_tcp(route, source))
    }

    /// Where a place is: at least one address.
    async fn addresses(
        &self,
        route: &Route,
        progress: &Progress,
    ) -> Result<Vec<SocketAddr>, DialError> {
        progress.enter(Step::Resolve);
        let mut addresses = tcp::resolve(&route.host, 0, self.tcp.preference)
            .await
            .map_err(|source| in_tcp(route, source))?;
        let port = match &route.endpoint {
            Endpoint::Instance(instance) => {
                progress.enter(Step::Browser);
                browser::port_of(instance, &addresses, self.browser_port)
                    .await
                    .map_err(|source| DialError::Browser {
                        server: route.to_string(),
                        source,
                    })?
            }
            Endpoint::Port(port) => *port,
        };
        for address in &mut addresses {
            address.set_port(port);
        }
        Ok(addresses)
    }

    fn ask<'a>(&self, route: &'a Route) -> Ask<'a> {
        Ask {
            encrypt: self.target.tls.encrypt,
            words: self.target.encrypt_words(),
            token: self.target.auth.uses_token(),
            instance: match &route.endpoint {
                Endpoint::Instance(instance) => Some(instance),
                Endpoint::Port(_) => None,
            },
        }
    }

    async fn log_in(
        &self,
        line: Line,
        route: &Route,
        agreed: Agreed,
        token: Option<&AccessToken>,
        profile: &LoginProfile,
    ) -> Result<(SessionStream, Verdict), DialError> {
        let slot = self.token.as_ref();
        let login = Login {
            target: &self.target,
            profile,
            route,
            workstation: &self.workstation,
            bearer: token.zip(slot).map(|(token, slot)| Bearer {
                token,
                resource: slot.resource(),
                flow: self.flow,
                echo: agreed.fed_auth_echo,
            }),
            strict: self.target.tls.encrypt == Encrypt::Strict,
            encrypted: line.is_encrypted(),
        };
        login::log_in(line, login)
            .await
            .map_err(|source| DialError::Login {
                server: route.to_string(),
                source: Box::new(source),
            })
    }

    fn follow(&self, route: &Route, to: &Routing) -> Result<Route, DialError> {
        tracing::debug!(from = %route, to = %printable(&to.server), port = to.port, "redirected");
        route.follow(to).map_err(|source| DialError::Routing {
            server: route.to_string(),
            source,
        })
    }

    /// Who logs in, in words for a log.
    fn identity(&self, token: Option<&AccessToken>) -> String {
        if let Auth::SqlPassword { user, .. } = &self.target.auth {
            return format!("SQL login {user}");
        }
        let source = self.token.as_ref().map(|slot| slot.key().to_string());
        let mut identity = source.unwrap_or_default();
        if let Some(object_id) = token
            .and_then(AccessToken::claims)
            .and_then(|c| c.object_id)
        {
            identity.push_str(", object id ");
            identity.push_str(&printable(&object_id));
        }
        identity
    }
}

/// What one login comes to.
enum Landing {
    In(Box<Session>),
    SentOn(Route),
}

fn in_tcp(route: &Route, source: TcpError) -> DialError {
    DialError::Tcp {
        server: route.to_string(),
        source,
    }
}
