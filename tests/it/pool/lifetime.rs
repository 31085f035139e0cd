//! Tokens and time: one token for many sessions, none for two identities, and
//! sessions that end before their token does.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use entrada::token::{AccessToken, CallbackToken, TokenCache, TokenSource};
use rustls::version::TLS12;
use tokio::time::{advance, pause, resume};

use super::*;
use crate::support::certificates::Certificates;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// A server that wants tokens, and the certificate to trust.
struct Azure {
    server: SqlServer,
    certificates: Certificates,
}

impl Azure {
    async fn start() -> Self {
        let certificates = Certificates::for_names(&["localhost"]);
        let server = SqlServer::start_tls(certificates.server_config(&[&TLS12])).await;
        Self {
            server,
            certificates,
        }
    }

    fn builder(&self, source: Arc<dyn TokenSource>) -> PoolBuilder {
        let address = Server::with_port("localhost", self.server.address.port());
        let target = Target::new(address, Auth::Callback).with_database("app");
        Pool::builder(target)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .trust_root_der(self.certificates.ca.to_vec())
            .token_source(source)
    }
}

/// A source that counts its calls and gives tokens of this text and lifetime.
fn source(text: &'static str, lifetime: Duration) -> (Arc<dyn TokenSource>, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let source = CallbackToken::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, Infallible>(AccessToken::new(text, lifetime)) }
    });
    (Arc::new(source), calls)
}

/// Lets time pass while nothing is on its way.
async fn pass(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

#[tokio::test]
async fn one_token_serves_any_number_of_sessions() {
    let azure = Azure::start().await;
    let (source, calls) = source("TOKEN-A", HOUR);
    let pool = azure.builder(source).max_size(20).build().unwrap();
    let gets: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.get().await.unwrap() })
        })
        .collect();
    let mut held = Vec::new();
    for get in gets {
        held.push(get.await.unwrap());
    }
    assert_eq!(azure.server.log.connections(), 20);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(azure.server.log.tokens(), ["TOKEN-A"; 20]);
}

