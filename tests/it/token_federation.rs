//! Tokens of other issuers, exchanged at the emulator, which shares no code with the sources.

use std::error::Error as _;
use std::sync::Arc;

use entrada::emulator::{Application, Emulator, FederatedCredential, ManagedIdentity};
use entrada::target::{AssertionFrom, Auth, Cloud, Identity};
use entrada::token::{Environment, Resource, Sources, TokenError, TokenSlot, TokenSource};
use serde_json::json;
use uuid::Uuid;

const TENANT: Uuid = Uuid::from_u128(0x7465_6e61_0000_4000_8000_0000_0000_0001);

type Variables = Vec<(String, String)>;

async fn emulator(credential: FederatedCredential) -> Emulator {
    let app = Application::new("orders").federated(credential);
    let identity = ManagedIdentity::user_assigned("machine");
    let builder = Emulator::builder().tenant(TENANT).application(app);
    builder.identity(identity).start().await.unwrap()
}

fn sources(emulator: &Emulator, more: Variables) -> Sources {
    let entra = emulator.entra_environment().into_iter();
    Sources::new(Environment::from_pairs(entra.chain(more)))
}

fn source(sources: &Sources, auth: &Auth) -> Arc<dyn TokenSource> {
    sources.source(auth, &Cloud::Public).unwrap()
}

fn federated(from: AssertionFrom) -> Auth {
    Auth::Federated {
        client_id: Some(Application::new("orders").client_id.to_string()),
        tenant: Some(TENANT.to_string()),
        from,
    }
}

const POD: Auth = Auth::WorkloadIdentity {
    client_id: None,
    tenant: None,
    token_file: None,
};

fn gitlab() -> Auth {
    let variable = "GITLAB_OIDC_TOKEN".to_owned();
    federated(AssertionFrom::GitLab { variable })
}

async fn ask(source: &dyn TokenSource) -> Result<String, TokenError> {
    let token = source.token(&Resource::from(Cloud::Public)).await?;
    Ok(token.claims().unwrap().client_id.unwrap())
}

async fn refusal(source: &dyn TokenSource) -> String {
    let error = ask(source).await.unwrap_err();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(!text.contains("eyJ"), "{text}");
    text
}

/// Asks the emulator for the token of an application that trusts this and nothing else.
async fn signs_in(
    credential: FederatedCredential,
    variables: impl FnOnce(&Emulator) -> Variables,
    auth: Auth,
) {
    let emulator = emulator(credential).await;
    let sources = sources(&emulator, variables(&emulator));
    let client = ask(&*source(&sources, &auth)).await.unwrap();
    assert_eq!(client, Application::new("orders").client_id.to_string());
}

#[tokio::test]
async fn each_issuers_token_gets_the_token_of_the_application_that_trusts_it() {
    let github = FederatedCredential::github_actions("repo:contoso/orders:ref:refs/heads/main");
    signs_in(
        github,
        Emulator::github_actions_environment,
        federated(AssertionFrom::GitHubActions),
    )
    .await;
    let project = "project_path:contoso/orders:ref_type:branch:ref:main";
    let job = FederatedCredential::gitlab(project);
    signs_in(job, Emulator::gitlab_environment, gitlab()).await;
    let connection = Auth::AzurePipelines {
        client_id: None,
        tenant: None,
        service_connection: None,
        system_token: None,
    };
    signs_in(
        FederatedCredential::azure_pipelines("sc://contoso/orders/azure"),
        Emulator::azure_pipelines_environment,
        connection,
    )
    .await;
    let run = "organization:contoso:project:orders:workspace:production:run_phase:apply";
    signs_in(
        FederatedCredential::terraform(run),
        Emulator::terraform_environment,
        federated(AssertionFrom::TerraformCloud { tag: None }),
    )
    .await;
    signs_in(
        FederatedCredential::service_account(TENANT, "default", "orders"),
        Emulator::workload_identity_environment,
        POD,
    )
    .await;
    let identity = ManagedIdentity::user_assigned("machine");
    let from = Identity::ClientId(identity.client_id.to_string());
    signs_in(
        FederatedCredential::managed_identity(TENANT, &identity),
        Emulator::imds_environment,
        federated(AssertionFrom::ManagedIdentity(from)),
    )
    .await;
}

#[tokio::test]
async fn a_mismatch_shows_what_the_token_says() {
    let right = "project_path:contoso/orders:ref_type:branch:ref:main";
    for (credential, code) in [
        (FederatedCredential::gitlab("project_path:other"), "700213"),
        (
            FederatedCredential::gitlab(right).with_audience("api://other"),
            "700212",
        ),
        (
            FederatedCredential::new("https://gitlab.com/", right),
            "700211",
        ),
    ] {
        let emulator = emulator(credential).await;
        let sources = sources(&emulator, emulator.gitlab_environment());
        let text = refusal(&*source(&sources, &gitlab())).await;
        for word in [
            code,
            "https://gitlab.com",
            right,
            "api://AzureADTokenExchange",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}

#[tokio::test]
async fn the_pods_token_may_rotate_and_be_empty_for_a_moment() {
    let trust = FederatedCredential::service_account(TENANT, "default", "orders");
    let emulator = emulator(trust).await;
    let sources = sources(&emulator, emulator.workload_identity_environment());
    let pod = source(&sources, &POD);
    let slot = TokenSlot::new(Arc::clone(&pod), Cloud::Public);
    let token = slot.get().await.unwrap();
    emulator.empty_service_account_token().unwrap();
    let text = refusal(&*pod).await;
    assert!(text.contains("it is empty"), "{text}");
    // Who has a token goes on with it.
    let kept = slot.get().await.unwrap();
    assert_eq!(kept.secret(), token.secret());
    emulator.rotate_service_account_token().unwrap();
    ask(&*pod).await.unwrap();
}

#[tokio::test]
async fn an_assertion_that_has_ended_is_not_sent() {
    let emulator = emulator(FederatedCredential::gitlab("s")).await;
    let claims = json!({ "iss": "https://gitlab.com", "sub": "s", "exp": 1_000_000_000 });
    let old = emulator.sign_claims(&claims).unwrap();
    let pairs = vec![("GITLAB_OIDC_TOKEN".to_owned(), old.expose().to_owned())];
    let sources = sources(&emulator, pairs);
    let before = emulator.requests().len();
    let text = refusal(&*source(&sources, &gitlab())).await;
    assert!(text.contains("cannot be renewed in the job"), "{text}");
    assert_eq!(emulator.requests().len(), before);
}

#[tokio::test]
async fn the_clusters_token_proxy_is_used_where_it_is_permitted() {
    let trust = FederatedCredential::service_account(TENANT, "default", "orders");
    let emulator = emulator(trust).await;
    let sources = sources(&emulator, emulator.token_proxy_environment());
    // Its token is for the proxy, so Entra itself does not take it.
    let text = refusal(&*source(&sources, &POD)).await;
    assert!(text.contains("AADSTS"), "{text}");
    let permitted = sources.kubernetes_token_proxy(true);
    ask(&*source(&permitted, &POD)).await.unwrap();
}
