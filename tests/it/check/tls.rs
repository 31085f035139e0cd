//! TLS, in both of the ways in which TDS carries it.

use std::io::Write;
use std::sync::Arc;

use entrada::tds::Encryption;
use rustls::version::TLS12;
use tempfile::NamedTempFile;

use super::*;
use crate::support::certificates::Certificates;
use crate::support::fake_server::FakeServer;

/// Checks a server with these certificates.
async fn shown(certificates: &Certificates, conn: &str) -> Report {
    shown_by(certificates, |port| {
        format!("Server=localhost,{port};Database=d;{conn}")
    })
    .await
}

async fn shown_by(certificates: &Certificates, conn: impl Fn(u16) -> String) -> Report {
    let config = certificates.server_config(&[&TLS12]);
    let server = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            conn.prelogin(Encryption::ON, Some(1)).await.unwrap();
            let _ = conn.tls_in_prelogin(&config).await;
        }
    })
    .await;
    let conn = conn(server.address.port());
    let report = check(&Options::new(conn).without_login()).await;
    server.stop();
    report
}

fn file(pem: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    file
}

/// The emulator's connection string with another setting of encryption.
fn encrypted(azure: &Emulator, encrypt: &str) -> Options {
    let conn = azure.connection_string("bank");
    let others = conn.split(';').filter(|part| !part.starts_with("Encrypt"));
    let conn: Vec<&str> = others.chain([encrypt]).collect();
    Options::new(conn.join(";")).sources(sources(azure))
}

const BY_TOKEN: &str = "Authentication=ActiveDirectoryMSI";

#[tokio::test]
async fn the_certificate_is_described() {
    let azure = bank().start().await.unwrap();
    for encrypt in ["Encrypt=true", "Encrypt=strict"] {
        let report = check(&encrypted(&azure, encrypt).without_login()).await;
        let finding = passes(&report, "tls", "issued by");
        assert!(
            finding.facts["protocol"]
                .as_str()
                .unwrap()
                .starts_with("TLSv1_")
        );
        assert_eq!(finding.facts["verified"], true);
        let names = finding.facts["names"].to_string();
        assert!(
            names.contains("127.0.0.1") && names.contains("localhost"),
            "{names}"
        );
        assert_eq!(of(&report, "prelogin").outcome, Outcome::Pass);
    }
    let order = |report: &Report| {
        let at = |name| report.findings.iter().position(|it| it.check == name);
        (at("tls"), at("prelogin"))
    };
    let strict = order(&check(&encrypted(&azure, "Encrypt=strict").without_login()).await);
    assert!(strict.0 < strict.1, "TLS comes first");
    azure.shutdown().await;
}

#[tokio::test]
async fn a_certificate_that_ends_soon() {
    let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(5 * 24);
    let certificates = Certificates::until(ends);
    let pinned = file(&certificates.leaf_pem);
    let conn = format!("{BY_TOKEN};ServerCertificate={}", pinned.path().display());
    let report = shown(&certificates, &conn).await;
    warns(&report, "tls", "ends in");
}

/// Checks a server whose CA is trusted.
async fn shown_to_who_trusts(certificates: &Certificates) -> Report {
    let ca = file(&certificates.ca_pem);
    let ca = ca.path().display();
    shown_by(certificates, |port| {
        format!("sqlserver://localhost:{port}?database=d&fedauth=ActiveDirectoryMSI&encrypt=true&certificate={ca}")
    })
    .await
}

#[tokio::test]
async fn a_certificate_that_has_ended() {
    let certificates = Certificates::expired();
    let report = shown_to_who_trusts(&certificates).await;
    fails(
        &report,
        "tls",
        Kind::Network,
        "ended on 2021-01-01",
        "renew the certificate",
    );
    // Whoever pins a certificate goes by nothing else, and is told.
    let pinned = file(&certificates.leaf_pem);
    let conn = format!("{BY_TOKEN};ServerCertificate={}", pinned.path().display());
    let report = shown(&certificates, &conn).await;
    warns(&report, "tls", "the certificate ended, on 2021-01-01");
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let certificates = Certificates::for_names(&["app.example", "b.example"]);
    let report = shown_to_who_trusts(&certificates).await;
    fails(
        &report,
        "tls",
        Kind::Network,
        "not made out to `localhost` but to app.example, b.example",
        "HostNameInCertificate=NAME",
    );
    let good = shown_to_who_trusts(&Certificates::for_names(&["localhost"])).await;
    passes(&good, "tls", "certificate for localhost");
}

