//! `entrada grants revoke`: some hold nothing any more.

use std::path::PathBuf;

use super::carry_out::{Carrying, Undertaking};
use super::database::{self, Database};
use super::options::{Choice, Work};
use super::survey::Wish;
use crate::cli::conn_arg::ConnArg;
use crate::cli::exit::{Exit, Failure};
use crate::tsql::Name;

/// Arguments of `entrada grants revoke`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Connection string of one database, `-`, `env:NAME` or `file:PATH`
    #[arg(
        value_name = "CONN",
        required_unless_present = "file",
        conflicts_with_all = ["file", "only", "exclude"]
    )]
    conn: Option<ConnArg>,

    /// In the databases of this manifest
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    choice: Choice,

    /// The user or role that all is taken from; may be said several times
    #[arg(long = "principal", value_name = "NAME", required = true)]
    principals: Vec<Name>,

    /// Drop the users and roles, too; what they own goes to dbo
    #[arg(long)]
    drop: bool,

    #[command(flatten)]
    carrying: Carrying,

    #[command(flatten)]
    work: Work,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    args.carrying
        .check("at a terminal all is shown before it is done; else say --yes")?;
    let sources = args.work.sources.sources();
    let databases = match (&args.conn, &args.file) {
        (Some(conn), _) => vec![Database::alone(conn)?],
        (None, Some(file)) => {
            let chosen = database::choose(file, &args.choice, None, sources.environment())?;
            chosen.into_iter().map(Database::without_wishes).collect()
        }
        (None, None) => return Err(Failure::new(Exit::Usage, "no database is named")),
    };
    let undertaking = Undertaking {
        command: "revoke",
        databases: &databases,
        wish: Wish::Revoke {
            from: args.principals.clone(),
            drop: args.drop,
        },
        saved: None,
        carrying: &args.carrying,
        work: &args.work,
    };
    undertaking.run(sources).await
}
