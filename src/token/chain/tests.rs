use std::time::Duration;

use super::super::testing::{Answer, ScriptedHttp};
use super::*;

const NO_IDENTITY: &str = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
const BAD_SECRET: &str =
    r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret"}"#;
const PRINCIPAL: [(&str, &str); 3] = [
    ("AZURE_TENANT_ID", "t"),
    ("AZURE_CLIENT_ID", "c"),
    ("AZURE_CLIENT_SECRET", "MARKER"),
];

/// A chain, and what it asks.
struct Scene {
    sources: Sources,
    local: Arc<ScriptedHttp>,
    internet: Arc<ScriptedHttp>,
}

impl Scene {
    fn new(env: &[(&str, &str)]) -> Self {
        Self::of(Environment::from_pairs(env.iter().copied()))
    }

    fn of(env: Environment) -> Self {
        let none = || Arc::new(ScriptedHttp::new([]));
        Self {
            sources: Sources::new(env),
            local: none(),
            internet: none(),
        }
    }

    fn local(mut self, script: Vec<Answer>) -> Self {
        self.local = Arc::new(ScriptedHttp::new(script));
        self
    }

    fn internet(mut self, script: Vec<Answer>) -> Self {
        self.internet = Arc::new(ScriptedHttp::new(script));
        self
    }

    fn chain(&self) -> DefaultChain {
        let mut sources = self.sources.clone();
        sources.local = Arc::clone(&self.local) as _;
        sources.internet = Arc::clone(&self.internet) as _;
        DefaultChain::new(None, &sources, &Cloud::Public).unwrap()
    }
}

fn sql() -> Resource {
    Resource::new("https://database.windows.net/")
}

fn here() -> Answer {
    Answer::json(400, "Bad request: no header")
}

#[tokio::test]
async fn a_service_principal_comes_first() {
    let scene = Scene::new(&PRINCIPAL).internet(vec![Answer::token("t", 3600)]);
    let chain = scene.chain();
    chain.token(&sql()).await.unwrap();
    assert!(scene.local.seen().is_empty());
    let key = chain.answered_by();
    assert!(key.source().contains("service principal"), "{key}");
    assert!(key.chosen_by().contains("AZURE_CLIENT_SECRET"), "{key:?}");
}

#[tokio::test]
async fn off_azure_one_short_question_is_asked_and_each_member_tells_what_to_do() {
    let scene = Scene::new(&[]).local(vec![Answer::TimedOut]);
    let error = scene.chain().token(&sql()).await.unwrap_err();
    let (_, probe) = &scene.local.seen()[0];
    assert_eq!(
        (probe.timeout, probe.headers.len()),
        (Duration::from_secs(1), 0)
    );
    let text = error.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 7, "{text}");
    for (line, parts) in lines.iter().zip([
        &["database.windows.net"][..],
        &["environment: ", "AZURE_CLIENT_SECRET", "set all three"],
        &[
            "workload identity: ",
            "AZURE_FEDERATED_TOKEN_FILE",
            "label the pod",
        ],
        &["IMDS", "nothing answers"],
        &["Azure CLI", "not installed", "az login"],
        &["Azure PowerShell", "not installed", "Connect-AzAccount"],
        &["Azure Developer CLI", "not installed", "azd auth login"],
    ]) {
        assert!(
            parts.iter().all(|part| line.contains(part)),
            "{parts:?}: {line}"
        );
    }
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_wrong_secret_ends_the_chain_and_the_error_says_what_it_hides() {
    let scene = Scene::new(&PRINCIPAL).internet(vec![Answer::json(401, BAD_SECRET)]);
    let error = scene.chain().token(&sql()).await.unwrap_err();
    assert!(scene.local.seen().is_empty());
    let text = error.to_string();
    for part in [
        "AADSTS7000215",
        "hide a working managed identity",
        "not asked",
        "managed identity, Azure CLI",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!format!("{error:?}").contains("MARKER"));
}

#[tokio::test]
async fn a_described_password_ends_the_chain() {
    let password =
        ["AZURE_CLIENT_ID", "AZURE_USERNAME", "AZURE_PASSWORD"].map(|name| (name, "MARKER"));
    let error = Scene::new(&password)
        .chain()
        .token(&sql())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("AZURE_USERNAME"), "{error}");
    assert!(!error.to_string().contains("MARKER"));
}

#[tokio::test]
async fn a_workload_identity_comes_before_the_machines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "eyJhbGciOiJSUzI1NiJ9.e30.MARKER").unwrap();
    let env = [
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
    ];
    let scene = Scene::new(&env).internet(vec![Answer::token("t", 3600)]);
    let chain = scene.chain();
    chain.token(&sql()).await.unwrap();
    assert!(scene.local.seen().is_empty());
    let key = chain.answered_by();
    assert_eq!(key.source(), "workload identity");
    assert!(!format!("{chain:?}{key:?}").contains("MARKER"));
}

#[tokio::test]
async fn a_workload_identity_that_fails_ends_the_chain() {
    let env = [
        ("AZURE_FEDERATED_TOKEN_FILE", "/no/such/file"),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
    ];
    let scene = Scene::new(&env);
    let error = scene.chain().token(&sql()).await.unwrap_err();
    assert!(scene.local.seen().is_empty());
    assert!(
        error.to_string().contains("what the cluster injects"),
        "{error}"
    );
}

