//! `entrada grants plan`: what would be changed.

use std::path::PathBuf;

use super::database::{self, Doors};
use super::interrupt::Interrupt;
use super::options::{ModeArg, Reach, Selection};
use super::report::{End, Report, Row};
use super::show::{self, Paint};
use super::survey::{Found, Survey, Wish};
use super::trouble::Trouble;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, TextOrJson};
use crate::grants::Plan;
use crate::grants::fleet::{Ended, Outcome};

/// Arguments of `entrada grants plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// How much is taken away
    #[arg(long, value_enum, default_value_t)]
    mode: ModeArg,

    /// How the plan is printed
    #[arg(long, value_enum, default_value_t)]
    format: TextOrJson,

    /// Also write the plan to this file, as JSON, for `apply --plan`
    #[arg(long, value_name = "PLAN.json")]
    out: Option<PathBuf>,

    /// Exit with 1 if anything would be changed
    #[arg(long)]
    exit_code: bool,

    #[command(flatten)]
    reach: Reach,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen()?;
    let sources = args.reach.work.sources.sources();
    let target = args.reach.target.as_ref();
    let databases = database::chosen(&args.selection, target, sources.environment())?;
    let wish = Wish::Reach(args.mode);
    let survey = Survey {
        doors: &Doors::new(sources),
        wish: &wish,
        journal: None,
        saved: None,
    };
    let fleet = args.reach.work.fleet(interrupt.stop());
    let found = survey.run(&databases, &fleet).await;

    let paint = Paint::of_output();
    let text: String = databases
        .iter()
        .zip(&found)
        .filter_map(|(database, ended)| shown(&database.label, ended, paint))
        .collect();
    let rows = databases.iter().zip(found);
    let rows = rows.map(|(database, ended)| row(&database.label, ended, args.exit_code));
    let report = Report::new("plan", rows.collect()).with("mode", args.mode.word());
    if let Some(path) = &args.out {
        let written = std::fs::write(path, format!("{:#}\n", report.json()));
        written.map_err(|error| {
            Failure::new(
                Exit::Usage,
                format!("cannot write {}: {error}", path.display()),
            )
        })?;
    }
    match args.format {
        TextOrJson::Json => report.print_json()?,
        TextOrJson::Text => {
            output::print(&text)?;
            report.print_text()?;
        }
    }
    Ok(report.exit())
}

/// The plan of one database for people, if there is one.
pub(super) fn shown(label: &str, ended: &Ended<Found, Trouble>, paint: Paint) -> Option<String> {
    match &ended.outcome {
        Outcome::Done(Found::Plan(planned)) => {
            let heading = format!("{label} ({})", planned.place);
            Some(show::plan(
                &heading,
                &planned.plan,
                &planned.warnings,
                paint,
            ))
        }
        Outcome::Done(Found::Nobody { place, warnings }) => {
            let heading = paint.bold(&show::one_line(&format!("{label} ({place})")));
            Some(format!("{heading}\n{}\n", show::warnings(warnings, paint)))
        }
        _ => None,
    }
}

fn row(label: &str, ended: Ended<Found, Trouble>, exit_code: bool) -> Row {
    Row::of(label, ended, |found, row| {
        let Found::Plan(planned) = found else {
            return End::Well("nobody");
        };
        row.add_plan(planned.place, &planned.plan);
        match (planned.plan.is_empty(), exit_code) {
            (true, _) => End::Well("as-written"),
            (false, false) => End::Well("to-change"),
            (false, true) => End::Found("to-change"),
        }
    })
}

impl Row {
    /// What a plan says, for the table and the JSON.
    pub(super) fn add_plan(&mut self, place: String, plan: &Plan) {
        self.place = Some(place);
        self.changes = Some(plan.changes().len());
        let shape = serde_json::to_value(plan).unwrap_or_default();
        self.more.push(("plan", shape));
    }
}
