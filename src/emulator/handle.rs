//! A running emulator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::admin::{AdminAccess, AdminServer, Controls};
use super::backend::Backing;
use super::builder::{EmulatorBuilder, Script};
use super::cloud::{self, Cloud, Shared};
use super::counters::Counters;
use super::engine::Seeded;
use super::forward::Forwarding;
use super::gateway::{Certificates, Gateway, Parts, Settings};
use super::identity::{HttpsListener, Identity, Issuer, Platforms, SigningKey};
use super::published::Published;
use super::recorded::Requests;
use super::sessions::Sessions;
use super::state_dir::StateDir;
use super::web::{self, WebServer};
use super::{
    Clock, CountersSnapshot, EmulatorError, Engine, EngineOptions, Faults, InMemoryDirectory,
    IssuedToken, ManagedIdentity, RecordedRequest, SessionRecord,
};
use crate::Secret;

/// How long a shutdown waits for connections to end.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// The Azure side on loopback, running until it is [shut down](Emulator::shutdown) or dropped.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use entrada::emulator::Emulator;
///
/// let azure = Emulator::builder()
///     .user("demo", "demo-app", &["db_datareader", "db_datawriter"])
///     .start()
///     .await?;
/// println!("{}", azure.connection_string("demo"));
/// azure.faults().login_error(40613, Some(2));
/// azure.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Emulator {
    sql_address: SocketAddr,
    cloud: Cloud,
    identity: Arc<Identity>,
    directory: InMemoryDirectory,
    engine: Engine,
    backing: Backing,
    certificates: Certificates,
    published: Published,
    faults: Faults,
    sessions: Sessions,
    recorded: Requests,
    counters: Counters,
    admin: Option<AdminAccess>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Emulator {
    /// An emulator that is useful as it is: a tenant, a system-assigned identity `demo-app`, a
    /// user-assigned `demo-worker`, a database `demo`.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::new()
    }

    pub(super) async fn start(builder: EmulatorBuilder) -> Result<Self, EmulatorError> {
        let server = WebServer::bind(builder.identity_listens(), builder.https_address)?;
        let gateway = Gateway::bind(builder.sql_listens()).await?;
        let directory = directory_of(&builder);
        let Prepared {
            certificates,
            published,
            key,
            engine,
            backing,
            state,
        } = {
            let (builder, directory) = (builder.clone(), directory.clone());
            blocking(move || Prepared::new(&builder, directory)).await?
        };
        let admin = admin_of(&builder, state.as_ref()).await?;
        let (counters, sessions) = (Counters::default(), Sessions::default());
        let https = HttpsListener {
            url: format!("https://{}", server.https_address),
            thumbprint: web::thumbprint(&certificates)?,
        };
        let (options, folder) = (builder.platforms.clone(), published.path(""));
        let platforms = Platforms::new(options, https, directory.clone(), folder);
        let identity = identity_of(&builder, key, counters.clone(), server.http_address);
        let identity = Arc::new(identity.with_platforms(platforms));
        let faults = Faults::new(builder.clock.clone(), sessions.clone());
        let recorded = Requests::new(builder.clock.clone());
        let shared = Shared {
            identity: &identity,
            faults: &faults,
            recorded: &recorded,
            counters: &counters,
            certificates: &certificates,
            directory: &directory,
        };
        let cloud = Cloud::new(&builder, &server, &shared)?;
        let emulator = Self {
            sql_address: gateway.address(),
            cloud,
            identity,
            directory,
            engine,
            backing,
            certificates,
            published,
            faults,
            sessions,
            recorded,
            counters,
            admin: admin.as_ref().map(|server| server.access.clone()),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        };
        for fault in &builder.faults {
            emulator.faults.add(fault);
        }
        emulator.serve(server, gateway, builder.settings)?;
        emulator.serve_admin(admin);
        Ok(emulator)
    }

    fn serve_admin(&self, admin: Option<AdminServer>) {
        if let Some(admin) = admin {
            let run = admin.run(self.controls(), self.shutdown.clone());
            self.tasks.spawn(run);
        }
    }

    pub(super) async fn check(builder: EmulatorBuilder) -> Result<(), EmulatorError> {
        let directory = directory_of(&builder);
        cloud::vaults_of(&builder, &directory)?;
        blocking(move || engine_of(&builder, directory).map(drop)).await
    }

    fn serve(
        &self,
        server: WebServer,
        gateway: Gateway,
        settings: Settings,
    ) -> Result<(), EmulatorError> {
        self.tasks.spawn(server.run(
            self.cloud.services(),
            self.cloud.acceptor(),
            self.faults.clone(),
            self.shutdown.clone(),
        ));
        let parts = Parts {
            settings,
            identity: self.identity.clone(),
            directory: self.directory.clone(),
            backend: self.backing.clone(),
            faults: self.faults.clone(),
            counters: self.counters.clone(),
            sessions: self.sessions.clone(),
            recorded: self.recorded.clone(),
        };
        gateway.start(parts, &self.certificates, &self.tasks, &self.shutdown)
    }

    fn controls(&self) -> Controls {
        let embedded = matches!(self.backing, Backing::Embedded(_));
        Controls {
            sql_address: self.sql_address,
            engine: embedded.then(|| self.engine.clone()),
            identity: self.identity.clone(),
            faults: self.faults.clone(),
            sessions: self.sessions.clone(),
            recorded: self.recorded.clone(),
            counters: self.counters.clone(),
        }
    }

    /// The admin endpoint's URL, without a slash at the end, if there is one.
    #[must_use]
    pub fn admin_url(&self) -> Option<String> {
        let access = self.admin.as_ref()?;
        Some(format!("http://{}", access.address))
    }

    /// What opens the admin endpoint: `Authorization: Bearer KEY`.
    #[must_use]
    pub fn admin_key(&self) -> Option<Secret> {
        Some(self.admin.as_ref()?.key.clone())
    }

    /// Where the SQL gateway listens.
    #[must_use]
    pub fn sql_addr(&self) -> SocketAddr {
        self.sql_address
    }

    /// The Entra tenant's base URL: its OpenID configuration is under `/.well-known`.
    #[must_use]
    pub fn authority_url(&self) -> String {
        format!("{}/{}", self.identity.base_url(), self.identity.tenant_id())
    }

    /// The Entra tenant.
    #[must_use]
    pub fn tenant_id(&self) -> Uuid {
        self.identity.tenant_id()
    }

    /// The managed identities of the emulated machine.
    #[must_use]
    pub fn identities(&self) -> Vec<ManagedIdentity> {
        self.identity.host()
    }

    /// Assigns one more managed identity to the emulated machine.
    pub fn assign_identity(&self, identity: ManagedIdentity) {
        self.directory
            .insert(identity.principal(self.identity.tenant_id()));
        self.identity.assign(identity);
    }

    /// Everybody in the tenant; changes count at once.
    #[must_use]
    pub fn directory(&self) -> &InMemoryDirectory {
        &self.directory
    }

    /// The embedded engine with its databases; it serves nobody if there is a
    /// [backend](EmulatorBuilder::backend) in its place.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The name of the real server behind the gateway, if the embedded engine is not in use.
    #[must_use]
    pub fn backend_server(&self) -> Option<String> {
        match &self.backing {
            Backing::Embedded(_) => None,
            Backing::Forwarding(server) => Some(server.server()),
        }
    }

    /// Switches for trouble.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The clock by which tokens are issued and judged.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.identity.clock()
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> CountersSnapshot {
        self.counters.snapshot()
    }

    /// The SQL sessions that are open, oldest first.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionRecord> {
        self.sessions.list()
    }

    /// Ends the session of this number, whatever it is doing: its connection breaks off. False if
    /// there is none.
    pub fn kill(&self, spid: u16) -> bool {
        self.sessions.kill(|session| session.spid == spid) > 0
    }

    /// Token requests and logins of late, oldest first, without secrets; the last 1000.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.recorded.list()
    }

    /// Forgets the requests of late.
    pub fn forget_requests(&self) {
        self.recorded.clear();
    }

    /// The certificate authority's certificate, PEM.
    #[must_use]
    pub fn ca_certificate_pem(&self) -> &str {
        self.certificates.ca_pem()
    }

    /// The certificate authority's certificate, DER.
    #[must_use]
    pub fn ca_certificate_der(&self) -> Vec<u8> {
        self.certificates
            .ca_der()
            .map(|der| der.to_vec())
            .unwrap_or_default()
    }

    /// The gateway's own certificate, PEM.
    #[must_use]
    pub fn server_certificate_pem(&self) -> &str {
        self.certificates.server_pem()
    }

    pub(super) fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Files with the certificates, for clients that are told of them by path.
    pub(super) fn published(&self) -> &Published {
        &self.published
    }

    /// A token for one of the machine's identities, by name, as its endpoint would issue it, without
    /// asking the endpoint.
    ///
    /// # Errors
    /// [`EmulatorError::NoSuchIdentity`]
    pub fn issue_token(
        &self,
        identity: &str,
        resource: &str,
    ) -> Result<IssuedToken, EmulatorError> {
        let host = self.identity.host();
        match host.iter().find(|i| i.name.eq_ignore_ascii_case(identity)) {
            Some(found) => self.identity.sign_for(found, resource),
            None => Err(EmulatorError::NoSuchIdentity {
                name: identity.to_owned(),
                known: host
                    .iter()
                    .map(|i| i.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// Has the gateway refuse every token that was issued so far, as after a roll of the tenant's
    /// keys; endpoints no longer hand them out. Sessions that are open stay so, until a reset after
    /// ten hours.
    ///
    /// # Errors
    /// [`EmulatorError::State`] if the state folder cannot keep it.
    pub fn revoke_tokens(&self) -> Result<(), EmulatorError> {
        self.identity.revoke_tokens()
    }

    /// Signs any claims with the tenant's key: for tokens that Entra would not issue.
    ///
    /// # Errors
    /// [`EmulatorError::Key`] if the claims have no form as JSON.
    pub fn sign_claims(&self, claims: &Value) -> Result<Secret, EmulatorError> {
        self.identity.signing_key().sign(claims)
    }

    /// Runs T-SQL in a database as the server's administrator; batches are separated by lines that
    /// say `GO`.
    ///
    /// # Errors
    /// [`EmulatorError::Engine`] with the first error of the script.
    ///
    /// # Cancel safety
    /// The script runs on even if the future is dropped.
    pub async fn run_sql(&self, database: &str, script: &str) -> Result<(), EmulatorError> {
        let engine = self.engine.clone();
        let (database, script) = (database.to_owned(), script.to_owned());
        blocking(move || run_script(&engine, &database, &script)).await
    }

    /// Ends everything: listeners, connections, statements. Waits up to five seconds for it.
    ///
    /// # Cancel safety
    /// Everything ends whether or not the future is awaited to its end.
    pub async fn shutdown(self) {
        self.shutdown.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(SHUTDOWN_PATIENCE, self.tasks.wait()).await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// What takes long enough to make that it would be in the runtime's way.
struct Prepared {
    certificates: Certificates,
    published: Published,
    key: SigningKey,
    engine: Engine,
    backing: Backing,
    state: Option<StateDir>,
}

impl Prepared {
    fn new(builder: &EmulatorBuilder, directory: InMemoryDirectory) -> Result<Self, EmulatorError> {
        let state = builder
            .state_dir
            .as_deref()
            .map(StateDir::open)
            .transpose()?;
        let names = builder.all_certificate_names();
        let certificates = Certificates::load_or_make(state.as_ref(), &names, &builder.clock)?;
        let engine = engine_of(builder, directory.clone())?;
        Ok(Self {
            published: Published::new(state.as_ref(), &certificates)?,
            certificates,
            key: SigningKey::load_or_generate(state.as_ref())?,
            backing: backing_of(builder, &engine, directory)?,
            engine,
            state,
        })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

async fn admin_of(
    builder: &EmulatorBuilder,
    state: Option<&StateDir>,
) -> Result<Option<AdminServer>, EmulatorError> {
    match builder.admin_address {
        Some(address) => AdminServer::bind(address, state).await.map(Some),
        None => Ok(None),
    }
}

fn identity_of(
    builder: &EmulatorBuilder,
    key: SigningKey,
    counters: Counters,
    address: SocketAddr,
) -> Identity {
    let base_url = format!("http://{address}");
    let issuer = Issuer {
        tenant_id: builder.tenant_id,
        key,
        clock: builder.clock.clone(),
        lifetime: builder.token_lifetime,
    };
    let host = builder.identities.clone();
    Identity::new(issuer, host, &builder.resources, counters, base_url)
        .with_options(builder.token_options)
        .with_domain(builder.domain.clone())
}

fn directory_of(builder: &EmulatorBuilder) -> InMemoryDirectory {
    let directory = InMemoryDirectory::new();
    for identity in &builder.identities {
        directory.insert(identity.principal(builder.tenant_id));
    }
    for application in &builder.applications {
        directory.insert(application.principal(builder.tenant_id));
    }
    for principal in &builder.principals {
        directory.insert(principal.clone());
    }
    directory
}

fn engine_of(
    builder: &EmulatorBuilder,
    directory: InMemoryDirectory,
) -> Result<Engine, EmulatorError> {
    let options = EngineOptions {
        server_name: builder.settings.server_name.clone(),
        directory: Arc::new(directory),
        admin: builder.admin.clone(),
    };
    let opened = match &builder.data_file {
        Some(path) => Engine::open(path, options),
        None => Engine::in_memory(options),
    };
    let failed = |what, database: &str, source| EmulatorError::Engine {
        what,
        database: database.to_owned(),
        source: Box::new(source),
    };
    let engine = opened.map_err(|source| failed("open", "master", source))?;
    let there = engine.databases();
    let is_there = |name: &str| there.iter().any(|old| old.eq_ignore_ascii_case(name));
    let missing = builder.databases.iter().filter(|name| !is_there(name));
    let missing: Vec<&String> = missing.collect();
    for name in &missing {
        engine
            .create_database(name)
            .map_err(|source| failed("create", name, source))?;
    }
    for script in &builder.scripts {
        if let Err(error) = seed(&engine, script) {
            // A database that this start has made is made anew by the next, with mended seeds.
            for name in missing {
                let _ = engine.drop_database(name);
            }
            return Err(error);
        }
    }
    Ok(engine)
}

/// Applies a step of a seed, unless it was applied to the kept files before.
fn seed(engine: &Engine, script: &Script) -> Result<(), EmulatorError> {
    let Script {
        database,
        step,
        sql,
    } = script;
    let refused = |source| EmulatorError::SeedRefused {
        database: database.clone(),
        step: step.clone(),
        source: Box::new(source),
    };
    let known = engine.seeded(database, step, sql);
    let known = known.map_err(|error| refused(engine.script_error(error)))?;
    let problem = match known {
        Seeded::Same => return Ok(()),
        Seeded::Never => return engine.seed(database, step, sql).map_err(refused),
        Seeded::Broken => "was interrupted when it was applied",
        Seeded::Changed => "has changed since it was applied",
    };
    Err(EmulatorError::Seed {
        database: database.clone(),
        step: step.clone(),
        problem,
    })
}

/// What the gateway serves: the engine, or a real server in its place.
fn backing_of(
    builder: &EmulatorBuilder,
    engine: &Engine,
    directory: InMemoryDirectory,
) -> Result<Backing, EmulatorError> {
    let Some(backend) = &builder.backend else {
        return Ok(Backing::Embedded(Arc::new(engine.clone())));
    };
    let patience = builder.settings.login_timeout;
    let admin = builder.admin.clone();
    let server = Forwarding::new(backend, admin, directory, patience)?;
    Ok(Backing::Forwarding(Arc::new(server)))
}

fn run_script(engine: &Engine, database: &str, sql: &str) -> Result<(), EmulatorError> {
    engine
        .run_script(database, sql)
        .map_err(|source| EmulatorError::Engine {
            what: "run a script in",
            database: database.to_owned(),
            source: Box::new(source),
        })
}
