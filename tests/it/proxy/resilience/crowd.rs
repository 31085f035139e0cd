//! Thousands of clients that come, ask, break off and go.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use entrada::proxy::Proxy;
use entrada::proxy::config::{Config, ListenAddress, TlsMode};
use entrada::token::{Environment, Sources};
use rustls::ClientConfig;
use rustls::version::TLS12;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::address;
use super::super::client_tls::trust;
use super::echo::Echo;
use super::numbers::Numbers;
use super::visitor::{Act, Place, Visitor};
use crate::raw_client::soon;

/// Far longer than one visitor takes, also on a machine that has other work.
const VISIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_clients_come_and_go_and_none_meets_another() {
    let tasks = Handle::current().metrics().num_alive_tasks();
    let echo = Echo::start().await;
    let proxy = Proxy::start(config(&echo), no_sources()).await.unwrap();
    let crowd = crowd(&proxy, None, 10_000, 200).await;
    let numbers = balanced(&proxy, &echo, &crowd).await;
    let opened = numbers.sum("upstream_opened_total", &[]);
    let reused = numbers.sum("upstream_reused_total", &[]);
    // Although more clients come than there are sessions, of several programs.
    assert!(opened < reused, "{numbers}");
    soon("the shutdown", proxy.shutdown(Duration::ZERO)).await;
    soon("the end of the sessions", async {
        while echo.open() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(echo);
    soon("the end of all tasks", async {
        while Handle::current().metrics().num_alive_tasks() > tasks {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_tls_none_meets_another_either() {
    let echo = Echo::start().await;
    let state = tempfile::tempdir().unwrap();
    let mut config = config(&echo);
    config.listeners[0].tls.mode = TlsMode::Required;
    config.state_dir = Some(state.path().to_owned());
    config.targets[0].pool.max = 30;
    let proxy = Proxy::start(config, no_sources()).await.unwrap();
    let trust = trust(state.path(), &[&TLS12]);
    let crowd = crowd(&proxy, Some(trust), 400, 40).await;
    balanced(&proxy, &echo, &crowd).await;
}

fn no_sources() -> Sources {
    Sources::new(Environment::from_pairs::<&str, &str>([]))
}

fn config(echo: &Echo) -> Config {
    let mut config = Config::for_connection(echo.connection());
    config.listeners[0].address = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    config.admin.listen = Some((Ipv4Addr::LOCALHOST, 0).into());
    // Fewer than come at a time: some wait, and sessions make room for others.
    config.targets[0].pool.max = 120;
    config.targets[0].pool.queue_timeout = VISIT;
    config.limits.login_timeout = VISIT;
    config
}

/// What so many visitors have done.
#[derive(Debug, Default)]
struct Crowd {
    acts: HashMap<Act, u64>,
    answered: u64,
}

async fn crowd(proxy: &Proxy, tls: Option<ClientConfig>, visitors: u64, at_once: usize) -> Crowd {
    let place = Arc::new(Place {
        address: address(proxy),
        tls,
        taken: HashSet::new().into(),
    });
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..at_once {
        let (place, next) = (Arc::clone(&place), Arc::clone(&next));
        workers.spawn(async move {
            let mut crowd = Crowd::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= visitors {
                    return crowd;
                }
                let mut visitor = Visitor::new(&place, number, 4);
                let act = visitor.choose();
                if timeout(VISIT, visitor.act(act)).await.is_err() {
                    panic!("visitor {number} hangs: {act:?}");
                }
                *crowd.acts.entry(act).or_default() += 1;
                crowd.answered += visitor.answered;
            }
        });
    }
    let mut all = Crowd::default();
    while let Some(crowd) = workers.join_next().await {
        let crowd = crowd.unwrap();
        for (act, count) in crowd.acts {
            *all.acts.entry(act).or_default() += count;
        }
        all.answered += crowd.answered;
    }
    all
}

/// That everything that has begun has ended, and has been counted.
async fn balanced(proxy: &Proxy, echo: &Echo, crowd: &Crowd) -> Numbers {
    let count = |fits: &dyn Fn(Act) -> bool| -> u64 {
        let counts = crowd.acts.iter().filter(|(act, _)| fits(**act));
        counts.map(|(_, count)| count).sum()
    };
    let killed = count(&|act| act == Act::Killed);
    // Each of those who were killed had an administrator.
    let all = count(&|_| true) + killed;
    let sure = count(&|act| act.gets_in() == Some(true)) + killed;
    let unsure = count(&|act| act.gets_in().is_none());

    let admin: SocketAddr = proxy.admin_address().unwrap();
    // Some have left before the proxy knew of them.
    let over = |numbers: &Numbers| numbers.busy() == 0 && numbers.sum("logins_total", &[]) >= all;
    let numbers = Numbers::once(admin, "the end of all", over).await;
    assert_eq!(proxy.clients(), 0, "{numbers}");
    assert_eq!(numbers.sum("logins_total", &[]), all, "{numbers}");
    let accepted = numbers.logins("accepted");
    assert!((sure..=sure + unsure).contains(&accepted), "{numbers}");
    let garbage = count(&|act| act == Act::Garbage);
    assert_eq!(numbers.logins("protocol"), garbage, "{numbers}");
    let ended = |labels: &[&str]| numbers.sum("sessions_ended_total", labels);
    assert_eq!(ended(&[]), accepted, "{numbers}");
    assert_eq!(ended(&["\"killed\""]), killed, "{numbers}");
    for reason in ["server", "protocol", "panicked", "idle", "drained"] {
        assert_eq!(ended(&[reason]), 0, "{reason}: {numbers}");
    }
    for nothing in ["denials_total", "accept_errors_total", "errors_total"] {
        assert_eq!(numbers.sum(nothing, &[]), 0, "{nothing}: {numbers}");
    }
    for outcome in ["denied", "failed", "timeout"] {
        assert_eq!(numbers.logins(outcome), 0, "{outcome}: {numbers}");
    }
    assert!(numbers.sum("requests_total", &[]) >= crowd.answered);
    sessions_balanced(echo, &numbers).await;
    numbers
}

async fn sessions_balanced(echo: &Echo, numbers: &Numbers) {
    let idle = numbers.sum("upstream_sessions", &["\"idle\""]);
    soon("the closing of sessions", async {
        while echo.open() as u64 != idle {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let opened = numbers.sum("upstream_opened_total", &[]);
    let closed = numbers.sum("upstream_closed_total", &[]);
    assert_eq!(opened, closed + idle, "{numbers}");
    // Some logins were given up half-way, as their client had gone.
    assert!(echo.opened() as u64 >= opened, "{numbers}");
}
