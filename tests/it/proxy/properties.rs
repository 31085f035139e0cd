//! What of a client's login reaches the server, and what of its answer the client.

use entrada::tds::{
    DoneStatus, Encryption, EnvChange, Feature, FeatureId, Login7, Routing, Token, option_flags1,
    option_flags2, option_flags3, type_flags,
};

use super::scripted::{before, client_with, let_in, login, reply};
use crate::raw_client::soon;
use crate::support::fake_server::{FakeServer, granted};

/// A client that differs from a default one wherever it can.
fn peculiar() -> Login7 {
    Login7 {
        packet_size: 8192,
        client_prog_version: 0x0102_0304,
        client_pid: 4711,
        option_flags1: option_flags1::USE_DB_NOTIFY | option_flags1::SET_LANG_NOTIFY,
        option_flags2: option_flags2::ODBC | option_flags2::INTEGRATED_SECURITY,
        type_flags: type_flags::READ_ONLY_INTENT | type_flags::OLEDB,
        option_flags3: option_flags3::UNKNOWN_COLLATION_HANDLING | option_flags3::BINARY_XML,
        lcid: 0x0407,
        host_name: "desk-7".to_owned(),
        user_name: "legacy".to_owned(),
        password: entrada::Secret::new("the client's own"),
        app_name: "Bookkeeping".to_owned(),
        server_name: "localhost".to_owned(),
        library_name: "OLEDB".to_owned(),
        language: "Deutsch".to_owned(),
        database: "ledger".to_owned(),
        client_id: [1, 2, 3, 4, 5, 6],
        attach_db_file: "c:/x.mdf".to_owned(),
        features: vec![
            Feature::new(FeatureId::UTF8_SUPPORT, [1]),
            Feature::new(FeatureId::DATACLASSIFICATION, [2]),
            Feature::new(FeatureId::AZURESQLDNSCACHING, []),
        ],
        ..Login7::default()
    }
}

#[tokio::test]
async fn the_server_sees_the_clients_properties_and_not_its_credentials() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let login = let_in(&mut conn).await.unwrap();
        conn.until_closed().await;
        login
    })
    .await;
    let proxy = before(&server).await;
    soon("the login", client_with(&proxy, &peculiar())).await;
    let (seen, asked) = (server.outcomes().await.remove(0), peculiar());
    assert_eq!(seen.app_name, asked.app_name);
    assert_eq!(seen.host_name, asked.host_name);
    assert_eq!(seen.library_name, asked.library_name);
    assert_eq!(seen.language, asked.language);
    assert_eq!(seen.database, asked.database);
    assert_eq!(seen.packet_size, asked.packet_size);
    assert_eq!(seen.client_prog_version, asked.client_prog_version);
    assert_eq!(seen.client_pid, asked.client_pid);
    assert_eq!(seen.lcid, asked.lcid);
    assert_eq!(seen.option_flags1, asked.option_flags1);
    assert_eq!(seen.option_flags2, option_flags2::ODBC);
    assert_eq!(seen.type_flags, asked.type_flags);
    let bits = option_flags3::UNKNOWN_COLLATION_HANDLING | option_flags3::BINARY_XML;
    assert_eq!(seen.option_flags3 & bits, bits);
    // The proxy's own, or none.
    assert_eq!(
        (seen.user_name.as_str(), seen.password.expose()),
        ("u", "p")
    );
    assert_eq!(seen.server_name, "127.0.0.1");
    assert!(seen.attach_db_file.is_empty() && seen.sspi.is_empty());
    let ids: Vec<FeatureId> = seen.features.iter().map(|feature| feature.id).collect();
    assert!(ids.contains(&FeatureId::UTF8_SUPPORT));
    assert!(ids.contains(&FeatureId::DATACLASSIFICATION));
    // A client would take our address for the server's.
    assert!(!ids.contains(&FeatureId::AZURESQLDNSCACHING));
}

#[tokio::test]
async fn a_redirect_is_followed_and_the_client_never_sees_it() {
    let server = FakeServer::start(2, |number, mut conn| async move {
        conn.prelogin(Encryption::NOT_SUP, None).await.unwrap();
        let login = conn.login().await.unwrap();
        let mut tokens = granted(&login);
        if number == 0 {
            let done = tokens.pop().unwrap();
            tokens.push(Token::EnvChange(EnvChange::Routing(Routing {
                protocol: 0,
                port: conn.port(),
                server: "127.0.0.1".to_owned(),
                database: None,
            })));
            tokens.push(done);
        }
        conn.tokens(&tokens).await.unwrap();
        if number == 1 {
            conn.message().await.unwrap();
            conn.raw(&reply(0, DoneStatus::FINAL)).await.unwrap();
        }
    })
    .await;
    let proxy = before(&server).await;
    soon("the query", async {
        let (mut client, answer) = client_with(&proxy, &login()).await;
        let hidden = |change: &EnvChange| matches!(change, EnvChange::Routing(_));
        assert!(!answer.env.iter().any(hidden));
        assert!(!client.batch("SELECT 1").await.is_empty());
    })
    .await;
    assert_eq!(server.outcomes().await.len(), 2);
}

#[tokio::test]
async fn only_what_the_client_asked_for_is_acknowledged_to_it() {
    let server = FakeServer::start(2, |_, mut conn| async move {
        conn.prelogin(Encryption::NOT_SUP, None).await.unwrap();
        let login = conn.login().await.unwrap();
        let mut tokens = granted(&login);
        let done = tokens.pop().unwrap();
        let acks = login.features.iter().map(|f| Feature::new(f.id, [1]));
        let acks: Vec<Feature> = acks.collect();
        if !acks.is_empty() {
            tokens.push(Token::FeatureExtAck(acks));
        }
        tokens.push(done);
        conn.tokens(&tokens).await.unwrap();
        conn.until_closed().await;
    })
    .await;
    let proxy = before(&server).await;
    soon("the logins", async {
        let (_, answer) = client_with(&proxy, &login()).await;
        assert!(answer.features.is_empty(), "{:?}", answer.features);
        let mut asks = login();
        asks.features = vec![Feature::new(FeatureId::UTF8_SUPPORT, [1])];
        let (_, answer) = client_with(&proxy, &asks).await;
        let ids: Vec<FeatureId> = answer.features.iter().map(|f| f.id).collect();
        assert_eq!(ids, [FeatureId::UTF8_SUPPORT]);
    })
    .await;
}
