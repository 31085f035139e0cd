//! `entrada emulator`: the Azure side on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Secret;
use crate::emulator::{
    Assignment, ConnectionStrings, Emulator, EmulatorBuilder, EmulatorError, FaultSpec, Platform,
};

use super::conn_arg::ConnArg;
use super::exit::{Exit, Failure};
use super::output::{TextOrJson, print_line};

/// SQL Server's port, and one that nobody is known to use.
const SQL_PORT: u16 = 1433;
const IDENTITY_PORT: u16 = 4141;
/// Roles of the built-in identity in the built-in database.
const DEMO_ROLES: [&str; 3] = ["db_datareader", "db_datawriter", "db_ddladmin"];

/// Arguments of `entrada emulator`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --config there are the database demo and the managed identities demo-app \
                  (system-assigned, a user of demo) and demo-worker (user-assigned).\n\
                  Faults: login-error:40613*2, redirect, slow-bytes:5ms, gateway:login:reset, \
                  identity:status:429:7*3, arc:symlink and more; see docs/emulator.md.\n\
                  Ctrl-C or SIGTERM ends it. Exit codes: 0 ended, 2 wrong arguments, configuration or seed, \
                  4 an address is taken, 5 the databases cannot be opened, 70 internal."
)]
pub(super) struct Args {
    /// Identities, databases, users and more, as TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where the SQL gateway listens [default: 127.0.0.1:1433]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<SocketAddr>,

    /// Where the identity endpoints listen [default: 127.0.0.1:4141]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    identity_listen: Option<SocketAddr>,

    /// Where HTTPS is listened on, for Entra, Key Vault and others [default: 127.0.0.1 and any port]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    https_listen: Option<SocketAddr>,

    /// Where the admin endpoint listens, on loopback [default: 127.0.0.1 and any port]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    admin: Option<SocketAddr>,

    /// Read the configuration, try its tables and scripts in memory, and end
    #[arg(long)]
    check_config: bool,

    /// Keep certificates and keys in this folder [default: new ones at each start]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Keep the databases in this file and others beside it [default: memory]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// A real SQL Server in place of the embedded engine: a connection string with user and
    /// password, or - (stdin), env:NAME or file:PATH to read it from there
    #[arg(long, value_name = "CONN", conflicts_with = "data")]
    backend: Option<ConnArg>,

    /// Print the environment of this platform: imds, app-service, app-service-2017, arc,
    /// service-fabric, cloud-shell, machine-learning, automation or container-instances-windows
    /// [default: that of imds and app-service]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,

    /// Let this go wrong; may be given several times
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<FaultSpec>,

    /// Allow addresses that other machines can reach: whoever reaches them gets tokens
    #[arg(long)]
    allow_beyond_loopback: bool,

    /// How the endpoints are printed; json is one line, printed when everything is ready
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: TextOrJson,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let backend = args.backend.as_ref().map(ConnArg::read).transpose()?;
    let (builder, database) = builder(args, backend).map_err(failure)?;
    if args.check_config {
        builder.check().await.map_err(failure)?;
        print_line("the configuration is good")?;
        return Ok(Exit::Ok);
    }
    let emulator = builder.start().await.map_err(failure)?;
    match args.format {
        TextOrJson::Text => print_line(&text(&emulator, &database, args.platform)?)?,
        TextOrJson::Json => print_line(&record(&emulator, &database, args.platform).to_string())?,
    }
    stop_signal().await?;
    emulator.shutdown().await;
    Ok(Exit::Ok)
}

