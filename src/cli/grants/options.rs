//! Options that several of the subcommands have.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::conn_arg::ConnArg;
use crate::cli::source_args::SourceArgs;
use crate::grants::Mode;
use crate::grants::fleet::Fleet;

/// Which manifest, and which of its databases.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// The manifest (TOML)
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(super) file: PathBuf,

    #[command(flatten)]
    pub(super) choice: Choice,
}

/// Which databases of a manifest.
#[derive(Debug, clap::Args)]
pub(super) struct Choice {
    /// Only these databases, by their labels in the manifest
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    pub(super) only: Vec<String>,

    /// All databases but these
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    pub(super) exclude: Vec<String>,
}

/// How databases are reached.
#[derive(Debug, clap::Args)]
pub(super) struct Reach {
    /// The connection string in place of the manifest's, if it has one database:
    /// as CONN of other commands
    #[arg(long, value_name = "CONN")]
    pub(super) target: Option<ConnArg>,

    #[command(flatten)]
    pub(super) work: Work,
}

/// How the work goes on.
#[derive(Debug, clap::Args)]
pub(super) struct Work {
    /// How many databases are worked on at a time
    #[arg(long, value_name = "N", default_value = "4")]
    jobs: NonZeroUsize,

    /// How many seconds the work on one database may take
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,

    /// Begin no further database after one has failed
    #[arg(long)]
    pub(super) fail_fast: bool,

    #[command(flatten)]
    pub(super) sources: SourceArgs,
}

/// How much is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum ModeArg {
    /// Nothing
    #[default]
    Additive,
    /// What authoritative principals and roles have beside the manifest
    Authoritative,
    /// All that is not in the manifest, users and roles included
    Prune,
}

impl Work {
    pub(super) fn fleet(&self, stop: &CancellationToken) -> Fleet {
        Fleet::new()
            .jobs(self.jobs)
            .deadline(Duration::from_secs(self.timeout.into()))
            .fail_fast(self.fail_fast)
            .stop_on(stop.clone())
    }
}

impl ModeArg {
    /// The word, as JSON and journals have it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Additive => "additive",
            Self::Authoritative => "authoritative",
            Self::Prune => "prune",
        }
    }
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Additive => Self::Additive,
            ModeArg::Authoritative => Self::Authoritative,
            ModeArg::Prune => Self::Prune,
        }
    }
}
