//! Credentials of the Azure SDK as sources, and sources as credentials of the Azure SDK.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use azure_core::credentials::{AccessToken as SdkToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error as SdkError, ErrorKind};
use azure_core::http::StatusCode;
use azure_core::time::OffsetDateTime;
use entrada::conn_string::ConnectionString;
use entrada::emulator::{Emulator, ManagedIdentity};
use entrada::pool::Pool;
use entrada::target::{Auth, Cloud, Identity, Target};
use entrada::token::{
    AccessToken, AzureCredential, CallbackToken, Environment, FetchError, Resource,
    SourceCredential, Sources, TokenCache, TokenSource,
};

/// A credential that answers from memory, as any of the SDK's may.
#[derive(Debug)]
struct Given {
    answer: Result<String, ErrorKind>,
    scopes: Mutex<Vec<String>>,
}

impl Given {
    fn new(answer: Result<String, ErrorKind>) -> Arc<Self> {
        Arc::new(Self {
            answer,
            scopes: Mutex::default(),
        })
    }
}

#[async_trait::async_trait]
impl TokenCredential for Given {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<SdkToken> {
        self.scopes
            .lock()
            .unwrap()
            .extend(scopes.iter().map(|scope| (*scope).to_owned()));
        let expires = OffsetDateTime::from(SystemTime::now() + Duration::from_secs(3600));
        match &self.answer {
            Ok(token) => Ok(SdkToken::new(token.clone(), expires)),
            Err(kind) => Err(SdkError::with_message(kind.clone(), "the SDK's own words")),
        }
    }
}

fn database() -> Resource {
    Resource::from(Cloud::Public)
}

#[tokio::test]
async fn a_credential_is_asked_for_the_very_resource() {
    let given = Given::new(Ok("MARKER".to_owned()));
    let source = AzureCredential::new(given.clone()).with_identity("build agent");
    let token = source.token(&database()).await.unwrap();
    assert_eq!(token.secret().expose(), "MARKER");
    let left = token.remaining().as_secs();
    assert!((3590..=3600).contains(&left), "{left}");
    assert_eq!(
        *given.scopes.lock().unwrap(),
        ["https://database.windows.net//.default"]
    );
    assert_eq!(
        source.key().to_string(),
        "the Azure SDK's credential (build agent)"
    );
    assert_eq!(source.key(), source.clone().key());
    assert_ne!(
        source.key(),
        AzureCredential::new(given.clone())
            .with_identity("build agent")
            .key()
    );
    assert!(!format!("{source:?} {token:?}").contains("MARKER"));
}

#[tokio::test]
async fn a_credentials_error_is_the_cause_and_says_whether_it_lasts() {
    let status = |status| ErrorKind::HttpResponse {
        status,
        error_code: None,
        raw_response: None,
    };
    for (kind, transient) in [
        (status(StatusCode::BadRequest), false),
        (status(StatusCode::Unauthorized), false),
        (status(StatusCode::TooManyRequests), true),
        (status(StatusCode::ServiceUnavailable), true),
        (ErrorKind::Io, true),
        (ErrorKind::Credential, true),
    ] {
        let source = AzureCredential::new(Given::new(Err(kind.clone())));
        let error = source.token(&database()).await.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{kind:?}");
        assert!(
            matches!(error.reason(), Some(FetchError::Credential { .. })),
            "{error:?}"
        );
        let cause = error.source().unwrap().source().unwrap();
        assert!(cause.is::<SdkError>());
        assert!(cause.to_string().contains("the SDK's own words"), "{cause}");
    }
}

#[tokio::test]
async fn a_wrapped_refusal_still_counts_as_one() {
    #[derive(Debug)]
    struct Wrapping;
    #[async_trait::async_trait]
    impl TokenCredential for Wrapping {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<SdkToken> {
            let refused = ErrorKind::HttpResponse {
                status: StatusCode::Unauthorized,
                error_code: Some("invalid_client".to_owned()),
                raw_response: None,
            };
            Err(SdkError::with_error(
                ErrorKind::Credential,
                refused.into_error(),
                "outer",
            ))
        }
    }
    let error = AzureCredential::new(Arc::new(Wrapping))
        .token(&database())
        .await
        .unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
}

