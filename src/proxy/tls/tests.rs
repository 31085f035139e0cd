use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError as Fault, RootCertStore};
use tempfile::TempDir;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

fn now() -> SystemTime {
    SystemTime::now()
}

/// What a client that trusts the authority says of a chain.
fn verify(
    ca_pem: &str,
    chain: &[CertificateDer<'static>],
    name: &str,
    at: SystemTime,
) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let since = at.duration_since(UNIX_EPOCH).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier
        .verify_server_cert(
            &chain[0],
            &chain[1..],
            &name,
            &[],
            UnixTime::since_unix_epoch(since),
        )
        .map(|_| ())
}

#[test]
fn the_authority_is_made_once_and_kept_for_the_owner_alone() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let first = ca_certificate(&state, &[]).unwrap();
    assert_eq!(ca_certificate(&state, &[]).unwrap(), first);
    assert!(!first.contains("PRIVATE"));
    let kept = Certificates::new(Some(&state));
    let authority = kept.authority(&[], now()).unwrap();
    assert_eq!(authority.certificate_pem(), first);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&ca_file(&state)), 0o600);
        assert_eq!(mode(ca_file(&state).parent().unwrap()), 0o700);
    }
    let files = fs::read_dir(ca_file(&state).parent().unwrap()).unwrap();
    assert_eq!(files.count(), 1, "no temporary file stays");
}

#[test]
fn those_who_make_it_at_the_same_time_agree() {
    let folder = TempDir::new().unwrap();
    let all: Vec<String> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| ca_certificate(folder.path(), &[]).unwrap()))
            .collect();
        makers
            .into_iter()
            .map(|made| made.join().unwrap())
            .collect()
    });
    assert!(all.iter().all(|pem| *pem == all[0]));
    assert_eq!(ca_certificate(folder.path(), &[]).unwrap(), all[0]);
}

#[cfg(unix)]
#[test]
fn what_others_could_have_written_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let folder = TempDir::new().unwrap();
    ca_certificate(folder.path(), &[]).unwrap();
    let file = ca_file(folder.path());
    for path in [file.as_path(), file.parent().unwrap()] {
        let before = fs::metadata(path).unwrap().permissions().mode();
        open(path, 0o777);
        let error = ca_certificate(folder.path(), &[]).unwrap_err();
        assert!(
            matches!(error, CertificateError::OpenToOthers { .. }),
            "{error:?}"
        );
        open(path, before);
    }
    ca_certificate(folder.path(), &[]).unwrap();
}

