//! Sessions that must not be handed out again.

use std::sync::atomic::Ordering;

use entrada::pool::PooledClient;
use entrada::pool::tiberius::time::Time;
use entrada::pool::tiberius::{ColumnData, ToSql};
use futures_util::TryStreamExt;

use super::*;

/// Runs `leave` on the pool's only session, gives it back, and tells whether
/// the next user got another one.
async fn is_closed_after<F>(leave: F) -> bool
where
    F: AsyncFnOnce(&mut PooledClient, &SqlServer),
{
    let server = SqlServer::start().await;
    let pool = pool(&server);
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "WHO").await, 1);
    leave(&mut client, &server).await;
    drop(client);
    let mut next = pool.get().await.unwrap();
    let mark = tokio::time::timeout(PATIENCE, ask(&mut next, "MARK")).await;
    assert_eq!(mark.expect("the session hangs"), 0);
    let number = ask(&mut next, "WHO").await;
    let status = pool.status();
    assert_eq!((status.open, status.in_use), (1, 1));
    if number == 2 {
        server.log.until_ended(1).await;
    }
    number == 2
}

/// Lets a future run until the server has seen something, then drops it.
async fn cancelled(future: impl Future, server: &SqlServer) {
    let seen = server.log.bell.notified();
    tokio::select! {
        _ = future => panic!("it was to be cancelled"),
        () = seen => {}
    }
}

#[tokio::test]
async fn after_an_ordinary_use_it_is_kept() {
    assert!(!is_closed_after(async |client, _| run(client, "MARK 1").await).await);
}

#[tokio::test]
async fn after_an_error_of_the_servers_it_is_kept() {
    let fail = async |client: &mut PooledClient, _: &SqlServer| {
        let error = client.simple_query("FAIL").await.map(drop).unwrap_err();
        assert_eq!(error.code(), Some(208));
        let error = client.execute("FAIL", &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(208));
    };
    assert!(!is_closed_after(fail).await);
}

#[tokio::test]
async fn a_request_cancelled_while_it_runs_closes_it() {
    let cancel = async |client: &mut PooledClient, server: &SqlServer| {
        cancelled(client.simple_query("STALL"), server).await;
    };
    assert!(is_closed_after(cancel).await);
}

#[tokio::test]
async fn a_command_timeout_closes_it() {
    for stall in ["STALL", "HALF"] {
        let server = SqlServer::start().await;
        let mut target = target(&server);
        target.limits.command_timeout = Some(Duration::from_millis(50));
        let pool = Pool::builder(target).max_size(1).build().unwrap();
        let mut client = pool.get().await.unwrap();
        let stalled = async { client.simple_query(stall).await?.into_results().await };
        let outcome = tokio::time::timeout(PATIENCE, stalled).await;
        outcome.expect("no command timeout").unwrap_err();
        drop(client);
        server.log.until_ended(1).await;
        assert_eq!(ask(&mut pool.get().await.unwrap(), "WHO").await, 2);
    }
}

#[tokio::test]
async fn half_a_response_closes_it() {
    let cancel = async |client: &mut PooledClient, server: &SqlServer| {
        let read = async {
            let stream = client.simple_query("HALF").await.unwrap();
            let _ = stream.into_results().await;
        };
        cancelled(read, server).await;
    };
    assert!(is_closed_after(cancel).await);
}

#[tokio::test]
async fn a_response_that_came_whole_and_was_not_read_closes_it() {
    for count in [3, 5000] {
        let peek = async |client: &mut PooledClient, _: &SqlServer| {
            let mut stream = client.simple_query(format!("ROWS {count}")).await.unwrap();
            // The first item is the metadata, the second the first row.
            for _ in 0..2 {
                assert!(stream.try_next().await.unwrap().is_some());
            }
        };
        assert!(is_closed_after(peek).await, "{count} rows");
    }
}

#[tokio::test]
async fn a_response_read_later_by_the_next_request_is_no_harm() {
    let peek = async |client: &mut PooledClient, _: &SqlServer| {
        drop(client.simple_query("ROWS 5000").await.unwrap());
        run(client, "MARK 1").await;
    };
    assert!(!is_closed_after(peek).await);
}

