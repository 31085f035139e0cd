//! What `TokenSlot` and `TokenCache` promise, under simulated time.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use entrada::token::{
    AccessToken, FetchError, MIN_REMAINING, RETRY_CEILING, RETRY_FLOOR, Resource, SourceKey,
    TokenCache, TokenError, TokenSlot, TokenSource,
};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::time::{Instant, advance, sleep};
use tracing::Level;

use crate::support::log::Log;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// An endpoint that is out of order at given times and numbers its tokens.
#[derive(Debug)]
struct Endpoint {
    name: &'static str,
    start: Instant,
    lifetime: Duration,
    latency: Duration,
    outages: Vec<Range<Duration>>,
    /// Errors are such as may pass by themselves.
    transient: bool,
    /// When it was asked, since the start.
    calls: Mutex<Vec<Duration>>,
}

impl Endpoint {
    fn new(lifetime: Duration) -> Self {
        Self {
            name: "scripted",
            start: Instant::now(),
            lifetime,
            latency: Duration::from_millis(50),
            outages: Vec::new(),
            transient: true,
            calls: Mutex::default(),
        }
    }

    fn failing(mut self, outages: impl IntoIterator<Item = Range<Duration>>) -> Self {
        self.outages = outages.into_iter().collect();
        self
    }

    fn slot(self) -> (Arc<Self>, TokenSlot) {
        let endpoint = Arc::new(self);
        let slot = TokenSlot::new(Arc::clone(&endpoint) as Arc<dyn TokenSource>, resource());
        (endpoint, slot)
    }

    fn calls(&self) -> Vec<Duration> {
        self.calls.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.calls().len()
    }

    fn is_out(&self, at: Duration) -> bool {
        self.outages.iter().any(|outage| outage.contains(&at))
    }
}

#[async_trait]
impl TokenSource for Endpoint {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        let at = self.start.elapsed();
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(at);
            calls.len()
        };
        sleep(self.latency).await;
        if self.is_out(at) {
            let reason = match self.transient {
                true => FetchError::Timeout {
                    endpoint: "http://scripted".into(),
                    after: self.latency,
                },
                false => FetchError::GivenTokenExpired,
            };
            return Err(TokenError::fetch(self.key(), resource, reason));
        }
        Ok(AccessToken::new(
            format!("MARKER-{}-{number}", self.name),
            self.lifetime,
        ))
    }

    fn key(&self) -> SourceKey {
        SourceKey::new("scripted").with_identity(self.name)
    }
}

fn resource() -> Resource {
    Resource::new("https://database.windows.net/")
}

