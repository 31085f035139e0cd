//! The pool over a server that others wrote.

use entrada::pool::ResetPolicy;

use super::*;
use crate::support::judges::{PySqlBridge, pysqlbridge};

fn bridge_pool(bridge: &PySqlBridge, policy: ResetPolicy) -> Pool {
    let address = Server::with_port("localhost", bridge.judge.port);
    let auth = Auth::SqlPassword {
        user: bridge.user.to_owned(),
        password: Secret::new(bridge.password),
    };
    let mut target = Target::new(address, auth);
    target.tls.server_certificate = Some(bridge.certificate.clone());
    Pool::builder(target)
        .max_size(1)
        .reset(policy)
        .build()
        .unwrap()
}

/// Runs a batch and returns its first value as text.
async fn first(client: &mut Client, text: &str) -> Option<String> {
    let row = client
        .simple_query(text)
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap();
    row.map(|row| match row.try_get::<&str, _>(0) {
        Ok(text) => text.unwrap().to_owned(),
        Err(_) => row.get::<i32, _>(0).unwrap().to_string(),
    })
}

#[tokio::test]
async fn pysqlbridge_serves_pooled_clients_that_know_it_has_no_resets() {
    let Some(bridge) = pysqlbridge().await else {
        return;
    };
    let pool = bridge_pool(&bridge, ResetPolicy::Off);

    let mut client = pool.get().await.unwrap();
    let ada = first(&mut client, "SELECT name FROM people WHERE id = 1").await;
    assert_eq!(ada.as_deref(), Some("Ada"));
    run(&mut client, "SELECT * INTO #t FROM people").await;
    drop(client);

    let mut client = pool.get().await.unwrap();
    let count = first(&mut client, "SELECT COUNT(*) FROM #t").await;
    assert_eq!(
        count.as_deref(),
        Some("2"),
        "the temporary table is still there"
    );
    run(&mut client, "BEGIN TRAN").await;
    run(&mut client, "INSERT INTO #t VALUES (3, 'Barbara', 1)").await;
    run(&mut client, "COMMIT").await;
    run(&mut client, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").await;
    drop(client);

    let mut client = pool.get().await.unwrap();
    let rows = client
        .query("SELECT name FROM #t WHERE id = @P1", &[&3])
        .await
        .unwrap()
        .into_first_result()
        .await
        .unwrap();
    assert_eq!(rows[0].get::<&str, _>(0), Some("Barbara"));
    client.begin_transaction().await.unwrap();
    client.rollback_transaction().await.unwrap();
    drop(client);
    assert_eq!(pool.status().opened, 1, "all on one session");
}

#[tokio::test]
async fn pysqlbridge_in_a_transaction_is_not_handed_on() {
    let Some(bridge) = pysqlbridge().await else {
        return;
    };
    let pool = bridge_pool(&bridge, ResetPolicy::Off);
    let mut client = pool.get().await.unwrap();
    client.begin_transaction().await.unwrap();
    drop(client);
    let mut client = pool.get().await.unwrap();
    client.begin_transaction().await.unwrap();
    client.rollback_transaction().await.unwrap();
    assert_eq!(pool.status().retired, 1);
}

#[tokio::test]
async fn pysqlbridge_that_ignores_resets_is_found_out() {
    let Some(bridge) = pysqlbridge().await else {
        return;
    };
    let pool = bridge_pool(&bridge, ResetPolicy::Acknowledged);
    run(
        &mut pool.get().await.unwrap(),
        "SELECT * INTO #t FROM people",
    )
    .await;
    let mut client = pool.get().await.unwrap();
    let error = client.simple_query("SELECT 1").await.map(drop).unwrap_err();
    assert!(
        error.to_string().contains("acknowledge the reset"),
        "{error}"
    );
    drop(client);
    assert_eq!(pool.status().open, 0);
}