#[tokio::test]
async fn an_open_transaction_closes_it() {
    let begin = async |client: &mut PooledClient, _: &SqlServer| {
        client.begin_transaction().await.unwrap();
    };
    assert!(is_closed_after(begin).await);
    let begin = async |client: &mut PooledClient, _: &SqlServer| {
        run(client, "BEGIN TRAN").await;
        run(client, "SELECT 1").await;
    };
    assert!(is_closed_after(begin).await);
    let finish = async |client: &mut PooledClient, _: &SqlServer| {
        run(client, "BEGIN TRAN").await;
        client.commit_transaction().await.unwrap();
    };
    assert!(!is_closed_after(finish).await);
}

#[tokio::test]
async fn a_transaction_whose_end_the_driver_missed_closes_it() {
    let miss = async |client: &mut PooledClient, _: &SqlServer| {
        run(client, "BEGIN TRAN").await;
        // The driver drops the answer unread, with the end of the transaction
        // in it, and will name that transaction in its next request.
        drop(client.simple_query("COMMIT AFTER ROWS").await);
        let _ = client
            .simple_query("SELECT 1")
            .await
            .unwrap()
            .into_results()
            .await;
    };
    assert!(is_closed_after(miss).await);
}

#[tokio::test]
async fn a_cancelled_query_that_was_acknowledged_is_no_harm() {
    let cancel = async |client: &mut PooledClient, server: &SqlServer| {
        cancelled(client.simple_query("STALL"), server).await;
        client.cancel_query().await.unwrap();
        run(client, "SELECT 1").await;
    };
    assert!(!is_closed_after(cancel).await);
}

#[tokio::test]
async fn announced_bulk_rows_that_never_come_close_it() {
    let announce = async |client: &mut PooledClient, _: &SqlServer| {
        run(client, "INSERT BULK t ([id] int)").await;
    };
    assert!(is_closed_after(announce).await);
}

#[tokio::test]
async fn an_application_role_closes_it() {
    let role = async |client: &mut PooledClient, _: &SqlServer| {
        run(client, "EXEC sp_setapprole 'r', 'p'").await;
    };
    assert!(is_closed_after(role).await);
}

#[tokio::test]
async fn what_died_or_spoke_while_idle_is_replaced_without_a_word() {
    for text in ["BYE", "SPEAK"] {
        let server = SqlServer::start().await;
        let pool = pool(&server);
        run(&mut pool.get().await.unwrap(), text).await;
        if text == "BYE" {
            server.log.until_ended(1).await;
        }
        // The runtime must have heard of what the server did.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let mut client = pool.get().await.unwrap();
        assert_eq!(ask(&mut client, "WHO").await, 2, "{text}");
        assert_eq!(pool.status().retired, 1);
    }
}

#[tokio::test]
async fn a_session_idle_for_long_must_give_a_sign_of_life() {
    let server = SqlServer::start().await;
    let pool = builder(&server)
        .max_size(1)
        .check_after_idle(Duration::ZERO)
        .build()
        .unwrap();
    run(&mut pool.get().await.unwrap(), "MARK 1").await;
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "MARK").await, 0);
    assert_eq!(
        server.log.take_texts(),
        ["MARK 1", "*SELECT 1", "MARK"],
        "the reset rode on the check"
    );
    drop(client);

    // A server that does not acknowledge the reset fails the check.
    server.log.mute_resets.store(true, Ordering::SeqCst);
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "WHO").await, 2);
}

/// A value that the driver takes and then cannot encode.
struct Unspeakable;

impl ToSql for Unspeakable {
    fn to_sql(&self) -> ColumnData<'_> {
        const NO_SUCH_SCALE: u8 = 9;
        ColumnData::Time(Some(Time::new(0, NO_SUCH_SCALE)))
    }
}

#[tokio::test]
async fn a_request_that_the_driver_cannot_encode_is_no_harm() {
    // The driver believes that it sent something, and would wait for ever for
    // the answer before its next request.
    let fail = async |client: &mut PooledClient, _: &SqlServer| {
        let unsent = client.query("SELECT @P1", &[&Unspeakable]).await;
        unsent.map(drop).unwrap_err();
    };
    assert!(!is_closed_after(fail).await);
}
