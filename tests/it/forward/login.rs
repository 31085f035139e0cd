//! Logins: who is judged by whom, and what the client is told when the server is not to be had.

use std::time::Duration;

use entrada::emulator::{Emulator, EmulatorError};
use tokio::net::TcpListener;

use super::{ADMIN, PASSWORD, Pair, backend, gateway, server};
use crate::raw_client::{Form, LoginAnswer, RawClient, password_login, soon, token_login};
use crate::support::judges;

async fn log_in(gateway: &Emulator, user: &str, password: &str, database: &str) -> LoginAnswer {
    let mut client = RawClient::ready(gateway, Form::Tunnelled).await;
    let login = password_login(user, password, database);
    soon("the login", client.login(&login)).await
}

async fn token(gateway: &Emulator) -> LoginAnswer {
    let token = gateway.issue_token("demo-app", super::SQL).unwrap().token;
    let mut client = RawClient::ready(gateway, Form::Tunnelled).await;
    soon("the login", client.login(&token_login(&token, "shop"))).await
}

#[tokio::test]
async fn passwords_are_judged_by_the_server() {
    let pair = Pair::start().await;
    pair.admin()
        .await
        .run("CREATE LOGIN alice WITH PASSWORD = 'P4ssw0rd!'; CREATE USER alice FOR LOGIN alice")
        .await;
    let answer = log_in(&pair.gateway, "alice", "P4ssw0rd!", "shop").await;
    assert_eq!(answer.database(), Some("shop"));
    for (user, password) in [("alice", "wrong"), ("nobody", "P4ssw0rd!"), (ADMIN, "")] {
        let answer = log_in(&pair.gateway, user, password, "shop").await;
        let (number, text) = answer.refusal().expect("a refusal");
        assert_eq!(
            (number, text),
            (18456, format!("Login failed for user '{user}'.").as_str())
        );
    }
    let answer = log_in(&pair.gateway, ADMIN, PASSWORD, "nowhere").await;
    assert_eq!(answer.refusal().map(|refusal| refusal.0), Some(4060));
}

#[tokio::test]
async fn the_emulators_administrator_acts_as_the_strings_login() {
    let server = server().await;
    let gateway = gateway(&server)
        .sql_admin("root", "r00t")
        .start()
        .await
        .unwrap();
    let mut client = RawClient::ready(&gateway, Form::Tunnelled).await;
    let answer = soon(
        "the login",
        client.login(&password_login("root", "r00t", "shop")),
    )
    .await;
    assert!(answer.ack.is_some(), "{answer:?}");
    assert_eq!(
        super::Client(client)
            .one("SELECT SUSER_SNAME(), USER_NAME()")
            .await,
        "sa|dbo"
    );
    assert!(
        log_in(&gateway, "root", "other", "shop")
            .await
            .refusal()
            .is_some()
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_told_in_words_that_clients_retry_on() {
    let server = server().await;
    let closed = gateway(&server).start().await.unwrap();
    server.shutdown().await;
    let answer = token(&closed).await;
    let (number, text) = answer.refusal().expect("a refusal");
    assert_eq!(number, 40613);
    assert!(text.contains("the backend cannot be reached"), "{text}");

    // One that accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let string = format!("Server=127.0.0.1,{port};User ID=sa;Password=x");
    let builder = Emulator::builder().backend(string);
    let limit = Duration::from_secs(2);
    let stalled = builder.login_timeout(limit).start().await.unwrap();
    let answer = token(&stalled).await;
    assert_eq!(answer.refusal().map(|refusal| refusal.0), Some(40613));
}

#[tokio::test]
async fn a_wrong_password_of_the_string_is_not_blamed_on_the_client() {
    let server = server().await;
    let string = backend(&server).replace("s3cret", "wrong");
    let gateway = Emulator::builder().backend(string).start().await.unwrap();
    let answer = token(&gateway).await;
    let (number, text) = answer.refusal().expect("a refusal");
    assert_eq!(number, 50_000);
    assert!(
        text.contains("--backend") && !text.contains("wrong!"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_without_contexts_is_refused_in_plain_words() {
    let Some(bridge) = judges::pysqlbridge().await else {
        return;
    };
    let string = format!(
        "Server=127.0.0.1,{};User ID={};Password=\"{}\";ServerCertificate={}",
        bridge.judge.port,
        bridge.user,
        bridge.password,
        bridge.certificate.display()
    );
    let gateway = Emulator::builder().backend(string).start().await.unwrap();
    let token = gateway.issue_token("demo-app", super::SQL).unwrap().token;
    let mut client = RawClient::ready(&gateway, Form::Tunnelled).await;
    let answer = soon("the login", client.login(&token_login(&token, ""))).await;
    let (number, text) = answer.refusal().expect("a refusal");
    assert_eq!(number, 50_000, "{text}");
    assert!(text.contains("the context of a database user"), "{text}");
}

#[tokio::test]
async fn strings_and_settings_that_make_no_sense_are_refused_at_the_start() {
    let start = |string: &str| Emulator::builder().backend(string).start();
    let error = start("Server=x;Authentication=Active Directory MSI")
        .await
        .unwrap_err();
    assert!(
        matches!(error, EmulatorError::BackendAuth { .. }),
        "{error}"
    );
    let error = start("Server=x").await.unwrap_err().to_string();
    assert!(error.contains("asks for no login"), "{error}");
    let error = start("Nonsense").await.unwrap_err();
    assert!(matches!(error, EmulatorError::Backend { .. }), "{error}");
    let seeded = Emulator::builder()
        .backend("Server=x;User ID=a;Password=b")
        .database("d");
    let error = seeded.start().await.unwrap_err();
    assert!(matches!(error, EmulatorError::BackendSeeds), "{error}");
}
