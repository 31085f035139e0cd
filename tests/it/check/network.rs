//! Parse, DNS, TCP and PRELOGIN.

use std::net::SocketAddr;

use entrada::tds::Encryption;
use simple_dns::rdata::{A, CNAME, RData};
use simple_dns::{CLASS, Name, Packet, ResourceRecord};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use super::*;
use crate::support::fake_server::{Conn, FakeServer};

#[tokio::test]
async fn a_string_that_is_good_says_what_it_means() {
    let azure = bank().start().await.unwrap();
    let report = check(&options(&azure).without_login()).await;
    passes(&report, "parse", "the system-assigned managed identity");
    assert_eq!(of(&report, "parse").facts["dialect"], "adonet");
    passes(&report, "dns", "127.0.0.1 (loopback)");
    passes(&report, "tcp", "connected");
    let greeting = passes(&report, "prelogin", "SQL Server 12.0");
    assert_eq!(greeting.facts["fed_auth_required"], true);
    assert_eq!(of(&report, "tls").outcome, Outcome::Pass);
    assert!(report.failure().is_none());
    let left: Vec<_> = report.not_made().collect();
    assert_eq!(left[0], "token");
    assert_eq!(azure.counters().tokens_issued, 0);
    azure.shutdown().await;
}

#[tokio::test]
async fn what_a_string_could_do_better_is_a_warning() {
    for (conn, cause) in [
        (
            "Driver={ODBC Driver 18 for SQL Server};Server=tcp:localhost,1;Database=d;UID=u;PWD=p;Foo=1",
            "'Foo'",
        ),
        (
            "Server=localhost,1;Database=d;User ID=u;Password=p",
            "a credential that can leak",
        ),
        (
            "Server=localhost,1;Authentication=ActiveDirectoryMSI",
            "no database is named",
        ),
        (
            "Server=localhost,1;Database=d;User ID=u;Password=p;TrustServerCertificate=true",
            "TrustServerCertificate",
        ),
    ] {
        let report = check(&Options::new(conn).without_login()).await;
        warns(&report, "parse", cause);
    }
}

#[tokio::test]
async fn a_vault_that_gives_nothing_in_time() {
    let azure = bank().start().await.unwrap();
    azure.faults().add(&"identity:stall".parse().unwrap());
    let conn = "Server=localhost,1;Database=d;User ID=u;\
         Password='@Microsoft.KeyVault(VaultName=vault;SecretName=s)'";
    let options = Options::new(conn).sources(sources(&azure)).timeout(SOON);
    let report = check(&options).await;
    fails(
        &report,
        "parse",
        Kind::Network,
        "gave no secret within 0.7 s",
        "--timeout",
    );
    azure.shutdown().await;
}

#[tokio::test]
async fn a_string_that_means_nothing_fails_before_anything_is_dialled() {
    for (conn, cause) in [
        ("Server=localhost;Database=d", "names no identity"),
        ("nonsense", "column"),
        (
            "Server=localhost;User ID=u;Password=p;Encrypt=perhaps",
            "Encrypt",
        ),
    ] {
        let report = check(&Options::new(conn)).await;
        fails(&report, "parse", Kind::Usage, cause, "entrada parse");
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows() {
    let conn = "Server=no-such-server.invalid;Database=d;Authentication=ActiveDirectoryMSI";
    let report = check(&Options::new(conn)).await;
    fails(
        &report,
        "dns",
        Kind::Network,
        "no-such-server.invalid",
        "DNS",
    );
}

/// Answers each question by a chain of names, as Azure's DNS does.
async fn nameserver(chain: &'static [&'static str]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            let asked = Packet::parse(&question[..length]).unwrap();
            let mut answer = Packet::new_reply(asked.id());
            answer.questions = asked.questions.clone();
            let mut name = asked.questions[0].qname.to_string();
            // The order of records means nothing.
            let mut records = Vec::new();
            for next in chain {
                let alias = CNAME(Name::new(next).unwrap());
                records.push((
                    std::mem::replace(&mut name, (*next).to_owned()),
                    RData::CNAME(alias),
                ));
            }
            records.push((
                name,
                RData::A(A {
                    address: 0x0a00_0004,
                }),
            ));
            for (name, data) in records.iter().rev() {
                let name = Name::new(name).unwrap();
                let record = ResourceRecord::new(name, CLASS::IN, 60, data.clone());
                answer.answers.push(record);
            }
            let bytes = answer.build_bytes_vec_compressed().unwrap();
            socket.send_to(&bytes, from).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn the_chain_of_names_is_followed() {
    let chain = &[
        "app.privatelink.database.windows.net",
        "cr4.westeurope1-a.control.database.windows.net",
    ];
    let address = nameserver(chain).await;
    let conn = "Server=localhost,1;Database=d;Authentication=ActiveDirectoryMSI";
    let report = check(&Options::new(conn).nameserver(address)).await;
    let finding = of(&report, "dns");
    assert_eq!(finding.facts["names"], serde_json::json!(chain));
    assert!(finding.what.contains("by app.privatelink"), "{finding:?}");
}

#[tokio::test]
async fn a_dns_server_that_is_silent_or_mad_takes_nothing_away() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mad = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            // With the question's id, so that it is taken for the answer.
            let mut answer = question[..length].to_vec();
            answer.extend([0xff; 40]);
            answer[7] = 9;
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    let closed = UdpSocket::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let conn = "Server=localhost,1;Database=d;Authentication=ActiveDirectoryMSI";
    for address in [mad, closed] {
        let report = check(&Options::new(conn).nameserver(address)).await;
        passes(&report, "dns", "localhost is");
    }
}

fn by_password(port: u16) -> Options {
    let conn = format!("Server=127.0.0.1,{port};Database=d;User ID=u;Password=MARKED");
    Options::new(conn).timeout(SOON)
}

#[tokio::test]
async fn a_port_where_nothing_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let report = check(&by_password(port)).await;
    fails(&report, "tcp", Kind::Network, "nothing listens", "1433");
}

