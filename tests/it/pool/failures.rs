//! What callers are told when there is no session.

use std::error::Error as _;
use std::sync::atomic::Ordering;

use entrada::pool::PoolError;
use entrada::tds::LOGIN_FAILED;
use entrada::token::{FixedToken, TokenSource};
use tokio::time::timeout;

use super::*;

const REFUSAL: (i32, &str) = (LOGIN_FAILED, "Login failed for user 'sa'.");

/// The chain of an error's texts.
fn chain(error: &PoolError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_failing_login_is_reported_as_itself_to_everybody_at_once() {
    let server = SqlServer::start().await;
    *server.log.refusal.lock().unwrap() = Some(REFUSAL);
    // Nobody's time runs out within this test.
    let pool = builder(&server)
        .max_size(2)
        .acquire_timeout(PATIENCE * 100)
        .build()
        .unwrap();
    let waits: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.get().await.map(drop) })
        })
        .collect();
    for wait in waits {
        let error = timeout(PATIENCE, wait).await.unwrap().unwrap().unwrap_err();
        assert!(matches!(error, PoolError::Dial { .. }), "{error:?}");
        assert!(error.is_auth() && !error.is_timeout());
        assert_eq!(error.server_error().unwrap().number, LOGIN_FAILED);
        let text = chain(&error);
        assert!(text.contains("Login failed for user 'sa'."), "{text}");
        assert!(
            text.contains("127.0.0.1") && text.contains("/app"),
            "{text}"
        );
        assert!(!format!("{error:?}{text}").contains("MARKED"), "a secret");
    }
    let status = pool.status();
    assert_eq!((status.open, status.waiting, status.dialing), (0, 0, 0));
    assert!(status.failed >= 1);
}

#[tokio::test]
async fn the_pool_recovers_as_soon_as_logins_succeed() {
    let server = SqlServer::start().await;
    *server.log.refusal.lock().unwrap() = Some(REFUSAL);
    let pool = pool(&server);
    pool.get().await.unwrap_err();
    *server.log.refusal.lock().unwrap() = None;
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "SELECT 1").await, 1);
}

#[tokio::test]
async fn an_unreachable_server_is_reported_as_that() {
    let server = SqlServer::start().await;
    let mut target = target(&server);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    target.server = Server::with_port("127.0.0.1", port);
    let pool = Pool::builder(target).build().unwrap();
    let error = timeout(PATIENCE, pool.get()).await.unwrap().unwrap_err();
    assert!(error.is_network(), "{error:?}");
    assert!(matches!(error, PoolError::Dial { .. }), "{error:?}");
}

#[tokio::test]
async fn a_login_that_hangs_says_where_instead_of_just_timing_out() {
    let server = SqlServer::start().await;
    server.log.stalls_logins.store(true, Ordering::SeqCst);
    let pool = builder(&server)
        .acquire_timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    let error = timeout(PATIENCE, pool.get()).await.unwrap().unwrap_err();
    let PoolError::Dial { source, .. } = &error else {
        panic!("a bare time-out: {error:?}");
    };
    assert!(source.is_timeout(), "{source:?}");
}

#[tokio::test]
async fn a_login_without_a_limit_does_not_keep_its_place_for_ever() {
    let server = SqlServer::start().await;
    server.log.stalls_logins.store(true, Ordering::SeqCst);
    let mut target = target(&server);
    target.limits.connect_timeout = None;
    let pool = Pool::builder(target).max_size(1).build().unwrap();
    tokio::time::pause();
    // Its caller's own patience ends long before.
    let left = timeout(Duration::from_secs(5), pool.get()).await;
    assert!(left.is_err());
    assert_eq!(pool.status().dialing, 1);
    tokio::time::sleep(Duration::from_secs(11 * 60)).await;
    let status = pool.status();
    assert_eq!((status.dialing, status.failed), (0, 1));
}

