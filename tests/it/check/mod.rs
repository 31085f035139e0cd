//! `entrada::check`: each check when all is well, when something is odd and when
//! it fails.

mod cli;
mod identity;
mod network;
mod refusals;
mod rights;
mod secrecy;
mod tls;

use std::time::Duration;

use entrada::check::{CHECKS, Finding, Kind, Options, Outcome, Report, run};
use entrada::emulator::{Emulator, EmulatorBuilder, ManagedIdentity};
use entrada::emulator::{EntraKind, EntraPrincipal};
use entrada::token::{Environment, Sources};
use uuid::Uuid;

/// Long enough for a healthy step, short enough to wait for one that is not.
const SOON: Duration = Duration::from_millis(700);

/// A bank whose teller may read.
fn bank() -> EmulatorBuilder {
    Emulator::builder()
        .identity(ManagedIdentity::system_assigned("teller"))
        .database("bank")
        .user("bank", "teller", &["db_datareader"])
}

fn group(name: &str) -> EntraPrincipal {
    let tenant = Uuid::from_u128(7);
    EntraPrincipal::person_or_group(EntraKind::Group, name, tenant, Uuid::from_u128(77))
}

fn sources(azure: &Emulator) -> Sources {
    Sources::new(Environment::from_pairs(azure.imds_environment()))
}

fn options(azure: &Emulator) -> Options {
    with(azure, "")
}

/// The emulator's own connection string with more behind it.
fn with(azure: &Emulator, more: &str) -> Options {
    let conn = format!("{};{more}", azure.connection_string("bank"));
    Options::new(conn).sources(sources(azure))
}

async fn check(options: &Options) -> Report {
    let mut told = Vec::new();
    let report = run(options, &mut |finding: &Finding| told.push(finding.clone())).await;
    assert_eq!(told, report.findings, "each finding is told once, in order");
    report
}

/// The last finding of a report, which must be this check's failure.
#[track_caller]
fn failure<'a>(report: &'a Report, check: &str, kind: Kind) -> &'a Finding {
    let failed = report.failure().unwrap_or_else(|| panic!("{report:#?}"));
    assert_eq!(
        (failed.check, failed.kind),
        (check, Some(kind)),
        "{failed:#?}"
    );
    assert_eq!(
        failed.troubles.len(),
        1,
        "one cause and one fix: {failed:#?}"
    );
    let trouble = &failed.troubles[0];
    assert!(
        !trouble.cause.is_empty() && !trouble.fix.is_empty(),
        "{trouble:?}"
    );
    let made = report.findings.len();
    assert_eq!(report.not_made().count(), CHECKS.len() - made);
    failed
}

/// Asserts that this check failed, by this cause and with this fix.
#[track_caller]
fn fails(report: &Report, check: &str, kind: Kind, cause: &str, fix: &str) {
    let trouble = &failure(report, check, kind).troubles[0];
    assert!(trouble.cause.contains(cause), "{cause:?} in {trouble:#?}");
    assert!(trouble.fix.contains(fix), "{fix:?} in {trouble:#?}");
}

/// Asserts that this check passed, and saw this.
#[track_caller]
fn passes<'a>(report: &'a Report, check: &str, saw: &str) -> &'a Finding {
    let finding = of(report, check);
    assert_eq!(finding.outcome, Outcome::Pass, "{finding:#?}");
    assert!(finding.what.contains(saw), "{saw:?} in {finding:#?}");
    finding
}

/// Asserts that this check warned of this, and that others were made after it.
#[track_caller]
fn warns<'a>(report: &'a Report, check: &str, cause: &str) -> &'a Finding {
    let finding = of(report, check);
    assert_eq!(finding.outcome, Outcome::Warn, "{finding:#?}");
    let causes = finding.troubles.iter().any(|it| it.cause.contains(cause));
    assert!(causes, "{cause:?} in {finding:#?}");
    finding
}

#[track_caller]
fn of<'a>(report: &'a Report, check: &str) -> &'a Finding {
    let mut findings = report.findings.iter();
    let found = findings.find(|finding| finding.check == check);
    found.unwrap_or_else(|| panic!("no {check} in {report:#?}"))
}
