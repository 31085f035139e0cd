//! Assertions of pipelines, pods and managed identities at Entra, and their issuers.

use std::time::Duration;

use entrada::emulator::{Application, Emulator, FederatedCredential, ManagedIdentity, Pipelines};
use jsonwebtoken::{Algorithm, Header};
use reqwest::{Certificate, Client};
use serde_json::{Value, json};

use crate::emulator_entra::{
    ASSERTION, LOGIN, Pair, SQL, Tenant, app, claims, client, granted, refused,
    signed_by_public_key, unsigned,
};

fn github() -> FederatedCredential {
    FederatedCredential::github_actions(Pipelines::default().github_subject)
}

/// An assertion of GitHub Actions as a job gets it.
async fn github_assertion(emulator: &Emulator, audience: &str) -> String {
    let environment = emulator.github_actions_environment();
    let of = |name: &str| {
        environment
            .iter()
            .find(|(n, _)| n == name)
            .unwrap()
            .1
            .clone()
    };
    let url = format!("{}&audience={audience}", of("ACTIONS_ID_TOKEN_REQUEST_URL"));
    let request = client(emulator)
        .get(url)
        .bearer_auth(of("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(body["count"].is_u64());
    body["value"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_github_job_becomes_the_application_that_trusts_it() {
    let tenant = Tenant::new(app().federated(github())).await;
    let assertion = github_assertion(&tenant.emulator, "api://AzureADTokenExchange").await;
    granted(&tenant, &tenant.by_assertion(&assertion).await);
    tenant.emulator.clock().advance(Duration::from_secs(601));
    assert_eq!(refused(&tenant.by_assertion(&assertion).await), 700_024);
    let other = github_assertion(&tenant.emulator, "api://other").await;
    assert_eq!(refused(&tenant.by_assertion(&other).await), 700_212);
    // Only Entra's own tokens name the resource of the exchange by its client id.
    let by_id = github_assertion(&tenant.emulator, "fb60f99c-7a34-4190-8149-302f77469936").await;
    assert_eq!(refused(&tenant.by_assertion(&by_id).await), 700_212);
    for (credential, code) in [
        (
            FederatedCredential::github_actions("repo:contoso/Orders:ref:refs/heads/main"),
            700_213,
        ),
        (FederatedCredential::gitlab("x"), 700_211),
        (
            FederatedCredential::new("https://token.actions.githubusercontent.com/", "x"),
            700_211,
        ),
    ] {
        let wrong = Application::new("wrong").federated(credential);
        let id = wrong.client_id.to_string();
        tenant.emulator.register_application(wrong);
        let assertion = github_assertion(&tenant.emulator, "api://AzureADTokenExchange").await;
        let proof = [
            ("client_assertion_type", ASSERTION),
            ("client_assertion", &assertion),
        ];
        assert_eq!(refused(&tenant.ask_as(&id, SQL, &proof).await), code);
    }
    let plain = Application::new("plain");
    let id = plain.client_id.to_string();
    tenant.emulator.register_application(plain);
    let proof = [
        ("client_assertion_type", ASSERTION),
        ("client_assertion", &assertion),
    ];
    assert_eq!(refused(&tenant.ask_as(&id, SQL, &proof).await), 70021);
}

#[tokio::test]
async fn assertions_signed_by_somebody_else_do_not_count() {
    let stranger = FederatedCredential::new("https://idp.example.org", "someone");
    let tenant = Tenant::new(app().federated(github()).federated(stranger)).await;
    let pair = Pair::new();
    let claims = |issuer: &str, subject: &str| {
        json!({
            "iss": issuer, "sub": subject, "aud": "api://AzureADTokenExchange",
            "exp": tenant.now() + 60,
        })
    };
    let subject = Pipelines::default().github_subject;
    let forged = claims("https://token.actions.githubusercontent.com", &subject);
    let rs256 = Header::new(Algorithm::RS256);
    assert_eq!(
        refused(&tenant.by_assertion(&pair.sign(&rs256, &forged)).await),
        700_027
    );
    let ps256 = Header::new(Algorithm::PS256);
    assert_eq!(
        refused(&tenant.by_assertion(&pair.sign(&ps256, &forged)).await),
        700_027
    );
    let good = github_assertion(&tenant.emulator, "api://AzureADTokenExchange").await;
    granted(&tenant, &tenant.by_assertion(&good).await);
    for confused in [
        unsigned(&good),
        signed_by_public_key(&good, &tenant.emulator).await,
    ] {
        assert_eq!(refused(&tenant.by_assertion(&confused).await), 700_027);
    }
    let strange = pair.sign(&rs256, &claims("https://idp.example.org", "someone"));
    assert_eq!(refused(&tenant.by_assertion(&strange).await), 90061);
    // Whoever is played by the emulator signs by its key.
    let played = tenant
        .emulator
        .sign_claims(&claims("https://idp.example.org", "someone"));
    granted(
        &tenant,
        &tenant.by_assertion(played.unwrap().expose()).await,
    );
}

#[tokio::test]
async fn a_managed_identity_s_token_is_an_assertion_and_a_user_s_is_none() {
    let worker = ManagedIdentity::user_assigned("demo-worker");
    let ours = Emulator::builder().start().await.unwrap().tenant_id();
    let trust = FederatedCredential::managed_identity(ours, &worker);
    let tenant = Tenant::new(app().federated(trust.clone())).await;
    let url = format!(
        "{}/metadata/identity/oauth2/token?api-version=2018-02-01&client_id={}\
         &resource=api://AzureADTokenExchange",
        tenant.emulator.imds_url(),
        worker.client_id
    );
    let request = Client::new().get(url).header("Metadata", "true");
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    let assertion = body["access_token"].as_str().unwrap();
    let claims = claims(&tenant, assertion);
    assert_eq!(
        (&claims["iss"], &claims["sub"]),
        (&json!(trust.issuer), &json!(trust.subject))
    );
    granted(&tenant, &tenant.by_assertion(assertion).await);
    let mut person = claims;
    person["idtyp"] = json!("user");
    let person = tenant.emulator.sign_claims(&person).unwrap();
    assert_eq!(
        refused(&tenant.by_assertion(person.expose()).await),
        700_229
    );
}

#[tokio::test]
async fn a_pod_is_the_managed_identity_that_trusts_its_service_account() {
    let ours = Emulator::builder().start().await.unwrap().tenant_id();
    let trust = FederatedCredential::service_account(ours, "default", "orders");
    let identity = ManagedIdentity::user_assigned("orders").with_federated(trust);
    let emulator = Emulator::builder()
        .identity(identity.clone())
        .start()
        .await
        .unwrap();
    let tenant = Tenant::around(emulator, identity.client_id.to_string()).await;
    let environment = tenant.emulator.workload_identity_environment();
    let of = |name: &str| {
        environment
            .iter()
            .find(|(n, _)| n == name)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(of("AZURE_CLIENT_ID"), tenant.client_id);
    let read = || std::fs::read_to_string(of("AZURE_FEDERATED_TOKEN_FILE")).unwrap();
    let answer = tenant.by_assertion(&read()).await;
    assert_eq!(answer.1["expires_in"], 86_400);
    let claims = granted(&tenant, &answer);
    assert_eq!(claims["xms_mirid"], identity.resource_id);
    let before = read();
    tenant.emulator.empty_service_account_token().unwrap();
    assert_eq!(read(), "");
    tenant.emulator.rotate_service_account_token().unwrap();
    assert!(read() != before && !read().is_empty());
}

#[tokio::test]
async fn the_token_proxy_takes_pods_tokens_for_bindings_only() {
    let ours = Emulator::builder().start().await.unwrap().tenant_id();
    let trust = FederatedCredential::service_account(ours, "default", "orders");
    let tenant = Tenant::new(app().federated(trust)).await;
    let environment = tenant.emulator.token_proxy_environment();
    let of = |name: &str| {
        environment
            .iter()
            .find(|(n, _)| n == name)
            .unwrap()
            .1
            .clone()
    };
    let assertion = std::fs::read_to_string(of("AZURE_FEDERATED_TOKEN_FILE")).unwrap();
    let (name, proxy) = (
        of("AZURE_KUBERNETES_SNI_NAME"),
        of("AZURE_KUBERNETES_TOKEN_PROXY"),
    );
    let port: u16 = proxy.rsplit(':').next().unwrap().parse().unwrap();
    let ca = std::fs::read(of("AZURE_KUBERNETES_CA_FILE")).unwrap();
    let http = Client::builder()
        .tls_certs_only([Certificate::from_pem(&ca).unwrap()])
        .resolve(&name, ([127, 0, 0, 1], port).into())
        .build()
        .unwrap();
    let url = format!("https://{name}:{port}/{ours}/oauth2/v2.0/token");
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", &tenant.client_id),
        ("scope", SQL),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", &assertion),
    ];
    let response = http.post(url).form(&fields).send().await.unwrap();
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    assert_eq!(refused(&tenant.by_assertion(&assertion).await), 700_212);
}

#[tokio::test]
async fn azure_pipelines_gives_assertions_and_a_sign_in_page() {
    let subject = Pipelines::default().azure_pipelines_subject;
    let tenant = Tenant::new(app().federated(FederatedCredential::azure_pipelines(subject))).await;
    let environment = tenant.emulator.azure_pipelines_environment();
    let of = |name: &str| {
        environment
            .iter()
            .find(|(n, _)| n == name)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(of("AZURESUBSCRIPTION_CLIENT_ID"), tenant.client_id);
    let url = format!(
        "{}?api-version=7.1&serviceConnectionId={}",
        of("SYSTEM_OIDCREQUESTURI"),
        of("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID")
    );
    let http = client(&tenant.emulator);
    let post = |token: String| {
        http.post(&url)
            .bearer_auth(token)
            .header("content-length", "0")
    };
    let good = post(of("SYSTEM_ACCESSTOKEN")).send().await.unwrap();
    let body: Value = good.json().await.unwrap();
    let assertion = body["oidcToken"].as_str().unwrap();
    granted(&tenant, &tenant.by_assertion(assertion).await);
    let page = post("old".to_owned()).send().await.unwrap();
    assert_eq!(page.status(), 302);
    let suppressed = post("old".to_owned()).header("X-TFS-FedAuthRedirect", "Suppress");
    assert_eq!(suppressed.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn gitlab_and_terraform_hand_out_assertions_at_the_start() {
    let who = Pipelines::default();
    let both = app()
        .federated(FederatedCredential::gitlab(who.gitlab_subject))
        .federated(FederatedCredential::terraform(who.terraform_subject));
    let tenant = Tenant::new(both).await;
    for (environment, name) in [
        (tenant.emulator.gitlab_environment(), "GITLAB_OIDC_TOKEN"),
        (
            tenant.emulator.terraform_environment(),
            "TFC_WORKLOAD_IDENTITY_TOKEN",
        ),
    ] {
        let (_, assertion) = environment.iter().find(|(n, _)| n == name).unwrap();
        granted(&tenant, &tenant.by_assertion(assertion).await);
    }
}

#[tokio::test]
async fn issuers_publish_what_a_relying_party_needs() {
    let tenant = Tenant::new(app().federated(github())).await;
    let http = client(&tenant.emulator);
    let get = |url: String| async {
        http.get(url)
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()
    };
    let cluster = FederatedCredential::service_account(tenant.emulator.tenant_id(), "a", "b");
    let ado = FederatedCredential::azure_pipelines("x");
    for issuer in [
        "https://token.actions.githubusercontent.com".to_owned(),
        "https://gitlab.com".to_owned(),
        "https://app.terraform.io".to_owned(),
        cluster.issuer,
        ado.issuer,
        format!("{LOGIN}/{}/v2.0", tenant.emulator.tenant_id()),
    ] {
        let base = issuer.trim_end_matches('/');
        let document = get(format!("{base}/.well-known/openid-configuration")).await;
        assert_eq!(document["issuer"], issuer);
        let keys = get(document["jwks_uri"].as_str().unwrap().to_owned()).await;
        assert_eq!(keys["keys"][0]["kid"], tenant.key["kid"]);
    }
    let url = format!(
        "{LOGIN}/common/discovery/instance?api-version=1.1&authorization_endpoint=\
         {LOGIN}/{}/oauth2/v2.0/authorize",
        tenant.emulator.tenant_id()
    );
    let instance = get(url).await;
    let discovery = get(instance["tenant_discovery_endpoint"]
        .as_str()
        .unwrap()
        .to_owned())
    .await;
    assert_eq!(discovery["token_endpoint"], tenant.endpoint());
}