#[tokio::test]
async fn the_winner_is_asked_alone_from_then_on() {
    let denied = Answer::json(401, r#"{"error":"access_denied"}"#);
    let scene = Scene::new(&[]).local(vec![here(), Answer::token("t", 3600), denied]);
    let chain = scene.chain();
    assert_eq!(chain.answered_by(), chain.key());
    chain.token(&sql()).await.unwrap();
    assert_eq!(chain.answered_by().source(), "IMDS");
    assert!(
        chain
            .answered_by()
            .chosen_by()
            .starts_with("the first of the default chain")
    );
    // No second probe, and nobody else when it fails.
    let error = chain.token(&sql()).await.unwrap_err();
    assert!(matches!(error, TokenError::Fetch { .. }), "{error:?}");
    assert_eq!(scene.local.seen().len(), 3);
}

#[tokio::test]
async fn a_machine_without_an_identity_is_passed_over_unless_one_is_named() {
    for answer in [
        Answer::json(400, NO_IDENTITY),
        Answer::json(200, "<html>Sign in</html>"),
    ] {
        let scene = Scene::new(&[]).local(vec![here(), answer]);
        let text = scene.chain().token(&sql()).await.unwrap_err().to_string();
        assert!(
            text.contains("Azure Developer CLI is not installed"),
            "{text}"
        );
    }
    let named = Scene::new(&[("AZURE_CLIENT_ID", "the-id")]);
    let named = named.local(vec![here(), Answer::json(400, NO_IDENTITY)]);
    let text = named.chain().token(&sql()).await.unwrap_err().to_string();
    assert!(
        text.contains("the-id") && text.contains("not asked") && text.contains("Azure CLI"),
        "{text}"
    );
    assert!(!text.contains("not installed"), "{text}");
}

#[tokio::test]
async fn named_alone_managed_identity_is_not_probed() {
    let env = [("AZURE_TOKEN_CREDENTIALS", "managedidentitycredential")];
    let scene = Scene::new(&env).local(vec![Answer::token("t", 3600)]);
    scene.chain().token(&sql()).await.unwrap();
    assert_eq!(scene.local.seen().len(), 1);
    // Nor is an address that was given on purpose.
    let scene = Scene::new(&[(AUTHORITY_HOST, "http://h")]).local(vec![Answer::token("t", 3600)]);
    scene.chain().token(&sql()).await.unwrap();
}

#[tokio::test]
async fn who_is_left_out_is_named() {
    let mut scene =
        Scene::new(&[("AZURE_TOKEN_CREDENTIALS", "prod")]).local(vec![Answer::TimedOut]);
    scene.sources = scene.sources.exclude(ChainMember::Environment);
    let text = scene.chain().token(&sql()).await.unwrap_err().to_string();
    let last: Vec<_> = text.lines().rev().take(2).collect();
    assert!(
        last[1].contains("AZURE_TOKEN_CREDENTIALS=prod: Azure CLI"),
        "{text}"
    );
    assert!(last[0].contains("settings: environment"), "{text}");
    let env = Environment::from_pairs([("AZURE_TOKEN_CREDENTIALS", "everything")]);
    let error = DefaultChain::new(None, &Sources::new(env), &Cloud::Public).unwrap_err();
    assert!(matches!(error, TokenError::Setup { .. }), "{error:?}");
}

#[test]
fn chains_that_may_give_other_tokens_have_other_keys() {
    let key = |env: &[(&str, &str)]| Scene::new(env).chain().key();
    let keys = [
        key(&[]),
        key(&[("AZURE_CLIENT_ID", "a")]),
        key(&[("AZURE_TOKEN_CREDENTIALS", "prod")]),
        key(&PRINCIPAL),
        key(&[
            ("IDENTITY_ENDPOINT", "http://h/"),
            ("IDENTITY_HEADER", "MARKER"),
        ]),
    ];
    for (i, a) in keys.iter().enumerate() {
        assert!(keys.iter().skip(i + 1).all(|b| a != b), "{a:?}");
        assert!(!format!("{a:?}").contains("MARKER"));
    }
    assert_eq!(keys[0].to_string(), "the default chain");
    assert_eq!(keys[1].to_string(), "the default chain (client id a)");
}

#[cfg(unix)]
#[tokio::test]
async fn a_developers_tool_is_the_last_resort_and_passes_on_whatever_it_fails_with() {
    use super::super::testing::TempPath;

    let folder = TempPath::new();
    folder.put("az", "echo 'ERROR: AADSTS50076: MFA is needed' >&2; exit 1");
    folder.put(
        "azd",
        r#"echo '{"token":"t","expiresOn":"2100-01-01T00:00:00Z"}'"#,
    );
    let scene = Scene::of(folder.environment()).local(vec![Answer::TimedOut]);
    let chain = scene.chain();
    assert_eq!(chain.token(&sql()).await.unwrap().secret().expose(), "t");
    assert_eq!(chain.answered_by().source(), "Azure Developer CLI");
}
