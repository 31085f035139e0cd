//! Vaults as scripts: what is asked, what is sent to whom, and what becomes of the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::time::Instant;

use super::client::Client;
use super::*;
use crate::secret::Secret;
use crate::token::testing::{Answer, ScriptedHttp};
use crate::token::{
    AccessToken, Environment, FetchError, HttpRequest, Resource, TokenError, TokenSource,
};

const VERSION: &str = "0123456789abcdef0123456789abcdef";
const NEWEST: &str = "@Microsoft.KeyVault(SecretUri=https://kv1.vault.azure.net/secrets/db)";
const BY_SQL: &str = "Data Source=h;User ID=u;Password=";

/// The answer to a request without a token.
fn challenge() -> Answer {
    announcing("resource=\"https://vault.azure.net\"")
}

fn announcing(resource: &str) -> Answer {
    let header =
        format!("Bearer authorization=\"https://login.microsoftonline.com/T\", {resource}");
    Answer::json(401, r#"{"error":{"code":"Unauthorized","message":"m"}}"#)
        .with_header("www-authenticate", header)
}

fn secret(value: &str) -> Answer {
    let id = format!("https://kv1.vault.azure.net/secrets/db/{VERSION}");
    let body = serde_json::json!({"value": value, "id": id, "attributes": {"enabled": true}});
    Answer::json(200, body.to_string())
}

fn refusal(status: u16, code: &str, inner: &str) -> Answer {
    let body = serde_json::json!({
        "error": {"code": code, "message": "m", "innererror": {"code": inner}}
    });
    Answer::json(status, body.to_string())
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let mut headers = request.headers.iter();
    let found = headers.find(|(name, _)| *name == "authorization");
    found.map(|(_, value)| value.expose())
}

/// Gives `t1`, `t2` and so on.
#[derive(Debug, Default)]
struct Numbered(AtomicU32);

#[async_trait]
impl TokenSource for Numbered {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        // Azure SQL's resource has a slash at its end; a vault's has none.
        assert_eq!(resource.as_str(), "https://vault.azure.net");
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(AccessToken::new(
            format!("t{number}"),
            Duration::from_secs(3600),
        ))
    }

    fn key(&self) -> SourceKey {
        SourceKey::new("numbered")
    }
}

/// One reading by a fresh client, and the requests that it made.
async fn read(
    script: Vec<Answer>,
) -> (Result<SecretValue, VaultError>, Vec<(Instant, HttpRequest)>) {
    let http = Arc::new(ScriptedHttp::new(script));
    let client = Client::new(http.clone(), Cow::Borrowed(API_VERSION));
    let reference: Reference = NEWEST.parse().unwrap();
    let address = reference.address(Cloud::Public, &[]).unwrap();
    let source: Arc<dyn TokenSource> = Arc::new(Numbered::default());
    let outcome = client.read(&address, &source, &TokenCache::new()).await;
    (outcome, http.seen())
}

async fn fails(script: Vec<Answer>) -> VaultError {
    let (outcome, _) = read(script).await;
    let error = outcome.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("MARKER"));
    error
}

/// Vaults by a script, read as somebody who has a token.
fn vaults(script: Vec<Answer>) -> (KeyVault, Arc<ScriptedHttp>) {
    let http = Arc::new(ScriptedHttp::new(script));
    let env = Environment::from_pairs::<String, String>([]);
    let sources = Sources::new(env).with_internet(http.clone());
    let vaults = KeyVault::builder(sources)
        .identity(Auth::AccessToken(Secret::new("t")))
        .build();
    (vaults, http)
}

