//! `entrada grants apply`: databases get what the manifest says.

use std::path::PathBuf;

use super::carry_out::{Carrying, Undertaking};
use super::database;
use super::options::{ModeArg, Reach, Selection};
use super::saved::Saved;
use super::survey::Wish;
use crate::cli::exit::{Exit, Failure};

/// Arguments of `entrada grants apply`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// How much is taken away [default: additive, or the saved plan's]
    #[arg(long, value_enum)]
    mode: Option<ModeArg>,

    /// Carry out just this plan, which `plan --out` wrote, and only where nothing has changed since
    #[arg(long, value_name = "PLAN.json", conflicts_with = "mode")]
    plan: Option<PathBuf>,

    #[command(flatten)]
    carrying: Carrying,

    #[command(flatten)]
    reach: Reach,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    args.carrying
        .check("look at it with `entrada grants plan`, then say --yes")?;
    let sources = args.reach.work.sources.sources();
    let target = args.reach.target.as_ref();
    let databases = database::chosen(&args.selection, target, sources.environment())?;
    let saved = args.plan.as_deref().map(Saved::read).transpose()?;
    let mode = saved.as_ref().map(Saved::mode).or(args.mode);
    let undertaking = Undertaking {
        command: "apply",
        databases: &databases,
        wish: Wish::Reach(mode.unwrap_or_default()),
        saved,
        carrying: &args.carrying,
        work: &args.reach.work,
    };
    undertaking.run(sources).await
}
