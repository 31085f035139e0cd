//! Logins that come to nothing, as their client sees them.

use entrada::emulator::Emulator;
use entrada::tds::{Encryption, Login7, TdsVersion};
use entrada::token::{Environment, Sources};

use super::scripted::{before, login, start};
use super::{address, azure, config, connection};
use crate::raw_client::{LoginAnswer, RawClient, soon};
use crate::support::fake_server::{Conn, FakeServer, refused};
use entrada::proxy::Proxy;

async fn answer_to(proxy: &Proxy, login: &Login7) -> LoginAnswer {
    soon("the answer", async {
        let mut client = RawClient::tcp(address(proxy)).await;
        client.prelogin(Encryption::NOT_SUP, None).await;
        let answer = client.login(login).await;
        assert!(client.receive().await.is_none(), "it is closed after that");
        answer
    })
    .await
}

#[tokio::test]
async fn the_servers_own_number_and_words_reach_the_client() {
    const CASES: [(i32, &str); 3] = [
        (18456, "Login failed for user 'u'."),
        (
            916,
            "The server principal is not able to access the database.",
        ),
        (40615, "Client with IP address '192.0.2.1' is not allowed."),
    ];
    // By the database's name, as a login may be tried more than once.
    let server = FakeServer::start(16, |_, mut conn: Conn| async move {
        conn.prelogin(Encryption::NOT_SUP, None).await.unwrap();
        let database = conn.login().await.unwrap().database;
        let case = CASES
            .iter()
            .find(|(number, _)| number.to_string() == database);
        let (number, text) = case.unwrap();
        conn.tokens(&refused(*number, text)).await.unwrap();
        conn.until_closed().await;
    })
    .await;
    let proxy = before(&server).await;
    for (number, text) in CASES {
        let login = Login7 {
            database: number.to_string(),
            ..login()
        };
        let answer = answer_to(&proxy, &login).await;
        let (told, message) = answer.refusal().unwrap();
        assert_eq!(told, number);
        assert!(message.starts_with(text), "{message}");
        assert!(message.contains("Entrada, target `default`"), "{message}");
    }
    server.stop();
}

#[tokio::test]
async fn an_identity_without_a_user_is_told_apart_from_the_clients_password() {
    let emulator = Emulator::builder()
        .identity(entrada::emulator::ManagedIdentity::user_assigned("app"))
        .database("shop")
        .start()
        .await
        .unwrap();
    let proxy = super::proxy(&emulator).await;
    let answer = answer_to(&proxy, &login()).await;
    let (number, message) = answer.refusal().unwrap();
    assert_eq!(number, 18456);
    assert!(
        message.contains("refused the proxy's identity"),
        "{message}"
    );
    assert!(message.contains("CREATE USER"), "{message}");
}

#[tokio::test]
async fn without_a_token_the_client_is_told_where_it_was_sought() {
    let emulator = azure().await;
    // The endpoint is where nobody listens.
    let mut environment = emulator.imds_environment();
    for (_, value) in &mut environment {
        if value.starts_with("http") {
            *value = "http://127.0.0.1:9".to_owned();
        }
    }
    let sources = Sources::new(Environment::from_pairs(environment));
    let proxy = Proxy::start(config(&emulator), sources).await.unwrap();
    let answer = answer_to(&proxy, &login()).await;
    let (number, message) = answer.refusal().unwrap();
    assert!([18456, 10060].contains(&number), "{number}: {message}");
    assert!(message.contains("token"), "{message}");
    assert!(!connection(&emulator).is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = unused.local_addr().unwrap().port();
    drop(unused);
    let proxy = start(format!(
        "sqlserver://u:hunter2@127.0.0.1:{port}?encrypt=disable"
    ))
    .await;
    let answer = answer_to(&proxy, &login()).await;
    let (number, message) = answer.refusal().unwrap();
    assert_eq!(number, 10061);
    assert!(message.contains(&port.to_string()), "{message}");
    assert!(!message.contains("hunter2"));
}

#[tokio::test]
async fn a_client_of_an_older_protocol_is_told_which_it_needs() {
    let emulator = azure().await;
    let proxy = super::proxy(&emulator).await;
    for version in [TdsVersion::V7_0, TdsVersion(0x7000_0001)] {
        let login = Login7 {
            tds_version: version,
            ..login()
        };
        let answer = answer_to(&proxy, &login).await;
        let (number, message) = answer.refusal().unwrap();
        assert_eq!(number, 18456);
        assert!(message.contains("TDSVER=7.1"), "{message}");
        assert!(message.contains("TDS=8.0"), "{message}");
        assert!(message.contains(&version.to_string()), "{message}");
    }
}
