//! Sessions that are handed out again: by whom, after what, at what price.

use entrada::pool::ResetPolicy;
use entrada::pool::tiberius::IsolationLevel;
use entrada::tds::PacketType;

use super::*;

#[tokio::test]
async fn a_session_is_reset_on_its_next_users_first_request_and_nothing_else_is_sent() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    for _ in 0..3 {
        let mut client = pool.get().await.unwrap();
        assert_eq!(ask(&mut client, "WHO").await, 1);
        assert_eq!(ask(&mut client, "MARK").await, 0, "the last user's is gone");
        run(&mut client, "MARK 1").await;
    }
    let user = |reset| {
        [
            format!("{reset}WHO"),
            "MARK".to_owned(),
            "MARK 1".to_owned(),
        ]
    };
    assert_eq!(
        server.log.take_texts(),
        [user(""), user("*"), user("*")].concat(),
        "the first use of a new session needs no reset"
    );
    assert_eq!(server.log.connections(), 1);
}

#[tokio::test]
async fn the_reset_rides_on_whatever_request_comes_first() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    run(&mut pool.get().await.unwrap(), "SELECT 1").await;

    let mut client = pool.get().await.unwrap();
    client
        .query("SELECT @P1", &[&1])
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    drop(client);
    let mut client = pool.get().await.unwrap();
    client.begin_transaction().await.unwrap();
    client.commit_transaction().await.unwrap();
    drop(client);

    let seen: Vec<_> = server
        .log
        .take_requests()
        .into_iter()
        .map(|request| (request.packet_type, request.reset))
        .collect();
    assert_eq!(
        seen,
        [
            (PacketType::SQL_BATCH, false),
            (PacketType::RPC, true),
            (PacketType::TRANSACTION_MANAGER, true),
            (PacketType::TRANSACTION_MANAGER, false),
        ]
    );
    assert_eq!(server.log.connections(), 1);
}

#[tokio::test]
async fn a_checkout_that_asks_nothing_leaves_the_reset_to_the_next() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    run(&mut pool.get().await.unwrap(), "SELECT 1").await;
    drop(pool.get().await.unwrap());
    run(&mut pool.get().await.unwrap(), "SELECT 2").await;
    assert_eq!(server.log.take_texts(), ["SELECT 1", "*SELECT 2"]);
}

#[tokio::test]
async fn the_isolation_level_is_restored_by_one_round_trip_where_it_was_touched() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    run(
        &mut pool.get().await.unwrap(),
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    )
    .await;
    server.log.take_requests();

    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "LEVEL").await, 0);
    drop(client);
    assert_eq!(
        server.log.take_texts(),
        ["*SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "LEVEL"],
        "the reset rode on the restoration"
    );
    run(&mut pool.get().await.unwrap(), "LEVEL").await;
    assert_eq!(server.log.take_texts(), ["*LEVEL"], "once is enough");
}

#[tokio::test]
async fn a_transactions_own_isolation_level_is_restored_too() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    let mut client = pool.get().await.unwrap();
    client
        .begin_transaction_with_isolation(IsolationLevel::Serializable)
        .await
        .unwrap();
    drop(client);
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "LEVEL").await, 0);
    assert_eq!(server.log.connections(), 1);
}

#[tokio::test]
async fn a_reset_that_is_not_acknowledged_fails_the_request_and_closes_the_session() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    run(&mut pool.get().await.unwrap(), "MARK 1").await;
    server
        .log
        .mute_resets
        .store(true, std::sync::atomic::Ordering::SeqCst);

    let mut client = pool.get().await.unwrap();
    let error = client.simple_query("MARK").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("did not acknowledge the reset"), "{text}");
    drop(client);
    server.log.until_ended(1).await;
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "WHO").await, 2, "a new session");
}

