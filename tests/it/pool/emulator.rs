//! The pool over the emulator: a token from its endpoint, its login, its engine.

use entrada::emulator::{Emulator, ManagedIdentity};
use entrada::pool::tiberius::IsolationLevel;
use entrada::token::Environment;

use super::*;

#[tokio::test]
async fn a_managed_identity_gets_pooled_sessions_that_are_reset_between_users() {
    let emulator = Emulator::builder()
        .identity(ManagedIdentity::user_assigned("app"))
        .database("shop")
        .user("shop", "app", &["db_owner"])
        .start()
        .await
        .unwrap();
    let identity = emulator
        .identities()
        .into_iter()
        .find(|identity| identity.name == "app");
    let text = emulator
        .connection_strings("shop", identity.as_ref())
        .ado_net;
    let pool = Pool::builder(Target::parse(&text).unwrap())
        .environment(Environment::from_pairs(emulator.imds_environment()))
        .max_size(1)
        .build()
        .unwrap();

    let mut client = pool.get().await.unwrap();
    run(&mut client, "CREATE TABLE t (id int)").await;
    run(&mut client, "CREATE TABLE #mine (id int)").await;
    let inserted = client.execute("INSERT INTO t VALUES (@P1)", &[&7]).await;
    assert_eq!(inserted.unwrap().total(), 1);
    drop(client);

    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "SELECT id FROM t").await, 7);
    let gone = client.simple_query("SELECT id FROM #mine").await;
    assert_eq!(gone.map(drop).unwrap_err().code(), Some(208));
    client
        .begin_transaction_with_isolation(IsolationLevel::Serializable)
        .await
        .unwrap();
    client.commit_transaction().await.unwrap();
    drop(client);

    // The isolation level is restored by a request of the pool's own.
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "SELECT COUNT(*) FROM t").await, 1);
    client.begin_transaction().await.unwrap();
    run(&mut client, "DELETE FROM t").await;
    drop(client);

    // Left in a transaction, it was closed, and the deletion rolled back.
    let mut client = pool.get().await.unwrap();
    assert_eq!(ask(&mut client, "SELECT COUNT(*) FROM t").await, 1);
    drop(client);
    let status = pool.status();
    assert_eq!((status.opened, status.retired), (2, 1));
    let counted = emulator.counters();
    assert_eq!((counted.tokens_issued, counted.resets), (1, 2));
    pool.close().await;
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_pooled_client_loads_rows_in_bulk() {
    use entrada::pool::tiberius::IntoRow;

    let emulator = Emulator::builder()
        .identity(ManagedIdentity::user_assigned("app"))
        .database("shop")
        .user("shop", "app", &["db_datareader", "db_datawriter"])
        .script("shop", "CREATE TABLE t (id int IDENTITY PRIMARY KEY, n int NULL, v nvarchar(40) NOT NULL, x text NULL)")
        .start()
        .await
        .unwrap();
    let text = emulator
        .connection_strings("shop", emulator.identities().first())
        .ado_net;
    let pool = Pool::builder(Target::parse(&text).unwrap())
        .environment(Environment::from_pairs(emulator.imds_environment()))
        .build()
        .unwrap();
    let mut client = pool.get().await.unwrap();
    let mut load = client.bulk_insert("t").await.unwrap();
    for n in 0..3000 {
        let number = (n % 2 == 0).then_some(n);
        let row = (number, format!("row {n} \u{1f642}"), Some("text"));
        load.send(row.into_row()).await.unwrap();
    }
    assert_eq!(load.finalize().await.unwrap().total(), 3000);
    let sum =
        "SELECT CAST(COUNT(n) + MAX(id) AS int) FROM t WHERE v LIKE N'row %' AND x LIKE 'text'";
    assert_eq!(ask(&mut client, sum).await, 1500 + 3000);
    drop(client);
    pool.close().await;
    emulator.shutdown().await;
}