/// The emulator to start, and the database for the strings that are printed.
fn builder(
    args: &Args,
    backend: Option<Secret>,
) -> Result<(EmulatorBuilder, String), EmulatorError> {
    let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let mut builder = match &args.config {
        Some(path) => EmulatorBuilder::from_config_file(path)?,
        None if backend.is_some() => Emulator::builder(),
        None => Emulator::builder().user("demo", "demo-app", &DEMO_ROLES),
    }
    .default_ports(loopback(SQL_PORT), loopback(IDENTITY_PORT))
    .default_admin_address(loopback(0))
    .allow_beyond_loopback(args.allow_beyond_loopback);
    if let Some(address) = args.listen {
        builder = builder.sql_address(address);
    }
    if let Some(address) = args.identity_listen {
        builder = builder.identity_address(address);
    }
    if let Some(address) = args.https_listen {
        builder = builder.https_address(address);
    }
    if let Some(address) = args.admin {
        builder = builder.admin_address(address);
    }
    if let Some(path) = &args.state {
        builder = builder.state_dir(path);
    }
    if let Some(path) = &args.data {
        builder = builder.data_file(path);
    }
    if let Some(backend) = backend {
        builder = builder.backend(backend);
    }
    for fault in &args.faults {
        builder = builder.fault(fault.clone());
    }
    let database = builder.first_database();
    Ok((builder, database))
}

fn failure(error: EmulatorError) -> Failure {
    let exit = match &error {
        EmulatorError::Bind { .. } => Exit::Network,
        EmulatorError::Engine { .. } => Exit::Server,
        EmulatorError::Certificate { .. }
        | EmulatorError::Key { .. }
        | EmulatorError::Tls { .. } => Exit::Internal,
        _ => Exit::Usage,
    };
    Failure::new(exit, error)
}

/// Names are not looked up: the emulator listens where it was told to, and nowhere else.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "write an IP address and a port, as 127.0.0.1:1433, [::1]:1433 or 127.0.0.1:0")
}

/// Waits for Ctrl-C, or for SIGTERM where there is one.
async fn stop_signal() -> Result<(), Failure> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn text(
    emulator: &Emulator,
    database: &str,
    platform: Option<Platform>,
) -> Result<String, Failure> {
    let ConnectionStrings {
        ado_net,
        odbc,
        jdbc,
        mssql_python,
    } = emulator.connection_strings(database, None);
    let mut lines = vec![
        format!("SQL gateway         {}", emulator.sql_addr()),
        format!("IMDS                {}", emulator.imds_url()),
        format!("App Service         {}", emulator.app_service_endpoint()),
        format!("Entra tenant        {}", emulator.authority_url()),
        format!("HTTPS               {}", emulator.https_url()),
        format!(
            "admin               {}, key {}",
            emulator.admin_url().unwrap_or_default(),
            admin_key(emulator)
        ),
        format!(
            "CA certificate      {}",
            emulator.ca_certificate_file().display()
        ),
        format!(
            "server certificate  {}",
            emulator.server_certificate_file().display()
        ),
        match emulator.backend_server() {
            Some(server) => format!("backend             {server}"),
            None => format!(
                "databases           {}",
                emulator.engine().databases().join(", ")
            ),
        },
        String::new(),
        "Managed identities".to_owned(),
    ];
    for identity in emulator.identities() {
        let kind = kind(identity.assignment);
        lines.push(format!(
            "  {} ({kind}), client id {}",
            identity.name, identity.client_id
        ));
    }
    lines.extend(cloud(emulator));
    lines.extend(environment_lines(emulator, platform)?);
    lines.extend(["".to_owned(), "Connection strings".to_owned()]);
    for (what, string) in [
        ("ADO.NET", ado_net),
        ("ODBC", odbc),
        ("JDBC", jdbc),
        ("mssql-python", mssql_python),
    ] {
        lines.push(format!("  {what:14}{string}"));
    }
    lines.extend(["".to_owned(), "Ready; Ctrl-C ends it.".to_owned()]);
    Ok(lines.join("\n"))
}