#[tokio::test]
async fn an_exhausted_pool_says_what_it_looks_like() {
    let server = SqlServer::start().await;
    let mut target = target(&server);
    target.login.application_name = "billing".to_owned();
    let pool = Pool::builder(target)
        .max_size(2)
        .acquire_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let held = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let error = pool.get().await.unwrap_err();
    let PoolError::Exhausted(exhausted) = &error else {
        panic!("{error:?}");
    };
    assert!(error.is_timeout() && error.is_transient());
    assert!(exhausted.waited >= Duration::from_millis(100));
    let status = exhausted.status;
    assert_eq!((status.in_use, status.idle, status.max_size), (2, 0, 2));
    assert_eq!(status.waiting, 1, "this caller is among them");
    let text = error.to_string();
    for part in ["billing waited", "/app", "2 of 2 in use", "Max Pool Size"] {
        assert!(text.contains(part), "{text}");
    }
    drop(held);
    drop(pool.get().await.unwrap());
}

#[tokio::test]
async fn an_exhausted_pool_names_the_last_failed_login() {
    let server = SqlServer::start().await;
    let limit = Duration::from_secs(10);
    let pool = builder(&server).max_size(2).acquire_timeout(limit);
    let pool = pool.build().unwrap();
    let held = pool.get().await.unwrap();
    server.log.stalls_logins.store(true, Ordering::SeqCst);
    let get = || {
        let pool = pool.clone();
        tokio::spawn(async move { pool.get().await.map(drop) })
    };
    tokio::time::pause();
    let first = get();
    while pool.status().dialing == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(limit / 2).await;
    // Its wait began after the login did, and ends before another one can.
    let second = get();
    let error = first.await.unwrap().unwrap_err();
    assert!(matches!(error, PoolError::Dial { .. }), "{error:?}");
    let error = second.await.unwrap().unwrap_err();
    assert!(matches!(error, PoolError::Exhausted(_)), "{error:?}");
    assert!(error.dial_error().unwrap().is_timeout(), "{error:?}");
    assert!(chain(&error).contains("the last login failed: "), "{error}");
    drop(held);
}

#[tokio::test]
async fn a_failed_login_is_forgotten_when_one_succeeds() {
    let server = SqlServer::start().await;
    let pool = builder(&server)
        .max_size(1)
        .acquire_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    *server.log.refusal.lock().unwrap() = Some(REFUSAL);
    pool.get().await.unwrap_err();
    *server.log.refusal.lock().unwrap() = None;
    let held = pool.get().await.unwrap();
    let error = pool.get().await.unwrap_err();
    assert!(matches!(error, PoolError::Exhausted(_)), "{error:?}");
    assert!(error.dial_error().is_none(), "a login succeeded since");
    assert!(!entrada::Error::from(error).is_network(), "all in use");
    drop(held);
}