#[test]
fn a_damaged_authority_is_not_replaced_in_silence() {
    let folder = TempDir::new().unwrap();
    let first = ca_certificate(folder.path(), &[]).unwrap();
    let other = TempDir::new().unwrap();
    ca_certificate(other.path(), &[]).unwrap();
    let stranger = fs::read_to_string(ca_file(other.path())).unwrap();
    let key = &stranger[..stranger.find("-----BEGIN CERT").unwrap()];
    for damaged in [
        String::new(),
        "no PEM".to_owned(),
        first.clone(),
        format!("{key}{first}"),
        "x".repeat(100_000),
    ] {
        fs::write(ca_file(folder.path()), damaged).unwrap();
        let error = ca_certificate(folder.path(), &[]).unwrap_err();
        assert!(
            matches!(error, CertificateError::Damaged { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn an_authority_that_ends_is_replaced() {
    let folder = TempDir::new().unwrap();
    let open = |at| {
        let authority = Authority::open(Some(folder.path()), &[], at).unwrap();
        authority.certificate_pem().to_owned()
    };
    let first = open(now());
    assert_eq!(open(now() + DAY * 3600), first);
    let second = open(now() + DAY * 3640);
    assert_ne!(second, first);
    assert_eq!(open(now() + DAY * 3641), second);
}

#[test]
fn a_certificate_made_here_is_for_this_machine() {
    let authority = Arc::new(Authority::open(None, &names(&["db.test"]), now()).unwrap());
    let made = InForce::make(Arc::clone(&authority), &names(&["db.test"]), now()).unwrap();
    let chain = &made.at(now()).cert;
    let check = |name: &str| verify(authority.certificate_pem(), chain, name, now());
    for name in ["localhost", "127.0.0.1", "::1", "db.test"] {
        check(name).unwrap();
        assert!(made.info().names.contains(&name.to_owned()), "{name}");
    }
    check("elsewhere.test").unwrap_err();
    check("127.0.0.2").unwrap_err();
    assert!(made.info().local);
    assert_eq!(made.info().fingerprint.len(), 95);
}

#[test]
fn the_authority_cannot_vouch_for_the_rest_of_the_world() {
    let folder = TempDir::new().unwrap();
    let ca_pem = ca_certificate(folder.path(), &names(&["db.test", "10.1.2.3"])).unwrap();
    let stolen = fs::read_to_string(ca_file(folder.path())).unwrap();
    let key = KeyPair::from_pem(&stolen).unwrap();
    let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap();
    let issuer = Issuer::from_ca_cert_der(&ca, key).unwrap();
    let forged = |name: &str| {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap().der().clone();
        verify(&ca_pem, &[leaf], name, now())
    };
    for name in [
        "localhost",
        "db.test",
        "replica.db.test",
        "127.9.9.9",
        "10.1.2.3",
    ] {
        forged(name).unwrap();
    }
    for name in ["bank.example", "notlocalhost", "10.1.2.4", "::2"] {
        let error = forged(name).unwrap_err();
        let named = matches!(
            &error,
            rustls::Error::InvalidCertificate(Fault::Other(_) | Fault::InvalidPurpose)
        );
        assert!(
            named && format!("{error:?}").contains("NameConstraint"),
            "{error:?}"
        );
    }
}

#[test]
fn names_beyond_the_authority_are_refused_where_it_is_kept() {
    let folder = TempDir::new().unwrap();
    ca_certificate(folder.path(), &[]).unwrap();
    let config = ClientTls {
        names: names(&["db.test"]),
        ..ClientTls::default()
    };
    let kept = Certificates::new(Some(folder.path()));
    let error = kept.listener(&config).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("db.test") && text.contains("ca.pem"),
        "{text}"
    );
    ca_certificate(folder.path(), &config.names).unwrap_err();
    // Nobody can have come to trust one that is kept nowhere.
    let passing = Certificates::new(None);
    passing.listener(&ClientTls::default()).unwrap();
    let listener = passing.listener(&config).unwrap();
    let info = listener.certificate().unwrap();
    assert!(info.names.contains(&"db.test".to_owned()));
}

#[test]
fn names_that_are_none_are_told() {
    let mut config = ClientTls::default();
    for wrong in ["", "a b", "http://x", "*", "-"] {
        config.names = names(&[wrong]);
        let error = check(&config).unwrap_err();
        assert!(matches!(error, CertificateError::Name { .. }), "{wrong:?}");
    }
    config.names = names(&["*.db.test", "DB.Test", "10.0.0.1", "fe80::1"]);
    check(&config).unwrap();
    Certificates::new(None).listener(&config).unwrap();
}

#[test]
fn it_is_renewed_before_it_ends_and_open_connections_keep_theirs() {
    let authority = Arc::new(Authority::open(None, &[], now()).unwrap());
    let served = InForce::make(Arc::clone(&authority), &[], now()).unwrap();
    let first = served.at(now());
    assert!(Arc::ptr_eq(&served.at(now() + DAY * 19), &first));
    let later = now() + DAY * 21;
    let second = served.at(later);
    assert_ne!(second.cert[0], first.cert[0]);
    assert!(Arc::ptr_eq(&served.at(later), &second));
    verify(
        authority.certificate_pem(),
        &second.cert,
        "localhost",
        later + DAY * 25,
    )
    .unwrap();
    verify(
        authority.certificate_pem(),
        &first.cert,
        "localhost",
        later + DAY * 25,
    )
    .unwrap_err();
    assert!(served.info().not_after > later + DAY * 29);
}

/// Chain and key in files.
fn written(folder: &Path, not_after: i32) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names(&["db.test"])).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(not_after, 1, 1);
    let paths = (
        folder.join(format!("{not_after}.pem")),
        folder.join(format!("{not_after}.key")),
    );
    fs::write(&paths.0, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&paths.1, key.serialize_pem()).unwrap();
    paths
}

#[test]
fn files_are_checked_before_they_are_used() {
    let folder = TempDir::new().unwrap();
    let (chain, key) = written(folder.path(), 2090);
    let (_, other_key) = written(folder.path(), 2091);
    let ended = written(folder.path(), 2021);
    let missing = folder.path().join("missing");
    let outcome = |chain: &Path, key: &Path| {
        let config = ClientTls {
            certificate: Some((chain.to_owned(), key.to_owned())),
            ..ClientTls::default()
        };
        let checked = check(&config);
        let opened = Certificates::new(None).listener(&config);
        assert_eq!(checked.is_ok(), opened.is_ok());
        opened
    };
    let listener = outcome(&chain, &key).unwrap();
    let info = listener.certificate().unwrap();
    assert_eq!(
        (info.names.as_slice(), info.local),
        (&names(&["db.test"])[..], false)
    );
    type Is = fn(&CertificateError) -> bool;
    let cases: [(&Path, &Path, Is); 6] = [
        (&chain, &other_key, |e| {
            matches!(e, CertificateError::Mismatch { .. })
        }),
        (&key, &key, |e| {
            matches!(e, CertificateError::NoCertificate { .. })
        }),
        (&chain, &chain, |e| {
            matches!(e, CertificateError::NoKey { .. })
        }),
        (&missing, &key, |e| {
            matches!(e, CertificateError::File { .. })
        }),
        (&chain, folder.path(), |e| {
            matches!(e, CertificateError::File { .. })
        }),
        (&ended.0, &ended.1, |e| {
            matches!(e, CertificateError::Ended { .. })
        }),
    ];
    for (chain, key, expected) in cases {
        let error = outcome(chain, key).unwrap_err();
        assert!(expected(&error), "{error:?}");
    }
}

#[test]
fn no_key_shows() {
    let folder = TempDir::new().unwrap();
    let certificates = Certificates::new(Some(folder.path()));
    let listener = certificates.listener(&ClientTls::default()).unwrap();
    let shown = format!("{certificates:?} {listener:?}");
    let text = fs::read_to_string(ca_file(folder.path())).unwrap();
    let secret = text.lines().nth(1).unwrap();
    assert!(!shown.contains(secret) && !shown.contains("PRIVATE"));
}
