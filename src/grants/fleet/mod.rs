//! The same work on many databases: so many at a time, each with its own end.

mod access;
mod journal;

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use access::{Access, Door};
pub use journal::{Entry, Journal, JournalError, Ticket};

/// How long work that can no longer be taken back may take to end, once it
/// shall: as long as a server may need to commit.
const SETTLE: Duration = Duration::from_secs(30);

/// Runs the same work on many databases.
///
/// The failure of one neither stops the others nor hides among them: each has an
/// [`Ended`] of its own, in the order in which they were given.
///
/// ```
/// use entrada::grants::fleet::{Fleet, Outcome};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let fleet = Fleet::new();
/// let work = async |name: &&str, _: &_| name.parse::<u8>();
/// let ended = fleet.run(&["1", "two", "3"], work, |_| {}).await;
/// assert!(matches!(ended[1].outcome, Outcome::Failed(_)));
/// assert!(matches!(ended[2].outcome, Outcome::Done(3)));
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens before `run`"]
pub struct Fleet {
    jobs: NonZeroUsize,
    deadline: Option<Duration>,
    fail_fast: bool,
    stop: CancellationToken,
}

/// How the work on one database ended, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended<T, E> {
    /// How.
    pub outcome: Outcome<T, E>,
    /// How long it took; zero if it was never begun.
    pub took: Duration,
}

/// How the work on one database ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<T, E> {
    /// It was done.
    Done(T),
    /// It failed.
    Failed(E),
    /// It was told to stop, or ran out of time, while the server committed, and
    /// the server did not say how that ended.
    InDoubt,
    /// It was told to stop, and was given up before it changed anything.
    Interrupted,
    /// It was not begun: it was told to stop before, or another had failed.
    NotBegun,
    /// It was given up after this time, before it changed anything.
    TimedOut(Duration),
}

/// What happens while a [`Fleet`] works; the number is the database's place in
/// the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a, T, E> {
    /// Work on it begins.
    Began(usize),
    /// Work on it has ended, or it will not be begun.
    Ended(usize, &'a Ended<T, E>),
}

/// Tells the fleet that work has come to where it cannot be taken back.
///
/// Until then, work that shall stop is dropped, and its session with it, so that
/// the server rolls back. From then on it is given time to hear how it ended.
#[derive(Debug, Default)]
pub struct Point(AtomicBool);

impl Point {
    /// What follows, such as a `COMMIT`, is not given up half-way.
    pub fn of_no_return(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Fleet {
    /// Four databases at a time, without limit of time.
    pub fn new() -> Self {
        Self {
            jobs: NonZeroUsize::MIN.saturating_add(3),
            deadline: None,
            fail_fast: false,
            stop: CancellationToken::new(),
        }
    }

    /// How many databases are worked on at a time. Defaults to 4.
    pub fn jobs(mut self, jobs: NonZeroUsize) -> Self {
        self.jobs = jobs;
        self
    }

    /// How long the work on one database may take. Defaults to no limit.
    pub fn deadline(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.deadline = limit.into();
        self
    }

    /// Whether a failure keeps those from beginning that have not begun. What
    /// runs by then goes on. Defaults to `false`.
    pub fn fail_fast(mut self, yes: bool) -> Self {
        self.fail_fast = yes;
        self
    }

    /// What ends the work early: nothing is begun any more, what runs is given
    /// up and rolled back.
    pub fn stop_on(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// Works on all of them, and tells how each ended, in their order.
    ///
    /// # Cancel safety
    /// Dropping the future gives up what runs, as stopping does; but then nobody
    /// is told how each ended.
    pub async fn run<I, T, E>(
        &self,
        items: &[I],
        work: impl AsyncFn(&I, &Point) -> Result<T, E>,
        mut watch: impl FnMut(Event<'_, T, E>),
    ) -> Vec<Ended<T, E>> {
        let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
        // Only what has not begun looks at it.
        let enough = self.stop.child_token();
        let one = async |at: usize, item: &I| {
            if enough.is_cancelled() {
                return (at, Ended::not_begun());
            }
            // The receiver lives as long as this future.
            let _ = began.send(at);
            (at, self.one(item, &work).await)
        };
        let all = items.iter().enumerate().map(|(at, item)| one(at, item));
        let mut all = pin!(stream::iter(all).buffer_unordered(self.jobs.get()));
        let mut ended: Vec<Option<Ended<T, E>>> = items.iter().map(|_| None).collect();
        loop {
            let next = tokio::select! {
                biased;
                at = begun.recv() => {
                    at.into_iter().for_each(|at| watch(Event::Began(at)));
                    continue;
                }
                next = all.next() => next,
            };
            let Some((at, one)) = next else { break };
            while let Ok(at) = begun.try_recv() {
                watch(Event::Began(at));
            }
            if self.fail_fast && !matches!(one.outcome, Outcome::Done(_)) {
                enough.cancel();
            }
            watch(Event::Ended(at, &one));
            if let Some(place) = ended.get_mut(at) {
                *place = Some(one);
            }
        }
        let ended = ended.into_iter();
        ended
            .map(|one| one.unwrap_or_else(Ended::not_begun))
            .collect()
    }

    async fn one<I, T, E>(
        &self,
        item: &I,
        work: &impl AsyncFn(&I, &Point) -> Result<T, E>,
    ) -> Ended<T, E> {
        let begun = Instant::now();
        let point = Point::default();
        let outcome = {
            let mut work = pin!(work(item, &point));
            let given_up = tokio::select! {
                biased;
                done = &mut work => Err(done),
                () = self.stop.cancelled() => Ok(Outcome::Interrupted),
                limit = elapsed(self.deadline) => Ok(Outcome::TimedOut(limit)),
            };
            match given_up {
                Err(done) => Outcome::of(done),
                Ok(given_up) if !point.0.load(Ordering::Relaxed) => given_up,
                Ok(_) => timeout(SETTLE, work)
                    .await
                    .map_or(Outcome::InDoubt, Outcome::of),
            }
        };
        Ended {
            outcome,
            took: begun.elapsed(),
        }
    }
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, E> Ended<T, E> {
    /// Of work that was never begun.
    #[must_use]
    pub fn not_begun() -> Self {
        Self {
            outcome: Outcome::NotBegun,
            took: Duration::ZERO,
        }
    }
}

impl<T, E> Outcome<T, E> {
    fn of(result: Result<T, E>) -> Self {
        match result {
            Ok(done) => Self::Done(done),
            Err(error) => Self::Failed(error),
        }
    }
}

/// Never, if there is no limit.
async fn elapsed(limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => {
            sleep(limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
