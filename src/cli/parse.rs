//! `entrada parse`: what a connection string means.

use super::conn_arg::ConnArg;
use super::exit::{Exit, Failure};

/// Arguments of `entrada parse`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Connection string, `-`, `env:NAME` or `file:PATH`
    #[arg(value_name = "CONN")]
    conn: ConnArg,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let _text = args.conn.read()?;
    Ok(Exit::Internal)
}
