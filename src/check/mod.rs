//! The path of a login, step by step, for whoever wants to know why it fails.
//!
//! [`run`] walks from the connection string to the rights in the database, by the
//! very steps that [`dial`](crate::dial) takes, and stops at the first that
//! fails: with one cause and one fix.
//!
//! ```no_run
//! # async fn example() {
//! use entrada::check::{Options, run};
//!
//! let options = Options::new(
//!     "Server=app.database.windows.net;Database=shop;Authentication=ActiveDirectoryMSI",
//! );
//! let report = run(&options, &mut |finding| eprintln!("{}: {}", finding.check, finding.what)).await;
//! assert!(report.failure().is_none());
//! # }
//! ```
//!
//! No secret and no token is in any finding, and texts from elsewhere (a server's
//! messages, names, claims) are in one line and without control characters.

mod advice;
mod certificate;
mod claims;
mod diagnosis;
mod dns;
mod finding;
mod latency;
mod login;
mod names;
mod options;
mod parse;
mod permissions;
mod prelogin;
mod principal;
mod refusal;
mod report;
mod roles;
mod session;
mod tcp;
mod tls;
mod token;
mod user;

use tokio::time::Instant;

pub use self::finding::{Finding, Kind, Outcome, Trouble};
pub use self::options::Options;
pub use self::report::Report;

use self::finding::Failed;
use self::session::Entered;
use self::token::Held;
use crate::dial::walk::Walk;
use crate::target::Target;

/// Every check, in the order in which they are made. TLS comes before PRELOGIN
/// where the string says `Encrypt=strict`.
pub const CHECKS: [&str; 13] = [
    "parse",
    "dns",
    "tcp",
    "prelogin",
    "tls",
    "token",
    "claims",
    "login",
    "redirect",
    "user",
    "roles",
    "permissions",
    "latency",
];

/// Makes the checks and tells each finding as soon as it is there.
///
/// A token is asked for once the server is known to be the right one: the
/// certificate has been verified by then. Each step may take as long as
/// [`Options::timeout`] says.
///
/// # Cancel safety
/// Dropping the future closes what was opened. Nothing is ever changed at the server.
pub async fn run(options: &Options, tell: &mut (dyn FnMut(&Finding) + Send)) -> Report {
    let mut course = Course {
        report: Report::default(),
        tell,
    };
    // What failed is told already.
    let _ = course.all(options).await;
    course.report
}

/// The checks under way.
struct Course<'a> {
    report: Report,
    tell: &'a mut (dyn FnMut(&Finding) + Send),
}

/// A check has failed.
struct Stopped;

impl Course<'_> {
    async fn all(&mut self, options: &Options) -> Result<(), Stopped> {
        let (target, walk) = self
            .step("parse", async |finding| {
                let target = parse::check(options, finding).await?;
                let walk = Walk::new(target.clone(), options.limit(&target));
                Ok((target, walk.map_err(|error| tls::failed(&error))?))
            })
            .await?;
        self.report.server = target.server.to_string();
        self.report.database.clone_from(&target.database);
        self.connection(options, &target, &walk).await?;
        if options.no_login {
            return Ok(());
        }
        self.inside(options, &target, walk).await
    }

    /// Up to a connection that a token could be sent over.
    async fn connection(
        &mut self,
        options: &Options,
        target: &Target,
        walk: &Walk,
    ) -> Result<(), Stopped> {
        let addresses = self
            .step("dns", async |finding| {
                dns::check(walk, options, finding).await
            })
            .await?;
        let mut channel = self
            .step("tcp", async |finding| {
                tcp::check(walk, &addresses, finding).await
            })
            .await?;
        if walk.tls_first() {
            channel = self
                .step("tls", async |finding| {
                    tls::check(walk, target, channel, None, finding).await
                })
                .await?;
            self.step("prelogin", async |finding| {
                prelogin::check(walk, target, &mut channel, finding).await
            })
            .await?;
            return Ok(());
        }
        let greeting = self
            .step("prelogin", async |finding| {
                prelogin::check(walk, target, &mut channel, finding).await
            })
            .await?;
        self.step("tls", async |finding| {
            tls::check(walk, target, channel, Some(greeting), finding).await
        })
        .await?;
        Ok(())
    }

    /// From the token to what can be done with it.
    async fn inside(
        &mut self,
        options: &Options,
        target: &Target,
        mut walk: Walk,
    ) -> Result<(), Stopped> {
        let held = self
            .step("token", async |finding| {
                token::check(&mut walk, options, target, finding).await
            })
            .await?;
        self.step("claims", async |finding| {
            claims::check(target, held.as_ref(), finding)
        })
        .await?;
        let scene = login::Scene {
            options,
            target,
            held: held.as_ref(),
        };
        let landed = self
            .step("login", async |finding| {
                login::check(&mut walk, &scene, finding).await
            })
            .await?;
        let entered = self
            .step("redirect", async |finding| {
                login::redirect(&mut walk, &scene, landed, finding).await
            })
            .await?;
        self.rights(held.as_ref(), entered).await
    }

    async fn rights(&mut self, held: Option<&Held>, mut entered: Entered) -> Result<(), Stopped> {
        self.step("user", async |finding| {
            user::check(&mut entered, held, finding).await
        })
        .await?;
        let roles = self
            .step("roles", async |finding| {
                roles::check(&mut entered, finding).await
            })
            .await?;
        self.step("permissions", async |finding| {
            permissions::check(&mut entered, &roles, finding).await
        })
        .await?;
        self.step("latency", async |finding| {
            latency::check(&mut entered, finding).await
        })
        .await
    }

    /// One check: takes its time, and tells what it found.
    async fn step<T>(
        &mut self,
        check: &'static str,
        work: impl AsyncFnOnce(&mut Finding) -> Result<T, Failed>,
    ) -> Result<T, Stopped> {
        let mut finding = Finding::new(check);
        let start = Instant::now();
        let outcome = work(&mut finding).await;
        finding.took = start.elapsed();
        let outcome = outcome.map_err(|failed| {
            finding.fail(failed);
            Stopped
        });
        (self.tell)(&finding);
        self.report.findings.push(finding);
        outcome
    }
}