#[tokio::test]
async fn pools_of_one_identity_share_a_cache_if_told_so() {
    let azure = Azure::start().await;
    let (source, calls) = source("TOKEN-A", HOUR);
    let cache = TokenCache::new();
    for _ in 0..2 {
        let builder = azure.builder(Arc::clone(&source));
        let pool = builder.token_cache(cache.clone()).build().unwrap();
        run(&mut pool.get().await.unwrap(), "SELECT 1").await;
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn two_identities_never_share_a_session_or_a_token() {
    let azure = Azure::start().await;
    let cache = TokenCache::new();
    let build = |text| {
        let (source, calls) = source(text, HOUR);
        let builder = azure.builder(source).max_size(1);
        (builder.token_cache(cache.clone()).build().unwrap(), calls)
    };
    let (a, calls_a) = build("TOKEN-A");
    let (b, calls_b) = build("TOKEN-B");
    for _ in 0..3 {
        assert_eq!(ask(&mut a.get().await.unwrap(), "WHO").await, 1);
        assert_eq!(ask(&mut b.get().await.unwrap(), "WHO").await, 2);
    }
    assert_eq!(azure.server.log.tokens(), ["TOKEN-A", "TOKEN-B"]);
    for calls in [calls_a, calls_b] {
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_session_ends_ten_minutes_before_its_token() {
    let azure = Azure::start().await;
    let (source, calls) = source("TOKEN-A", HOUR);
    let pool = azure.builder(source).max_size(1).build().unwrap();
    let who = async || ask(&mut pool.get().await.unwrap(), "WHO").await;
    assert_eq!(who().await, 1);
    pass(49 * MINUTE).await;
    assert_eq!(who().await, 1);
    pass(2 * MINUTE).await;
    assert_eq!(who().await, 2, "nine minutes are left of the token");
    assert!(
        calls.load(Ordering::SeqCst) > 1,
        "the new one has a new token"
    );
}

#[tokio::test]
async fn a_session_in_use_when_its_time_comes_ends_when_it_is_given_back() {
    let azure = Azure::start().await;
    let (source, _) = source("TOKEN-A", HOUR);
    let pool = azure.builder(source).max_size(1).build().unwrap();
    let mut client = pool.get().await.unwrap();
    pass(55 * MINUTE).await;
    assert_eq!(ask(&mut client, "WHO").await, 1, "nobody takes it away");
    drop(client);
    azure.server.log.until_ended(1).await;
    assert_eq!(pool.status().retired, 1);
}

#[tokio::test]
async fn a_token_with_little_time_left_still_opens_a_session() {
    let azure = Azure::start().await;
    let (source, _) = source("TOKEN-A", 5 * MINUTE);
    let pool = azure.builder(source).max_size(1).build().unwrap();
    for number in 1..=3 {
        let mut client = pool.get().await.unwrap();
        assert_eq!(ask(&mut client, "WHO").await, number, "each for one use");
    }
}

#[tokio::test]
async fn no_session_lives_longer_than_nine_hours() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    let who = async || ask(&mut pool.get().await.unwrap(), "WHO").await;
    assert_eq!(who().await, 1);
    pass(9 * HOUR - MINUTE).await;
    assert_eq!(who().await, 1);
    pass(2 * MINUTE).await;
    assert_eq!(who().await, 2);
}

#[tokio::test]
async fn load_balance_timeout_ends_sessions_sooner() {
    let server = SqlServer::start().await;
    let mut target = target(&server);
    target.pool.lifetime = Some(MINUTE);
    target.pool.max_size = 1;
    let pool = Pool::builder(target)
        .acquire_timeout(PATIENCE)
        .build()
        .unwrap();
    let who = async || ask(&mut pool.get().await.unwrap(), "WHO").await;
    assert_eq!(who().await, 1);
    pass(30 * Duration::from_secs(1)).await;
    assert_eq!(who().await, 1);
    pass(MINUTE).await;
    assert_eq!(who().await, 2);
}

#[tokio::test]
async fn idle_sessions_are_closed_after_a_while() {
    let server = SqlServer::start().await;
    // bb8's clock cannot be paused.
    let pool = builder(&server)
        .idle_timeout(Duration::from_millis(20))
        .build()
        .unwrap();
    drop(pool.get().await.unwrap());
    server.log.until_ended(1).await;
    assert_eq!(pool.status().open, 0);
}

/// A connection string for the server, and the file that it names.
fn connection_string(azure: &Azure) -> (String, tempfile::NamedTempFile) {
    let pinned = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&pinned, &azure.certificates.leaf_pem).unwrap();
    let text = format!(
        "Server=localhost,{};Database=app;User ID=sa;Password=x;ServerCertificate={}",
        azure.server.address.port(),
        pinned.path().display()
    );
    (text, pinned)
}

#[tokio::test]
async fn pool_sizes_of_the_string_are_the_defaults() {
    let azure = Azure::start().await;
    let (text, _pinned) = connection_string(&azure);
    let text = format!("{text};Max Pool Size=3;Min Pool Size=2");
    let pool = Pool::connect(&text).await.unwrap();
    assert_eq!(pool.status().max_size, 3);
    while pool.status().idle < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_string_can_forgo_pooling() {
    let azure = Azure::start().await;
    let (text, _pinned) = connection_string(&azure);
    let pool = Pool::connect(&format!("{text};Pooling=false"))
        .await
        .unwrap();
    for _ in 0..2 {
        drop(pool.get().await.unwrap());
    }
    assert_eq!(azure.server.log.connections(), 3);
}

#[tokio::test]
async fn a_string_that_means_nothing_is_reported_before_anything_is_opened() {
    let error = Pool::connect("Server=s;Database=d;Encryption=yes")
        .await
        .unwrap_err();
    assert!(
        matches!(error, entrada::pool::PoolError::Target(_)),
        "{error:?}"
    );
}
