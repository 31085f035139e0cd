//! From what was found to what is done: shown, asked, carried out, told.

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;

use super::confirm;
use super::database::{Database, Doors};
use super::interrupt::Interrupt;
use super::options::Work;
use super::plan::shown;
use super::progress::Progress;
use super::report::{End, Report, Row};
use super::saved::Saved;
use super::show::{Paint, one_line};
use super::survey::{Found, Planned, Survey, Wish};
use super::trouble::Trouble;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, TextOrJson};
use crate::grants::fleet::{Ended, Event, Fleet, Journal, JournalError, Outcome, Point, Ticket};
use crate::grants::{self, Progress as Step};
use crate::token::Sources;

/// How changes are carried out, and told of.
#[derive(Debug, clap::Args)]
pub(super) struct Carrying {
    /// Do not ask
    #[arg(short = 'y', long)]
    pub(super) yes: bool,

    /// Note in this file how it ended in each database
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Skip the databases that the journal says are done, for the same manifest and mode
    #[arg(long, requires = "journal")]
    resume: bool,

    /// How the outcome is printed
    #[arg(long, value_enum, default_value_t)]
    format: TextOrJson,
}

/// All that a command changes.
pub(super) struct Undertaking<'u> {
    pub(super) command: &'static str,
    pub(super) databases: &'u [Database],
    pub(super) wish: Wish,
    pub(super) saved: Option<Saved>,
    pub(super) carrying: &'u Carrying,
    pub(super) work: &'u Work,
}

/// What is done in one database.
struct Job<'d> {
    /// Its place among those that are changed.
    at: usize,
    database: &'d Database,
    planned: &'d Planned,
}

type Surveyed = Ended<Found, Trouble>;
type Changed = Ended<(), Trouble>;

impl Carrying {
    /// That whoever must be asked can be. `instead` is what to do otherwise.
    pub(super) fn check(&self, instead: &str) -> Result<(), Failure> {
        if self.format == TextOrJson::Json && !self.yes {
            let problem = format!("nobody is shown the changes with --format json; {instead}");
            return Err(Failure::new(Exit::Usage, problem));
        }
        confirm::possible(self.yes, instead)
    }

    fn journal(&self) -> Result<Option<Journal>, Failure> {
        let Some(path) = &self.journal else {
            return Ok(None);
        };
        let journal = if self.resume {
            Journal::resume(path)
        } else {
            Journal::begin(path)
        };
        let journal = journal.map_err(|error| Failure::new(Exit::Usage, error))?;
        Ok(Some(journal))
    }
}

impl Undertaking<'_> {
    /// Looks, shows, asks, does, tells.
    pub(super) async fn run(&self, sources: Sources) -> Result<Exit, Failure> {
        let interrupt = Interrupt::listen()?;
        let doors = Doors::new(sources);
        let journal = self.carrying.journal()?;
        let fleet = self.work.fleet(interrupt.stop());
        let survey = Survey {
            doors: &doors,
            wish: &self.wish,
            journal: journal.as_ref(),
            saved: self.saved.as_ref(),
        };
        let found = survey.run(self.databases, &fleet).await;
        self.show(&found)?;

        let jobs = self.jobs(&found);
        let bad = |one: &Surveyed| !matches!(one.outcome, Outcome::Done(_));
        let mut held =
            interrupt.stop().is_cancelled() || (self.work.fail_fast && found.iter().any(bad));
        let mut declined = false;
        if !held && !jobs.is_empty() {
            held = !self.agreed(&jobs, &found, interrupt.stop()).await?;
            declined = held && !interrupt.stop().is_cancelled();
        }
        let notes = Notes::new(journal);
        for (database, ended) in self.databases.iter().zip(&found) {
            notes.of_survey(database, ended);
        }
        let changed = if held || jobs.is_empty() {
            Vec::new()
        } else {
            carry_out(&doors, &jobs, &fleet, &notes).await
        };
        let report = self.report(found, changed, declined);
        match self.carrying.format {
            TextOrJson::Json => report.print_json()?,
            TextOrJson::Text => report.print_text()?,
        }
        match notes.failed.into_inner() {
            Some(error) => Err(Failure::new(Exit::Failed, error)),
            None => Ok(report.exit()),
        }
    }

    /// Prints what shall be changed.
    fn show(&self, found: &[Surveyed]) -> Result<(), Failure> {
        if self.carrying.format == TextOrJson::Json {
            return Ok(());
        }
        let paint = Paint::of_output();
        let mut text = String::new();
        for (database, ended) in self.databases.iter().zip(found) {
            match &ended.outcome {
                Outcome::Done(Found::DoneBefore { at, .. }) => {
                    let label = one_line(&database.label);
                    text.push_str(&format!("{label}: done at {at}, skipped\n\n"));
                }
                Outcome::Done(Found::Plan(planned))
                    if planned.plan.is_empty() && planned.warnings.is_empty() => {}
                _ => text.extend(shown(&database.label, ended, paint)),
            }
        }
        output::print(&text)
    }

    fn jobs<'f>(&'f self, found: &'f [Surveyed]) -> Vec<Job<'f>> {
        let mut jobs = Vec::new();
        for (database, ended) in self.databases.iter().zip(found) {
            if let Outcome::Done(Found::Plan(planned)) = &ended.outcome
                && !planned.plan.is_empty()
            {
                let at = jobs.len();
                jobs.push(Job {
                    at,
                    database,
                    planned,
                });
            }
        }
        jobs
    }

    /// Whether somebody says yes, or has said so in advance.
    async fn agreed(
        &self,
        jobs: &[Job<'_>],
        found: &[Surveyed],
        stop: &tokio_util::sync::CancellationToken,
    ) -> Result<bool, Failure> {
        if self.carrying.yes {
            return Ok(true);
        }
        let unread = found.iter().zip(self.databases);
        let unread = unread.filter(|(one, _)| !matches!(one.outcome, Outcome::Done(_)));
        for (_, database) in unread {
            let mut err = std::io::stderr().lock();
            let label = one_line(&database.label);
            writeln!(err, "{label} could not be read, and is left out")?;
        }
        let changes: usize = jobs
            .iter()
            .map(|job| job.planned.plan.changes().len())
            .sum();
        let question = format!(
            "Make these {changes} changes in {} of {} databases?",
            jobs.len(),
            self.databases.len()
        );
        confirm::ask(&question, stop).await
    }

    /// `changed` has an end for each plan that is not empty, or for none if
    /// nothing was begun; `declined` if that is since somebody said no.
    fn report(&self, found: Vec<Surveyed>, changed: Vec<Changed>, declined: bool) -> Report {
        let nobody = |one: &Surveyed| matches!(one.outcome, Outcome::Done(Found::Nobody { .. }));
        let nobody = if found.iter().all(nobody) {
            End::Found
        } else {
            End::Well
        };
        let mut changed = changed.into_iter();
        let mut rows = Vec::new();
        for (database, ended) in self.databases.iter().zip(found) {
            let row = Row::of(&database.label, ended, |found, row| match found {
                Found::DoneBefore { place, at } => {
                    row.place = Some(place);
                    row.more.push(("done_at", at.into()));
                    End::Well("done-before")
                }
                Found::Nobody { place, warnings } => {
                    row.place = Some(place);
                    row.more.push(("warnings", warnings.into()));
                    nobody("nobody")
                }
                Found::Plan(planned) => {
                    row.add_plan(planned.place, &planned.plan);
                    if self.wish.mode().is_none() {
                        row.more.push(("warnings", planned.warnings.into()));
                    }
                    if planned.plan.is_empty() {
                        return End::Well("unchanged");
                    }
                    if declined {
                        return End::Found("declined");
                    }
                    let changed = changed.next().unwrap_or_else(Ended::not_begun);
                    row.took += changed.took;
                    End::of(changed.outcome, |()| End::Well("changed"))
                }
            });
            rows.push(row);
        }
        let report = Report::new(self.command, rows);
        match self.wish.mode() {
            Some(mode) => report.with("mode", mode),
            None => report,
        }
    }
}