#[tokio::test]
async fn a_host_that_answers_nothing() {
    // A listener whose queue is full answers nothing, as a firewall that drops packets.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = silent.listen(1).unwrap();
    let address = silent.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(socket)) = tokio::time::timeout(SOON, TcpStream::connect(address)).await {
        held.push(socket);
    }
    let report = check(&by_password(address.port())).await;
    fails(
        &report,
        "tcp",
        Kind::Network,
        "a firewall drops the packets",
        "company firewall",
    );
}

/// Checks a server that reads the greeting and then does as told.
async fn greeted_by<F, Fut>(script: F) -> Report
where
    F: Fn(Conn) -> Fut + Send + Sync + Copy + 'static,
    Fut: Future<Output = ()> + Send,
{
    let server = FakeServer::start(1, move |_, mut conn| async move {
        conn.message().await.unwrap();
        script(conn).await;
    })
    .await;
    let report = check(&by_password(server.address.port())).await;
    server.stop();
    report
}

#[tokio::test]
async fn what_answers_and_is_no_sql_server() {
    let report = greeted_by(|mut conn| async move {
        let _ = conn.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    fails(&report, "prelogin", Kind::Network, "a web server", "1433");
    let report = greeted_by(|mut conn| async move {
        let _ = conn.raw(&[0x15, 3, 3, 0, 2, 2, 70, 0]).await;
    })
    .await;
    fails(
        &report,
        "prelogin",
        Kind::Network,
        "speaks TLS before",
        "Encrypt=strict",
    );
    let report = greeted_by(|conn| async move { drop(conn) }).await;
    fails(
        &report,
        "prelogin",
        Kind::Network,
        "closes it",
        "firewall or proxy",
    );
    let report = greeted_by(|mut conn| async move {
        let _ = conn.raw(&[0xa5; 64]).await;
    })
    .await;
    fails(
        &report,
        "prelogin",
        Kind::Network,
        "does not speak TDS",
        "port",
    );
    let report = greeted_by(|conn| async move {
        std::future::pending::<()>().await;
        drop(conn);
    })
    .await;
    fails(
        &report,
        "prelogin",
        Kind::Network,
        "does not answer the greeting",
        "load balancer",
    );
}

#[tokio::test]
async fn a_server_that_does_not_ask_for_tokens() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        conn.prelogin(Encryption::ON, None).await.unwrap();
    })
    .await;
    let port = server.address.port();
    let conn = format!("Server=127.0.0.1,{port};Database=d;Authentication=ActiveDirectoryMSI");
    let report = check(&Options::new(conn).timeout(SOON)).await;
    warns(&report, "prelogin", "FEDAUTHREQUIRED");
    let server = FakeServer::start(1, |_, mut conn| async move {
        conn.prelogin(Encryption::NOT_SUP, Some(1)).await.unwrap();
    })
    .await;
    let report = check(&by_password(server.address.port())).await;
    fails(
        &report,
        "prelogin",
        Kind::Network,
        "no encryption",
        "enable encryption",
    );
}
