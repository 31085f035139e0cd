//! What happens to sessions that nobody has.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Lets time pass as it does for a process that runs: in steps.
async fn pass(world: &World, time: Duration) {
    tokio::time::sleep(time).await;
    world.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_wants_is_closed() {
    let world = world(config());
    world.visit("a").await;
    pass(&world, 4 * MINUTE).await;
    let spid = world.visit("a").await;
    pass(&world, 4 * MINUTE).await;
    assert_eq!(world.view().idle, 1, "it was wanted meanwhile");
    world.server.served(spid).gone.cancelled().await;
    assert_eq!((world.closed("idle"), world.view().idle), (1, 0));
    assert!(world.view().keys.is_empty(), "its properties are forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_session_has_a_lifetime() {
    let world = world(PoolConfig {
        lifetime: 10 * MINUTE,
        idle_timeout: 60 * MINUTE,
        ..config()
    });
    let opened = Instant::now();
    let spid = world.visit("a").await;
    world.server.served(spid).gone.cancelled().await;
    let lived = opened.elapsed();
    assert!((9 * MINUTE..=10 * MINUTE).contains(&lived), "{lived:?}");
    assert_eq!(world.closed("aged"), 1);
    // One in use goes on, and is closed when it comes back.
    let lease = world.lease("a").await;
    pass(&world, 11 * MINUTE).await;
    lease.give_back(Condition::AtRest);
    assert_eq!(world.closed("aged"), 2);
}

#[tokio::test(start_paused = true)]
async fn no_lifetime_is_beyond_nine_hours() {
    let world = world(PoolConfig {
        lifetime: Duration::MAX,
        idle_timeout: Duration::MAX,
        ..config()
    });
    let opened = Instant::now();
    let spid = world.visit("a").await;
    world.server.served(spid).gone.cancelled().await;
    assert!(opened.elapsed() <= 9 * 60 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_ten_minutes_before_its_token() {
    let world = world(PoolConfig {
        idle_timeout: Duration::MAX,
        ..config()
    });
    world.manner(|manner| manner.token_lasts = Some(60 * MINUTE));
    let opened = Instant::now();
    let spid = world.visit("a").await;
    world.server.served(spid).gone.cancelled().await;
    assert_eq!(opened.elapsed(), 50 * MINUTE);
    assert_eq!(world.closed("token-expiry"), 1);
}

#[tokio::test(start_paused = true)]
async fn spare_sessions_are_opened_for_properties_that_were_asked_for() {
    let world = world(PoolConfig {
        min_idle: 2,
        idle_timeout: MINUTE,
        ..config()
    });
    pass(&world, MINUTE).await;
    assert_eq!(world.logins(), 0, "nobody has asked for anything");
    let lease = world.lease("a").await;
    world.quiet().await;
    assert_eq!((world.view().idle, world.view().in_use), (2, 1));
    let second = world.lease("a").await;
    assert_eq!(second.origin(), Origin::Warm);
    world.quiet().await;
    assert_eq!((world.view().idle, world.view().in_use), (2, 2));
    lease.give_back(Condition::AtRest);
    second.give_back(Condition::AtRest);
    pass(&world, 10 * MINUTE).await;
    assert_eq!(world.view().idle, 2, "the others were too many");
    world.server.served(1).hang_up.cancel();
    world.server.served(2).hang_up.cancel();
    world.server.served(3).hang_up.cancel();
    world.server.served(4).hang_up.cancel();
    world.quiet().await;
    assert_eq!(world.view().idle, 2, "dead ones are replaced");
    pass(&world, 60 * MINUTE).await;
    assert_eq!(world.view().idle, 0, "nobody asked for an hour");
}

#[tokio::test(start_paused = true)]
async fn spare_sessions_take_no_place_that_others_need() {
    let world = world(PoolConfig {
        min_idle: 4,
        ..config()
    });
    let _a = world.lease("a").await;
    world.quiet().await;
    assert_eq!(world.view().idle, 3);
    let _b = world.lease("b").await;
    world.quiet().await;
    let view = world.view();
    assert_eq!((view.in_use, view.idle, view.closed["room"]), (2, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_is_not_besieged_for_spare_sessions() {
    let world = world(PoolConfig {
        min_idle: 2,
        ..config()
    });
    let _lease = world.lease("a").await;
    world.manner(|manner| manner.refuses = true);
    world.quiet().await;
    pass(&world, 10 * MINUTE).await;
    // Two at a time after 5, 10, 20, 40, 60, 60 seconds and so on.
    assert!((15..=35).contains(&world.logins()), "{}", world.logins());
    world.manner(|manner| manner.refuses = false);
    pass(&world, MINUTE).await;
    assert_eq!(world.view().idle, 2);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_cannot_be_kept_are_not_opened_ahead_again_and_again() {
    let world = world(PoolConfig {
        min_idle: 1,
        ..config()
    });
    world.manner(|manner| manner.token_lasts = Some(5 * MINUTE));
    let lease = world.lease("a").await;
    world.quiet().await;
    pass(&world, Duration::from_secs(1)).await;
    assert_eq!(world.logins(), 2);
    for _ in 0..10 {
        drop(world.lease("a").await);
        world.quiet().await;
    }
    assert_eq!(world.logins(), 12, "one for each client");
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn reconnecting_replaces_every_session() {
    let world = world(config());
    let in_use = world.lease("a").await;
    world.visit("a").await;
    world.manner(|manner| manner.login_takes = MINUTE);
    let under_way = world.waiter("b");
    world.quiet().await;
    world.pool.reconnect();
    assert_eq!((world.view().idle, world.closed("reconnect")), (0, 1));
    in_use.give_back(Condition::AtRest);
    let old = under_way.await.unwrap().unwrap();
    old.give_back(Condition::AtRest);
    assert_eq!(world.closed("reconnect"), 3);
    world.manner(|manner| manner.login_takes = Duration::ZERO);
    world.visit("a").await;
    assert_eq!(world.view().idle, 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_comes_for_is_not_kept_beyond_its_time() {
    let ends: [(fn(&Pool), _); 3] = [
        (Pool::reconnect, "reconnect"),
        (Pool::retire, "retired"),
        (Pool::end, "shutdown"),
    ];
    for (end, reason) in ends {
        let world = world(PoolConfig { max: 1, ..config() });
        let held = world.lease("a").await;
        let ask = ask("a");
        let mut waiting = Box::pin(world.pool.lease(&ask));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        held.give_back(Condition::AtRest);
        world.quiet().await;
        assert_eq!((world.view().waiting, world.view().in_use), (0, 1));
        // It has been given out, and its client has not woken up yet.
        end(&world.pool);
        drop(waiting);
        assert_eq!((world.view().idle, world.view().in_use), (0, 0));
        assert_eq!(world.closed(reason), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retired_pool_keeps_nothing() {
    let world = world(config());
    let lease = world.lease("a").await;
    world.visit("a").await;
    world.pool.retire();
    assert_eq!((world.view().idle, world.closed("retired")), (0, 1));
    lease.give_back(Condition::AtRest);
    assert_eq!(world.closed("retired"), 2);
    // Who logged in under the old configuration is served.
    world.visit("a").await;
    assert_eq!(world.server.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_leaves_no_session_and_no_task() {
    let world = world(PoolConfig { max: 3, ..config() });
    let lease = world.lease("a").await;
    let resetting = world.lease("a").await;
    world.visit("a").await;
    let _third = world.lease("a").await;
    let waiter = world.waiter("a");
    world.quiet().await;
    world.manner(|manner| manner.answer = Some(Answer::Silence));
    // Its place is wanted by one like it, so it is reset.
    resetting.give_back(Condition::AtRest);
    world.quiet().await;
    world.pool.end();
    let error = waiter.await.unwrap().map(drop).unwrap_err();
    assert!(matches!(error, LeaseError::Closed { .. }), "{error}");
    assert!(matches!(
        world.refusal("a").await,
        LeaseError::Closed { .. }
    ));
    lease.give_back(Condition::AtRest);
    world.tasks.close();
    world.tasks.wait().await;
    drop(_third);
    world.quiet().await;
    assert_eq!(world.server.alive(), 0);
    let view = world.view();
    assert_eq!(view.opened, view.closed.values().sum::<u64>());
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_dropped_leaves_no_task() {
    let World { pool, tasks, .. } = world(config());
    drop(pool);
    tasks.close();
    tasks.wait().await;
}