fn password(target: &crate::target::Target) -> String {
    match &target.auth {
        Auth::SqlPassword { password, .. } => password.expose().to_owned(),
        other => panic!("{}", other.name()),
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_request_has_no_token_and_the_second_has_one() {
    for announced in [
        "resource=\"https://vault.azure.net\"",
        "scope=\"https://vault.azure.net/.default\"",
    ] {
        let (outcome, seen) = read(vec![announcing(announced), secret("s")]).await;
        let value = outcome.unwrap();
        assert_eq!(value.value.expose(), "s");
        assert_eq!(value.version.as_deref(), Some(VERSION));
        let sent: Vec<_> = seen.iter().map(|(_, request)| bearer(request)).collect();
        assert_eq!(sent, [None, Some("Bearer t1")]);
        for (_, request) in &seen {
            assert_eq!(
                request.url.as_str(),
                "https://kv1.vault.azure.net/secrets/db?api-version=7.4"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_token_is_sent_to_a_vault_that_asks_for_a_foreign_one() {
    for announced in [
        "resource=\"https://database.windows.net/\"",
        "resource=\"https://vault.azure.cn\"",
        "scope=\"https://evil.example/.default\"",
    ] {
        let (outcome, seen) = read(vec![announcing(announced)]).await;
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, VaultError::ForeignChallenge { .. }),
            "{error}"
        );
        assert!(seen.iter().all(|(_, request)| bearer(request).is_none()));
    }
    for odd in [
        Answer::json(401, "{}"),
        Answer::json(401, "").with_header("www-authenticate", "Basic realm=\"x\""),
        Answer::json(403, "{}"),
        secret("MARKER"),
    ] {
        let error = fails(vec![odd]).await;
        assert!(matches!(error, VaultError::Challenge { .. }), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_accepted_is_replaced_once() {
    let (outcome, seen) = read(vec![challenge(), challenge(), secret("s")]).await;
    assert_eq!(outcome.unwrap().value.expose(), "s");
    assert_eq!(bearer(&seen[2].1), Some("Bearer t2"));
    let error = fails(vec![challenge(), challenge(), challenge()]).await;
    let VaultError::Unauthorized { tenant, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(tenant.as_deref(), Some("T"));
}

#[tokio::test(start_paused = true)]
async fn each_refusal_says_what_to_do() {
    for (inner, advice) in [
        ("ForbiddenByRbac", "10 minutes"),
        ("ForbiddenByFirewall", "private endpoint"),
        ("AccessDenied", "access policy"),
        ("ForbiddenByPolicy", "access policy"),
        ("SomethingNew", "firewall"),
    ] {
        let error = fails(vec![challenge(), refusal(403, "Forbidden", inner)]).await;
        let text = error.to_string();
        assert!(text.contains(advice) && text.contains("numbered"), "{text}");
        assert!(!error.is_transient());
    }
    let disabled = fails(vec![
        challenge(),
        refusal(403, "Forbidden", "SecretDisabled"),
    ]);
    assert!(matches!(disabled.await, VaultError::Disabled));
    let missing = fails(vec![challenge(), refusal(404, "SecretNotFound", "x")]);
    assert!(matches!(missing.await, VaultError::NotFound { .. }));
    let odd = fails(vec![challenge(), refusal(400, "BadParameter", "x")]);
    assert!(matches!(odd.await, VaultError::Refused { .. }));
}

#[tokio::test(start_paused = true)]
async fn throttling_and_outages_are_sat_out() {
    let script = vec![
        challenge(),
        Answer::status(429),
        Answer::json(503, "<html>"),
        Answer::Refused,
        Answer::TimedOut,
        secret("s"),
    ];
    let (outcome, seen) = read(script).await;
    assert_eq!(outcome.unwrap().value.expose(), "s");
    let waits: Vec<f64> = seen[1..]
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].0).as_secs_f64())
        .collect();
    for (wait, base) in waits.iter().zip([1.0, 2.0, 4.0, 8.0]) {
        assert!((base..=base * 1.25 + 0.01).contains(wait), "{waits:?}");
    }
    let mut script = vec![challenge()];
    script.extend(vec![Answer::status(429); 6]);
    let error = fails(script).await;
    assert!(error.is_transient(), "{error}");
    let VaultError::Unreachable(FetchError::GaveUp { tries: 6, .. }) = error else {
        panic!("{error:?}");
    };
}

#[tokio::test(start_paused = true)]
async fn what_is_no_vault_is_told_so() {
    for (answer, transient) in [
        (Answer::json(200, "<html>MARKER</html>"), false),
        (Answer::json(302, "<html>"), false),
        (Answer::json(200, "{\"value\":\"MARKER"), false),
        (Answer::json(403, "captive portal"), false),
    ] {
        let error = fails(vec![challenge(), answer]).await;
        assert!(matches!(error, VaultError::NoVault { .. }), "{error:?}");
        assert_eq!(error.is_transient(), transient);
    }
    let redirect = Answer::status(302).with_header("location", "https://evil.example/");
    let (outcome, seen) = read(vec![challenge(), redirect]).await;
    assert!(outcome.is_err());
    assert!(
        seen.iter()
            .all(|(_, request)| request.url.host_str() == Some("kv1.vault.azure.net"))
    );
    for body in ["{}", r#"{"value":7}"#, r#"{"value":null}"#, "[]"] {
        let error = fails(vec![challenge(), Answer::json(200, body)]).await;
        assert!(
            matches!(error, VaultError::Malformed { .. }),
            "{body}: {error:?}"
        );
    }
    let long = format!("MARKER{}", "x".repeat(MAX_SECRET));
    for answer in [secret(&long), Answer::TooLarge] {
        let error = fails(vec![challenge(), answer]).await;
        assert!(matches!(error, VaultError::TooLarge { .. }), "{error:?}");
    }
    let (outcome, _) = read(vec![challenge(), secret(&"x".repeat(MAX_SECRET))]).await;
    assert_eq!(outcome.unwrap().value.len(), MAX_SECRET);
}

#[tokio::test(start_paused = true)]
async fn times_are_warned_of_and_disabled_secrets_are_not_used() {
    let with = |attributes: &str| {
        let body = format!(r#"{{"value":"MARKER","attributes":{{{attributes}}}}}"#);
        read(vec![challenge(), Answer::json(200, body)])
    };
    let warnings = |value: &SecretValue| value.warnings(SystemTime::now()).collect::<Vec<_>>();
    let expired = with("\"exp\":1000").await.0.unwrap();
    assert_eq!(expired.value.expose(), "MARKER");
    assert_eq!(warnings(&expired), [SecretWarning::Expired]);
    let early = with("\"nbf\":4000000000,\"exp\":5000000000")
        .await
        .0
        .unwrap();
    assert_eq!(warnings(&early), [SecretWarning::NotYetValid]);
    let plain = with("").await.0.unwrap();
    assert!(warnings(&plain).is_empty());
    let disabled = with("\"enabled\":false").await.0;
    assert!(matches!(disabled, Err(VaultError::Disabled)));
}

#[tokio::test(start_paused = true)]
async fn a_reference_gives_the_password() {
    let (vaults, http) = vaults(vec![challenge(), secret("a;b}'\"c ")]);
    let resolved = vaults.resolve(&format!("{BY_SQL}{NEWEST}")).await.unwrap();
    assert_eq!(password(&resolved.target()), "a;b}'\"c ");
    assert!(resolved.has_references() && resolved.warnings().is_empty());
    assert!(!format!("{resolved:?} {vaults:?}").contains("a;b"));
    // The same secret costs no request.
    let again = vaults.resolve(&format!("{BY_SQL}{NEWEST}")).await.unwrap();
    assert_eq!(password(&again.target()), "a;b}'\"c ");
    assert_eq!(http.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_string_without_references_asks_nobody() {
    let (vaults, http) = vaults(vec![]);
    let resolved = vaults.resolve(&format!("{BY_SQL}p")).await.unwrap();
    assert!(!resolved.has_references());
    assert_eq!(password(&resolved.target()), "p");
    let error = vaults.resolve("Server=h;Databse=x").await.unwrap_err();
    assert!(
        matches!(error, KeyVaultError::ConnectionString(_)),
        "{error}"
    );
    // What is wrong whatever the secret is costs no request either.
    let text = format!("Data Source=h;Integrated Security=true;Password={NEWEST}");
    let error = vaults.resolve(&text).await.unwrap_err();
    assert!(matches!(error, KeyVaultError::Target(_)), "{error}");
    assert!(http.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_whole_string_may_be_in_the_vault() {
    let whole = format!("\u{feff}{BY_SQL}{NEWEST2};Connect Timeout=7\r\n");
    let (vaults, http) = vaults(vec![challenge(), secret(&whole), secret("inner")]);
    let resolved = vaults.resolve(NEWEST).await.unwrap();
    assert_eq!(password(&resolved.target()), "inner");
    assert_eq!(http.seen().len(), 3);
}

const NEWEST2: &str = "@Microsoft.KeyVault(SecretUri=https://kv1.vault.azure.net/secrets/inner)";

#[tokio::test(start_paused = true)]
async fn no_secret_names_a_program_to_run() {
    let login = "Data Source=h;Authentication=EntradaFederated;Entrada Client ID=c";
    let token = "Entrada Federated Token";
    let whole = format!("{login};{token}= Command: /bin/MARKER");
    // The reader of the inner reference would be whom the program speaks for.
    let reader = format!(
        "{login};Entrada Tenant ID=t;{token}=command:/bin/MARKER;Initial Catalog={NEWEST2}"
    );
    let value = format!("{login};{token}={NEWEST}");
    for (text, secret_text, place) in [
        (NEWEST.to_owned(), whole, Place::Whole.to_string()),
        (NEWEST.to_owned(), reader, Place::Whole.to_string()),
        (
            value.clone(),
            "command:/bin/MARKER".to_owned(),
            format!("column {}, Federated Token", login.len() + 1),
        ),
    ] {
        let (vaults, _) = vaults(vec![challenge(), secret(&secret_text)]);
        let error = vaults.resolve(&text).await.unwrap_err();
        assert!(matches!(error, KeyVaultError::Program { .. }), "{error}");
        assert!(error.to_string().starts_with(&place), "{error}");
        assert!(!format!("{error:?} {error}").contains("MARKER"));
    }
    // Other places may be in the vault, and the string itself may name a program.
    let (vaults1, _) = vaults(vec![challenge(), secret("file:/run/token")]);
    vaults1.resolve(&value).await.unwrap();
    let (vaults2, _) = vaults(vec![challenge(), secret("t")]);
    let text = format!("{login};{token}=command:/bin/t;Entrada Tenant ID={NEWEST}");
    vaults2.resolve(&text).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn errors_name_the_place_and_not_the_value() {
    let text = format!("{BY_SQL}{NEWEST}");
    let column = text.find("Password").unwrap();
    let place = format!("column {column}, Password");
    for script in [
        vec![challenge(), secret("@Microsoft.KeyVault(MARKER)")],
        vec![challenge(), refusal(404, "SecretNotFound", "x")],
    ] {
        let (vaults, _) = vaults(script);
        let error = vaults.resolve(&text).await.unwrap_err();
        assert!(error.to_string().starts_with(&place), "{error}");
        assert!(!format!("{error:?} {error}").contains("MARKER"));
    }
    for reference in [
        "@Microsoft.KeyVault(SecretUri=https://evil.example/secrets/db)",
        "@Microsoft.KeyVault(SecretUri=http://kv1.vault.azure.net/secrets/db)",
        "@Microsoft.KeyVault(MARKER)",
    ] {
        let (vaults, http) = vaults(vec![]);
        let error = vaults
            .resolve(&format!("{BY_SQL}{reference}"))
            .await
            .unwrap_err();
        assert!(matches!(error, KeyVaultError::Reference { .. }), "{error}");
        assert!(error.to_string().starts_with(&place), "{error}");
        assert!(!format!("{error:?} {error}").contains("MARKER"));
        assert!(http.seen().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_comes_round_is_asked_again_by_the_next_call() {
    let script = vec![
        challenge(),
        refusal(403, "Forbidden", "ForbiddenByRbac"),
        secret("s"),
    ];
    let (vaults, _) = vaults(script);
    let text = format!("{BY_SQL}{NEWEST}");
    let error = vaults.resolve(&text).await.unwrap_err();
    assert!(error.is_auth(), "{error}");
    let resolved = vaults.resolve(&text).await.unwrap();
    assert_eq!(password(&resolved.target()), "s");
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_reads_the_secret_again_at_once_and_not_too_often() {
    let (vaults, http) = vaults(vec![
        challenge(),
        secret("old"),
        secret("new"),
        secret("new"),
    ]);
    let resolved = vaults.resolve(&format!("{BY_SQL}{NEWEST}")).await.unwrap();
    let first = resolved.target();
    let renewed = resolved.renew(&first).await.unwrap();
    assert_eq!(password(&renewed), "new");
    // Whoever was refused with the first one, too, is given the second.
    assert!(Arc::ptr_eq(
        &resolved.renew(&first).await.unwrap(),
        &renewed
    ));
    assert_eq!(http.seen().len(), 3);
    assert!(resolved.renew(&renewed).await.is_none());
    assert_eq!(http.seen().len(), 3, "it was read a moment ago");
    tokio::time::advance(REREAD_FLOOR).await;
    assert!(resolved.renew(&renewed).await.is_none(), "nothing changed");
    assert_eq!(http.seen().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_old_secret_is_refreshed_in_the_background_and_kept_while_the_vault_is_down() {
    let down = refusal(403, "Forbidden", "ForbiddenByFirewall");
    let (vaults, http) = vaults(vec![challenge(), secret("old"), down, secret("new")]);
    let resolved = vaults.resolve(&format!("{BY_SQL}{NEWEST}")).await.unwrap();
    let first = resolved.target();
    tokio::time::advance(REFRESH / 2).await;
    assert!(Arc::ptr_eq(&resolved.current().await, &first));
    settle().await;
    assert_eq!(http.seen().len(), 2, "it is not old yet");
    tokio::time::advance(REFRESH / 2).await;
    assert_eq!(password(&*resolved.current().await), "old");
    settle().await;
    assert_eq!(http.seen().len(), 3);
    // It failed: the old one stays, and the next try waits a while.
    assert_eq!(password(&*resolved.current().await), "old");
    settle().await;
    assert_eq!(http.seen().len(), 3);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(password(&*resolved.current().await), "old");
    settle().await;
    assert_eq!(http.seen().len(), 4);
    assert_eq!(password(&*resolved.current().await), "new");
}

/// Gives tasks in the background their turns.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_is_read_once() {
    let pinned = NEWEST.replace("secrets/db", &format!("secrets/db/{VERSION}"));
    let (vaults, http) = vaults(vec![challenge(), secret("s")]);
    let resolved = vaults.resolve(&format!("{BY_SQL}{pinned}")).await.unwrap();
    let target = resolved.target();
    tokio::time::advance(REFRESH * 100).await;
    assert!(Arc::ptr_eq(&resolved.current().await, &target));
    assert!(resolved.renew(&target).await.is_none());
    settle().await;
    assert_eq!(http.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_reading_serves_all_who_wait() {
    let (vaults, http) = vaults(vec![challenge(), secret("s")]);
    let text = format!("{BY_SQL}{NEWEST}");
    let all = futures_util::future::join_all((0..20).map(|_| vaults.resolve(&text))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(http.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_failure_is_told_to_all_who_wait() {
    let (vaults, http) = vaults(vec![Answer::Refused; 6]);
    let text = format!("{BY_SQL}{NEWEST}");
    let all = futures_util::future::join_all((0..20).map(|_| vaults.resolve(&text))).await;
    assert!(
        all.iter()
            .all(|outcome| outcome.as_ref().is_err_and(KeyVaultError::is_network))
    );
    assert_eq!(http.seen().len(), 6);
}

#[test]
fn the_reader_is_the_strings_own_identity_unless_it_depends_on_the_vault() {
    let env =
        Environment::from_pairs([("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/")]);
    let fallback = Auth::Default { client_id: None };
    let reader = |text: &str| {
        let draft = crate::conn_string::Draft::read(text, None).unwrap();
        identity::reader(&draft, &fallback, &env).unwrap()
    };
    let host = "Data Source=a.database.windows.net";
    let msi = "Authentication=ActiveDirectoryManagedIdentity";
    let federated = "Authentication=EntradaFederated";
    let (auth, cloud) = reader(&format!("{host};{msi};User ID=c;Initial Catalog={NEWEST}"));
    assert_eq!(auth.name(), "managed identity");
    assert_eq!(cloud, Cloud::Public);
    for text in [
        format!("{host};{msi};User ID={NEWEST}"),
        format!("{host};{msi};Entrada Client ID={NEWEST}"),
        format!("{host};{msi};Entrada Object ID={NEWEST}"),
        format!("{host};{msi};Entrada Resource ID={NEWEST}"),
        format!("{host};{msi};Entrada Identity Platform={NEWEST}"),
        format!("{host};{federated};Entrada Client ID=c;Entrada Federated Token={NEWEST}"),
        format!("{host};User ID=u;Password={NEWEST}"),
        format!("{host};User ID=u;Password=p;Connect Timeout={NEWEST}"),
        format!(
            "{host};Authentication=ActiveDirectoryServicePrincipal;User ID=c;Password={NEWEST}"
        ),
    ] {
        assert_eq!(reader(&text), (fallback.clone(), Cloud::Public), "{text}");
    }
    for text in [
        format!("Data Source={NEWEST};{msi}"),
        format!("{host};Authentication={NEWEST};User ID=c"),
    ] {
        assert_eq!(
            reader(&text).1,
            if text.starts_with(host) {
                Cloud::Public
            } else {
                Cloud::UsGovernment
            },
            "{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_in_the_log() {
    use std::io::Write;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // With a single subscriber in the process, whichever thread meets a line of code first decides
    // for all whether it is logged; a second one makes `tracing` ask all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    let expired = r#"{"value":"MARKER-2","attributes":{"exp":5}}"#;
    let script = vec![
        challenge(),
        Answer::status(503),
        secret("MARKER-1"),
        Answer::json(200, expired),
        refusal(403, "Forbidden", "x"),
    ];
    let (vaults, http) = vaults(script);
    let resolved = vaults.resolve(&format!("{BY_SQL}{NEWEST}")).await.unwrap();
    for _ in 0..2 {
        let target = resolved.target();
        let _ = resolved.renew(&target).await;
        tokio::time::advance(REREAD_FLOOR).await;
    }
    drop(guard);
    assert_eq!(http.seen().len(), 5);
    assert_eq!(resolved.warnings().len(), 1);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("the secret is odd") && log.contains("key_vault.read"),
        "{log}"
    );
    assert!(!log.contains("MARKER"), "{log}");
}
