//! `entrada grants`: who may do what, from a file under review.

mod apply;
mod carry_out;
mod confirm;
mod database;
mod export;
mod interrupt;
mod options;
mod plan;
mod progress;
mod render;
mod report;
mod revoke;
mod saved;
mod show;
mod survey;
mod trouble;
mod verify;

use super::exit::{Exit, Failure};
use super::output;
use crate::grants::manifest;

/// Arguments of `entrada grants`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the T-SQL of a manifest, for sqlcmd; no server is asked
    Render(render::Args),
    /// Compare databases with a manifest, and print what would be changed
    Plan(plan::Args),
    /// Change databases so that they have what a manifest says
    Apply(Box<apply::Args>),
    /// Tell whether databases are as a manifest says, by --mode (exit code 1 if not)
    Verify(verify::Args),
    /// Print a manifest of what a database has, to adopt it
    Export(export::Args),
    /// Take everything from users or roles
    Revoke(Box<revoke::Args>),
    /// Print the JSON Schema of manifests, for editors
    Schema,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Render(args) => render::run(args),
        Command::Plan(args) => plan::run(args).await,
        Command::Apply(args) => apply::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Export(args) => export::run(args).await,
        Command::Revoke(args) => revoke::run(args).await,
        Command::Schema => {
            output::print(manifest::SCHEMA)?;
            Ok(Exit::Ok)
        }
    }
}
