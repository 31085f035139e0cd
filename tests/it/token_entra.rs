//! Applications at the emulator's Entra, by real host names through its proxy.

use std::path::PathBuf;
use std::time::Duration;

use entrada::Secret;
use entrada::emulator::{Application, Emulator, EntraFault, FaultSpec, IdentityFault};
use entrada::target::{Auth, Cloud};
use entrada::token::{
    AccessToken, CertificateError, EntraRefusal, Environment, FetchError, Resource, Sources,
    TokenError,
};
use rcgen::{CertificateParams, KeyPair, RsaKeySize};
use tempfile::TempDir;
use uuid::Uuid;

const SECRET: &str = "MARKER~s/a+secret& ü";

async fn start(application: Application) -> Emulator {
    let builder = Emulator::builder().application(application);
    builder.start().await.unwrap()
}

fn with_secret(emulator: &Emulator, secret: &str) -> Auth {
    Auth::ServicePrincipalSecret {
        client_id: emulator.applications()[0].client_id.to_string(),
        tenant: Some(emulator.tenant_id().to_string()),
        secret: Secret::new(secret),
    }
}

fn with_certificate(emulator: &Emulator, file: PathBuf, password: Option<&str>) -> Auth {
    Auth::ServicePrincipalCertificate {
        client_id: emulator.applications()[0].client_id.to_string(),
        tenant: Some(emulator.tenant_id().to_string()),
        certificate: file,
        key: None,
        password: password.map(Secret::new),
    }
}

async fn fetch_for(
    emulator: &Emulator,
    auth: &Auth,
    resource: &str,
) -> Result<AccessToken, TokenError> {
    let sources = Sources::new(Environment::from_pairs(emulator.entra_environment()));
    let source = sources.source(auth, &Cloud::Public).unwrap();
    source.token(&Resource::new(resource)).await
}

async fn fetch(emulator: &Emulator, auth: &Auth) -> Result<AccessToken, TokenError> {
    fetch_for(emulator, auth, Cloud::Public.resource()).await
}

/// The refusal in an error that must be one, in which no secret is.
fn refusal(error: &TokenError) -> &EntraRefusal {
    assert!(!format!("{error:?}").contains("MARKER"), "{error:?}");
    match error.reason().map(FetchError::last) {
        Some(FetchError::Entra { refusal }) => refusal,
        other => panic!("{other:?}"),
    }
}

fn assert_is_the_applications(token: &AccessToken, emulator: &Emulator) {
    let claims = token.claims().unwrap();
    let application = &emulator.applications()[0];
    assert_eq!(claims.client_id, Some(application.client_id.to_string()));
    assert_eq!(claims.object_id, Some(application.object_id.to_string()));
    assert_eq!(claims.tenant_id, Some(emulator.tenant_id().to_string()));
    assert_eq!(claims.audience.as_deref(), Some(Cloud::Public.resource()));
}

#[tokio::test]
async fn a_secret_gives_the_applications_token() {
    let emulator = start(Application::new("orders-api").secret(SECRET)).await;
    let token = fetch(&emulator, &with_secret(&emulator, SECRET))
        .await
        .unwrap();
    assert_is_the_applications(&token, &emulator);
}

