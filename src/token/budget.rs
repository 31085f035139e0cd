//! How hard one process may press on an endpoint, whatever it runs inside.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use url::Url;

/// What one process may ask of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// How many requests may be under way at once.
    pub(crate) concurrent: usize,
    /// How many may begin within any second.
    pub(crate) per_second: usize,
}

/// What all token sources of a process may ask together, per endpoint.
///
/// A fleet of pools that starts at once, or that loses its tokens at once, thus
/// queues here instead of being throttled there. Waiting is in order. Whoever
/// stops waiting costs the others nothing but, at most, one start. It belongs to
/// no runtime: the waiting of each is timed by its own.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    /// Requests that an endpoint does not want to see again before a moment.
    held: Mutex<HashMap<String, Instant>>,
}

impl Budget {
    /// The one that everything in this process shares.
    pub(crate) fn process() -> &'static Self {
        static PROCESS: LazyLock<Budget> = LazyLock::new(Budget::default);
        &PROCESS
    }

    /// Waits for a turn at the endpoint of a URL; the turn ends with the permit.
    ///
    /// # Cancel safety
    /// Dropping the future gives the place in the queue away.
    pub(super) async fn enter(&self, url: &Url, share: Share) -> Permit {
        let lane = self.lane(url, share);
        let place = lane.place().await;
        let (start, number) = lane.reserve();
        let permit = Permit {
            place,
            number,
            lane,
        };
        if start > Instant::now() {
            sleep_until(start).await;
        }
        permit
    }

    /// Remembers that a request is not to be sent again for some time.
    pub(super) fn hold(&self, request: &str, time: Duration) {
        let now = Instant::now();
        let mut held = lock(&self.held);
        held.retain(|_, until| *until > now);
        held.insert(request.to_owned(), now + time.min(MAX_HOLD));
    }

    /// How long a request is not to be sent yet.
    pub(super) fn held(&self, request: &str) -> Option<Duration> {
        let until = *lock(&self.held).get(request)?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Endpoints with different shares are told apart, for on a laptop several
    /// of them may be behind one port.
    fn lane(&self, url: &Url, share: Share) -> Arc<Lane> {
        let name = format!(
            "{} {}/{}",
            url.origin().ascii_serialization(),
            share.concurrent,
            share.per_second
        );
        let mut lanes = lock(&self.lanes);
        if lanes.len() > MANY {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || lane.is_busy());
        }
        Arc::clone(
            lanes
                .entry(name)
                .or_insert_with(|| Arc::new(Lane::new(share))),
        )
    }
}

/// A turn at an endpoint.
#[derive(Debug)]
pub(super) struct Permit {
    place: Option<OwnedSemaphorePermit>,
    number: u64,
    lane: Arc<Lane>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let known = lock(&self.lane.starts).under_way.remove(&self.number);
        // If it was given up for lost, there is another place in its stead.
        if known.is_none()
            && let Some(place) = self.place.take()
        {
            place.forget();
        }
    }
}

/// The queue before one endpoint.
#[derive(Debug)]
struct Lane {
    places: Arc<Semaphore>,
    per_second: usize,
    starts: Mutex<Starts>,
}

#[derive(Debug)]
struct Starts {
    /// The latest beginnings, past and promised; as many as fit into a second.
    latest: VecDeque<Instant>,
    /// The turns that have not ended, by their numbers, and when they began.
    under_way: BTreeMap<u64, Instant>,
    /// The number of the next turn.
    next: u64,
}

impl Lane {
    fn new(share: Share) -> Self {
        Self {
            places: Arc::new(Semaphore::new(share.concurrent.max(1))),
            per_second: share.per_second.max(1),
            starts: Mutex::new(Starts {
                latest: VecDeque::new(),
                under_way: BTreeMap::new(),
                next: 0,
            }),
        }
    }

