//! `entrada proxy health`: whether a running proxy is well, for probes in
//! containers that have no HTTP client.

use std::net::SocketAddr;
use std::time::Duration;

use super::options;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::print_line;

/// The admin listener's port in the examples.
const ADMIN: &str = "127.0.0.1:9464";
/// Readiness may need a login at the server.
const LIMIT: Duration = Duration::from_secs(30);
/// More than any answer has.
const MAX_ANSWER: usize = 64 * 1024;

/// Arguments of `entrada proxy health`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 well, 1 not, 4 nobody answers.")]
pub(super) struct Args {
    /// The proxy's admin listener
    #[arg(long, value_name = "ADDR", default_value = ADMIN, value_parser = options::address)]
    admin: SocketAddr,

    /// Ask only whether it is alive (/livez), not whether logins work (/readyz)
    #[arg(long)]
    live: bool,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let page = if args.live { "livez" } else { "readyz" };
    let url = format!("http://{}/{page}", args.admin);
    let unreached = |error: reqwest::Error| Failure::new(Exit::Network, error.without_url());
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(LIMIT)
        .build()
        .map_err(|error| Failure::new(Exit::Internal, error))?;
    let mut answer = client.get(url).send().await.map_err(unreached)?;
    let well = answer.status().is_success();
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(unreached)? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_ANSWER {
            return Err(Failure::new(
                Exit::Network,
                "the answer is not one of a proxy",
            ));
        }
    }
    print_line(String::from_utf8_lossy(&body).trim_end())?;
    Ok(if well { Exit::Ok } else { Exit::Failed })
}