fn environment_lines(
    emulator: &Emulator,
    platform: Option<Platform>,
) -> Result<Vec<String>, Failure> {
    let of = platform.map_or_else(String::new, |platform| format!(" on {platform}"));
    let mut lines = vec![String::new(), format!("Environment of clients{of}")];
    for (name, value) in environment(emulator, platform) {
        lines.push(format!("  export {name}={value}"));
    }
    if platform == Some(Platform::Arc) {
        let folder = emulator.arc_tokens_folder()?;
        lines.push(format!("  key files are in {}", folder.display()));
    }
    Ok(lines)
}

fn environment(emulator: &Emulator, platform: Option<Platform>) -> Vec<(String, String)> {
    match platform {
        Some(platform) => emulator.platform_environment(platform),
        None => emulator.environment(),
    }
}

fn object(variables: Vec<(String, String)>) -> Value {
    let named = |(name, value)| (name, Value::String(value));
    Value::Object(variables.into_iter().map(named).collect())
}

fn record(emulator: &Emulator, database: &str, platform: Option<Platform>) -> Value {
    let strings = emulator.connection_strings(database, None);
    let identities: Vec<Value> = emulator
        .identities()
        .iter()
        .map(|identity| {
            json!({
                "name": identity.name,
                "assignment": kind(identity.assignment),
                "client_id": identity.client_id,
                "object_id": identity.object_id,
                "resource_id": identity.resource_id,
            })
        })
        .collect();
    let platforms: serde_json::Map<String, Value> = Platform::ALL
        .into_iter()
        .map(|p| (p.to_string(), object(emulator.platform_environment(p))))
        .collect();
    json!({
        "sql": emulator.sql_addr(),
        "imds": emulator.imds_url(),
        "app_service": emulator.app_service_endpoint(),
        "authority": emulator.authority_url(),
        "tenant": emulator.tenant_id(),
        "admin": emulator.admin_url(),
        "admin_key": admin_key(emulator),
        "ca_certificate": emulator.ca_certificate_file(),
        "server_certificate": emulator.server_certificate_file(),
        "databases": match emulator.backend_server() {
            Some(_) => Value::Null,
            None => json!(emulator.engine().databases()),
        },
        "backend": emulator.backend_server(),
        "identities": identities,
        "applications": applications(emulator),
        "vaults": emulator.vault_urls(),
        "https": emulator.https_url(),
        "environment": object(environment(emulator, platform)),
        "environments": platforms,
        "entra_environment": object(emulator.entra_environment()),
        "connection_strings": {
            "ado_net": strings.ado_net,
            "odbc": strings.odbc,
            "jdbc": strings.jdbc,
            "mssql_python": strings.mssql_python,
        },
    })
}

fn applications(emulator: &Emulator) -> Vec<Value> {
    let all = emulator.applications().into_iter();
    all.map(|application| {
        json!({
            "name": application.name,
            "client_id": application.client_id,
            "object_id": application.object_id,
        })
    })
    .collect()
}

/// Who is played under a real name, and how clients get there.
fn cloud(emulator: &Emulator) -> Vec<String> {
    let mut lines = Vec::new();
    let applications = emulator.applications();
    if !applications.is_empty() {
        lines.extend(["".to_owned(), "Applications".to_owned()]);
    }
    for application in applications {
        let (name, id) = (application.name, application.client_id);
        lines.push(format!("  {name}, client id {id}"));
    }
    let vaults = emulator.vault_urls();
    if !vaults.is_empty() {
        lines.extend(["".to_owned(), "Key vaults".to_owned()]);
    }
    lines.extend(vaults.into_iter().map(|url| format!("  {url}")));
    let heading = "Environment of clients of Entra and Key Vault under their real names";
    lines.extend(["".to_owned(), heading.to_owned()]);
    for (name, value) in emulator.entra_environment() {
        lines.push(format!("  export {name}={value}"));
    }
    lines
}

fn kind(assignment: Assignment) -> &'static str {
    match assignment {
        Assignment::System => "system-assigned",
        _ => "user-assigned",
    }
}

fn admin_key(emulator: &Emulator) -> String {
    let key = emulator.admin_key();
    key.map_or_else(String::new, |key| key.expose().to_owned())
}
