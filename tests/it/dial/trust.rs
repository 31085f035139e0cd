//! Whom a dial trusts, and what it says of those whom it does not.

use std::io::Write;

use entrada::dial::{DialError, TlsError};
use entrada::target::Encrypt;
use entrada::tds::Encryption;
use tempfile::NamedTempFile;

use super::*;
use crate::support::fake_server::{Conn, FakeServer, granted};

async fn serve(conn: &mut Conn, config: &Arc<ServerConfig>, strict: bool) -> std::io::Result<()> {
    let login = if strict {
        conn.tls_first(config).await?;
        conn.prelogin(Encryption::ON, None).await?;
        conn.login().await?
    } else {
        conn.until_login(config).await?
    };
    conn.tokens(&granted(&login)).await
}

/// Dials a server with these certificates, both ways, after a change to the target.
async fn verdicts(
    certificates: &Certificates,
    by_token: bool,
    change: impl Fn(&mut Target),
) -> [Result<(), TlsError>; 2] {
    let mut verdicts = Vec::new();
    for strict in [false, true] {
        let config = if strict {
            tls_strict(certificates)
        } else {
            tls12(certificates)
        };
        let server = FakeServer::start(1, move |_, mut conn| {
            let config = Arc::clone(&config);
            async move {
                let _ = serve(&mut conn, &config, strict).await;
                conn.seen
            }
        })
        .await;
        let port = server.address.port();
        let mut target = if by_token {
            target(port, certificates)
        } else {
            sql_target(port, certificates)
        };
        if strict {
            target.tls.encrypt = Encrypt::Strict;
        }
        change(&mut target);
        let outcome = match Dialer::new(target, by_token.then(slot)) {
            Ok(dialer) => dialer.dial().await.map(drop),
            Err(error) => {
                server.stop();
                verdicts.push(Err(in_tls(error)));
                continue;
            }
        };
        server.outcomes().await;
        verdicts.push(outcome.map_err(in_tls));
    }
    verdicts.try_into().unwrap()
}

fn in_tls(error: DialError) -> TlsError {
    assert!(!error.is_transient(), "{error:?}");
    match error {
        DialError::Tls { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

fn pem(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn a_root_of_the_target_s_own() {
    for verdict in verdicts(&localhost(), true, |_| {}).await {
        verdict.unwrap();
    }
}

#[tokio::test]
async fn nobody_whom_we_know() {
    for trust in [false, true] {
        let certificates = localhost();
        let verdicts = verdicts(&certificates, true, |target| {
            target.tls.extra_roots.clear();
            // Not honoured where a token is at stake.
            target.tls.trust_server_certificate = trust;
        });
        for verdict in verdicts.await {
            let error = verdict.unwrap_err();
            assert!(matches!(error, TlsError::Untrusted { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains("ServerCertificate=FILE") && text.contains("install its CA"));
            assert!(
                text.contains("TrustServerCertificate does not help"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn anybody_if_that_is_wanted() {
    let [tunnelled, strict] = verdicts(&localhost(), false, |target| {
        target.tls.extra_roots.clear();
        target.tls.trust_server_certificate = true;
    })
    .await;
    tunnelled.unwrap();
    assert!(matches!(strict, Err(TlsError::Untrusted { .. })));
}

#[tokio::test]
async fn another_server_s_certificate() {
    let certificates = Certificates::for_names(&["db.example", "*.example.org"]);
    for verdict in verdicts(&certificates, true, |_| {}).await {
        let error = verdict.unwrap_err();
        let text = error.to_string();
        let TlsError::WrongName { expected, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(expected, "localhost");
        assert!(
            text.contains("db.example") && text.contains("HostNameInCertificate"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_name_to_look_for() {
    let certificates = Certificates::for_names(&["db.example", "*.example.org"]);
    for (name, good) in [
        ("db.example", true),
        ("x.example.org", true),
        ("*.example.org", true),
        ("*.db.example", false),
        ("*.org", false),
        ("localhost", false),
    ] {
        let verdicts = verdicts(&certificates, true, |target| {
            target.tls.host_name_in_certificate = Some(name.to_owned());
        });
        for verdict in verdicts.await {
            assert_eq!(verdict.is_ok(), good, "{name}: {verdict:?}");
        }
    }
    let verdicts = verdicts(&certificates, true, |target| {
        target.tls.host_name_in_certificate = Some("no name".to_owned());
    });
    for verdict in verdicts.await {
        assert!(matches!(verdict, Err(TlsError::Name { .. })));
    }
}

#[tokio::test]
async fn the_very_certificate() {
    // Made out to somebody else and over, and yet the one that was named.
    let certificates = Certificates::expired();
    let other = localhost();
    let (good, bad) = (pem(&certificates.leaf_pem), pem(&other.leaf_pem));
    for (file, is_pinned) in [(&good, true), (&bad, false)] {
        let verdicts = verdicts(&certificates, true, |target| {
            target.tls.extra_roots.clear();
            target.tls.server_certificate = Some(file.path().to_owned());
        });
        for verdict in verdicts.await {
            match is_pinned {
                true => verdict.unwrap(),
                false => assert!(matches!(verdict, Err(TlsError::NotPinned))),
            }
        }
    }
}

#[tokio::test]
async fn the_very_certificate_in_der_form() {
    let certificates = localhost();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&certificates.leaf).unwrap();
    for verdict in verdicts(&certificates, true, |target| {
        target.tls.extra_roots.clear();
        target.tls.server_certificate = Some(file.path().to_owned());
    })
    .await
    {
        verdict.unwrap();
    }
}

#[tokio::test]
async fn files_that_are_no_certificates() {
    let certificates = localhost();
    let key = pem(&certificates.key_pem);
    let noise = pem("no certificate at all");
    for (path, missing) in [
        (key.path(), false),
        (noise.path(), false),
        (std::path::Path::new("/no/such/file.pem"), true),
    ] {
        for verdict in verdicts(&certificates, true, |target| {
            target.tls.server_certificate = Some(path.to_owned());
        })
        .await
        {
            match verdict.unwrap_err() {
                TlsError::File { .. } => assert!(missing),
                TlsError::NoCertificate { .. } => assert!(!missing),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_whose_time_is_over() {
    for verdict in verdicts(&Certificates::expired(), true, |_| {}).await {
        assert!(
            matches!(verdict, Err(TlsError::NotInTime { .. })),
            "{verdict:?}"
        );
    }
}

#[tokio::test]
async fn a_ca_file() {
    let certificates = localhost();
    let file = pem(&certificates.ca_pem);
    for verdict in verdicts(&certificates, true, |target| {
        target.tls.extra_roots.clear();
        target.tls.ca_file = Some(file.path().to_owned());
    })
    .await
    {
        verdict.unwrap();
    }
}

#[tokio::test]
async fn no_secret_is_shown() {
    let certificates = localhost();
    let mut goal = sql_target(1, &certificates);
    let by_password = Dialer::new(goal.clone(), None).unwrap();
    goal.auth = Auth::AccessToken(Secret::new(TOKEN));
    let slot = slot();
    slot.get().await.unwrap();
    let by_token = Dialer::new(goal, Some(slot)).unwrap();
    assert!(!format!("{by_password:?} {by_token:?}").contains("MARKED"));
}

#[test]
fn a_token_needs_a_source() {
    let error = Dialer::new(target(1, &localhost()), None).unwrap_err();
    assert!(matches!(error, DialError::NoTokenSource { .. }));
    assert!(error.is_auth());
}
