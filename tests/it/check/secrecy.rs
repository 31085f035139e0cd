//! Nothing secret gets out, and nothing that a terminal would obey.

use entrada::tds::{DoneStatus, Token};
use entrada::tds::{Encryption, ServerMessage};
use rustls::version::TLS12;
use std::sync::Arc;

use super::*;
use crate::support::certificates::Certificates;
use crate::support::fake_server::{FakeServer, done};

#[tokio::test]
async fn no_token_and_no_password_is_in_a_report() {
    let azure = bank()
        .sql_admin("sa", "MARKED-ADMIN-1")
        .start()
        .await
        .unwrap();
    let token = azure
        .issue_token("teller", "https://database.windows.net/")
        .unwrap();
    let signature = token.token.expose().rsplit('.').next().unwrap().to_owned();
    let admin = azure.connection_string("bank").replace(
        "Authentication=ActiveDirectoryMSI",
        "User ID=sa;Password=MARKED-ADMIN-1",
    );
    azure.run_sql("bank", "DROP USER teller").await.unwrap();
    let by_password = Options::new(admin.replace("MARKED-ADMIN-1", "MARKED-WRONG"));
    for options in [options(&azure), options(&azure).admin(admin), by_password] {
        assert!(!format!("{options:?}").contains("MARKED"));
        let report = check(&options).await;
        failure(&report, "login", Kind::Auth);
        let all = format!("{report:?} {}", report.json());
        assert!(
            !all.contains("MARKED") && !all.contains(&signature),
            "{all}"
        );
    }
    azure.shutdown().await;
}

#[tokio::test]
async fn a_name_of_ones_own_does_not_reach_the_terminal_as_it_is() {
    let azure = bank().start().await.unwrap();
    let report = check(&options(&azure).database("d\u{1b}[2J\u{202e}\n")).await;
    failure(&report, "login", Kind::Server);
    let json = report.json();
    assert_eq!(json["database"], "d\\u{1b}[2J\\u{202e} ");
    let all = format!("{json} {:?}", report.findings);
    assert!(
        !all.contains("\\u001b") && !all.contains('\u{202e}'),
        "{all}"
    );
    azure.shutdown().await;
}

#[tokio::test]
async fn a_servers_words_do_not_reach_the_terminal_as_they_are() {
    let certificates = Certificates::for_names(&["localhost"]);
    let config = certificates.server_config(&[&TLS12]);
    let server = FakeServer::start(2, move |number, mut conn| {
        let config = Arc::clone(&config);
        async move {
            conn.prelogin(Encryption::ON, Some(1)).await.unwrap();
            conn.tls_in_prelogin(&config).await.unwrap();
            if number == 1 {
                conn.login().await.unwrap();
                let text = "no\u{1b}[2Jway\r\n\u{202e}in";
                let refused = ServerMessage::new(12345, 1, 14, text);
                let tokens = [Token::Error(refused), done(DoneStatus::ERROR)];
                conn.tokens(&tokens).await.unwrap();
            }
        }
    })
    .await;
    let port = server.address.port();
    let conn = format!(
        "Server=localhost,{port};Database=d;User ID=u;Password=p;TrustServerCertificate=true"
    );
    let report = check(&Options::new(conn)).await;
    fails(
        &report,
        "login",
        Kind::Server,
        "no\\u{1b}[2Jway \\u{202e}in",
        "12345",
    );
    let all = report.json().to_string();
    assert!(
        !all.contains('\u{1b}') && !all.contains('\u{202e}') && !all.contains("\\u001b"),
        "{all}"
    );
    server.stop();
}
