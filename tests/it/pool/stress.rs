//! Many callers, few sessions, and every third caller leaves half-way.

use std::pin::pin;
use std::task::Poll;

use super::*;

/// Polls a future so often at most; `None` if it was not done by then.
async fn impatient<T>(future: impl Future<Output = T>, mut polls: u32) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Takes a session, leaves something behind and checks that nobody else did.
async fn visit(pool: &Pool, number: u32) {
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "MARK").await, 0, "somebody else's mark");
    run(&mut client, "MARK 1").await;
    match number % 5 {
        0 => run(&mut client, "BEGIN TRAN").await,
        1 => run(&mut client, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT").await,
        2 => drop(client.simple_query("ROWS 2000").await.unwrap()),
        _ => assert_eq!(ask(&mut client, "LEVEL").await, 0),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_session_is_lost_mixed_up_or_leaked() {
    const CALLERS: u32 = 600;
    let server = SqlServer::start().await;
    let pool = builder(&server).max_size(4).build().unwrap();
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                if number % 3 == 0 {
                    impatient(visit(&pool, number), number % 11).await;
                } else {
                    visit(&pool, number).await;
                }
            })
        })
        .collect();
    for caller in callers {
        tokio::time::timeout(PATIENCE, caller)
            .await
            .unwrap()
            .unwrap();
    }
    let status = pool.status();
    assert_eq!((status.in_use, status.waiting), (0, 0), "{status:?}");
    assert!(status.open <= 4, "{status:?}");

    // All of the pool can still be had at once.
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut client = pool.get().await.unwrap();
        assert_eq!(ask(&mut client, "MARK").await, 0);
        held.push(client);
    }
    assert_eq!(pool.status().open, 4);
    drop(held);
    pool.close().await;
    let opened = pool.status().opened;
    assert_eq!(pool.status().retired, opened);
    server.log.until_ended(server.log.connections()).await;
}
