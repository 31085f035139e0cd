//! The user's context: its rights, and that nothing leads out of it.

use entrada::tds::{EnvChange, PacketStatus, PacketType, all_headers};

use super::{Pair, changes, only};
use crate::raw_client::soon;

const RESET: PacketStatus = PacketStatus::RESET_CONNECTION;
const SKIP_TRAN: PacketStatus = PacketStatus::RESET_CONNECTION_SKIP_TRAN;
const WHO: &str = "SELECT USER_NAME()";

#[tokio::test]
async fn a_token_has_the_rights_of_its_database_user() {
    let pair = Pair::with_reader().await;
    let mut app = pair.app().await;
    assert_eq!(
        app.one("SELECT USER_NAME(), DB_NAME(), ORIGINAL_LOGIN()")
            .await,
        "demo-app|shop|sa"
    );
    assert_eq!(app.one("SELECT id FROM t").await, "1");
    assert_eq!(app.errors("INSERT t VALUES (2)").await, [229]);
    assert_eq!(app.errors("CREATE TABLE x (id int)").await, [262]);
    assert_eq!(app.errors("CREATE USER x WITHOUT LOGIN").await, [15247]);
    assert_eq!(app.errors("CREATE DATABASE x").await, [262]);
    assert_eq!(pair.gateway.counters().logins_accepted, 2);
}

#[tokio::test]
async fn reverting_does_not_lead_out() {
    let pair = Pair::with_reader().await;
    let mut app = pair.app().await;
    assert_eq!(app.errors("REVERT").await, [15591]);
    let wrong = "DECLARE @c varbinary(8000) = 0x00; REVERT WITH COOKIE = @c";
    assert_eq!(app.errors(wrong).await, [15589]);
    assert_eq!(app.errors("EXEC('REVERT')").await, Vec::<i32>::new());
    assert_eq!(app.one(WHO).await, "demo-app");
    assert_eq!(app.errors("EXECUTE AS USER = 'dbo'").await, [15517]);
    app.run("EXECUTE AS USER = 'demo-app'").await;
    assert_eq!(
        app.errors("REVERT; REVERT").await,
        [15591],
        "one's own, then the gateway's"
    );
    assert_eq!(app.one(WHO).await, "demo-app");
    assert_eq!(app.errors("USE other").await, [40508]);
    assert_eq!(app.errors("USE shop").await, Vec::<i32>::new());
}

#[tokio::test]
async fn a_reset_ends_in_the_same_context() {
    let pair = Pair::with_reader().await;
    let mut app = pair.app().await;
    app.run("CREATE TABLE #mine (id int)").await;
    for _ in 0..3 {
        let answer = app.with_bits(WHO, RESET).await.unwrap();
        assert_eq!(changes(&answer)[0], &EnvChange::ResetAcknowledged);
        assert_eq!(only(&answer), "demo-app");
        assert_eq!(app.errors("INSERT t VALUES (2)").await, [229]);
        assert_eq!(app.errors("REVERT").await, [15591]);
    }
    assert_eq!(
        app.errors("SELECT * FROM #mine").await,
        [208],
        "it was a reset"
    );
    assert_eq!(pair.gateway.counters().resets, 3);
    assert_eq!(pair.server.counters().resets, 3);
}

#[tokio::test]
async fn transactions_end_with_a_reset_or_go_on_as_the_client_says() {
    let pair = Pair::with_reader().await;
    pair.admin()
        .await
        .run("GRANT INSERT, DELETE ON t TO [demo-app]")
        .await;
    let mut app = pair.app().await;
    let begun = app.ask("BEGIN TRANSACTION; INSERT t VALUES (2)").await;
    let descriptor = changes(&begun)
        .into_iter()
        .find_map(|change| match change {
            EnvChange::BeginTransaction(descriptor) => Some(*descriptor),
            _ => None,
        })
        .expect("a transaction");
    let batch = |sql: &str| {
        let mut payload = all_headers(descriptor);
        payload.extend(sql.encode_utf16().flat_map(u16::to_le_bytes));
        payload
    };
    let count = "SELECT USER_NAME(), @@TRANCOUNT, COUNT(*) FROM t";
    for (bits, expected) in [(SKIP_TRAN, "demo-app|1|2"), (RESET, "demo-app|0|1")] {
        app.0.send(PacketType::SQL_BATCH, bits, &batch(count)).await;
        let message = soon("the answer", app.0.receive()).await.unwrap();
        let answer = crate::engine::answer::read(&message.payload);
        assert!(changes(&answer).contains(&&EnvChange::ResetAcknowledged));
        assert_eq!(answer.rows()[0].join("|"), expected);
    }
}

