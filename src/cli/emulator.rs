//! `entrada emulator`: the Azure side on loopback.

use super::exit::{Exit, Failure};

/// Arguments of `entrada emulator`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_args: &Args) -> Result<Exit, Failure> {
    Ok(Exit::Internal)
}
