//! `entrada proxy`: a plain SQL Server on this machine that is an Azure SQL database.

mod options;
mod ready;
mod signals;
mod state_dir;

use std::net::SocketAddr;
use std::path::PathBuf;

use super::conn_arg::ConnArg;
use super::exit::{Exit, Failure};
use super::output::{TextOrJson, print_line};
use super::source_args::SourceArgs;
use crate::Error;
use crate::proxy::config::{Admission, ListenAddress, TlsMode};
use crate::proxy::{Config, Proxy};
use signals::{Signal, Signals};

/// Arguments of `entrada proxy`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
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
    /// Where clients are taken: a connection string, `-`, `env:NAME` or `file:PATH`
    #[arg(
        value_name = "CONN",
        conflicts_with = "config",
        required_unless_present = "config"
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

    /// How what clients need is printed; json is one line, printed when everything is ready
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: TextOrJson,

    #[command(flatten)]
    sources: SourceArgs,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    let config = args.read()?;
    let within = config.drain_timeout;
    let proxy = Proxy::start(config.clone(), args.sources.sources())
        .await
        .map_err(Error::from)?;
    print_line(&ready::message(&proxy, &config, args.format))?;
    loop {
        match signals.next().await {
            Signal::Reload => tracing::warn!("nothing is read again yet"),
            Signal::Stop => break,
        }
    }
    tokio::select! {
        () = proxy.shutdown(within) => {}
        () = signals.stop() => tracing::warn!("asked twice to stop: clients are cut off"),
    }
    Ok(Exit::Ok)
}

impl Args {
    fn read(&self) -> Result<Config, Failure> {
        let conn = self.conn.as_ref().ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "give a connection string, or a file by --config",
            )
        })?;
        let mut config = Config::for_connection(conn.read()?);
        options::apply(self, &mut config);
        Ok(config)
    }
}
