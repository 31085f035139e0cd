//! The tenant of an application whose connection string names none: Microsoft's
//! drivers for ADO.NET, ODBC and JDBC take that of the server.

use std::error::Error as StdError;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout_at};

use super::login::{self, Login, Told, same_resource};
use super::login_error::LoginError;
use super::profile::LoginProfile;
use super::progress::{Progress, Step};
use super::retry::Retries;
use super::routing::Route;
use super::text::printable;
use super::{DialError, Dialer, line};
use crate::target::{Auth, Cloud, Encrypt, Target};
use crate::tds::FedAuthInfo;
use crate::token::{
    AccessToken, FetchError, Resource, SourceKey, Sources, TokenError, TokenSource, told_tenant,
};

/// The source of tokens for a target: as [`Sources::source`], and if neither the
/// target nor the environment names the tenant that the source needs, the server
/// is asked for its own before the first token.
///
/// That takes one connection over verified TLS, which ends when the server has
/// answered (FEDAUTHINFO); the answer is remembered. The server's token service
/// must be one that [`Sources`] permits, and the resource that it wants a token
/// for must be a database of an Azure cloud. The credential goes to the authority
/// of that cloud (or `AZURE_AUTHORITY_HOST`), never to where the server points.
///
/// No request is made here.
///
/// # Errors
/// As [`Sources::source`], and [`TokenError::Setup`] if the target's TLS settings
/// cannot be used to ask the server.
pub fn token_source(
    target: &Target,
    sources: &Sources,
) -> Result<Arc<dyn TokenSource>, TokenError> {
    let source = sources.source(&target.auth, &target.cloud);
    match source {
        Err(error) if matches!(error.reason(), Some(FetchError::MissingTenant)) => {
            Ok(Arc::new(FromServer::new(target, sources)?))
        }
        other => other,
    }
}

/// A source in the tenant of the server.
#[derive(Debug)]
struct FromServer {
    dialer: Dialer,
    auth: Auth,
    sources: Sources,
    key: SourceKey,
    learned: OnceCell<Learned>,
}

/// What the server told.
#[derive(Debug)]
struct Learned {
    source: Arc<dyn TokenSource>,
    resource: Resource,
}

/// Stands for a tenant until the server has named it.
const ANY: &str = "00000000-0000-0000-0000-000000000000";

impl FromServer {
    fn new(target: &Target, sources: &Sources) -> Result<Self, TokenError> {
        // Whatever else is wrong shows now, and the key tells credentials apart.
        let draft = sources.source(&target.auth.clone().in_tenant(ANY), &target.cloud)?;
        let key = draft
            .key()
            .with_tenant(format!("that of {}", target.server));
        let dialer = Dialer::prepared(Arc::new(target.clone()), None);
        let dialer = dialer.map_err(|error| TokenError::Setup {
            origin: key.clone(),
            reason: Arc::new(unknown(target, false, error)),
        })?;
        Ok(Self {
            dialer,
            auth: target.auth.clone(),
            sources: sources.clone(),
            key,
            learned: OnceCell::new(),
        })
    }

    async fn learn(&self, resource: &Resource) -> Result<Learned, TokenError> {
        let target = self.dialer.target();
        let failed = |reason| TokenError::fetch(self.key(), resource, reason);
        let info = self.dialer.token_service().await.map_err(|error| {
            failed(unknown(
                target,
                error.is_transient() || error.is_network(),
                error,
            ))
        })?;
        let cloud = self
            .cloud(&info)
            .map_err(|error| failed(unknown(target, false, error)))?;
        let tenant = told_tenant(&self.sources, &info.sts_url);
        let tenant = tenant.map_err(|error| failed(unknown(target, false, error)))?;
        tracing::debug!(server = %target.server, tenant, "the server named its tenant");
        Ok(Learned {
            source: self
                .sources
                .source(&self.auth.clone().in_tenant(&tenant), &cloud)?,
            resource: Resource::from(cloud),
        })
    }