    /// Waits in order for one of the places.
    ///
    /// A runtime that nobody drives any more keeps the places of its requests.
    /// No request lasts as long as [`PATIENCE`]: those that seem to are given up
    /// for lost, and there are other places in their stead.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let mut place = pin!(Arc::clone(&self.places).acquire_owned());
        loop {
            tokio::select! {
                biased;
                permit = &mut place => return permit.ok(),
                () = sleep(PATIENCE) => self.replace_lost(),
            }
        }
    }

    fn replace_lost(&self) {
        let mut starts = lock(&self.starts);
        let before = starts.under_way.len();
        starts
            .under_way
            .retain(|_, began| began.elapsed() < PATIENCE);
        let lost = before - starts.under_way.len();
        self.places.add_permits(lost);
    }

    /// The next moment at which a request may begin, and the number of its turn.
    fn reserve(&self) -> (Instant, u64) {
        let now = Instant::now();
        let mut starts = lock(&self.starts);
        let earliest = match starts.latest.len() {
            full if full >= self.per_second => {
                starts.latest.pop_front().map(|first| first + SECOND)
            }
            _ => None,
        };
        let start = earliest.map_or(now, |earliest| earliest.max(now));
        starts.latest.push_back(start);
        let number = starts.next;
        starts.next += 1;
        starts.under_way.insert(number, start);
        (start, number)
    }

    fn is_busy(&self) -> bool {
        let starts = lock(&self.starts);
        let last = starts.latest.back();
        last.is_some_and(|last| *last + SECOND > Instant::now())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic leaves what is inside half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The window of a rate, and a little, as the endpoint's clock is another one.
const SECOND: Duration = Duration::from_millis(1_010);

/// More than any request may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// The longest time that a request is held back.
const MAX_HOLD: Duration = Duration::from_secs(3600);

/// More endpoints than this hardly exist: idle ones are forgotten.
const MANY: usize = 256;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const IMDS: Share = Share {
        concurrent: 5,
        per_second: 5,
    };

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    /// The most starts within any second of those given.
    fn peak(starts: &mut [Instant]) -> usize {
        starts.sort();
        let within = |first: &Instant| {
            let end = *first + Duration::from_secs(1);
            starts.iter().filter(|s| *s >= first && **s < end).count()
        };
        starts.iter().map(within).max().unwrap_or_default()
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_at_once_neither_crowd_nor_jump_the_queue() {
        let (budget, under_way) = (Arc::new(Budget::default()), Arc::new(AtomicUsize::new(0)));
        let starts = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..1000)
            .map(|number| {
                let (budget, under_way) = (Arc::clone(&budget), Arc::clone(&under_way));
                let starts = Arc::clone(&starts);
                tokio::spawn(async move {
                    let permit = budget.enter(&url("http://169.254.169.254/a"), IMDS).await;
                    assert!(under_way.fetch_add(1, Ordering::SeqCst) < 5);
                    lock(&starts).push((Instant::now(), number));
                    sleep(Duration::from_millis(20 + number % 300)).await;
                    under_way.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let mut starts = lock(&starts);
        // Those who begin at the same moment do so in no order.
        starts.sort();
        let (mut times, order): (Vec<_>, Vec<_>) = starts.iter().copied().unzip();
        assert_eq!(peak(&mut times), 5);
        assert!(order.is_sorted(), "the queue was jumped");
        let took = *times.last().unwrap() - times[0];
        // The rate is used to the full, too.
        assert!((190..=210).contains(&took.as_secs()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn endpoints_do_not_wait_for_each_other() {
        let budget = Budget::default();
        let start = Instant::now();
        let mut kept = Vec::new();
        for host in ["http://a/", "http://b/", "http://a:81/", "https://a/"] {
            for path in ["x", "y", "z", "u", "v"] {
                kept.push(budget.enter(&url(host).join(path).unwrap(), IMDS).await);
            }
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_stop_waiting_block_nobody() {
        let budget = Arc::new(Budget::default());
        let address = url("http://a/");
        let mut kept = Vec::new();
        for _ in 0..5 {
            kept.push(budget.enter(&address, IMDS).await);
        }
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let (budget, address) = (Arc::clone(&budget), address.clone());
                tokio::spawn(async move { drop(budget.enter(&address, IMDS).await) })
            })
            .collect();
        tokio::task::yield_now().await;
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        drop(kept);
        // Some were given the places before they were gone.
        tokio::task::yield_now().await;
        let start = Instant::now();
        drop(budget.enter(&address, IMDS).await);
        assert!(start.elapsed() <= SECOND * 3, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn places_that_nobody_will_free_are_not_waited_for() {
        let (budget, under_way) = (Arc::new(Budget::default()), Arc::new(AtomicUsize::new(0)));
        let address = url("http://a/");
        let mut lost = Vec::new();
        for _ in 0..4 {
            lost.push(budget.enter(&address, IMDS).await);
        }
        // One that ends does not hide the others.
        sleep(PATIENCE / 2).await;
        lost.push(budget.enter(&address, IMDS).await);
        let start = Instant::now();
        let crowd = |count: usize| {
            let (budget, under_way) = (Arc::clone(&budget), Arc::clone(&under_way));
            let address = address.clone();
            async move {
                let tasks = (0..count).map(|_| {
                    let (budget, address) = (Arc::clone(&budget), address.clone());
                    let under_way = Arc::clone(&under_way);
                    tokio::spawn(async move {
                        let permit = budget.enter(&address, IMDS).await;
                        assert!(under_way.fetch_add(1, Ordering::SeqCst) < 5);
                        sleep(Duration::from_secs(2)).await;
                        under_way.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    })
                });
                for task in tasks.collect::<Vec<_>>() {
                    task.await.unwrap();
                }
            }
        };
        crowd(20).await;
        // All of them wait once, and not each for the one before it.
        assert!(start.elapsed() < PATIENCE * 3, "{:?}", start.elapsed());
        // When those who had them are driven again, there are no more than before.
        drop(lost);
        crowd(20).await;
    }

    #[test]
    fn several_runtimes_share_one_budget() {
        let budget = Arc::new(Budget::default());
        let under_way = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (budget, under_way) = (Arc::clone(&budget), Arc::clone(&under_way));
                std::thread::spawn(move || {
                    let mut builder = tokio::runtime::Builder::new_current_thread();
                    let runtime = builder.enable_time().build().unwrap();
                    runtime.block_on(async {
                        let share = Share {
                            concurrent: 2,
                            per_second: 1_000,
                        };
                        for _ in 0..50 {
                            let permit = budget.enter(&url("http://a/"), share).await;
                            assert!(under_way.fetch_add(1, Ordering::SeqCst) < 2);
                            tokio::task::yield_now().await;
                            under_way.fetch_sub(1, Ordering::SeqCst);
                            drop(permit);
                        }
                    });
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_back_is_so_for_its_time_only() {
        let budget = Budget::default();
        budget.hold("a", Duration::from_secs(60));
        assert_eq!(budget.held("a"), Some(Duration::from_secs(60)));
        assert_eq!(budget.held("b"), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(budget.held("a"), None);
        budget.hold("c", Duration::MAX);
        assert_eq!(budget.held("c"), Some(MAX_HOLD));
        assert_eq!(lock(&budget.held).len(), 1);
    }
}
