//! A cached token costs no memory.

use std::time::Duration;

use entrada::token::{AccessToken, FixedToken, Resource, TokenCache};
use futures_util::FutureExt as _;

#[test]
fn a_hit_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let source = FixedToken::new(AccessToken::new(
        "x".repeat(2000),
        Duration::from_secs(86400),
    ));
    let resource = Resource::new("https://database.windows.net/");
    let slot = TokenCache::new().slot(std::sync::Arc::new(source), resource);
    let measure = || {
        allocation_counter::measure(|| {
            for _ in 0..1000 {
                slot.get().now_or_never().unwrap().unwrap();
            }
        })
    };
    // The counter itself must be seen to count: a miss does allocate.
    let miss = allocation_counter::measure(|| drop(runtime.block_on(slot.get())));
    assert!(miss.count_total > 0);
    // The thread's first load sets up its slot for the pointer's protection.
    measure();
    let hits = measure();
    assert_eq!((hits.count_total, hits.bytes_total), (0, 0));
}