#[tokio::test]
async fn a_server_that_resets_in_silence_can_be_pooled_on_request() {
    let server = SqlServer::start().await;
    server
        .log
        .mute_resets
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let pool = builder(&server)
        .max_size(1)
        .reset(ResetPolicy::Unacknowledged)
        .build()
        .unwrap();
    run(&mut pool.get().await.unwrap(), "MARK 1").await;
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "MARK").await, 0);
    assert_eq!(server.log.take_texts(), ["MARK 1", "*MARK"]);
    assert_eq!(server.log.connections(), 1);
}

#[tokio::test]
async fn without_resets_nothing_is_undone_but_the_isolation_level() {
    let server = SqlServer::start().await;
    let pool = builder(&server)
        .max_size(1)
        .reset(ResetPolicy::Off)
        .build()
        .unwrap();
    let mut client = pool.get().await.unwrap();
    run(&mut client, "MARK 1").await;
    run(&mut client, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT").await;
    drop(client);
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "MARK").await, 1);
    assert_eq!(ask(&mut client, "LEVEL").await, 0);
    assert!(
        server
            .log
            .take_requests()
            .iter()
            .all(|request| !request.reset)
    );
}

#[tokio::test]
async fn requests_are_cut_at_the_servers_packet_size() {
    for granted in [512, 4096, 8000, 32_767] {
        let server = SqlServer::start().await;
        server
            .log
            .packet_size
            .store(granted, std::sync::atomic::Ordering::SeqCst);
        let pool = pool(&server);
        let long = format!("SELECT '{}'", "x".repeat(40_000));
        for _ in 0..2 {
            let mut client = pool.get().await.unwrap();
            assert_eq!(client.info().packet_size, granted);
            // Our own stream fails a packet of another size, and the server
            // joins the packets again: the text must come whole.
            run(&mut client, &long).await;
        }
        assert_eq!(server.log.take_texts(), [long.clone(), format!("*{long}")]);
        assert_eq!(server.log.connections(), 1);
    }
}

#[tokio::test]
async fn long_responses_come_whole_and_leave_the_session_usable() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    for count in [0_usize, 1, 1600, 1631, 100_000] {
        let mut client = pool.get().await.unwrap();
        let rows = client
            .simple_query(format!("ROWS {count}"))
            .await
            .unwrap()
            .into_first_result()
            .await
            .unwrap();
        assert_eq!(rows.len(), count);
    }
    assert_eq!(server.log.connections(), 1);
}

#[tokio::test]
async fn without_pooling_each_get_logs_in() {
    let server = SqlServer::start().await;
    let pool = builder(&server).max_size(1).pooling(false).build().unwrap();
    let mut first = pool.get().await.unwrap();
    let mut second = pool.get().await.unwrap();
    assert_eq!(ask(&mut first, "WHO").await, 1);
    assert_eq!(ask(&mut second, "WHO").await, 2);
    assert_eq!(pool.status().in_use, 2);
    drop((first, second));
    server.log.until_ended(2).await;
    assert_eq!(pool.status().open, 0);
}

#[tokio::test]
async fn idle_sessions_are_kept_ready_and_counted() {
    let server = SqlServer::start().await;
    let pool = builder(&server).max_size(5).min_idle(2).build().unwrap();
    server.log.until(|| server.log.connections() == 2).await;
    while pool.status().idle < 2 {
        tokio::task::yield_now().await;
    }
    let client = pool.get().await.unwrap();
    let status = pool.status();
    assert_eq!((status.in_use, status.max_size), (1, 5));
    drop(client);
}

#[tokio::test]
async fn a_discarded_session_is_closed() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    pool.get().await.unwrap().discard();
    server.log.until_ended(1).await;
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "WHO").await, 2);
}

#[tokio::test]
async fn a_session_can_be_held_by_another_task() {
    let server = SqlServer::start().await;
    let pool = pool(&server);
    let mut client = pool.get().await.unwrap();
    let number = tokio::spawn(async move { ask(&mut client, "WHO").await });
    assert_eq!(number.await.unwrap(), 1);
    assert_eq!(pool.status().in_use, 0);
}
