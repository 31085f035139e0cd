//! `entrada proxy`: a plain SQL Server on this machine that is an Azure SQL database.

mod hash_password;
mod health;
mod options;
mod ready;
mod signals;
mod state_dir;
mod systemd;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::conn_arg::ConnArg;
use super::exit::{Exit, Failure};
use super::output::{TextOrJson, print, print_line};
use super::source_args::SourceArgs;
use crate::proxy::config::{Admission, ListenAddress, TlsMode};
use crate::proxy::{Config, Inherited, Proxy, ProxyError, ca_certificate};
use crate::token::Sources;
use crate::{Error, Secret};
use signals::{Signal, Signals};
use systemd::Systemd;

/// Arguments of `entrada proxy`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Clients connect with any user and password, which are not sent on. By default those \
                  of the user that runs the proxy are let in; --config has passwords, rules, several \
                  listeners and more: see docs/proxy.md.\n\
                  SIGTERM or Ctrl-C lets clients finish and ends; a second one ends at once. SIGHUP \
                  reads the configuration again.\n\n\
                  Examples:\n  \
                  entrada proxy 'Server=contoso.database.windows.net;Database=shop;Authentication=ActiveDirectoryMSI'\n  \
                  entrada proxy file:/run/secrets/shop --listen unix:/run/entrada/shop.sock --tls off\n  \
                  entrada proxy --config /etc/entrada/proxy.toml --check-config\n\n\
                  Exit codes: 0 ended, 2 wrong arguments, configuration or connection string, \
                  3 a secret in a vault cannot be had, 4 an address is taken, 70 internal."
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Subcommand>,

    /// Where clients are taken: a connection string, `-`, `env:NAME` or `file:PATH`
    #[arg(
        value_name = "CONN",
        conflicts_with = "config",
        required_unless_present_any = ["config", "print_ca"]
    )]
    conn: Option<ConnArg>,

    /// Listeners, targets, users and more, as TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Listen here: 127.0.0.1:1433, unix:/path or systemd:NAME; may be given several times
    /// [default: 127.0.0.1:1433]
    #[arg(long, value_name = "ADDR", value_parser = options::listen, conflicts_with = "config")]
    listen: Vec<ListenAddress>,

    /// Encryption between clients and the proxy [default: optional]
    #[arg(long, value_name = "MODE", value_parser = options::tls, conflicts_with = "config")]
    tls: Option<TlsMode>,

    /// Who is let in: same-user, uid:N,…, gid:N,… or any [default: same-user]
    #[arg(long, value_name = "WHO", value_parser = options::admission, conflicts_with = "config")]
    admission: Option<Admission>,

    /// Where metrics, health and the status page are, on loopback [default: nowhere]
    #[arg(long, value_name = "ADDR", value_parser = options::address)]
    admin: Option<SocketAddr>,

    /// Keep the local CA in this folder [default: $STATE_DIRECTORY, or entrada in the user's folder
    /// for states]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Read everything that the configuration names, dial nothing, and end
    #[arg(long)]
    check_config: bool,

    /// Print the certificate of the local CA, for clients to trust, and end
    #[arg(long, conflicts_with = "check_config")]
    print_ca: bool,

    /// How what clients need is printed; json is one line, printed when everything is ready
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: TextOrJson,

    #[command(flatten)]
    sources: SourceArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Turn a password into what a configuration holds for it
    ///
    /// The password is asked for twice on a terminal, else it is a line of the
    /// standard input.
    HashPassword,
    /// Ask a running proxy whether it is well, for probes in containers
    Health(health::Args),
}

/// Reads what must be read before other threads are there, then runs.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Some(Subcommand::HashPassword) => return hash_password::run(),
        Some(Subcommand::Health(args)) => return super::runtime()?.block_on(health::run(args)),
        None => {}
    }
    if args.print_ca {
        return args.print_ca();
    }
    // Taking the sockets changes variables, which only a single thread may do.
    let inherited = systemd::sockets()?;
    super::runtime()?.block_on(args.run(inherited))
}