/// A source that counts, and tells which resource it was asked for.
fn counting(calls: &Arc<AtomicUsize>) -> Arc<dyn TokenSource> {
    let calls = Arc::clone(calls);
    Arc::new(CallbackToken::new(move |resource: Resource| {
        calls.fetch_add(1, Ordering::Relaxed);
        async move {
            let text = format!("token for {resource}");
            Ok::<_, std::io::Error>(AccessToken::new(text, Duration::from_secs(3600)))
        }
    }))
}

#[tokio::test]
async fn a_source_serves_sdk_clients_and_pools_with_one_token() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (source, cache) = (counting(&calls), TokenCache::new());
    let slot = cache.slot(Arc::clone(&source), Cloud::Public);
    let ours = slot.get().await.unwrap();
    let credential: Arc<dyn TokenCredential> = Arc::new(SourceCredential::new(source, cache));
    for scope in [
        "https://database.windows.net//.default",
        "https://database.windows.net/.default",
    ] {
        let token = credential.get_token(&[scope], None).await.unwrap();
        assert_eq!(
            token.token.secret(),
            "token for https://database.windows.net/"
        );
        let apart = ours.expires_on().duration_since(token.expires_on.into());
        assert!(apart.unwrap_or_default() < Duration::from_secs(1));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let vault = ["https://vault.azure.net/.default"];
    let token = credential.get_token(&vault, None).await.unwrap();
    assert_eq!(token.token.secret(), "token for https://vault.azure.net");
    for scopes in [&[][..], &["User.Read"], &["a/.default", "b/.default"]] {
        let error = credential.get_token(scopes, None).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Credential);
    }
}

#[tokio::test]
async fn the_sdk_sees_why_a_source_failed() {
    let source = CallbackToken::new(|_| async { Err::<AccessToken, _>("vault sealed") });
    let credential = SourceCredential::new(Arc::new(source), TokenCache::new());
    let scope = ["https://database.windows.net/.default"];
    let error = credential.get_token(&scope, None).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Credential);
    let mut chain = Vec::new();
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(level) = cause {
        chain.push(level.to_string());
        cause = level.source();
    }
    assert!(
        chain.iter().any(|level| level == "vault sealed"),
        "{chain:?}"
    );
}

/// There and back: a managed identity of the emulator as the SDK's credential, and that as the
/// source of a pool.
#[tokio::test]
async fn a_pool_logs_in_with_a_foreign_credential() {
    let app = ManagedIdentity::user_assigned("app");
    let emulator = Emulator::builder()
        .identity(app.clone())
        .database("shop")
        .user("shop", "app", &["db_datareader"])
        .start()
        .await
        .unwrap();
    let environment = Environment::from_pairs(emulator.imds_environment());
    let identity = Auth::ManagedIdentity(Identity::ClientId(app.client_id.to_string()));
    let source = Sources::new(environment)
        .source(&identity, &Cloud::Public)
        .unwrap();
    let credential = Arc::new(SourceCredential::new(source, TokenCache::new()));

    let text = emulator.connection_strings("shop", None).ado_net;
    let text: Vec<&str> = text
        .split(';')
        .filter(|pair| !pair.starts_with("Authentication"))
        .collect();
    let string = ConnectionString::parse(&text.join(";")).unwrap();
    let pool = Pool::builder(Target::with_auth(&string, Auth::Callback).unwrap())
        .token_source(Arc::new(AzureCredential::new(credential)))
        .build()
        .unwrap();
    let mut client = pool.get().await.unwrap();
    let result = client.simple_query("SELECT USER_NAME()").await.unwrap();
    let row = result.into_row().await.unwrap().unwrap();
    assert_eq!(row.get::<&str, _>(0), Some("app"));
    drop(client);
    pool.close().await;
    emulator.shutdown().await;
}
