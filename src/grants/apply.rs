//! A plan carried out.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::error::ApplyError;
use super::observed::Observed;
use super::plan::{Change, Plan};
use crate::pool::PooledClient;
use crate::pool::tiberius::error::Error as DriverError;
use crate::tsql::Statement;

/// How long the server waits for the lock.
const LOCK_WAIT: Duration = Duration::from_secs(15);
/// How long we wait for one answer. A DDL statement waits for queries that use
/// what it changes.
const LIMIT: Duration = Duration::from_secs(120);

const BEGIN: &str = "SET XACT_ABORT ON; BEGIN TRANSACTION";
// Held until the transaction ends, and by nobody else meanwhile.
const LOCK: &str = "DECLARE @outcome int; EXEC @outcome = sp_getapplock @Resource = N'entrada-grants', \
    @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 15000; SELECT @outcome";
const COMMIT: &str = "COMMIT TRANSACTION";
const ROLLBACK: &str = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION";

/// How far a plan is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'p> {
    /// The lock is awaited and the database read again.
    Reading,
    /// A statement is about to run.
    Statement {
        /// Which one, from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// What it does.
        change: &'p Change,
    },
    /// COMMIT is about to be sent: from now on, dropping the future leaves it
    /// unknown whether the changes were made.
    Committing,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// How many statements ran.
    pub changes: usize,
    /// How long it took, waiting for the lock included.
    pub took: Duration,
}

/// Carries out a plan in one transaction: all of it or nothing.
///
/// The transaction takes the application lock `entrada-grants`, so that two runs
/// do not meet, reads the database again and stops if it is no longer what the
/// plan was made from. When the statements have run it looks whether the
/// database is as planned, and only then commits. Somebody who changes rights by
/// other means during these moments is not kept from it. An empty plan changes
/// nothing and asks nothing.
///
/// Whoever runs it should be a member of `db_owner` or the server's Entra
/// administrator; users from Entra's names are made only by somebody who logged
/// in by Entra.
///
/// # Errors
/// [`ApplyError`]. All but [`ApplyError::CommitUnknown`] leave the database as it was.
///
/// # Cancel safety
/// Dropped half-way, the future takes the session with it, and the server rolls
/// back. Only while COMMIT is under way nobody knows whether it was done: make
/// the plan again to find out.
pub async fn apply(
    mut client: PooledClient,
    plan: &Plan,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Applied, ApplyError> {
    let begun = Instant::now();
    let changes = plan.changes().len();
    if changes > 0 {
        let done = within(&mut client, plan, &mut progress).await;
        if let Err(error) = done {
            give_up(client).await;
            return Err(error);
        }
        progress(Progress::Committing);
        let commit = run(&mut client, COMMIT).await;
        if let Err(error) = commit {
            give_up(client).await;
            return Err(match error {
                Failure::Driver(source) if is_refusal(&source) => ApplyError::Transaction {
                    what: "commit",
                    source,
                },
                Failure::Driver(source) => ApplyError::CommitUnknown {
                    changes,
                    source: Some(source),
                },
                Failure::Timeout => ApplyError::CommitUnknown {
                    changes,
                    source: None,
                },
            });
        }
    }
    Ok(Applied {
        changes,
        took: begun.elapsed(),
    })
}

/// All of the transaction but its end.
async fn within(
    client: &mut PooledClient,
    plan: &Plan,
    progress: &mut impl FnMut(Progress<'_>),
) -> Result<(), ApplyError> {
    progress(Progress::Reading);
    begin(client).await?;
    let about = plan.goal.about();
    let now = Observed::read(client, &about)
        .await
        .map_err(ApplyError::Read)?;
    if now.fingerprint(&about) != plan.fingerprint() {
        return Err(ApplyError::Changed);
    }
    let of = plan.changes().len();
    for (at, change) in plan.changes().iter().enumerate() {
        let number = at + 1;
        progress(Progress::Statement { number, of, change });
        let statement = &change.statement;
        let ran = run(client, statement.as_str()).await;
        ran.map_err(|failure| match failure {
            Failure::Driver(source) => ApplyError::Failed {
                number,
                of,
                statement: statement.clone(),
                source,
            },
            Failure::Timeout => ApplyError::Timeout {
                what: "run a statement",
                limit: LIMIT,
            },
        })?;
    }
    let then = Observed::read(client, &about)
        .await
        .map_err(ApplyError::Read)?;
    let left = plan.goal.plan(&then).map_err(ApplyError::Plan)?;
    if left.is_empty() {
        return Ok(());
    }
    let left: Vec<Statement> = left.changes().iter().map(|c| c.statement.clone()).collect();
    Err(ApplyError::NotThere { left })
}

async fn begin(client: &mut PooledClient) -> Result<(), ApplyError> {
    let ran = run(client, BEGIN).await;
    ran.map_err(|failure| transaction("begin", failure))?;
    let what = "take the application lock";
    let asked = async {
        let rows = client.simple_query(LOCK).await?.into_first_result().await?;
        Ok(rows.first().and_then(|row| row.get::<i32, _>(0)))
    };
    let outcome = match timeout(LOCK_WAIT + LIMIT, asked).await {
        Ok(outcome) => outcome.map_err(Failure::Driver),
        Err(_) => Err(Failure::Timeout),
    };
    match outcome.map_err(|failure| transaction(what, failure))? {
        Some(0 | 1) => Ok(()),
        _ => Err(ApplyError::Locked { waited: LOCK_WAIT }),
    }
}

/// Rolls back, as far as the session still answers. The server does so itself
/// when the session ends, and no other user of the pool gets it.
async fn give_up(mut client: PooledClient) {
    let brief = Duration::from_secs(10);
    // Whatever it says, the session is closed.
    let _ = timeout(brief, client.simple_query(ROLLBACK)).await;
    client.discard();
}

/// Whether the server said no. From class 17 on it is the server itself that has
/// failed (40197, 40613 and their like), perhaps after it had committed.
fn is_refusal(error: &DriverError) -> bool {
    matches!(error, DriverError::Server(token) if token.class() < 17)
}

enum Failure {
    Driver(DriverError),
    Timeout,
}

async fn run(client: &mut PooledClient, text: &str) -> Result<(), Failure> {
    let asked = async { client.simple_query(text).await?.into_results().await };
    match timeout(LIMIT, asked).await {
        Ok(outcome) => outcome.map(drop).map_err(Failure::Driver),
        Err(_) => Err(Failure::Timeout),
    }
}

fn transaction(what: &'static str, failure: Failure) -> ApplyError {
    match failure {
        Failure::Driver(source) => ApplyError::Transaction { what, source },
        Failure::Timeout => ApplyError::Timeout { what, limit: LIMIT },
    }
}