impl Args {
    async fn run(&self, inherited: Inherited) -> Result<Exit, Failure> {
        let sources = self.sources.sources();
        let given = self.given()?;
        let config = self.config(&given, &sources)?;
        if self.check_config {
            config
                .check(&sources)
                .map_err(ProxyError::from)
                .map_err(Error::from)?;
            let counts = ready::counts(&config);
            print_line(&format!("the configuration is good: {counts}"))?;
            return Ok(Exit::Ok);
        }
        let mut signals = Signals::new()?;
        let proxy = Proxy::start_with(config, sources.clone(), inherited)
            .await
            .map_err(Error::from)?;
        print_line(&ready::message(
            &proxy,
            self.format,
            &self.print_ca_command(&proxy.config()),
        ))?;
        let mut systemd = Systemd::ready(&proxy);
        while let Signal::Reload = systemd.or_signal(&proxy, &mut signals).await {
            systemd.reloading();
            self.reload(&proxy, &given, &sources).await;
            systemd.reloaded(&proxy);
        }
        systemd.stopping();
        let within = proxy.config().drain_timeout;
        tokio::select! {
            drained = proxy.shutdown(within) => tracing::info!("stopped: {drained}"),
            () = signals.stop() => tracing::warn!("asked twice to stop: clients are cut off"),
        }
        Ok(Exit::Ok)
    }

    fn print_ca(&self) -> Result<Exit, Failure> {
        let sources = self.sources.sources();
        // The names are of interest, not the targets.
        let config = self.config(&Some(Secret::default()), &sources)?;
        let Some(folder) = &config.state_dir else {
            let what = "there is no folder that keeps a CA; name one by --state";
            return Err(Failure::new(Exit::Usage, what));
        };
        let listeners = config.listeners.iter();
        let names: Vec<String> = listeners.flat_map(|l| l.tls.names.clone()).collect();
        let pem = ca_certificate(folder, &names).map_err(|e| Failure::new(Exit::Usage, e))?;
        print(&pem)?;
        Ok(Exit::Ok)
    }

    /// The command that prints the CA of a proxy that runs with these arguments,
    /// from whatever folder.
    fn print_ca_command(&self, config: &Config) -> String {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut command = "entrada proxy --print-ca".to_owned();
        let options = [
            ("--config", self.config.as_deref()),
            ("--state", config.state_dir.as_deref()),
        ];
        for (option, path) in options {
            if let Some(path) = path {
                let path = absolute(path).display().to_string();
                command.push_str(&format!(" {option} {}", quoted(&path)));
            }
        }
        command
    }

    /// The connection string of the arguments, as far as it can be read only once.
    fn given(&self) -> Result<Option<Secret>, Failure> {
        self.conn.as_ref().map(ConnArg::read).transpose()
    }

    fn config(&self, given: &Option<Secret>, sources: &Sources) -> Result<Config, Failure> {
        let mut config = match (&self.config, given) {
            (Some(path), _) => Config::from_file(path, sources)
                .map_err(ProxyError::from)
                .map_err(Error::from)?,
            (None, Some(conn)) => Config::for_connection(conn.clone()),
            (None, None) => {
                let what = "give a connection string, or a file by --config";
                return Err(Failure::new(Exit::Usage, what));
            }
        };
        options::apply(self, &mut config);
        Ok(config)
    }

    /// Reads everything again; what is wrong is logged, and the old goes on.
    async fn reload(&self, proxy: &Proxy, given: &Option<Secret>, sources: &Sources) {
        // The standard input is gone, but files and their like may say something new.
        let again = match &self.conn {
            Some(ConnArg::Stdin) | None => Ok(given.clone()),
            Some(conn) => conn.read().map(Some),
        };
        let config = again.and_then(|given| self.config(&given, sources));
        let outcome = match config {
            Ok(config) => proxy
                .reload(config)
                .await
                .map_err(|e| Failure::from(Error::from(e))),
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(changes) => tracing::info!("the configuration was read again: {changes}"),
            Err(failure) => tracing::error!(
                "the configuration cannot be used, and the one before stays in force: {failure}"
            ),
        }
    }
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