#[tokio::test]
async fn a_server_that_knows_no_strict_encryption() {
    let server = FakeServer::start(1, |_, conn| async move { drop(conn) }).await;
    let port = server.address.port();
    let conn = format!("Server=localhost,{port};Database=d;{BY_TOKEN};Encrypt=strict");
    let report = check(&Options::new(conn)).await;
    fails(&report, "tls", Kind::Network, "TLS", "use Encrypt=true: ");
    server.stop();
    let server = FakeServer::start(1, |_, conn| async move {
        std::future::pending::<()>().await;
        drop(conn);
    })
    .await;
    let port = server.address.port();
    let conn = format!("Server=localhost,{port};Database=d;{BY_TOKEN};Encrypt=strict");
    let report = check(&Options::new(conn).timeout(SOON)).await;
    fails(
        &report,
        "tls",
        Kind::Network,
        "does not answer TLS",
        "use Encrypt=true: ",
    );
    server.stop();
}

#[tokio::test]
async fn a_pin_is_not_looked_at_where_only_the_login_is_encrypted() {
    let certificates = Certificates::for_names(&["localhost"]);
    let config = certificates.server_config(&[&TLS12]);
    let server = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            conn.prelogin(Encryption::OFF, Some(1)).await.unwrap();
            let _ = conn.tls_in_prelogin(&config).await;
        }
    })
    .await;
    let port = server.address.port();
    let pinned = file(&Certificates::for_names(&["localhost"]).leaf_pem);
    let conn = format!(
        "Server=localhost,{port};Database=d;User ID=u;Password=p;Encrypt=optional;ServerCertificate={}",
        pinned.path().display()
    );
    let report = check(&Options::new(conn).without_login()).await;
    let finding = warns(&report, "tls", "nobody has checked");
    assert_eq!(finding.facts["verified"], false);
    server.stop();
}

#[tokio::test]
async fn a_certificate_that_nobody_checks() {
    let certificates = Certificates::for_names(&["localhost"]);
    let conn = "User ID=u;Password=p;TrustServerCertificate=true";
    let report = shown(&certificates, conn).await;
    let finding = warns(&report, "tls", "nobody has checked");
    assert_eq!(finding.facts["verified"], false);
}

#[tokio::test]
async fn a_certificate_of_somebody_whom_nobody_trusts() {
    let certificates = Certificates::for_names(&["localhost"]);
    let report = shown(&certificates, BY_TOKEN).await;
    fails(
        &report,
        "tls",
        Kind::Network,
        "whom this machine does not trust",
        "ServerCertificate=FILE",
    );
    // What was shown is told all the same.
    assert_eq!(
        failure(&report, "tls", Kind::Network).facts["names"][0],
        "localhost"
    );
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one() {
    let pinned = file(&Certificates::for_names(&["localhost"]).leaf_pem);
    let conn = format!("{BY_TOKEN};ServerCertificate={}", pinned.path().display());
    let report = shown(&Certificates::for_names(&["localhost"]), &conn).await;
    fails(
        &report,
        "tls",
        Kind::Network,
        "not the one",
        "replace the file",
    );
}

#[tokio::test]
async fn a_file_that_holds_no_certificate() {
    let nothing = file("nothing");
    let conn = format!("{BY_TOKEN};ServerCertificate={}", nothing.path().display());
    let report = shown(&Certificates::for_names(&["localhost"]), &conn).await;
    fails(
        &report,
        "parse",
        Kind::Usage,
        "holds no certificate",
        "mend the file",
    );
}

#[tokio::test]
async fn a_handshake_that_breaks_off() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        conn.prelogin(Encryption::ON, Some(1)).await.unwrap();
    })
    .await;
    let port = server.address.port();
    let conn = format!("Server=localhost,{port};Database=d;{BY_TOKEN}");
    let report = check(&Options::new(conn)).await;
    fails(
        &report,
        "tls",
        Kind::Network,
        "closed the connection",
        "firewall or proxy",
    );
}
