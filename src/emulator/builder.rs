//! What an emulator shall be like before it starts.

mod platforms;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use super::forward::Forwarding;
use super::gateway::Settings;
use super::identity::{DEFAULT_LIFETIME, PlatformOptions, TokenOptions, stable_id};
use super::web::certificate_names;
use super::{
    Application, Assignment, Clock, Emulator, EmulatorError, EncryptionPolicy, EntraKind,
    EntraPrincipal, FaultSpec, ManagedIdentity, Pipelines, VaultChallenge, VaultSecret,
};
use crate::Secret;

const DEFAULT_DATABASE: &str = "demo";
/// Loopback, and whatever port is free.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const DEFAULT_DOMAIN: &str = "entrada.onmicrosoft.com";

/// Describes an [`Emulator`] and starts it.
///
/// Every address defaults to loopback with a port that the system chooses.
#[derive(Clone, Debug)]
#[must_use = "an emulator runs only after `start`"]
pub struct EmulatorBuilder {
    pub(super) tenant_id: Uuid,
    pub(super) identities: Vec<ManagedIdentity>,
    pub(super) principals: Vec<EntraPrincipal>,
    pub(super) applications: Vec<Application>,
    pub(super) domain: String,
    pub(super) pipelines: Pipelines,
    pub(super) secrets: Vec<VaultSecret>,
    pub(super) vault_readers: Vec<(String, String)>,
    pub(super) vault_challenge: VaultChallenge,
    pub(super) databases: Vec<String>,
    pub(super) scripts: Vec<Script>,
    pub(super) admin: Option<(String, Secret)>,
    pub(super) resources: Vec<String>,
    pub(super) token_lifetime: Duration,
    pub(super) token_options: TokenOptions,
    pub(super) platforms: PlatformOptions,
    /// `None` until it is said.
    pub(super) identity_address: Option<SocketAddr>,
    pub(super) https_address: SocketAddr,
    /// `None` until it is said.
    pub(super) sql_address: Option<SocketAddr>,
    pub(super) admin_address: Option<SocketAddr>,
    pub(super) beyond_loopback: bool,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) data_file: Option<PathBuf>,
    pub(super) backend: Option<Secret>,
    pub(super) certificate_names: Vec<String>,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) faults: Vec<FaultSpec>,
}

/// T-SQL to run before the first login.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) database: String,
    /// Names it among the database's seeds.
    pub(super) step: String,
    pub(super) sql: String,
}

impl EmulatorBuilder {
    pub(super) fn new() -> Self {
        Self {
            tenant_id: stable_id("tenant", "entrada"),
            identities: Vec::new(),
            principals: Vec::new(),
            applications: Vec::new(),
            domain: DEFAULT_DOMAIN.to_owned(),
            pipelines: Pipelines::default(),
            secrets: Vec::new(),
            vault_readers: Vec::new(),
            vault_challenge: VaultChallenge::default(),
            databases: Vec::new(),
            scripts: Vec::new(),
            admin: None,
            resources: Vec::new(),
            token_lifetime: DEFAULT_LIFETIME,
            token_options: TokenOptions::default(),
            platforms: PlatformOptions::default(),
            identity_address: None,
            https_address: ANY_PORT,
            sql_address: None,
            admin_address: None,
            beyond_loopback: false,
            state_dir: None,
            data_file: None,
            backend: None,
            certificate_names: Vec::new(),
            settings: Settings::default(),
            clock: Clock::new(),
            faults: Vec::new(),
        }
    }

    /// Sets the Entra tenant. Defaults to an id that is the same in every run.
    pub fn tenant(mut self, id: Uuid) -> Self {
        self.tenant_id = id;
        self
    }

    /// Assigns a managed identity to the emulated machine. Defaults to the system-assigned identity
    /// `demo-app` and the user-assigned `demo-worker`, unless one is given here.
    pub fn identity(mut self, identity: ManagedIdentity) -> Self {
        self.identities.push(identity);
        self
    }

    /// Puts somebody else into the tenant: an application, a user, a group. There is a user
    /// `demo-user` of the tenant's domain unless one is given here.
    pub fn principal(mut self, principal: EntraPrincipal) -> Self {
        self.principals.push(principal);
        self
    }

    /// Registers an application in the tenant, which gets tokens from Entra's token endpoint by its
    /// secret, certificate or federated credential. Defaults to none.
    pub fn application(mut self, application: Application) -> Self {
        self.applications.push(application);
        self
    }