#[tokio::test]
async fn a_certificate_gives_the_applications_token() {
    let folder = TempDir::new().unwrap();
    let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let params = CertificateParams::new(["orders.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let file = folder.path().join("orders.pem");
    std::fs::write(&file, format!("{}{certificate}", key.serialize_pem())).unwrap();
    let emulator = start(Application::new("orders-api").certificate_pem(certificate)).await;
    let auth = with_certificate(&emulator, file, None);
    let token = fetch(&emulator, &auth).await.unwrap();
    assert_is_the_applications(&token, &emulator);

    // One that is not registered: AADSTS700027.
    let auth = with_certificate(&emulator, data("modern.p12"), Some("correct"));
    let error = fetch(&emulator, &auth).await.unwrap_err();
    assert_eq!(refusal(&error).codes, [700_027]);
    assert!(
        error
            .reason()
            .unwrap()
            .to_string()
            .contains("upload this certificate")
    );
}

fn data(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/data/certificates").join(name)
}

#[tokio::test]
async fn a_pkcs12_file_of_openssl_gives_it_too() {
    let certificate = std::fs::read_to_string(data("pkcs1.pem")).unwrap();
    let emulator = start(Application::new("orders-api").certificate_pem(certificate)).await;
    for (name, password) in [
        ("modern.p12", Some("correct")),
        ("legacy.p12", Some("correct")),
        ("encrypted.pem", Some("correct")),
        ("pkcs1.pem", None),
    ] {
        let auth = with_certificate(&emulator, data(name), password);
        let token = fetch(&emulator, &auth).await.unwrap();
        assert_is_the_applications(&token, &emulator);
    }
    let auth = with_certificate(&emulator, data("modern.p12"), Some("MARKER"));
    let error = fetch(&emulator, &auth).await.unwrap_err();
    assert!(
        matches!(
            error.reason(),
            Some(FetchError::Certificate {
                problem: CertificateError::WrongPassword,
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn each_refusal_has_its_code_and_its_advice() {
    let ended = Application::new("orders-api")
        .secret(SECRET)
        .secret_until("MARKER-old", 1);
    let emulator = start(ended).await;
    let (client, tenant) = (
        emulator.applications()[0].client_id.to_string(),
        emulator.tenant_id().to_string(),
    );
    let nobody = Uuid::from_u128(7).to_string();
    for (client_id, tenant, secret, resource, codes, word) in [
        (
            &client,
            &tenant,
            "MARKER",
            "",
            &[7_000_215][..],
            "secret's value",
        ),
        (&client, &tenant, "MARKER-old", "", &[7_000_222], "expired"),
        (&nobody, &tenant, SECRET, "", &[700_016], "client id"),
        (&client, &nobody, SECRET, "", &[90_002], "no such tenant"),
        (
            &client,
            &tenant,
            SECRET,
            "https://nothing.example",
            &[500_011, 50_001],
            "resource",
        ),
    ] {
        let auth = Auth::ServicePrincipalSecret {
            client_id: client_id.clone(),
            tenant: Some(tenant.clone()),
            secret: Secret::new(secret),
        };
        let resource = match resource {
            "" => Cloud::Public.resource(),
            other => other,
        };
        let error = fetch_for(&emulator, &auth, resource).await.unwrap_err();
        let refusal = refusal(&error);
        assert!(codes.contains(&refusal.codes[0]), "{refusal:?}");
        assert!(refusal.advice.contains(word), "{refusal:?}");
        assert!(
            refusal.correlation_id.is_some() && refusal.trace_id.is_some(),
            "{refusal:?}"
        );
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn throttling_holds_the_whole_process_back() {
    // The name makes the client id, and other tests of this process are not to be held back.
    let emulator = start(Application::new("throttled-api").secret(SECRET)).await;
    let auth = with_secret(&emulator, SECRET);
    let fault = EntraFault::Http(IdentityFault::Status {
        status: 429,
        retry_after: Some(Duration::from_secs(300)),
    });
    emulator.faults().add(&FaultSpec::entra(fault).times(1));
    let throttled = fetch(&emulator, &auth).await.unwrap_err();
    assert_eq!(throttled.retry_after(), Some(Duration::from_secs(300)));
    let asked = emulator.requests().len();
    let held = fetch(&emulator, &auth).await.unwrap_err();
    assert!(
        matches!(held.reason(), Some(FetchError::Throttled { .. })),
        "{held:?}"
    );
    assert_eq!(emulator.requests().len(), asked);
}

#[tokio::test]
async fn a_gateways_page_is_passed_over_or_named() {
    let emulator = start(Application::new("orders-api").secret(SECRET)).await;
    let auth = with_secret(&emulator, SECRET);
    let fault = |fault| {
        let fault = FaultSpec::entra(EntraFault::Http(fault)).times(1);
        emulator.faults().add(&fault);
    };
    // A page with status 503, as gateways have it.
    fault(IdentityFault::Html);
    let token = fetch(&emulator, &auth).await.unwrap();
    assert_is_the_applications(&token, &emulator);
    fault(IdentityFault::Redirect);
    let error = fetch(&emulator, &auth).await.unwrap_err();
    assert!(
        matches!(error.reason(), Some(FetchError::NotATokenEndpoint { .. })),
        "{error:?}"
    );
    fault(IdentityFault::Oversized);
    let error = fetch(&emulator, &auth).await.unwrap_err();
    assert!(
        matches!(error.reason(), Some(FetchError::TooLarge { .. })),
        "{error:?}"
    );
    fault(IdentityFault::Garbage);
    let error = fetch(&emulator, &auth).await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_process_that_does_not_trust_the_authority_sends_nothing() {
    let emulator = start(Application::new("orders-api").secret(SECRET)).await;
    let mut environment = emulator.entra_environment();
    environment.push(("AZURE_AUTHORITY_HOST".into(), emulator.https_url()));
    let sources = Sources::new(Environment::from_pairs(environment));
    let auth = with_secret(&emulator, SECRET);
    let error = sources.source(&auth, &Cloud::Public).unwrap_err();
    assert!(
        matches!(error.reason(), Some(FetchError::UntrustedAuthority { .. })),
        "{error:?}"
    );
    assert!(emulator.requests().is_empty());
    // Permitted, it is asked.
    let host = emulator.https_url();
    let host = host.trim_start_matches("https://").trim_end_matches('/');
    let source = sources
        .allow_authority(host)
        .source(&auth, &Cloud::Public)
        .unwrap();
    let token = source.token(&Resource::from(Cloud::Public)).await.unwrap();
    assert_is_the_applications(&token, &emulator);
}