async fn carry_out(doors: &Doors, jobs: &[Job<'_>], fleet: &Fleet, notes: &Notes) -> Vec<Changed> {
    let labels = jobs.iter().map(|job| job.database.label.as_str());
    let progress = Progress::new("changing", labels);
    let work = async |job: &Job<'_>, point: &Point| change(doors, job, point, &progress).await;
    let watch = |event: Event<'_, (), Trouble>| {
        if let Event::Ended(at, ended) = event
            && let Some(job) = jobs.get(at)
        {
            notes.of_change(job, ended);
        }
        progress.watch(event);
    };
    fleet.run(jobs, work, watch).await
}

async fn change(
    doors: &Doors,
    job: &Job<'_>,
    point: &Point,
    progress: &Progress,
) -> Result<(), Trouble> {
    let client = doors.find(job.database).await?.enter().await?;
    let told = |step: Step<'_>| match step {
        Step::Committing => {
            point.of_no_return();
            progress.say(job.at, "committing");
        }
        Step::Statement { number, of, .. } => {
            progress.say(job.at, format!("statement {number} of {of}"));
        }
        _ => progress.say(job.at, "reading again"),
    };
    grants::apply(client, &job.planned.plan, told).await?;
    Ok(())
}

/// What goes into the journal, as it happens.
struct Notes {
    journal: RefCell<Option<Journal>>,
    failed: RefCell<Option<JournalError>>,
}

impl Notes {
    fn new(journal: Option<Journal>) -> Self {
        Self {
            journal: RefCell::new(journal),
            failed: RefCell::default(),
        }
    }

    /// Where there is nothing to do, it is done; where nothing could be found
    /// out, it is not.
    fn of_survey(&self, database: &Database, ended: &Surveyed) {
        match &ended.outcome {
            Outcome::Done(Found::Plan(planned)) if planned.plan.is_empty() => {
                self.note(database, planned, true);
            }
            Outcome::Done(_) => {}
            _ => self.write(&database.label, Ticket::of([]), false, None),
        }
    }

    fn of_change(&self, job: &Job<'_>, ended: &Changed) {
        let done = matches!(ended.outcome, Outcome::Done(()));
        self.note(job.database, job.planned, done);
    }

    fn note(&self, database: &Database, planned: &Planned, done: bool) {
        let plan = planned.plan.fingerprint().to_owned();
        self.write(&database.label, planned.ticket.clone(), done, Some(plan));
    }

    fn write(&self, label: &str, ticket: Ticket, done: bool, plan: Option<String>) {
        if let Some(journal) = self.journal.borrow_mut().as_mut()
            && let Err(error) = journal.note(label, ticket, done, plan)
        {
            // What is done is done; at the end it is told that it is not noted.
            self.failed.borrow_mut().get_or_insert(error);
        }
    }
}