#[tokio::test]
async fn sessions_in_advance_are_not_tried_for_on_every_checkout() {
    let server = SqlServer::start().await;
    let pool = builder(&server).max_size(9).min_idle(2).build().unwrap();
    while pool.status().idle < 2 {
        tokio::task::yield_now().await;
    }
    *server.log.refusal.lock().unwrap() = Some(REFUSAL);
    for _ in 0..50 {
        // One idle session is too few, so another is to be opened.
        let client = pool.get().await.unwrap();
        tokio::task::yield_now().await;
        while pool.status().dialing > 0 {
            tokio::task::yield_now().await;
        }
        drop(client);
    }
    assert_eq!(
        server.log.connections(),
        3,
        "one try, and no more for a while"
    );
    // Who waits is not concerned.
    *server.log.refusal.lock().unwrap() = None;
    let all = [pool.get().await, pool.get().await, pool.get().await];
    assert!(all.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_session_given_back_goes_to_who_waits() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    let mut held = pool.get().await.unwrap();
    run(&mut held, "SELECT 1").await;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { ask(&mut pool.get().await.unwrap(), "WHO").await }
    });
    while pool.status().waiting == 0 {
        tokio::task::yield_now().await;
    }
    drop(held);
    assert_eq!(timeout(PATIENCE, waiting).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_closed_pool_gives_nothing_and_lets_nothing_open() {
    let server = SqlServer::start().await;
    let pool = builder(&server).max_size(2).build().unwrap();
    let mut held = pool.get().await.unwrap();
    run(&mut held, "SELECT 1").await;
    drop(pool.get().await.unwrap());
    let waiting = {
        let second = pool.get().await.unwrap();
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.get().await.map(drop) }
        });
        while pool.status().waiting == 0 {
            tokio::task::yield_now().await;
        }
        pool.close().await;
        drop(second);
        waiting
    };
    let error = timeout(PATIENCE, waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, PoolError::Closed { .. }), "{error:?}");
    assert!(matches!(pool.get().await, Err(PoolError::Closed { .. })));
    assert_eq!(ask(&mut held, "WHO").await, 1, "it may be used to its end");
    drop(held);
    server.log.until_ended(2).await;
    assert_eq!(pool.status().open, 0);
}

#[tokio::test]
async fn closing_closes_idle_sessions_at_once() {
    let server = SqlServer::start().await;
    let pool = builder(&server).max_size(3).build().unwrap();
    let sessions = (
        pool.get().await.unwrap(),
        pool.get().await.unwrap(),
        pool.get().await.unwrap(),
    );
    drop(sessions);
    assert_eq!(pool.status().idle, 3);
    pool.close().await;
    assert_eq!(pool.status().open, 0);
    server.log.until_ended(3).await;
}

fn given() -> std::sync::Arc<dyn TokenSource> {
    std::sync::Arc::new(FixedToken::from_secret(Secret::new("token")))
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let server = SqlServer::start().await;
    let wrong = |builder: PoolBuilder| builder.build().unwrap_err();
    for error in [
        wrong(builder(&server).max_size(0)),
        wrong(builder(&server).token_source(given())),
        wrong(builder(&server).max_size(2).min_idle(3)),
        wrong(builder(&server).acquire_timeout(Duration::ZERO)),
        wrong(builder(&server).max_lifetime(Duration::ZERO)),
        wrong(builder(&server).idle_timeout(Duration::ZERO)),
    ] {
        assert!(matches!(error, PoolError::Setting { .. }), "{error:?}");
    }
    for pem in [
        &b"nothing of the kind"[..],
        b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
    ] {
        let error = wrong(builder(&server).trust_root_pem(pem));
        assert!(matches!(error, PoolError::Certificate { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_takes_nothing_with_it() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    // Dropped after one poll, with the login begun.
    tokio::select! {
        biased;
        _ = pool.get() => panic!("a login takes longer"),
        () = std::future::ready(()) => {}
    }
    while pool.status().idle == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&mut pool.get().await.unwrap(), "WHO").await, 1);
}

#[tokio::test]
async fn a_session_may_be_dropped_where_no_runtime_is() {
    let server = SqlServer::start().await;
    let pool = builder(&server).max_size(1).min_idle(1).build().unwrap();
    let mut client = pool.get().await.unwrap();
    run(&mut client, "BEGIN TRAN").await;
    // In doubt, it is closed, and another one opened in its place.
    std::thread::spawn(move || drop(client)).join().unwrap();
    server.log.until(|| server.log.connections() == 2).await;
    assert_eq!(ask(&mut pool.get().await.unwrap(), "WHO").await, 2);
}

#[test]
fn a_pool_without_a_runtime_is_an_error() {
    let auth = Auth::SqlPassword {
        user: "sa".to_owned(),
        password: Secret::new("x"),
    };
    let target = Target::new(Server::new("localhost"), auth);
    let error = Pool::builder(target).build().unwrap_err();
    assert!(matches!(error, PoolError::NoRuntime), "{error:?}");
}
