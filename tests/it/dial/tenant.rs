//! The tenant that a connection string does not name, and the server does.

use std::error::Error;

use entrada::dial::token_source;
use entrada::target::Cloud;
use entrada::tds::{FeatureId, FedAuth, FedAuthInfo, Login7, Token};
use entrada::token::{Environment, FetchError, Sources, TokenError};

use super::*;
use crate::support::fake_server::{FakeServer, refused};

const TENANT: &str = "11111111-2222-3333-4444-555555555555";

fn principal(port: u16, certificates: &Certificates, tenant: Option<&str>) -> Target {
    let mut target = target(port, certificates);
    target.auth = Auth::ServicePrincipalSecret {
        client_id: "c".to_owned(),
        tenant: tenant.map(str::to_owned),
        secret: Secret::new("MARKED-SECRET"),
    };
    target
}

/// Sources without a network: what they would ask beyond the server fails at once.
fn sources() -> Sources {
    let nowhere = [("HTTPS_PROXY", "http://127.0.0.1:1")];
    Sources::new(Environment::from_pairs(nowhere))
}

/// Serves one login with this answer, and returns what came.
async fn answering(
    certificates: &Certificates,
    answer: Vec<Token>,
) -> FakeServer<(Login7, Vec<u8>)> {
    let config = tls12(certificates);
    FakeServer::start(1, move |_, mut conn| {
        let (config, answer) = (Arc::clone(&config), answer.clone());
        async move {
            let login = conn.until_login(&config).await.unwrap();
            conn.tokens(&answer).await.unwrap();
            conn.until_closed().await;
            (login, conn.seen)
        }
    })
    .await
}

fn info(sts_url: &str, spn: &str) -> Vec<Token> {
    vec![Token::FedAuthInfo(FedAuthInfo {
        sts_url: sts_url.to_owned(),
        spn: spn.to_owned(),
    })]
}

/// The error's levels, joined.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(level) = cause {
        text.push_str(": ");
        text.push_str(&level.to_string());
        cause = level.source();
    }
    text
}

async fn failure(answer: Vec<Token>) -> (TokenError, Login7, Vec<u8>) {
    let certificates = localhost();
    let server = answering(&certificates, answer).await;
    let target = principal(server.address.port(), &certificates, None);
    let source = token_source(&target, &sources()).unwrap();
    let error = source.token(&Resource::new(RESOURCE)).await.unwrap_err();
    let (login, seen) = server.outcomes().await.remove(0);
    (error, login, seen)
}

#[tokio::test]
async fn the_server_is_asked_without_a_credential_and_its_tenant_taken() {
    let url = format!("https://login.microsoftonline.com/{TENANT}/oauth2/authorize");
    let (error, login, seen) = failure(info(&url, RESOURCE)).await;
    let fed_auth = FedAuth::from_feature(login.feature(FeatureId::FEDAUTH).unwrap()).unwrap();
    assert!(matches!(fed_auth, FedAuth::Adal { .. }), "{fed_auth:?}");
    assert!(login.user_name.is_empty() && login.password.is_empty());
    assert!(!seen.windows(6).any(|bytes| bytes == b"MARKED"));
    // Nothing can be reached from here, and the request was for that tenant's endpoint.
    let text = chain(&error);
    assert!(matches!(error, TokenError::Fetch { .. }), "{text}");
    assert!(
        !text.contains("did not tell") && !text.contains("MARKED"),
        "{text}"
    );
    assert!(text.contains("login.microsoftonline.com"), "{text}");
}

#[tokio::test]
async fn a_server_cannot_have_credentials_or_tokens_for_others() {
    let good = format!("https://login.microsoftonline.com/{TENANT}");
    for (sts_url, spn, words) in [
        (
            format!("https://evil.example/{TENANT}"),
            RESOURCE,
            "evil.example",
        ),
        (
            format!("http://login.microsoftonline.com/{TENANT}"),
            RESOURCE,
            "https://",
        ),
        (
            "https://login.microsoftonline.com/".to_owned(),
            RESOURCE,
            "names no tenant",
        ),
        (
            "https://login.microsoftonline.com/common".to_owned(),
            RESOURCE,
            "any tenant",
        ),
        (
            good.clone(),
            "https://vault.azure.net/",
            "https://vault.azure.net/",
        ),
        (good, "", "wants a token for"),
    ] {
        let (error, ..) = failure(info(&sts_url, spn)).await;
        let text = chain(&error);
        let reason = error.reason();
        assert!(
            matches!(reason, Some(FetchError::TenantUnknown { .. })),
            "{text}"
        );
        assert!(
            text.contains(words) && text.contains("Entrada Tenant ID"),
            "{text}"
        );
        assert!(!error.is_transient(), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_or_is_silent_is_the_cause() {
    let (error, ..) = failure(refused(18456, "Login failed for user ''.")).await;
    assert!(chain(&error).contains("Login failed"), "{}", chain(&error));
    assert!(!error.is_transient());
    let (error, ..) = failure(refused(40613, "Database is not available now.")).await;
    assert!(error.is_transient(), "{}", chain(&error));
    let certificates = localhost();
    let mut target = principal(1, &certificates, None);
    target.limits.connect_timeout = Some(SOON);
    let source = token_source(&target, &sources()).unwrap();
    let error = source.token(&Resource::new(RESOURCE)).await.unwrap_err();
    assert!(error.is_transient(), "{}", chain(&error));
}

#[tokio::test]
async fn nobody_is_asked_where_the_tenant_is_known() {
    let certificates = localhost();
    // Nothing listens on port 1: asking would show.
    let named = principal(1, &certificates, Some(TENANT));
    assert_eq!(
        token_source(&named, &sources()).unwrap().key().tenant(),
        TENANT
    );
    let unnamed = principal(1, &certificates, None);
    let env = Environment::from_pairs([("AZURE_TENANT_ID", TENANT)]);
    let source = token_source(&unnamed, &Sources::new(env)).unwrap();
    assert_eq!(source.key().tenant(), TENANT);
    let asking = token_source(&unnamed, &sources()).unwrap().key();
    assert_eq!(asking.tenant(), "that of localhost,1");
    assert_eq!(asking.identity(), "client id c");
    assert_ne!(asking, source.key());
    assert!(!format!("{asking:?}").contains("MARKED"));
}

#[tokio::test]
async fn a_target_without_a_certificate_check_asks_nobody_either() {
    let certificates = localhost();
    let mut target = principal(1, &certificates, None);
    target.tls.server_certificate = Some("/no/such/file".into());
    let error = token_source(&target, &sources()).unwrap_err();
    assert!(matches!(error, TokenError::Setup { .. }), "{error:?}");
    assert_eq!(target.cloud, Cloud::Public);
}
