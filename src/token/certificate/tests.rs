//! Files of every kind, and what is signed with them.

use std::fs;

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, RsaKeySize};
use serde_json::Value;
use tempfile::TempDir;
use url::Url;

use super::*;

const ENDPOINT: &str = "https://login.microsoftonline.com/t/oauth2/v2.0/token";

/// The SHA-256 of the certificate in `tests/data/certificates`, as OpenSSL tells it.
const THUMBPRINT: &str = "rkqm-TPWtuaxdb9WfhoMvkyeyP1tEPDj3Pp2rHNkP8M";

/// A certificate and key of the test's own.
struct Made {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Made {
    fn pem(&self) -> String {
        format!("{}{}", self.key.serialize_pem(), self.certificate.pem())
    }
}

fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

fn made(key: KeyPair, begins: i64, ends: i64) -> Made {
    let at = |days: i64| {
        let now = i64::try_from(seconds(SystemTime::now())).unwrap();
        let time = x509_parser::time::ASN1Time::from_timestamp(now + days * 24 * 3600);
        time.unwrap().to_datetime()
    };
    let mut params = CertificateParams::new(["app.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (at(begins), at(ends));
    let certificate = params.self_signed(&key).unwrap();
    Made { certificate, key }
}

fn data(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/data/certificates").join(name)
}

fn files(certificate: impl Into<PathBuf>) -> Files {
    Files {
        certificate: certificate.into(),
        key: None,
        password: None,
    }
}

fn with_password(name: &str, password: &str) -> Files {
    Files {
        password: Some(Secret::new(password)),
        ..files(data(name))
    }
}

async fn sign(source: &CertificateAssertion) -> Result<String, FetchError> {
    let token_endpoint = Url::parse(ENDPOINT).unwrap();
    let exchange = Exchange {
        token_endpoint: &token_endpoint,
        client_id: "the-client",
        audience: "unused",
    };
    let signed = source.assertion(&exchange).await?;
    Ok(signed.expose().to_owned())
}

async fn signed(files: Files) -> Result<String, FetchError> {
    sign(&CertificateAssertion::new(files, false)).await
}

async fn problem(files: Files) -> CertificateError {
    match signed(files).await.unwrap_err() {
        FetchError::Certificate { problem, .. } => problem,
        other => panic!("{other:?}"),
    }
}

fn part(jwt: &str, index: usize) -> Value {
    let part = jwt.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Checks the signature with the certificate's own key.
fn verify(jwt: &str, certificate: &rcgen::Certificate) {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate.der()).unwrap();
    let public = &parsed.public_key().subject_public_key.data;
    let (message, signature) = jwt.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public);
    key.verify(message.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn the_assertion_is_as_microsoft_asks() {
    let folder = TempDir::new().unwrap();
    let (file, made) = (folder.path().join("app.pem"), made(rsa(), -1, 100));
    fs::write(&file, made.pem()).unwrap();
    let source = CertificateAssertion::new(files(&file), false);
    let (first, second) = (sign(&source).await.unwrap(), sign(&source).await.unwrap());
    verify(&first, &made.certificate);
    let header = part(&first, 0);
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&json!("PS256"), &json!("JWT"))
    );
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, made.certificate.der());
    assert_eq!(header["x5t#S256"], URL_SAFE_NO_PAD.encode(digest));
    assert!(header.get("x5c").is_none());
    let claims = part(&first, 1);
    for (name, value) in [
        ("aud", ENDPOINT),
        ("iss", "the-client"),
        ("sub", "the-client"),
    ] {
        assert_eq!(claims[name], value);
    }
    let times = ["nbf", "iat", "exp"].map(|name| claims[name].as_u64().unwrap());
    assert_eq!((times[0], times[2] - times[1]), (times[1], 600));
    assert!(Uuid::try_parse(claims["jti"].as_str().unwrap()).is_ok());
    assert_ne!(claims["jti"], part(&second, 1)["jti"]);
}

#[tokio::test]
async fn every_form_of_file_is_read() {
    for files in [
        files(data("pkcs1.pem")),
        with_password("encrypted.pem", "correct"),
        with_password("modern.p12", "correct"),
        with_password("legacy.p12", "correct"),
    ] {
        let name = format!("{:?}", files.certificate);
        let jwt = signed(files)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(part(&jwt, 0)["x5t#S256"], THUMBPRINT, "{name}");
    }
}

#[tokio::test]
async fn the_key_may_be_in_a_file_of_its_own() {
    let folder = TempDir::new().unwrap();
    let made = made(rsa(), -1, 100);
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    fs::write(&certificate, made.certificate.pem()).unwrap();
    fs::write(&key, made.key.serialize_pem()).unwrap();
    let error = problem(files(&certificate)).await;
    assert!(matches!(error, CertificateError::NoKey), "{error:?}");
    let both = Files {
        key: Some(key.clone()),
        ..files(&certificate)
    };
    verify(&signed(both.clone()).await.unwrap(), &made.certificate);
    fs::write(&key, rsa().serialize_pem()).unwrap();
    let error = problem(both).await;
    assert!(matches!(error, CertificateError::Mismatch), "{error:?}");
    let error = problem(files(&key)).await;
    assert!(
        matches!(error, CertificateError::NoCertificate),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_chain_goes_along_when_it_is_asked_for() {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new([]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "the CA");
    let root = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let mut params = CertificateParams::new(["app.example".to_owned()]).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "the app");
    let key = rsa();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let other = made(rsa(), -1, 9).certificate;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("app.pem");
    // In the wrong order, and with one that has nothing to do with it.
    let all = format!(
        "{}{}{}{}",
        root.pem(),
        other.pem(),
        key.serialize_pem(),
        leaf.pem()
    );
    fs::write(&file, all).unwrap();
    let jwt = sign(&CertificateAssertion::new(files(&file), true))
        .await
        .unwrap();
    verify(&jwt, &leaf);
    let chain = [leaf.der(), root.der()].map(|der| STANDARD.encode(der));
    assert_eq!(part(&jwt, 0)["x5c"], json!(chain));
}

#[tokio::test]
async fn a_rotated_file_is_read_and_a_broken_one_is_not_taken() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("app.pem");
    let (old, new) = (made(rsa(), -1, 100), made(rsa(), -1, 200));
    fs::write(&file, old.pem()).unwrap();
    let source = CertificateAssertion::new(files(&file), false);
    verify(&sign(&source).await.unwrap(), &old.certificate);
    // Lengths differ, so that clocks of coarse file systems do not matter.
    fs::write(&file, &new.pem()[..100]).unwrap();
    verify(&sign(&source).await.unwrap(), &old.certificate);
    fs::remove_file(&file).unwrap();
    verify(&sign(&source).await.unwrap(), &old.certificate);
    fs::write(&file, format!("{}\n", new.pem())).unwrap();
    verify(&sign(&source).await.unwrap(), &new.certificate);
}

#[tokio::test]
async fn each_fault_of_a_file_is_named() {
    let folder = TempDir::new().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        files(file)
    };
    let ec = made(KeyPair::generate().unwrap(), -1, 9).pem();
    let sec1 = "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----";
    let expired = made(rsa(), -9, -2).pem();
    let future = made(rsa(), 3, 9).pem();
    let cut = "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----";
    let large = vec![b'a'; (1 << 20) + 1];
    for (files, word) in [
        (put("ec", ec.as_bytes()), "elliptic-curve"),
        (put("sec1", sec1.as_bytes()), "elliptic-curve"),
        (put("expired", expired.as_bytes()), "expired 48 h ago"),
        (put("future", future.as_bytes()), "becomes valid in"),
        (put("cut", cut.as_bytes()), "its private key cannot be read"),
        (put("empty", b""), "its content"),
        (put("text", b"MARKER"), "its content"),
        (put("zeros", &[0; 100]), "its content"),
        (
            put("sequence", b"\x30\x82\xff\xff\x02\x01\x03"),
            "its content",
        ),
        (put("large", &large), "larger than 1048576 bytes"),
        (files(folder.path().join("absent")), "cannot be read"),
        (files(folder.path()), "no regular file"),
        (files(data("encrypted.pem")), "give its password"),
        (files(data("modern.p12")), "give its password"),
        (with_password("encrypted.pem", "MARKER"), "does not open"),
        (with_password("modern.p12", "MARKER"), "does not open"),
        (with_password("legacy.p12", "MARKER"), "does not open"),
        (
            with_password("encrypted-old-form.pem", "correct"),
            "openssl pkcs8",
        ),
    ] {
        let name = format!("{:?}", files.certificate);
        let error = signed(files).await.unwrap_err();
        let FetchError::Certificate { file, problem } = &error else {
            panic!("{name}: {error:?}");
        };
        assert!(problem.to_string().contains(word), "{name}: {problem}");
        assert!(name.contains(file.as_str()) && !error.is_transient());
        assert!(!format!("{error:?}").contains("MARKER"), "{error:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_in_place_of_a_key_is_not_waited_for() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for device in [pipe, "/dev/zero".into()] {
        let error = signed(files(device)).await.unwrap_err();
        let FetchError::Certificate { problem, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(matches!(problem, CertificateError::NotAFile), "{problem:?}");
    }
}

#[tokio::test]
async fn nothing_of_the_key_is_shown() {
    let source = CertificateAssertion::new(with_password("modern.p12", "correct"), false);
    sign(&source).await.unwrap();
    let shown = format!("{source:?} {} {}", source.describe(), source.mark());
    assert!(
        shown.contains("modern.p12") && !shown.contains("correct"),
        "{shown}"
    );
    assert!(!shown.contains("RsaKeyPair"), "{shown}");
    let other = CertificateAssertion::new(with_password("modern.p12", "other"), false);
    assert_ne!(source.mark(), other.mark());
}
