//! `entrada grants verify`: whether databases have what the manifest says.

use std::fmt::Write as _;

use super::database::{self, Database, Doors};
use super::interrupt::Interrupt;
use super::options::{ModeArg, Reach, Selection};
use super::progress::Progress;
use super::report::{End, Report, Row};
use super::show::{Paint, one_line};
use super::trouble::Trouble;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, TextOrJson};
use crate::grants::fleet::{Ended, Outcome};
use crate::grants::{Drift, Note, Observed, plan, verify};

/// Arguments of `entrada grants verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// What counts as too much
    #[arg(long, value_enum, default_value_t)]
    mode: ModeArg,

    /// How the answer is printed
    #[arg(long, value_enum, default_value_t)]
    format: TextOrJson,

    #[command(flatten)]
    reach: Reach,
}

/// What is not as it should be in one database.
struct Seen {
    place: String,
    drift: Vec<Drift>,
    /// What is no drift in this mode, and yet worth knowing.
    notes: Vec<Note>,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen()?;
    let sources = args.reach.work.sources.sources();
    let target = args.reach.target.as_ref();
    let databases = database::chosen(&args.selection, target, sources.environment())?;
    let doors = Doors::new(sources);
    let fleet = args.reach.work.fleet(interrupt.stop());
    let seen = {
        let labels = databases.iter().map(|one| one.label.as_str());
        let progress = Progress::new("reading", labels);
        let work = async |database: &Database, _: &_| look(&doors, database, args.mode).await;
        fleet
            .run(&databases, work, |event| progress.watch(event))
            .await
    };

    let paint = Paint::of_output();
    let text: String = databases
        .iter()
        .zip(&seen)
        .filter_map(|(database, ended)| shown(&database.label, ended, paint))
        .collect();
    let rows = databases.iter().zip(seen);
    let rows = rows.map(|(database, ended)| Row::of(&database.label, ended, judged));
    let report = Report::new("verify", rows.collect()).with("mode", args.mode.word());
    match args.format {
        TextOrJson::Json => report.print_json()?,
        TextOrJson::Text => {
            output::print(&text)?;
            report.print_text()?;
        }
    }
    Ok(report.exit())
}

async fn look(doors: &Doors, database: &Database, mode: ModeArg) -> Result<Seen, Trouble> {
    let door = doors.find(database).await?;
    let mut client = door.enter().await?;
    let observed = Observed::read(&mut client, &database.desired).await?;
    // Where no plan can be made, the drift says why.
    let plan = plan(&database.desired, &observed, mode.into());
    Ok(Seen {
        place: door.place(),
        drift: verify(&database.desired, &observed, mode.into()),
        notes: plan.map_or_else(|_| Vec::new(), |plan| plan.notes().to_vec()),
    })
}

fn shown(label: &str, ended: &Ended<Seen, Trouble>, paint: Paint) -> Option<String> {
    let Outcome::Done(seen) = &ended.outcome else {
        return None;
    };
    if seen.drift.is_empty() && seen.notes.is_empty() {
        return None;
    }
    let heading = format!("{label} ({})", seen.place);
    let mut text = format!("{}\n", paint.bold(&one_line(&heading)));
    for drift in &seen.drift {
        let line = one_line(&drift.to_string());
        let _ = writeln!(text, "  {}", paint.bad(&line));
    }
    for note in &seen.notes {
        let _ = writeln!(text, "  note: {}", one_line(&note.to_string()));
    }
    text.push('\n');
    Some(text)
}

fn judged(seen: Seen, row: &mut Row) -> End {
    row.place = Some(seen.place);
    row.changes = Some(seen.drift.len());
    let drift = serde_json::to_value(&seen.drift).unwrap_or_default();
    row.more.push(("drift", drift));
    let notes: Vec<String> = seen.notes.iter().map(ToString::to_string).collect();
    row.more.push(("notes", notes.into()));
    if seen.drift.is_empty() {
        End::Well("as-written")
    } else {
        End::Found("drifted")
    }
}