#[tokio::test]
async fn a_context_that_cannot_be_left_ends_the_session() {
    let pair = Pair::with_reader().await;
    let own = "EXECUTE AS USER = 'demo-app' WITH NO REVERT";
    let nested = "EXECUTE AS USER = 'demo-app'";
    for left_behind in [own, nested] {
        let mut app = pair.app().await;
        app.run(left_behind).await;
        assert!(app.with_bits(WHO, RESET).await.is_none(), "{left_behind}");
    }
    // A user of the same name that was made anew is another one.
    let mut app = pair.app().await;
    let again = "DROP USER [demo-app]; CREATE USER [demo-app] WITHOUT LOGIN";
    pair.admin().await.run(again).await;
    assert!(app.with_bits(WHO, RESET).await.is_none());
}

#[tokio::test]
async fn a_reset_by_procedure_is_refused_and_ends_the_session() {
    let pair = Pair::with_reader().await;
    for name in ["sp_reset_connection", "[sys].[SP_RESET_CONNECTION]"] {
        let mut app = pair.app().await;
        let mut call = all_headers(0);
        let units: Vec<u16> = name.encode_utf16().collect();
        call.extend(u16::try_from(units.len()).unwrap().to_le_bytes());
        call.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        call.extend([0, 0]);
        app.0
            .send(PacketType::RPC, PacketStatus::NORMAL, &call)
            .await;
        let message = soon("the refusal", app.0.receive()).await.unwrap();
        let answer = crate::engine::answer::read(&message.payload);
        assert_eq!(answer.error(), 18059);
        assert!(app.is_gone().await);
    }
    // Called by a batch the server itself drops the session.
    let mut app = pair.app().await;
    assert_eq!(app.errors("EXEC sp_reset_connection").await, [18059]);
    assert!(app.is_gone().await);
    assert_eq!(pair.server.counters().resets, 0);
}

#[tokio::test]
async fn reset_bits_in_later_packets_and_on_attentions_mean_nothing() {
    let pair = Pair::with_reader().await;
    let mut app = pair.app().await;
    let sql = format!("{WHO} --{}", "x".repeat(9000));
    let mut payload = all_headers(0);
    payload.extend(sql.encode_utf16().flat_map(u16::to_le_bytes));
    let mut packets = Vec::new();
    let size = app.0.packet_size;
    entrada::tds::write_message(
        PacketType::SQL_BATCH,
        PacketStatus::NORMAL,
        &payload,
        size,
        &mut packets,
    );
    packets[size + 1] |= RESET.0;
    app.0.send_raw(&packets).await;
    let message = soon("the answer", app.0.receive()).await.unwrap();
    let answer = crate::engine::answer::read(&message.payload);
    assert_eq!(only(&answer), "demo-app");
    app.0.send(PacketType::ATTENTION, RESET, &[]).await;
    soon("the answer", app.0.receive()).await.unwrap();
    assert_eq!(app.one(WHO).await, "demo-app");
    assert_eq!(pair.server.counters().resets, 0);
}

#[tokio::test]
async fn messages_of_a_login_end_the_session() {
    let pair = Pair::with_reader().await;
    for packet_type in [PacketType::LOGIN7, PacketType::PRELOGIN, PacketType(0x53)] {
        let mut app = pair.app().await;
        app.0
            .send(packet_type, PacketStatus::NORMAL, b"nonsense")
            .await;
        assert!(app.is_gone().await, "{packet_type}");
    }
}
