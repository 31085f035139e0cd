//! `entrada check`: walk the path of a login and tell what each step sees.

mod text;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::conn_arg::ConnArg;
use super::exit::{Exit, Failure};
use super::output::{TextOrJson, colours, print, print_line};
use super::source_args::SourceArgs;
use crate::check::{self, Kind, Options, Report};

/// Arguments of `entrada check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Stops at the first check that fails, with one cause and one fix. Changes nothing at the server.\n\
                  Exit codes: 0 all is well (warnings included), 1 warnings under --strict, 2 the connection string,\n\
                  3 token or login, 4 the way to the server, 5 the server refuses for another reason."
)]
pub(super) struct Args {
    /// Connection string, `-`, `env:NAME` or `file:PATH`
    #[arg(value_name = "CONN")]
    conn: ConnArg,

    /// Check this database instead of the one in the connection string
    #[arg(long, value_name = "NAME")]
    database: Option<String>,

    /// Longest time for each step, in seconds [default: Connect Timeout of the connection string]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,

    /// Stop before a token is asked for: only the way to the server is checked
    #[arg(long)]
    no_login: bool,

    /// Somebody who may look into the database's catalogue, as a connection string, `-`, `env:NAME`
    /// or `file:PATH`; used only if the login is refused, to tell why
    #[arg(long, value_name = "CONN", conflicts_with = "no_login")]
    admin: Option<ConnArg>,

    /// Ask this DNS server for the chain of names, as IP or IP:PORT [default: the first of /etc/resolv.conf]
    #[arg(long, value_name = "ADDR", value_parser = nameserver)]
    nameserver: Option<SocketAddr>,

    /// Fail (exit code 1) if there are warnings
    #[arg(long)]
    strict: bool,

    /// How to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: TextOrJson,

    #[command(flatten)]
    sources: SourceArgs,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let options = options(args)?;
    let report = match args.format {
        TextOrJson::Json => {
            let report = check::run(&options, &mut |_| {}).await;
            print_line(&format!("{:#}", report.json()))?;
            report
        }
        TextOrJson::Text => in_text(&options).await?,
    };
    Ok(exit(&report, args.strict))
}

fn options(args: &Args) -> Result<Options, Failure> {
    let mut options = Options::new(args.conn.read()?).sources(args.sources.sources());
    if let Some(database) = &args.database {
        options = options.database(database);
    }
    if let Some(limit) = args.timeout {
        options = options.timeout(limit);
    }
    if let Some(address) = args.nameserver {
        options = options.nameserver(address);
    }
    if let Some(admin) = &args.admin {
        options = options.admin(admin.read()?);
    }
    if args.no_login {
        options = options.without_login();
    }
    Ok(options)
}

/// Each finding as soon as it is there.
async fn in_text(options: &Options) -> Result<Report, Failure> {
    let style = text::Style::new(colours());
    let mut printed = Ok(());
    let report = check::run(options, &mut |finding| {
        if printed.is_ok() {
            printed = print(&style.finding(finding));
        }
    })
    .await;
    printed?;
    print(&style.summary(&report))?;
    Ok(report)
}

fn exit(report: &Report, strict: bool) -> Exit {
    match report.kind() {
        Some(Kind::Usage) => Exit::Usage,
        Some(Kind::Auth) => Exit::Auth,
        Some(Kind::Network) => Exit::Network,
        Some(_) => Exit::Server,
        None if strict && report.warnings() > 0 => Exit::Failed,
        None => Exit::Ok,
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "it takes seconds, such as 5 or 0.5")?;
    let limit = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if limit.is_zero() {
        return Err("it takes more than no time".to_owned());
    }
    Ok(limit)
}

fn nameserver(text: &str) -> Result<SocketAddr, String> {
    let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    bare.or_else(|_| text.parse())
        .map_err(|_| "it takes an IP address, with or without a port".to_owned())
}