    /// The cloud whose databases the server wants a token for. A server that could
    /// name anything would get the tokens of any service.
    fn cloud(&self, info: &FedAuthInfo) -> Result<Cloud, LoginError> {
        let target = self.dialer.target();
        let mut clouds = Cloud::ALL.into_iter();
        let told = clouds.find(|cloud| same_resource(&info.spn, cloud.resource()));
        // A name of Azure's own says for certain which cloud it is in.
        let certain = Cloud::is_azure_host(&target.server.name);
        told.filter(|told| !certain || *told == target.cloud)
            .ok_or_else(|| LoginError::Resource {
                wanted: printable(&info.spn),
                ours: target.cloud.resource().to_owned(),
            })
    }
}

#[async_trait]
impl TokenSource for FromServer {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        let learned = self
            .learned
            .get_or_try_init(|| self.learn(resource))
            .await?;
        // A server behind a name of somebody's own may be in another cloud than assumed.
        let wanted = if same_resource(resource.as_str(), self.dialer.target().cloud.resource()) {
            &learned.resource
        } else {
            resource
        };
        learned.source.token(wanted).await
    }

    fn key(&self) -> SourceKey {
        self.key.clone()
    }

    fn answered_by(&self) -> SourceKey {
        match self.learned.get() {
            Some(learned) => learned.source.answered_by(),
            None => self.key(),
        }
    }
}

fn unknown(
    target: &Target,
    transient: bool,
    cause: impl StdError + Send + Sync + 'static,
) -> FetchError {
    FetchError::TenantUnknown {
        server: target.server.to_string(),
        transient,
        cause: Box::new(cause),
    }
}

impl Dialer {
    /// Asks the server which token it wants, within the target's `connect_timeout`.
    pub(super) async fn token_service(&self) -> Result<FedAuthInfo, DialError> {
        let progress = Progress::new();
        let limit = self.target.limits.connect_timeout;
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let (Some(limit), Some(deadline)) = (limit, deadline) else {
            return self.ask_patiently(&progress, None).await;
        };
        timeout_at(deadline, self.ask_patiently(&progress, Some(deadline)))
            .await
            .unwrap_or_else(|_| Err(progress.timed_out(self.target.server.to_string(), limit)))
    }

    async fn ask_patiently(
        &self,
        progress: &Progress,
        deadline: Option<Instant>,
    ) -> Result<FedAuthInfo, DialError> {
        let mut retries = Retries::new(&self.target.limits);
        loop {
            let error = match self.ask_once(progress).await {
                Ok(info) => return Ok(info),
                Err(error) => error,
            };
            progress.failed(&error);
            let Some(pause) = retries.pause(&error, deadline) else {
                return Err(retries.give_up(self.target.server.to_string(), error));
            };
            progress.enter(Step::Pause);
            sleep(pause).await;
        }
    }

    async fn ask_once(&self, progress: &Progress) -> Result<FedAuthInfo, DialError> {
        let profile = LoginProfile::default();
        let mut route = Route::to(&self.target);
        loop {
            let socket = self.connect(&route, progress).await?;
            let ask = self.ask(&route);
            let (line, agreed) = line::secure(socket, &self.tls, ask, &route, progress).await?;
            progress.enter(Step::Login);
            let login = Login {
                target: &self.target,
                profile: &profile,
                route: &route,
                workstation: &self.workstation,
                bearer: None,
                strict: self.target.tls.encrypt == Encrypt::Strict,
                encrypted: line.is_encrypted(),
            };
            let told = login::announce(line, login, agreed.fed_auth_echo).await;
            match told.map_err(|source| DialError::Login {
                server: route.to_string(),
                source: Box::new(source),
            })? {
                Told::Info(info) => return Ok(info),
                Told::Routed(to) => route = self.follow(&route, &to)?,
            }
        }
    }
}
