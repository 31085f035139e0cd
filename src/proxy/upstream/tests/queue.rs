//! More clients than sessions.

use super::*;

fn two() -> PoolConfig {
    PoolConfig { max: 2, ..config() }
}

#[tokio::test(start_paused = true)]
async fn clients_are_served_in_the_order_of_coming() {
    let world = world(two());
    let (one, two) = (world.lease("a").await, world.lease("a").await);
    let first = world.waiter("a");
    world.quiet().await;
    let second = world.waiter("b");
    world.quiet().await;
    assert_eq!(world.view().waiting, 2);
    let spid = one.told().spid;
    one.give_back(Condition::AtRest);
    let first = first.await.unwrap().unwrap();
    assert_eq!((first.told().spid, first.origin()), (spid, Origin::Queued));
    assert!(!second.is_finished());
    two.give_back(Condition::AtRest);
    let second = second.await.unwrap().unwrap();
    assert_eq!(second.told().database, "b");
    // The session of `a` was not even reset: its place was wanted.
    assert_eq!(world.closed("room"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_fits_nobody_but_a_later_client_is_not_closed_for_the_next() {
    let world = world(PoolConfig { max: 1, ..config() });
    let mut lease = world.lease("a").await;
    let spid = lease.told().spid;
    let first = world.waiter("b");
    world.quiet().await;
    let mut overtakers = Vec::new();
    for _ in 0..20 {
        overtakers.push(world.waiter("a"));
        world.quiet().await;
    }
    let mut served = 0;
    loop {
        lease.give_back(Condition::AtRest);
        world.quiet().await;
        if first.is_finished() {
            break;
        }
        lease = overtakers.remove(0).await.unwrap().unwrap();
        assert_eq!(lease.told().spid, spid, "one and the same session");
        served += 1;
    }
    // Not for ever: the first in the queue has its turn after so many.
    assert_eq!((served, world.closed("room")), (16, 1));
    let first = first.await.unwrap().unwrap();
    assert_eq!(first.told().database, "b");
    first.give_back(Condition::AtRest);
    let next = overtakers.remove(0).await.unwrap().unwrap();
    assert_eq!(next.told().database, "a");
}

#[tokio::test(start_paused = true)]
async fn the_oldest_idle_session_makes_room_for_other_properties() {
    let world = world(two());
    let oldest = world.visit("a").await;
    tokio::time::advance(Duration::from_secs(1)).await;
    world.visit("b").await;
    let lease = world.lease("c").await;
    assert_eq!(lease.origin(), Origin::Cold, "nobody had to leave");
    world.server.served(oldest).gone.cancelled().await;
    assert_eq!((world.view().idle, world.closed("room")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_too_long_is_told_what_to_do() {
    let world = world(two());
    let _held = (world.lease("a").await, world.lease("a").await);
    let begun = Instant::now();
    let error = world.refusal("a").await;
    assert_eq!(begun.elapsed(), Duration::from_secs(15));
    assert!(matches!(error, LeaseError::QueueTimeout(_)));
    assert_eq!(
        error.to_string(),
        "no session of target `shop` came free within 15s: of at most 2 sessions 2 are in use, \
         0 are being opened and 0 are being reset; clients that wait: 1, with `till`; raise \
         `max` of the target's pool, or let clients close what they do not use"
    );
    assert_eq!(world.view().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_queue_has_an_end() {
    let world = world(PoolConfig { queue: 1, ..two() });
    let _held = (world.lease("a").await, world.lease("a").await);
    let waiter = world.waiter("a");
    world.quiet().await;
    let begun = Instant::now();
    let error = world.refusal("a").await;
    assert!(matches!(error, LeaseError::QueueFull(_)), "{error}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    waiter.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_the_queue_takes_nothing_along() {
    let world = world(PoolConfig { max: 1, ..config() });
    let held = world.lease("a").await;
    let (gone, stays) = (world.waiter("a"), world.waiter("a"));
    world.quiet().await;
    gone.abort();
    held.give_back(Condition::AtRest);
    let lease = stays.await.unwrap().unwrap();
    assert_eq!(lease.told().spid, 1);
    assert_eq!(world.view().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_granted_to_a_client_that_is_gone_goes_to_the_next() {
    let world = world(PoolConfig { max: 1, ..config() });
    let held = world.lease("a").await;
    let gone = ask("a");
    let mut leaving = Box::pin(world.pool.lease(&gone));
    assert!(futures_util::poll!(&mut leaving).is_pending());
    let stays = world.waiter("a");
    world.quiet().await;
    held.give_back(Condition::AtRest);
    world.quiet().await;
    assert_eq!(world.view().in_use, 1, "granted, and not fetched");
    drop(leaving);
    let lease = stays.await.unwrap().unwrap();
    assert_eq!(lease.told().spid, 1);
    assert_eq!(world.logins(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_during_its_login_frees_its_place() {
    let world = world(PoolConfig { max: 1, ..config() });
    world.manner(|manner| manner.login_takes = Duration::from_secs(3600));
    let gone = world.waiter("a");
    world.quiet().await;
    world.manner(|manner| manner.login_takes = Duration::ZERO);
    let stays = world.waiter("b");
    world.quiet().await;
    assert_eq!((world.view().opening, world.view().waiting), (1, 1));
    gone.abort();
    assert_eq!(stays.await.unwrap().unwrap().told().database, "b");
    assert_eq!(world.view().opened, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_answers_all_who_ask_for_the_same() {
    let world = world(PoolConfig { max: 1, ..config() });
    world.manner(|manner| {
        manner.refuses = true;
        manner.login_takes = Duration::from_secs(1);
    });
    let same: Vec<_> = (0..10).map(|_| world.waiter("a")).collect();
    world.quiet().await;
    let other = world.waiter("b");
    for waiter in same {
        let error = waiter.await.unwrap().map(drop).unwrap_err();
        assert!(matches!(error, LeaseError::Dial { .. }));
    }
    assert_eq!(world.logins(), 2, "one for `a`, and `b` has the place");
    let begun = Instant::now();
    world.refusal("a").await;
    assert_eq!((begun.elapsed(), world.logins()), (Duration::ZERO, 2));
    assert!(other.await.unwrap().is_err());
    // After a second it is tried again.
    world.manner(|manner| manner.refuses = false);
    assert_eq!(world.lease("a").await.origin(), Origin::Cold);
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_nobody_from_an_idle_session() {
    let world = world(config());
    let first = world.visit("a").await;
    let held = world.lease("a").await;
    world.manner(|manner| manner.refuses = true);
    world.refusal("a").await;
    held.give_back(Condition::AtRest);
    world.quiet().await;
    assert_eq!(world.lease("a").await.told().spid, first);
}

#[tokio::test(start_paused = true)]
async fn during_a_pause_clients_wait_and_others_go_on() {
    let world = world(config());
    let held = world.lease("a").await;
    world.visit("a").await;
    world.pool.set_paused(true);
    let waiter = world.waiter("a");
    world.quiet().await;
    held.give_back(Condition::AtRest);
    world.quiet().await;
    let view = world.view();
    assert_eq!((view.waiting, view.idle, view.paused), (1, 2, true));
    world.pool.set_paused(false);
    assert_eq!(waiter.await.unwrap().unwrap().origin(), Origin::Queued);
    world.pool.set_paused(true);
    let begun = Instant::now();
    let error = world.refusal("a").await;
    assert!(matches!(error, LeaseError::Paused { .. }), "{error}");
    assert_eq!(begun.elapsed(), Duration::from_secs(15));
}