/// The number of the token that an `Endpoint` gave.
fn number(token: &AccessToken) -> usize {
    token
        .secret()
        .expose()
        .rsplit('-')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// What a caller saw who asked every ten seconds.
#[derive(Default)]
struct Watch {
    answers: usize,
    waits: usize,
    failures: Vec<Duration>,
    least_left: Option<Duration>,
}

impl Watch {
    async fn over(endpoint: &Endpoint, slot: &TokenSlot, time: Duration) -> Self {
        let mut seen = Self::default();
        while endpoint.start.elapsed() < time {
            let at = endpoint.start.elapsed();
            let answer = match slot.get().now_or_never() {
                Some(answer) => answer,
                None => {
                    seen.waits += 1;
                    slot.get().await
                }
            };
            match answer {
                Ok(token) => {
                    seen.answers += 1;
                    let left = token.remaining();
                    assert!(
                        !left.is_zero(),
                        "a token that has ended was given at {at:?}"
                    );
                    seen.least_left = Some(seen.least_left.map_or(left, |least| least.min(left)));
                }
                Err(_) => seen.failures.push(at),
            }
            sleep(Duration::from_secs(10)).await;
        }
        seen
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_first_callers_make_one_call() {
    let (endpoint, slot) = Endpoint::new(HOUR).slot();
    let tokens = join_all((0..1000).map(|_| slot.get())).await;
    assert!(
        tokens
            .iter()
            .all(|token| number(token.as_ref().unwrap()) == 1)
    );
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_on_several_threads_make_one_call() {
    let (endpoint, slot) = Endpoint::new(HOUR).slot();
    let ask = |_| {
        let slot = slot.clone();
        tokio::spawn(async move { number(&slot.get().await.unwrap()) })
    };
    let numbers = join_all((0..1000).map(ask)).await;
    assert!(numbers.iter().all(|number| matches!(number, Ok(1))));
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_disturbs_no_other() {
    let (endpoint, slot) = Endpoint::new(HOUR).slot();
    let mut first = Box::pin(slot.get());
    assert!(first.as_mut().now_or_never().is_none());
    let second = tokio::spawn({
        let slot = slot.clone();
        async move { slot.get().await }
    });
    tokio::task::yield_now().await;
    drop(first);
    assert_eq!(number(&second.await.unwrap().unwrap()), 1);
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_nobody_waits_for_still_fills_the_slot() {
    let (endpoint, slot) = Endpoint::new(HOUR).slot();
    assert!(slot.get().now_or_never().is_none());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(number(&slot.peek().unwrap()), 1);
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_days_of_short_tokens_with_short_and_long_outages() {
    // One-hour tokens are refreshed ten minutes (and a little) before their end.
    let short = 10 * HOUR..10 * HOUR + 8 * MINUTE;
    let long = 20 * HOUR..23 * HOUR;
    let flaky = (30..40).map(|hour| hour * HOUR..hour * HOUR + 5 * MINUTE);
    let outages = [short, long.clone()].into_iter().chain(flaky);
    let (endpoint, slot) = Endpoint::new(HOUR).failing(outages).slot();
    let seen = Watch::over(&endpoint, &slot, 48 * HOUR).await;

    // Only the outage that outlasts a token is felt, and only once it has.
    let (first, last) = (seen.failures[0], *seen.failures.last().unwrap());
    assert!(
        first > long.start + 5 * MINUTE,
        "failed as early as {first:?}"
    );
    assert!(
        last < long.end + 10 * Duration::from_secs(1),
        "still failed at {last:?}"
    );
    assert!(
        seen.answers > 48 * 360 - 3 * 360 - 20,
        "{} answers",
        seen.answers
    );
    assert!(seen.least_left.unwrap() > Duration::ZERO);
    // Callers waited for the endpoint at the very start and in the long outage only.
    assert!(
        seen.waits <= 1 + seen.failures.len() + 8,
        "{} waits",
        seen.waits
    );
}

#[tokio::test(start_paused = true)]
async fn two_days_of_long_tokens_feel_no_outage_of_eleven_hours() {
    let outage = 10 * HOUR..21 * HOUR;
    let (endpoint, slot) = Endpoint::new(24 * HOUR).failing([outage.clone()]).slot();
    let seen = Watch::over(&endpoint, &slot, 48 * HOUR).await;
    assert!(seen.failures.is_empty(), "{:?}", seen.failures);
    assert_eq!(seen.waits, 1);
    assert!(seen.least_left.unwrap() > HOUR, "{:?}", seen.least_left);
    let calls = endpoint.calls();
    let during = calls.iter().filter(|at| outage.contains(*at)).count();
    // From about noon, every ten minutes at most and one in five on average.
    assert!((40..=140).contains(&during), "{during} calls in the outage");
    assert!(calls.len() - during <= 6, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn while_an_outage_lasts_tries_come_less_and_less_often() {
    let (endpoint, slot) = Endpoint::new(24 * HOUR).failing([HOUR..30 * HOUR]).slot();
    Watch::over(&endpoint, &slot, 20 * HOUR).await;
    let calls = endpoint.calls();
    let gaps: Vec<_> = calls[1..]
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    let slack = Duration::from_secs(1);
    for (failures, gap) in (1..).zip(&gaps) {
        let bound = RETRY_CEILING.min(RETRY_FLOOR * (1 << failures.min(6)));
        assert!(
            *gap >= RETRY_FLOOR && *gap <= bound + slack,
            "{failures}: {gap:?}"
        );
    }
    assert!(gaps.iter().any(|gap| *gap > RETRY_CEILING / 2), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fleet_does_not_refresh_at_once() {
    let fleet: Vec<_> = (0..200).map(|_| Endpoint::new(24 * HOUR).slot()).collect();
    for (_, slot) in &fleet {
        slot.get().await.unwrap();
    }
    sleep(13 * HOUR).await;
    let second: Vec<_> = fleet
        .iter()
        .map(|(endpoint, _)| endpoint.calls()[1])
        .collect();
    let (min, max) = (second.iter().min().unwrap(), second.iter().max().unwrap());
    assert!(*max - *min > 50 * MINUTE, "{min:?}..{max:?}");
    assert!(*max <= 12 * HOUR + MINUTE && *min > 10 * HOUR);
}

#[tokio::test(start_paused = true)]
async fn the_token_in_hand_is_given_while_its_successor_is_fetched() {
    let mut endpoint = Endpoint::new(HOUR);
    endpoint.latency = 2 * MINUTE;
    let (endpoint, slot) = endpoint.slot();
    let seen = Watch::over(&endpoint, &slot, 6 * HOUR).await;
    assert_eq!((seen.waits, seen.failures.len()), (1, 0));
    assert!(endpoint.count() >= 7);
    assert!(seen.least_left.unwrap() >= MIN_REMAINING);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_given_again_for_seconds_instead_of_asking_again() {
    for (transient, hold) in [
        (true, Duration::from_secs(1)),
        (false, Duration::from_secs(5)),
    ] {
        let mut endpoint = Endpoint::new(HOUR).failing([Duration::ZERO..HOUR]);
        endpoint.transient = transient;
        let (endpoint, slot) = endpoint.slot();
        for _ in 0..100 {
            let error = slot.get().await.unwrap_err();
            assert_eq!(error.is_transient(), transient);
        }
        assert_eq!(endpoint.count(), 1);
        advance(hold).await;
        assert!(slot.get().await.is_err());
        assert_eq!(endpoint.count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once() {
    let (endpoint, slot) = Endpoint::new(HOUR).slot();
    let first = slot.get().await.unwrap();
    // All who were refused with it get the same other one.
    let answers = join_all((0..10).map(|_| slot.replace(&first))).await;
    assert!(answers.iter().flatten().all(|token| number(token) == 2));
    assert_eq!(answers.iter().flatten().count(), 10);
    let second = slot.get().await.unwrap();
    assert_eq!(number(&second), 2);
    // A late report about the first one does not harm the second.
    assert_eq!(number(&slot.replace(&first).await.unwrap()), 2);
    // A login that is refused whatever the token must not hammer the endpoint.
    for _ in 0..1000 {
        assert!(slot.replace(&second).await.is_none());
        assert_eq!(number(&slot.get().await.unwrap()), 2);
    }
    advance(RETRY_FLOOR).await;
    assert_eq!(number(&slot.replace(&second).await.unwrap()), 3);
    assert_eq!(number(&slot.get().await.unwrap()), 3);
    assert_eq!(endpoint.count(), 3);
    // The replacement is kept fresh like any other.
    sleep(58 * MINUTE).await;
    assert_eq!(number(&slot.get().await.unwrap()), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_an_outage_takes_the_token_from_nobody() {
    let mut endpoint = Endpoint::new(HOUR).failing([MINUTE..30 * MINUTE]);
    endpoint.latency = MINUTE;
    let (endpoint, slot) = endpoint.slot();
    let token = slot.get().await.unwrap();
    sleep(MINUTE).await;
    let replacing = tokio::spawn({
        let (slot, token) = (slot.clone(), token.clone());
        async move { slot.replace(&token).await }
    });
    while endpoint.count() < 2 {
        tokio::task::yield_now().await;
    }
    // Another login, to a server that takes the token, waits for nothing.
    let meanwhile = slot.get().now_or_never().expect("a hit").unwrap();
    assert_eq!(number(&meanwhile), 1);
    assert!(replacing.await.unwrap().is_none());
    assert_eq!(number(&slot.get().now_or_never().unwrap().unwrap()), 1);
    // And it is refreshed in time all the same.
    sleep(57 * MINUTE).await;
    assert_eq!(number(&slot.get().await.unwrap()), 3);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_is_given_up() {
    #[derive(Debug)]
    struct Hanging(AtomicUsize);
    #[async_trait]
    impl TokenSource for Hanging {
        async fn token(&self, _: &Resource) -> Result<AccessToken, TokenError> {
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            Ok(AccessToken::new("t", HOUR))
        }
        fn key(&self) -> SourceKey {
            SourceKey::new("hanging")
        }
    }
    let slot = TokenSlot::new(Arc::new(Hanging(AtomicUsize::new(0))), resource());
    let error = slot.get().await.unwrap_err();
    assert!(
        matches!(error.reason(), Some(FetchError::Silent { .. })),
        "{error:?}"
    );
    advance(Duration::from_secs(1)).await;
    slot.get().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn identities_never_share_and_equal_ones_always_do() {
    let cache = TokenCache::new();
    let named = |name| {
        Arc::new(Endpoint {
            name,
            ..Endpoint::new(HOUR)
        })
    };
    let (anna, berta) = (named("anna"), named("berta"));
    let slots = [
        cache.slot(Arc::clone(&anna) as Arc<dyn TokenSource>, resource()),
        cache.slot(Arc::clone(&berta) as Arc<dyn TokenSource>, resource()),
    ];
    for _ in 0..100 {
        for (slot, name) in slots.iter().zip(["anna", "berta"]) {
            let token = slot.clone().get().await.unwrap();
            assert!(token.secret().expose().contains(name));
        }
        sleep(7 * MINUTE).await;
    }
    // Equal keys share a slot, and another resource has its own.
    let again = named("anna");
    cache
        .slot(Arc::clone(&again) as Arc<dyn TokenSource>, resource())
        .get()
        .await
        .unwrap();
    assert_eq!(again.count(), 0);
    let china = Resource::new("https://database.chinacloudapi.cn/");
    cache
        .slot(Arc::clone(&again) as Arc<dyn TokenSource>, china)
        .get()
        .await
        .unwrap();
    assert_eq!(again.count(), 1);
    assert_eq!(cache.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_unused_token_is_refreshed_for_one_lifetime_then_wiped() {
    let (endpoint, slot) = Endpoint::new(24 * HOUR).slot();
    slot.get().await.unwrap();
    sleep(240 * HOUR).await;
    assert_eq!(endpoint.count(), 2, "{:?}", endpoint.calls());
    assert!(format!("{slot:?}").contains("token: None"), "{slot:?}");
    // Only the slot itself and this test still hold the endpoint: no task does.
    assert_eq!(Arc::strong_count(&endpoint), 2);
    assert_eq!(number(&slot.get().await.unwrap()), 3);
}

#[tokio::test(start_paused = true)]
async fn a_token_asked_for_again_late_is_refreshed_at_once() {
    let (endpoint, slot) = Endpoint::new(24 * HOUR).slot();
    slot.get().await.unwrap();
    // The second token comes at about 12 h, and is due again at about 24 h.
    sleep(30 * HOUR).await;
    assert_eq!(endpoint.count(), 2);
    assert_eq!(number(&slot.get().await.unwrap()), 2);
    sleep(MINUTE).await;
    assert_eq!(endpoint.count(), 3);
    assert_eq!(number(&slot.get().await.unwrap()), 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_when_the_last_handle_is_gone() {
    let (endpoint, slot) = Endpoint::new(HOUR).slot();
    let clone = slot.clone();
    slot.get().await.unwrap();
    drop(slot);
    sleep(2 * HOUR).await;
    assert!(endpoint.count() > 1, "the clone keeps the token fresh");
    clone.get().await.unwrap();
    let before = endpoint.count();
    drop(clone);
    sleep(10 * HOUR).await;
    assert_eq!(endpoint.count(), before);
    assert_eq!(Arc::strong_count(&endpoint), 1);

    // A first fetch under way is aborted, too.
    let (endpoint, slot) = Endpoint::new(HOUR).slot();
    assert!(slot.get().now_or_never().is_none());
    drop(slot);
    sleep(MINUTE).await;
    assert_eq!(Arc::strong_count(&endpoint), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_in_its_last_minute_is_better_than_none() {
    // Too short-lived to be kept: each caller asks again, and gets what there is.
    let (endpoint, slot) = Endpoint::new(MIN_REMAINING / 2).slot();
    for call in 1..=3 {
        assert_eq!(number(&slot.get().await.unwrap()), call);
    }
    assert_eq!(endpoint.count(), 3);
    let outage = MINUTE..2 * HOUR;
    let (endpoint, slot) = Endpoint::new(HOUR).failing([outage]).slot();
    slot.get().await.unwrap();
    sleep(HOUR - Duration::from_secs(30)).await;
    assert_eq!(number(&slot.get().await.unwrap()), 1);
    sleep(Duration::from_secs(31)).await;
    assert!(slot.get().await.is_err());
    assert!(endpoint.count() > 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_repeats_itself_is_not_asked_in_a_loop() {
    // As a fixed token does, or a platform with a cache of its own.
    #[derive(Debug)]
    struct Repeating(AccessToken, AtomicUsize);
    #[async_trait]
    impl TokenSource for Repeating {
        async fn token(&self, _: &Resource) -> Result<AccessToken, TokenError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Ok(self.0.clone())
        }
        fn key(&self) -> SourceKey {
            SourceKey::new("repeating")
        }
    }
    let source = Arc::new(Repeating(AccessToken::new("t", HOUR), AtomicUsize::new(0)));
    let slot = TokenSlot::new(Arc::clone(&source) as Arc<dyn TokenSource>, resource());
    for _ in 0..350 {
        slot.get().await.unwrap();
        sleep(Duration::from_secs(10)).await;
    }
    let calls = source.1.load(Ordering::Relaxed);
    assert!((2..=40).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_source_wedges_nobody() {
    #[derive(Debug)]
    struct Panicking(AtomicUsize);
    #[async_trait]
    impl TokenSource for Panicking {
        async fn token(&self, _: &Resource) -> Result<AccessToken, TokenError> {
            sleep(Duration::from_secs(1)).await;
            assert!(
                self.0.fetch_add(1, Ordering::Relaxed) > 0,
                "the first call panics"
            );
            Ok(AccessToken::new("t", HOUR))
        }
        fn key(&self) -> SourceKey {
            SourceKey::new("panicking")
        }
    }
    let slot = TokenSlot::new(Arc::new(Panicking(AtomicUsize::new(0))), resource());
    for answer in join_all((0..10).map(|_| slot.get())).await {
        assert!(
            matches!(answer, Err(TokenError::Panicked { .. })),
            "{answer:?}"
        );
    }
    sleep(Duration::from_secs(2)).await;
    slot.get().await.unwrap();
}

#[test]
fn a_runtime_that_ends_during_a_fetch_leaves_the_slot_usable() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let (endpoint, slot) = Endpoint::new(HOUR).slot();
    let first = runtime();
    first.block_on(async {
        assert!(slot.get().now_or_never().is_none());
        tokio::task::yield_now().await;
    });
    drop(first);
    assert_eq!(number(&runtime().block_on(slot.get()).unwrap()), 2);
    assert_eq!(endpoint.count(), 2);
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let (_, slot) = Endpoint::new(HOUR).slot();
    let answer = slot.get().now_or_never().unwrap();
    assert!(matches!(answer, Err(TokenError::NoRuntime)));
}

#[tokio::test(start_paused = true)]
async fn slots_that_nobody_needs_are_forgotten() {
    let cache = TokenCache::new();
    for name in ["a", "b", "c", "d"] {
        let endpoint = Endpoint {
            name,
            ..Endpoint::new(HOUR)
        };
        cache
            .slot(Arc::new(endpoint), resource())
            .get()
            .await
            .unwrap();
        sleep(10 * HOUR).await;
    }
    assert_eq!(cache.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_log_line_and_no_debug_text_holds_a_token() {
    let log = Log::start(Level::TRACE);
    let (_, slot) = Endpoint::new(HOUR).failing([HOUR / 2..2 * HOUR]).slot();
    let cache = TokenCache::new();
    let token = slot.get().await.unwrap();
    sleep(58 * MINUTE).await;
    assert!(slot.replace(&token).await.is_none());
    sleep(2 * MINUTE).await;
    let error = slot.get().await.unwrap_err();
    let text = log.text();
    assert!(
        text.contains("refused") && text.contains("token.fetch"),
        "{text}"
    );
    let shown = format!("{text} {slot:?} {cache:?} {token:?} {error:?} {error}");
    assert!(!shown.contains("MARKER"), "{shown}");
}
