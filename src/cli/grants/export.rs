//! `entrada grants export`: a manifest of what a database has.

use std::path::PathBuf;

use super::database::{Database, Doors};
use super::interrupt::Interrupt;
use super::options::Work;
use super::trouble::Trouble;
use crate::cli::conn_arg::ConnArg;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::grants::fleet::Outcome;
use crate::grants::{Desired, Observed, manifest};

/// Arguments of `entrada grants export`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Connection string, `-`, `env:NAME` or `file:PATH`
    #[arg(value_name = "CONN")]
    conn: ConnArg,

    /// Write the manifest to this file
    #[arg(short = 'o', long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    work: Work,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen()?;
    let doors = Doors::new(args.work.sources.sources());
    let fleet = args.work.fleet(interrupt.stop());
    let database = [Database::alone(&args.conn)?];
    let work = async |database: &Database, _: &_| read(&doors, database).await;
    let ended = fleet.run(&database, work, |_| {}).await;
    let found = match ended.into_iter().next().map(|one| one.outcome) {
        Some(Outcome::Done(found)) => found,
        Some(Outcome::Failed(trouble)) => return Err(Failure::new(trouble.exit(), trouble)),
        Some(Outcome::TimedOut(limit)) => {
            let late = format!("the database was not read within {limit:?}; raise --timeout");
            return Err(Failure::new(Exit::Network, late));
        }
        _ => return Err(Failure::new(Exit::Failed, "interrupted")),
    };
    let text = manifest::write(&found);
    match &args.out {
        None => output::print(&text)?,
        Some(path) => std::fs::write(path, text).map_err(|error| {
            let problem = format!("cannot write {}: {error}", path.display());
            Failure::new(Exit::Usage, problem)
        })?,
    }
    Ok(Exit::Ok)
}

async fn read(doors: &Doors, database: &Database) -> Result<Desired, Trouble> {
    let mut client = doors.find(database).await?.enter().await?;
    let observed = Observed::read(&mut client, &database.desired).await?;
    Ok(observed.to_desired())
}