    /// Sets the tenant's domain name, which stands for its id in Entra's URLs. Defaults to
    /// `entrada.onmicrosoft.com`.
    pub fn tenant_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }

    /// Sets who the emulated jobs and pods are. Defaults to [`Pipelines::default`].
    pub fn pipelines(mut self, pipelines: Pipelines) -> Self {
        self.pipelines = pipelines;
        self
    }

    /// Puts a secret into a key vault, which is made by that: it is at
    /// `https://VAULT.vault.azure.net`, through the emulator's
    /// [proxy](Emulator::entra_environment).
    pub fn secret(
        self,
        vault: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<Secret>,
    ) -> Self {
        self.vault_secret(VaultSecret::new(vault, name, value))
    }

    /// Likewise for a secret with a version, dates and more. One that is there gets a new version.
    pub fn vault_secret(mut self, secret: VaultSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Lets somebody, by name, read the secrets of a vault; everybody else gets 403 from then on.
    /// Defaults to everybody in the tenant.
    pub fn vault_reader(mut self, vault: impl Into<String>, principal: impl Into<String>) -> Self {
        self.vault_readers.push((vault.into(), principal.into()));
        self
    }

    /// Sets how vaults say where tokens for them come from. Defaults to the resource.
    pub fn vault_challenge(mut self, challenge: VaultChallenge) -> Self {
        self.vault_challenge = challenge;
        self
    }

    /// Adds a database. Defaults to `demo`, unless one is given here; `master` is always there.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.databases.push(name.into());
        self
    }

    /// Runs T-SQL in a database before the first login, as the server's administrator; batches are
    /// separated by lines that say `GO`. Scripts run in the order of these calls.
    ///
    /// With a [data file](Self::data_file), a script is applied once: the next start skips it if it
    /// stands as it was, applies what was added behind it, and refuses to start if it has changed.
    pub fn script(self, database: impl Into<String>, sql: impl Into<String>) -> Self {
        self.step(database, "script", sql)
    }

    /// Adds a script of that name; a second one gets a number.
    pub(super) fn step(
        mut self,
        database: impl Into<String>,
        name: &str,
        sql: impl Into<String>,
    ) -> Self {
        let database = database.into();
        let taken = |step: &str| {
            let here = |script: &&Script| script.database.eq_ignore_ascii_case(&database);
            self.scripts.iter().filter(here).any(|s| s.step == step)
        };
        let mut step = name.to_owned();
        for number in 2.. {
            if !taken(&step) {
                break;
            }
            step = format!("{name} {number}");
        }
        self.scripts.push(Script {
            database,
            step,
            sql: sql.into(),
        });
        self
    }

    /// Makes the managed identity a user of the database with these roles. A short form of
    /// [`script`](Self::script).
    pub fn user(self, database: impl Into<String>, identity: &str, roles: &[&str]) -> Self {
        let name = quoted(identity);
        let mut sql = format!("CREATE USER {name} FROM EXTERNAL PROVIDER;\n");
        for role in roles {
            sql.push_str(&format!("ALTER ROLE {} ADD MEMBER {name};\n", quoted(role)));
        }
        self.step(database, &format!("user {identity}"), sql)
    }

    /// Sets the server administrator's name and password for SQL logins. Defaults to none.
    pub fn sql_admin(mut self, name: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.admin = Some((name.into(), password.into()));
        self
    }

    /// Lets identities get tokens for one more resource than those of Azure that are known, such as
    /// `https://example.org`.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Sets how long tokens live. Defaults to 24 hours, as managed identities' do in Azure.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Has the identity endpoints make a new token for every request. Defaults to false: like Azure's,
    /// they hand out the same one until half of its life is over, or until `refresh_in`.
    pub fn fresh_tokens(mut self, fresh: bool) -> Self {
        self.token_options.fresh = fresh;
        self
    }

    /// Has answers with a token tell clients to ask again after this time (`refresh_in`). Defaults to
    /// not telling, as managed identities' endpoints in Azure.
    pub fn refresh_in(mut self, time: Duration) -> Self {
        self.token_options.refresh_in = Some(time);
        self
    }

    /// Has IMDS take no more requests than the real one, 20 in a second (of the emulator's clock) and
    /// 5 at a time, and answer 429 to the rest. Defaults to false.
    pub fn imds_limits(mut self, limits: bool) -> Self {
        self.token_options.imds_limits = limits;
        self
    }

    /// Sets the age at which a session's reset judges the token of its login again. Defaults to 10
    /// hours, as reported of Azure SQL.
    pub fn recheck_after(mut self, age: Duration) -> Self {
        self.settings.recheck_after = age;
        self
    }

    /// Sets where the identity endpoints listen. Defaults to 127.0.0.1 and any port.
    pub fn identity_address(mut self, address: SocketAddr) -> Self {
        self.identity_address = Some(address);
        self
    }

    /// Sets where HTTPS is listened on, for Entra, Key Vault and whatever else the emulator plays
    /// under its real name. Defaults to 127.0.0.1 and any port.
    pub fn https_address(mut self, address: SocketAddr) -> Self {
        self.https_address = address;
        self
    }

    /// Sets where the SQL gateway listens. Defaults to 127.0.0.1 and any port.
    pub fn sql_address(mut self, address: SocketAddr) -> Self {
        self.sql_address = Some(address);
        self
    }

    /// Opens the admin endpoint on this address, which must be loopback. Defaults to none: what it can
    /// do, the handle can do as well.
    pub fn admin_address(mut self, address: SocketAddr) -> Self {
        self.admin_address = Some(address);
        self
    }

    /// Opens the admin endpoint here unless it was set before, in calls or in a configuration file.
    pub fn default_admin_address(mut self, address: SocketAddr) -> Self {
        self.admin_address.get_or_insert(address);
        self
    }

    /// Sets where both listen unless that was set before, in calls or in a configuration file,
    /// where port 0 is a choice, too.
    pub fn default_ports(mut self, sql: SocketAddr, identity: SocketAddr) -> Self {
        self.sql_address.get_or_insert(sql);
        self.identity_address.get_or_insert(identity);
        self
    }

    /// The database that was added first, or the one that is there by default: the one that a
    /// [backend](Self::backend)'s connection string names, and `demo` without a backend.
    #[must_use]
    pub fn first_database(&self) -> String {
        let default = || match &self.backend {
            Some(backend) => Forwarding::database_of(backend),
            None => DEFAULT_DATABASE.to_owned(),
        };
        self.databases.first().cloned().unwrap_or_else(default)
    }

    /// Allows addresses that other machines can reach. Whoever reaches the identity endpoints gets
    /// tokens, so this defaults to false.
    pub fn allow_beyond_loopback(mut self, allow: bool) -> Self {
        self.beyond_loopback = allow;
        self
    }

    /// Keeps the certificate authority, certificates and the token key in this folder. Defaults to
    /// making them anew at each start.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(path.into());
        self
    }

    /// Keeps the databases in this file and others beside it, and the state in a folder of its name
    /// with `-state` behind it unless [`state_dir`](Self::state_dir) names one. Defaults to memory.
    pub fn data_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_file = Some(path.into());
        self
    }

    /// Puts a real SQL Server behind the gateway in place of the embedded engine: a connection
    /// string of any dialect that names a SQL login. Sessions act as the database user of whoever
    /// logs in by a token; whoever logs in by user and password is judged by that server, apart
    /// from the [administrator](Self::sql_admin) given here, who acts as the string's own login.
    /// Excludes databases, users and scripts of the builder, and a data file.
    pub fn backend(mut self, connection_string: impl Into<Secret>) -> Self {
        self.backend = Some(connection_string.into());
        self
    }

    /// Sets the logical server's name, the first label of its DNS name. Defaults to `demo`.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.settings.server_name = name.into();
        self
    }

    /// Has the gateway's certificate name one more host (a DNS name, with `*.` allowed in front, or
    /// an IP address). It always names localhost, 127.0.0.1, ::1, `*.database.windows.net` and the
    /// address that the gateway listens on.
    pub fn certificate_name(mut self, name: impl Into<String>) -> Self {
        self.certificate_names.push(name.into());
        self
    }

    /// Has the gateway refuse logins for other servers than this one (and localhost) with Azure's
    /// errors 40531 and 40532. May be called for several names. Defaults to accepting any name.
    pub fn only_for_server(mut self, name: impl Into<String>) -> Self {
        self.settings.accepted_names.push(name.into());
        self
    }

    /// Sets whether everybody must encrypt. Defaults to [`EncryptionPolicy::Required`].
    pub fn encryption(mut self, policy: EncryptionPolicy) -> Self {
        self.settings.encryption = policy;
        self
    }

    /// Sets how long a login may take. Defaults to 30 seconds.
    pub fn login_timeout(mut self, limit: Duration) -> Self {
        self.settings.login_timeout = limit;
        self
    }

    /// Sets how long a session may be silent, or its client not read. Defaults to 30 minutes.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.settings.idle_timeout = limit;
        self
    }

    /// Sets how many SQL connections may be open at a time. Defaults to 4096.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.settings.max_connections = most;
        self
    }

    /// Has this go wrong from the start; see [`Emulator::faults`] for trouble later on.
    pub fn fault(mut self, fault: FaultSpec) -> Self {
        self.faults.push(fault);
        self
    }

    /// Does what [`start`](Self::start) does up to listening, with databases in memory: a description
    /// that passes has names, tables and scripts that are good.
    ///
    /// # Errors
    /// As `start`'s.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn check(mut self) -> Result<(), EmulatorError> {
        self.check_addresses()?;
        self.check_backend()?;
        self.fill_in_defaults();
        self.check_names()?;
        self.data_file = None;
        Emulator::check(self).await
    }

    /// Starts everything.
    ///
    /// # Errors
    /// [`EmulatorError`] if something cannot be listened on, made or read.
    ///
    /// # Cancel safety
    /// Dropping the future stops what was started.
    pub async fn start(mut self) -> Result<Emulator, EmulatorError> {
        self.check_addresses()?;
        self.check_backend()?;
        self.fill_in_defaults();
        self.check_names()?;
        if let (None, Some(data)) = (&self.state_dir, &self.data_file) {
            let mut folder = data.clone().into_os_string();
            folder.push("-state");
            self.state_dir = Some(folder.into());
        }
        Emulator::start(self).await
    }

    /// Every name that the gateway's certificate shall carry.
    pub(super) fn all_certificate_names(&self) -> Vec<String> {
        let standard = ["localhost", "127.0.0.1", "::1", "*.database.windows.net"];
        let mut names: Vec<String> = standard.map(str::to_owned).to_vec();
        names.extend(certificate_names());
        let more = [self.sql_listens(), self.https_address].map(|a| a.ip().to_string());
        let accepted = self.settings.accepted_names.iter();
        for name in more.iter().chain(accepted).chain(&self.certificate_names) {
            let unspecified = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
            if !unspecified && !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    pub(super) fn identity_listens(&self) -> SocketAddr {
        self.identity_address.unwrap_or(ANY_PORT)
    }

    pub(super) fn sql_listens(&self) -> SocketAddr {
        self.sql_address.unwrap_or(ANY_PORT)
    }

    fn check_addresses(&self) -> Result<(), EmulatorError> {
        let listens = [
            self.identity_listens(),
            self.https_address,
            self.sql_listens(),
        ];
        match listens
            .into_iter()
            .find(|address| !is_loopback(address.ip()))
        {
            Some(address) if !self.beyond_loopback => Err(EmulatorError::NotLoopback { address }),
            _ => Ok(()),
        }
    }

    fn check_backend(&self) -> Result<(), EmulatorError> {
        let seeds =
            !self.databases.is_empty() || !self.scripts.is_empty() || self.data_file.is_some();
        match self.backend {
            Some(_) if seeds => Err(EmulatorError::BackendSeeds),
            _ => Ok(()),
        }
    }

    fn fill_in_defaults(&mut self) {
        if self.identities.is_empty() {
            self.identities
                .push(ManagedIdentity::system_assigned("demo-app"));
            self.identities
                .push(ManagedIdentity::user_assigned("demo-worker"));
        }
        if !self.principals.iter().any(|p| p.kind == EntraKind::User) {
            let name = format!("demo-user@{}", self.domain);
            let id = stable_id("object", &name);
            let user = EntraPrincipal::person_or_group(EntraKind::User, name, self.tenant_id, id);
            self.principals.push(user);
        }
        if self.databases.is_empty() && self.backend.is_none() {
            self.databases.push(DEFAULT_DATABASE.to_owned());
        }
    }

    fn check_names(&self) -> Result<(), EmulatorError> {
        let identities = self
            .identities
            .iter()
            .map(|identity| identity.name.as_str());
        let applications = self.applications.iter().map(|app| app.name.as_str());
        distinct("identity", identities.chain(applications))?;
        let ids = self.identities.iter().map(|identity| identity.client_id);
        let ids = ids.chain(self.applications.iter().map(|app| app.client_id));
        let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        distinct("client id", ids.iter().map(String::as_str))?;
        if let Some(bad) = self.applications.iter().find(|app| !app.is_readable()) {
            return Err(EmulatorError::ApplicationCertificate {
                application: bad.name.clone(),
            });
        }
        distinct("database", self.databases.iter().map(String::as_str))?;
        let system = self
            .identities
            .iter()
            .filter(|i| i.assignment == Assignment::System);
        match system.skip(1).last() {
            None => Ok(()),
            Some(second) => Err(EmulatorError::Duplicate {
                what: "system-assigned identity",
                name: second.name.clone(),
            }),
        }
    }
}

fn distinct<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), EmulatorError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name.to_lowercase()) {
            return Err(EmulatorError::Duplicate {
                what,
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

/// An identifier between brackets.
pub(super) fn quoted(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST,
    }
}
