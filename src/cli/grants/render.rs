//! `entrada grants render`: a manifest as T-SQL, offline.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::database::{self, Database};
use super::options::Selection;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::grants::render;
use crate::token::Environment;

/// Arguments of `entrada grants render`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// Write a script for each database into this folder, LABEL.sql
    #[arg(long, value_name = "FOLDER")]
    out_dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let environment = Environment::from_process();
    let databases = database::chosen(&args.selection, None, &environment)?;
    if let Some(folder) = &args.out_dir {
        write(folder, &databases)?;
        return Ok(Exit::Ok);
    }
    let [database] = databases.as_slice() else {
        // One after the other they would all be run in one database.
        let problem = format!(
            "the manifest has {} databases, and each gets a script of its own; \
             choose one with --only, or write them all with --out-dir",
            databases.len()
        );
        return Err(Failure::new(Exit::Usage, problem));
    };
    output::print(&script(database)?)?;
    Ok(Exit::Ok)
}

fn script(database: &Database) -> Result<String, Failure> {
    Ok(render(&database.desired))
}

/// A file for each, with nothing but plain characters in its name.
fn write(folder: &Path, databases: &[Database]) -> Result<(), Failure> {
    let mut names = BTreeSet::new();
    let cannot = |path: &Path, error| {
        let problem = format!("cannot write {}: {error}", path.display());
        Failure::new(Exit::Usage, problem)
    };
    std::fs::create_dir_all(folder).map_err(|error| cannot(folder, error))?;
    for database in databases {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = database.label.trim_start_matches('.').chars();
        let name: String = name.map(|c| if plain(c) { c } else { '_' }).collect();
        let path = folder.join(format!("{name}.sql"));
        if !names.insert(name.to_lowercase()) {
            let problem = format!("two databases would be written to {}", path.display());
            return Err(Failure::new(Exit::Usage, problem));
        }
        std::fs::write(&path, script(database)?).map_err(|error| cannot(&path, error))?;
    }
    Ok(())
}
