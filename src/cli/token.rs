//! `entrada token`: obtain a token and show what it says.

use super::conn_arg::ConnArg;
use super::exit::{Exit, Failure};

/// Arguments of `entrada token`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Connection string, `-`, `env:NAME` or `file:PATH`
    #[arg(value_name = "CONN")]
    conn: ConnArg,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let _text = args.conn.read()?;
    Ok(Exit::Internal)
}
