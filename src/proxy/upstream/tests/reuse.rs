//! Who gets which session.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_next_client_gets_the_session_without_a_round_trip() {
    let world = world(config());
    let first = world.visit("a").await;
    let served = world.server.served(first);
    assert_eq!(served.requests.lock().unwrap().len(), 1, "the reset");
    // From here on the server would answer nothing.
    world.manner(|manner| {
        manner.answer = Some(Answer::Silence);
        manner.refuses = true;
    });
    let lease = world.lease("a").await;
    assert_eq!(lease.told().spid, first);
    assert_eq!(lease.origin(), Origin::Warm);
    assert_eq!(served.requests.lock().unwrap().len(), 1);
    let view = world.view();
    assert_eq!((view.opened, view.reused, view.in_use), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_session_never_serves_other_login_properties() {
    let world = world(config());
    let first = world.visit("a").await;
    let other = world.lease("b").await;
    assert_ne!(other.told().spid, first);
    assert_eq!(other.origin(), Origin::Cold);
    assert_eq!(world.lease("a").await.told().spid, first);
}

#[tokio::test(start_paused = true)]
async fn a_session_in_use_is_not_shared() {
    let world = world(config());
    let one = world.lease("a").await;
    let two = world.lease("a").await;
    assert_ne!(one.told().spid, two.told().spid);
}

#[tokio::test(start_paused = true)]
async fn the_session_used_last_is_used_first() {
    let world = world(config());
    let (one, two) = (world.lease("a").await, world.lease("a").await);
    let last = one.told().spid;
    two.give_back(Condition::AtRest);
    world.quiet().await;
    one.give_back(Condition::AtRest);
    world.quiet().await;
    assert_eq!(world.lease("a").await.told().spid, last);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_given_back_is_closed() {
    let world = world(config());
    let lease = world.lease("a").await;
    let served = world.server.served(lease.told().spid);
    drop(lease);
    served.gone.cancelled().await;
    assert_eq!(world.closed("in-doubt"), 1);
    assert_eq!(world.visit("a").await, 2);
}

#[tokio::test(start_paused = true)]
async fn what_no_reset_ends_ends_the_session() {
    let world = world(config());
    let lease = world.lease("a").await;
    let served = world.server.served(lease.told().spid);
    lease.give_back(Condition::Lasting);
    served.gone.cancelled().await;
    assert_eq!(world.closed("lasting"), 1);
    assert!(served.requests.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_of_ones_own_is_closed() {
    let world = world(config());
    let mut own = ask("a");
    own.own = Some(Arc::new(own.key.profile().clone()));
    let lease = world.pool.lease(&own).await.unwrap();
    lease.give_back(Condition::AtRest);
    world.quiet().await;
    assert_eq!((world.closed("not-kept"), world.server.alive()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_server_closed_is_noticed_while_it_is_idle() {
    let world = world(config());
    let served = world.server.served(world.visit("a").await);
    served.hang_up.cancel();
    world.quiet().await;
    let view = world.view();
    assert_eq!(
        (view.idle, view.closed["dead"]),
        (0, 1),
        "nobody had to ask"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_session_costs_its_client_nothing_but_a_dial() {
    let world = world(config());
    let (one, two) = (world.lease("a").await, world.lease("a").await);
    let spids = [one.told().spid, two.told().spid];
    one.give_back(Condition::AtRest);
    two.give_back(Condition::AtRest);
    world.quiet().await;
    // At the very last moment: only the look before the hand-out can tell.
    for spid in spids {
        world.server.served(spid).hang_up.cancel();
    }
    let lease = world.lease("a").await;
    assert!(!spids.contains(&lease.told().spid));
    let view = world.view();
    assert_eq!((view.closed["dead"], view.in_use, view.idle), (2, 1, 0));
    assert_eq!((view.opened, view.reused), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_unasked_is_left() {
    let world = world(PoolConfig { max: 1, ..config() });
    let lease = world.lease("a").await;
    let first = lease.told().spid;
    // More than the answer to the reset.
    let Answer::Bytes(mut twice) = tokens(&reset_answer()) else {
        unreachable!()
    };
    twice.extend_from_slice(&twice.clone());
    world.manner(|manner| manner.answer = Some(Answer::Bytes(twice)));
    lease.give_back(Condition::AtRest);
    world.quiet().await;
    assert_eq!(world.view().idle, 0);
    assert_ne!(world.lease("a").await.told().spid, first);
}

#[tokio::test(start_paused = true)]
async fn what_is_the_same_for_two_sessions_is_held_once() {
    let world = world(config());
    let (first, second) = (world.lease("a").await, world.lease("a").await);
    assert!(first.shares_with(&second));
    assert_ne!(first.told().spid, second.told().spid, "which is not");
    let other = world.lease("b").await;
    assert!(!first.shares_with(&other));
    assert_eq!(other.told().database, "b");
}
