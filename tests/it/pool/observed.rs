//! What the pool says about itself: log lines and metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tracing::Level;

use super::*;
use crate::support::log::Log;

#[tokio::test]
async fn the_log_tells_what_happens_without_secrets_or_false_alarms() {
    let log = Log::start(Level::TRACE);
    let server = SqlServer::start().await;
    let pool = pool(&server);
    let mut client = pool.get().await.unwrap();
    run(&mut client, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT").await;
    drop(client);
    run(&mut pool.get().await.unwrap(), "BEGIN TRAN").await;
    drop(pool.get().await.unwrap());

    let log = log.text();
    assert!(
        !log.contains("TLS encryption is not enabled"),
        "the driver cannot know that: {log}"
    );
    assert!(!log.contains("MARKED"), "a secret is in the log");
    for part in [
        "pool.get{",
        "dial{",
        "reset{",
        "closing a session",
        "transaction",
    ] {
        assert!(log.contains(part), "no {part:?} in {log}");
    }
}

/// Keeps what is measured.
#[derive(Clone, Default)]
struct Measured(Arc<Mutex<BTreeMap<String, f64>>>);

/// One metric, by its name and labels.
struct Cell(String, Measured);

impl Cell {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut values = self.1.0.lock().unwrap();
        let value = values.entry(self.0.clone()).or_default();
        *value = change(*value);
    }
}

impl CounterFn for Cell {
    fn increment(&self, by: u64) {
        self.change(|value| value + f64::from(u32::try_from(by).unwrap()));
    }

    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Cell {
    fn increment(&self, by: f64) {
        self.change(|value| value + by);
    }

    fn decrement(&self, by: f64) {
        self.change(|value| value - by);
    }

    fn set(&self, to: f64) {
        self.change(|_| to);
    }
}

impl HistogramFn for Cell {
    fn record(&self, _: f64) {
        self.change(|count| count + 1.0);
    }
}

impl Measured {
    fn cell(&self, key: &Key) -> Arc<Cell> {
        let mut name = key.name().to_owned();
        for label in key.labels().filter(|label| label.key() != "pool") {
            name = format!("{name}:{}", label.value());
        }
        Arc::new(Cell(name, self.clone()))
    }
}

impl Recorder for Measured {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key))
    }
}

#[tokio::test]
async fn metrics_follow_the_sessions() {
    let measured = Measured::default();
    let _guard = metrics::set_default_local_recorder(&measured);
    let server = SqlServer::start().await;
    let pool = builder(&server).max_size(2).build().unwrap();

    let mut first = pool.get().await.unwrap();
    let second = pool.get().await.unwrap();
    run(&mut first, "SELECT 1").await;
    drop(first);
    let mut first = pool.get().await.unwrap();
    run(&mut first, "BEGIN TRAN").await;
    drop(first);
    *server.log.refusal.lock().unwrap() = Some((18456, "no"));
    pool.get().await.unwrap_err();

    let seen = measured.0.lock().unwrap().clone();
    let expected = [
        ("entrada_pool_sessions", 1.0),
        ("entrada_pool_sessions_in_use", 1.0),
        ("entrada_pool_sessions_idle", 0.0),
        ("entrada_pool_wait_seconds", 3.0),
        ("entrada_pool_dials_total:ok", 2.0),
        ("entrada_pool_dials_total:error", 1.0),
        ("entrada_pool_resets_total:ok", 1.0),
        ("entrada_pool_retired_total:transaction", 1.0),
    ];
    for (name, value) in expected {
        assert_eq!(seen.get(name), Some(&value), "{name} in {seen:#?}");
    }
    drop(second);
}
