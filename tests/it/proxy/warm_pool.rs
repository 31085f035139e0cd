//! Sessions that serve one client after the other.
//!
//! Most pools here have room for one session, so that a client waits until the
//! session of the one before is ready for it, or has been closed.

use std::time::Duration;

use entrada::emulator::{Emulator, GatewayFault, GatewayStep, ManagedIdentity};
use entrada::proxy::Proxy;
use entrada::proxy::config::{Config, PoolConfig, RuleConfig};
use entrada::tds::{
    Encryption, Feature, FeatureId, Login7, PacketStatus, PacketType, option_flags2,
};

use super::{address, azure, config, sources};
use crate::raw_client::{LoginAnswer, RawClient, soon};

/// A proxy whose pool is as the test wants it.
async fn proxy(emulator: &Emulator, pool: impl FnOnce(&mut PoolConfig)) -> Proxy {
    let mut config = config(emulator);
    pool(&mut config.targets[0].pool);
    start(config, emulator).await
}

pub(super) async fn start(config: Config, emulator: &Emulator) -> Proxy {
    Proxy::start(config, sources(emulator)).await.unwrap()
}

/// A proxy with room for one session.
async fn narrow(emulator: &Emulator) -> Proxy {
    proxy(emulator, |pool| pool.max = 1).await
}

pub(super) fn login(application: &str) -> Login7 {
    Login7 {
        app_name: application.to_owned(),
        host_name: "desk".to_owned(),
        ..Login7::default()
    }
}

async fn try_login(proxy: &Proxy, login: &Login7) -> (RawClient, LoginAnswer) {
    let mut client = RawClient::tcp(address(proxy)).await;
    client.prelogin(Encryption::NOT_SUP, None).await;
    let answer = client.login(login).await;
    (client, answer)
}

/// A client that is in.
pub(super) async fn client(proxy: &Proxy, login: &Login7) -> RawClient {
    let (client, answer) = try_login(proxy, login).await;
    assert!(answer.ack.is_some(), "refused: {:?}", answer.errors);
    client
}

/// Runs a batch whose answer must name this, in UTF-16.
pub(super) async fn says(client: &mut RawClient, sql: &str, expected: &str) {
    let answer = client.batch(sql).await;
    let units: Vec<u8> = expected.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(
        answer.windows(units.len()).any(|window| window == units),
        "`{sql}` does not say `{expected}`: {}",
        String::from_utf8_lossy(&answer).replace('\0', "")
    );
}

pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    soon(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_next_client_costs_the_server_no_login_and_no_request() {
    let emulator = azure().await;
    let proxy = narrow(&emulator).await;
    let mut first = client(&proxy, &login("till")).await;
    says(&mut first, "SELECT APP_NAME()", "till").await;
    drop(first);
    until("the reset", || emulator.counters().resets == 1).await;
    // Whatever was asked of the server now would have no answer.
    for step in [GatewayStep::Accept, GatewayStep::Request] {
        emulator.faults().gateway(step, GatewayFault::Stall, None);
    }
    let before = emulator.counters();
    let (_second, answer) = soon("the login", try_login(&proxy, &login("till"))).await;
    assert_eq!(answer.database(), Some("shop"));
    let after = emulator.counters();
    assert_eq!(after.connections, before.connections);
    assert_eq!(after.requests, before.requests);
    assert_eq!(after.logins_accepted, 1);
}

#[tokio::test]
async fn nothing_of_the_last_client_is_left() {
    let emulator = azure().await;
    emulator
        .run_sql("shop", "CREATE TABLE kept (id int)")
        .await
        .unwrap();
    let proxy = narrow(&emulator).await;
    let mut first = client(&proxy, &login("till")).await;
    // In one batch, since a later one would have to name the transaction.
    says(
        &mut first,
        "SET DATEFIRST 3; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; \
         SELECT 1 AS x INTO #mine; BEGIN TRAN; INSERT kept VALUES (1); \
         SELECT CONCAT(N'state ', @@DATEFIRST, N' ', @@TRANCOUNT, N' ', DB_NAME())",
        "state 3 1 shop",
    )
    .await;
    drop(first);
    let mut second = soon("the login", client(&proxy, &login("till"))).await;
    says(
        &mut second,
        "SELECT CONCAT(N'state ', @@DATEFIRST, N' ', @@TRANCOUNT, N' ', DB_NAME())",
        "state 7 0 shop",
    )
    .await;
    says(
        &mut second,
        "SELECT CONCAT(N'level ', transaction_isolation_level) FROM sys.dm_exec_sessions \
         WHERE session_id = @@SPID",
        "level 2",
    )
    .await;
    says(
        &mut second,
        "SELECT CONCAT(N'rows ', COUNT(*)) FROM kept",
        "rows 0",
    )
    .await;
    says(&mut second, "SELECT x FROM #mine", "#mine").await;
    let tables = "SELECT CONCAT(N'tables ', COUNT(*)) FROM sys.tables WHERE name = 'kept'";
    says(&mut second, tables, "tables 1").await;
    let counters = emulator.counters();
    assert_eq!(counters.logins_accepted, 1, "it is the same session");
    assert_eq!(counters.resets, 1);
}

#[tokio::test]
async fn clients_that_said_something_else_at_their_login_never_share() {
    let emulator = azure().await;
    let proxy = narrow(&emulator).await;
    let plain = login("till");
    let others = [
        Login7 {
            app_name: "office".to_owned(),
            ..plain.clone()
        },
        Login7 {
            host_name: "other".to_owned(),
            ..plain.clone()
        },
        Login7 {
            packet_size: 8000,
            ..plain.clone()
        },
        Login7 {
            option_flags2: plain.option_flags2 ^ option_flags2::ODBC,
            ..plain.clone()
        },
        Login7 {
            features: vec![Feature::new(FeatureId::UTF8_SUPPORT, [1])],
            ..plain.clone()
        },
    ];
    let mut logins = 0;
    for other in &others {
        for (login, name) in [(&plain, "till"), (other, other.app_name.as_str())] {
            let mut client = soon("the login", client(&proxy, login)).await;
            says(&mut client, "SELECT APP_NAME()", name).await;
            logins += 1;
            assert_eq!(emulator.counters().logins_accepted, logins);
            let open = emulator.sessions();
            let [session] = &open[..] else {
                panic!("one session is to be open, not {open:?}");
            };
            assert_eq!(session.application, login.app_name);
            assert_eq!(session.host, login.host_name);
        }
    }
}

#[tokio::test]
async fn databases_and_identities_never_share() {
    let emulator = Emulator::builder()
        .identity(ManagedIdentity::user_assigned("app"))
        .identity(ManagedIdentity::user_assigned("clerk"))
        .database("shop")
        .database("stock")
        .user("shop", "app", &["db_owner"])
        .user("stock", "app", &["db_owner"])
        .user("shop", "clerk", &["db_owner"])
        .start()
        .await
        .unwrap();
    let clerk = emulator
        .identities()
        .into_iter()
        .find(|identity| identity.name == "clerk")
        .unwrap();
    let mut config = config(&emulator);
    let mut rule = RuleConfig::default();
    rule.login = Some("clerk".to_owned());
    rule.target = "default".to_owned();
    rule.identity = Some(clerk.client_id.to_string());
    config.listeners[0].rules = vec![rule];
    let proxy = start(config, &emulator).await;
    let of = |user: &str, database: &str| Login7 {
        user_name: user.to_owned(),
        database: database.to_owned(),
        ..login("till")
    };
    let all = [
        (of("anyone", "shop"), "app in shop"),
        (of("clerk", "shop"), "clerk in shop"),
        (of("anyone", "stock"), "app in stock"),
    ];
    for round in 1..=3 {
        for (login, expected) in &all {
            let mut client = soon("the login", client(&proxy, login)).await;
            says(
                &mut client,
                "SELECT CONCAT(USER_NAME(), N' in ', DB_NAME())",
                expected,
            )
            .await;
        }
        until("the resets", || emulator.counters().resets == 3 * round).await;
    }
    // Whoever came back before its session was ready has been given another.
    let logins = emulator.counters().logins_accepted;
    assert!((3..=9).contains(&logins), "{logins}");
    // As many of each at a time, with all that is idle to choose from.
    let crowd = (0..4).flat_map(|_| all[..2].iter());
    futures_util::future::join_all(crowd.map(|(login, expected)| async {
        let mut client = soon("the login", client(&proxy, login)).await;
        for _ in 0..3 {
            says(
                &mut client,
                "SELECT CONCAT(USER_NAME(), N' in ', DB_NAME())",
                expected,
            )
            .await;
        }
    }))
    .await;
}

#[tokio::test]
async fn a_session_that_its_client_left_in_doubt_is_closed() {
    let emulator = azure().await;
    let proxy = narrow(&emulator).await;
    let mut first = client(&proxy, &login("till")).await;
    let mut packets = Vec::new();
    entrada::tds::write_message(
        PacketType::SQL_BATCH,
        PacketStatus::NORMAL,
        &[0; 6000],
        4096,
        &mut packets,
    );
    first.send_raw(&packets[..4096]).await;
    drop(first);
    let mut second = soon("the login", client(&proxy, &login("till"))).await;
    says(&mut second, "SELECT DB_NAME()", "shop").await;
}

#[tokio::test]
async fn a_session_that_cannot_be_reset_is_closed() {
    for fault in [
        GatewayFault::Close,
        GatewayFault::Garbage,
        GatewayFault::Reset,
        GatewayFault::CloseAfter(10),
        GatewayFault::Stall,
    ] {
        let emulator = azure().await;
        let proxy = narrow(&emulator).await;
        let first = client(&proxy, &login("till")).await;
        emulator
            .faults()
            .gateway(GatewayStep::Request, fault.clone(), Some(1));
        drop(first);
        let mut second = soon("the login", client(&proxy, &login("till"))).await;
        says(&mut second, "SELECT DB_NAME()", "shop").await;
        assert_eq!(emulator.counters().logins_accepted, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_session_that_the_server_has_closed_is_handed_to_nobody() {
    let emulator = azure().await;
    let proxy = narrow(&emulator).await;
    drop(client(&proxy, &login("till")).await);
    until("the reset", || emulator.counters().resets == 1).await;
    let spid = emulator.sessions()[0].spid;
    assert!(emulator.kill(spid));
    until("the end", || emulator.counters().open_sessions == 0).await;
    let mut second = soon("the login", client(&proxy, &login("till"))).await;
    says(&mut second, "SELECT DB_NAME()", "shop").await;
    assert_eq!(emulator.counters().logins_accepted, 2);
}

#[tokio::test]
async fn with_all_sessions_in_use_a_client_is_told_what_to_do() {
    let emulator = azure().await;
    let proxy = proxy(&emulator, |pool| {
        pool.max = 1;
        pool.queue_timeout = Duration::from_millis(50);
    })
    .await;
    let _first = client(&proxy, &login("till")).await;
    let (_second, answer) = soon("the refusal", try_login(&proxy, &login("office"))).await;
    assert!(answer.ack.is_none());
    let texts: Vec<_> = answer.errors.iter().map(|e| e.message.as_str()).collect();
    let text = texts.join(" ");
    assert!(
        text.contains("of at most 1 sessions 1 are in use") && text.contains("raise `max`"),
        "{text}"
    );
    assert_eq!(emulator.counters().logins_accepted, 1);
}

#[tokio::test]
async fn sessions_need_not_be_kept() {
    let emulator = azure().await;
    let proxy = proxy(&emulator, |pool| {
        pool.max = 1;
        pool.keep = false;
    })
    .await;
    drop(client(&proxy, &login("till")).await);
    drop(soon("the login", client(&proxy, &login("till"))).await);
    until("the end", || emulator.counters().open_sessions == 0).await;
    let counters = emulator.counters();
    assert_eq!((counters.logins_accepted, counters.resets), (2, 0));
}

#[tokio::test]
async fn spare_sessions_are_open_before_the_second_client_comes() {
    let emulator = azure().await;
    let proxy = proxy(&emulator, |pool| pool.min_idle = 2).await;
    let _first = client(&proxy, &login("till")).await;
    until("the spares", || emulator.counters().open_sessions == 3).await;
    // Accepting stalls: only a spare session can serve.
    let stall = GatewayFault::Stall;
    emulator.faults().gateway(GatewayStep::Accept, stall, None);
    let mut second = soon("the login", client(&proxy, &login("till"))).await;
    says(&mut second, "SELECT APP_NAME()", "till").await;
}

#[tokio::test]
async fn an_ended_proxy_leaves_no_session() {
    let emulator = azure().await;
    let proxy = proxy(&emulator, |pool| pool.min_idle = 3).await;
    drop(client(&proxy, &login("till")).await);
    until("the spares", || emulator.counters().open_sessions >= 3).await;
    soon("the end", proxy.shutdown(Duration::from_secs(5))).await;
    until("the close", || emulator.counters().open_sessions == 0).await;
}

#[tokio::test]
async fn a_dropped_proxy_leaves_no_session() {
    let emulator = azure().await;
    let proxy = narrow(&emulator).await;
    drop(client(&proxy, &login("till")).await);
    until("the reset", || emulator.counters().resets == 1).await;
    drop(proxy);
    until("the close", || emulator.counters().open_sessions == 0).await;
}
