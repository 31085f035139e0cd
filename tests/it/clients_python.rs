//! The emulator as clients for Python see it.

use std::collections::BTreeMap;

use entrada::emulator::{
    Application, Assignment, Emulator, EmulatorBuilder, EntraKind, EntraPrincipal, ExpiresOn,
    FederatedCredential, ManagedIdentity, Pipelines, Platform, VaultChallenge, VaultSecret,
};
use serde_json::{Value, json};

use crate::support::clients::{has_the_arc_agents_folder, judge, python};

/// The server's administrator, for clients that log in by password.
pub(crate) const ADMIN: (&str, &str) = ("sa", "Only-For-Tests-1");

/// Runs the script against the emulator and compares what it did with what the client must do.
async fn run(client: &str, script: &str, emulator: Value) {
    let environment = [("EMULATOR", emulator.to_string())];
    if let Some(lines) = python(script, &[], environment).await {
        judge(client, &lines);
    }
}

/// An emulator's addresses, names and secrets, as `judge.py` reads them.
pub(crate) fn coordinates(emulator: &Emulator) -> Value {
    let identities: Vec<Value> = emulator
        .identities()
        .iter()
        .map(|identity| {
            json!({
                "name": identity.name,
                "assignment": match identity.assignment {
                    Assignment::System => "system",
                    _ => "user",
                },
                "client_id": identity.client_id,
                "object_id": identity.object_id,
                "resource_id": identity.resource_id,
            })
        })
        .collect();
    json!({
        "host": emulator.sql_addr().ip(),
        "port": emulator.sql_addr().port(),
        "user": ADMIN.0,
        "password": ADMIN.1,
        "tenant": emulator.tenant_id(),
        "ca": emulator.ca_certificate_file(),
        "server_certificate": emulator.server_certificate_file(),
        "identities": identities,
        "environments": environments(emulator),
        "imds_environment": variables(emulator.imds_environment()),
        "app_service_environment": variables(emulator.app_service_environment()),
    })
}

/// Whom clients that log in by password are there, over TLS.
pub(crate) fn dbo(told: &mut Value) {
    told["encryption"] = json!("on");
    told["user_name"] = json!("dbo");
    told["login_name"] = json!(ADMIN.0);
}

/// The variables of every platform.
fn environments(emulator: &Emulator) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    let of = |platform| variables(emulator.platform_environment(platform));
    let all = Platform::ALL.into_iter();
    all.map(|platform| (platform.as_str(), of(platform)))
        .collect()
}

fn variables(pairs: Vec<(String, String)>) -> BTreeMap<String, String> {
    pairs.into_iter().collect()
}

async fn with_fault(fault: &str) -> Emulator {
    let builder: EmulatorBuilder = Emulator::builder().fault(fault.parse().unwrap());
    builder.start().await.unwrap()
}

const SECRET: &str = "it~s/a+secret&";
const VAULT_SECRET: (&str, &str) = ("sql-password", "Pa55~word");

/// Where OpenSSL looks for authorities.
const AUTHORITIES: &str = "SSL_CERT_FILE";

#[tokio::test]
async fn pymssql() {
    drives("pymssql", "pymssql_judge.py", &[]).await;
}

#[tokio::test]
async fn python_tds() {
    drives("python-tds", "pytds_judge.py", &[]).await;
}

#[tokio::test]
async fn mssql_python() {
    drives("mssql-python", "mssql_python_judge.py", &[]).await;
}

#[tokio::test]
async fn pyodbc() {
    drives("pyodbc", "pyodbc_judge.py", &[]).await;
}

#[tokio::test]
async fn sqlalchemy() {
    let script = "sqlalchemy_judge.py";
    for (client, over) in [
        ("SQLAlchemy, mssql+mssqlpython", "mssqlpython"),
        ("SQLAlchemy, mssql+pyodbc", "pyodbc"),
        ("SQLAlchemy, mssql+pymssql", "pymssql"),
    ] {
        drives(client, script, &[over]).await;
    }
}

/// Has a SQL client work in the database `demo` of an emulator of its own, where the system-assigned
/// identity owns everything and the user-assigned one reads.
async fn drives(client: &str, script: &str, arguments: &[&str]) {
    let emulator = Emulator::builder()
        .sql_admin(ADMIN.0, ADMIN.1)
        .user("demo", "demo-app", &["db_owner"])
        .user("demo", "demo-worker", &["db_datareader"])
        .start()
        .await
        .unwrap();
    let other = Emulator::builder().start().await.unwrap();
    let mut told = coordinates(&emulator);
    let token = emulator.issue_token("demo-app", "https://database.windows.net/");
    dbo(&mut told);
    told["token"] = json!(token.unwrap().token.expose());
    told["other_ca"] = json!(other.ca_certificate_file());
    let authorities = emulator.ca_certificate_file().display().to_string();
    let environment = [("EMULATOR", told.to_string()), (AUTHORITIES, authorities)];
    if let Some(lines) = python(script, arguments, environment).await {
        judge(client, &lines);
    }
}

#[tokio::test]
async fn azure_identity() {
    let texts = Emulator::builder()
        .expires_on(Platform::ServiceFabric, ExpiresOn::Text)
        .cloud_shell_audience("https://database.windows.net")
        .automation_hybrid_worker(true)
        .start()
        .await
        .unwrap();
    let emulators = [
        ("healthy", Emulator::builder().start().await.unwrap()),
        ("throttled", with_fault("identity:status:429:1*2").await),
        ("gone", with_fault("identity:status:410:1*2").await),
        ("failing", with_fault("identity:status:500:1*2").await),
        (
            "failing_app_service",
            with_fault("identity:status:500:1*2").await,
        ),
        ("html", with_fault("identity:html").await),
        ("unreachable", with_fault("imds:unreachable").await),
        ("plain_text", with_fault("imds:plain-text").await),
        ("texts", texts),
    ];
    let mut all: BTreeMap<&str, Value> = emulators
        .iter()
        .map(|(name, emulator)| (*name, coordinates(emulator)))
        .collect();
    let users = emulators[0].1.directory().all().into_iter();
    let user = users
        .filter(|principal| principal.kind == EntraKind::User)
        .map(|principal: EntraPrincipal| principal.display_name)
        .next();
    if let Some(healthy) = all.get_mut("healthy") {
        healthy["signed_in"] = json!(user);
    }
    run("azure-identity", "azure_identity_judge.py", json!(all)).await;
}

/// It reads key files in the agent's own folder only, which takes root.
#[tokio::test]
async fn azure_identity_on_azure_arc() {
    let mut emulators = vec![("healthy", Emulator::builder().start().await.unwrap())];
    if !has_the_arc_agents_folder(&emulators[0].1) {
        return;
    }
    for fault in [
        "200",
        "big",
        "dot-dot",
        "ignores-selector",
        "missing",
        "no-header",
        "no-realm",
        "outside",
        "txt",
    ] {
        emulators.push((fault, with_fault(&format!("arc:{fault}")).await));
    }
    let all: BTreeMap<&str, Value> = emulators
        .iter()
        .map(|(name, emulator)| (*name, coordinates(emulator)))
        .collect();
    run(
        "azure-identity, Azure Arc",
        "azure_arc_judge.py",
        json!(all),
    )
    .await;
}

/// An application that everybody whom the emulator plays can be, and a worker.
fn trusted(tenant: uuid::Uuid) -> Application {
    let who = Pipelines::default();
    let worker = ManagedIdentity::user_assigned("demo-worker");
    Application::new("orders-api")
        .secret(SECRET)
        .federated(FederatedCredential::github_actions(who.github_subject))
        .federated(FederatedCredential::gitlab(who.gitlab_subject))
        .federated(FederatedCredential::azure_pipelines(
            who.azure_pipelines_subject,
        ))
        .federated(FederatedCredential::service_account(
            tenant, "default", "orders",
        ))
        .federated(FederatedCredential::managed_identity(tenant, &worker))
}

/// An application's coordinates at Entra, as the judges read them.
pub(crate) fn entra_coordinates(emulator: &Emulator) -> Value {
    let identities = emulator.identities();
    let worker = identities.iter().find(|one| one.name == "demo-worker");
    json!({
        "tenant": emulator.tenant_id(),
        "domain": "entrada.onmicrosoft.com",
        "client_id": emulator.applications()[0].client_id,
        "secret": SECRET,
        "worker": worker.map(|one| one.client_id),
        "imds_environment": variables(emulator.imds_environment()),
        "github_actions_environment": variables(emulator.github_actions_environment()),
        "azure_pipelines_environment": variables(emulator.azure_pipelines_environment()),
        "workload_identity_environment": variables(emulator.workload_identity_environment()),
        "token_proxy_environment": variables(emulator.token_proxy_environment()),
    })
}

/// An emulator with that application, and a certificate with its key for it.
pub(crate) async fn with_application() -> (Emulator, String) {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    let key = key.unwrap();
    let params = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let tenant = Emulator::builder().start().await.unwrap().tenant_id();
    let application = trusted(tenant).certificate_pem(&certificate);
    let emulator = Emulator::builder().application(application).start();
    let pem = format!("{}{certificate}", key.serialize_pem());
    (emulator.await.unwrap(), pem)
}

#[tokio::test]
async fn azure_identity_at_entra() {
    let (emulator, pem) = with_application().await;
    let mut told = entra_coordinates(&emulator);
    told["pem"] = json!(pem);
    let client = "azure-identity at Entra";
    run_at_entra(client, "azure_entra_judge.py", &emulator, &told).await;
}

/// As [`run`], with what leads to the emulator under the real names.
async fn run_at_entra(client: &str, script: &str, emulator: &Emulator, told: &Value) {
    let leads = emulator.entra_environment();
    let leads = leads
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    let environment = leads.chain([("EMULATOR", told.to_string())]);
    if let Some(lines) = python(script, &[], environment.collect::<Vec<_>>()).await {
        judge(client, &lines);
    }
}

#[tokio::test]
async fn azure_keyvault_secrets() {
    let emulators = [
        ("resource", with_vault(|builder| builder).await),
        (
            "scope",
            with_vault(|builder| builder.vault_challenge(VaultChallenge::Scope)).await,
        ),
        (
            "forbidden",
            with_vault(|builder| builder.vault_reader("shop", "demo-worker")).await,
        ),
        ("throttled", with_vault(fault("vault:status:429:1*1")).await),
        (
            "foreign",
            with_vault(fault("vault:foreign-challenge")).await,
        ),
    ];
    let all: BTreeMap<&str, Value> = emulators
        .iter()
        .map(|(name, emulator)| (*name, vault_coordinates(emulator)))
        .collect();
    let script = "azure_key_vault_judge.py";
    run("azure-keyvault-secrets", script, json!(all)).await;
}

fn fault(words: &str) -> impl FnOnce(EmulatorBuilder) -> EmulatorBuilder {
    let fault = words.parse().unwrap();
    |builder| builder.fault(fault)
}

async fn with_vault(more: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Emulator {
    let (name, value) = VAULT_SECRET;
    let builder = Emulator::builder()
        .application(Application::new("orders-api").secret(SECRET))
        .vault_secret(old_version())
        .secret("shop", name, value)
        .vault_secret(VaultSecret::new("shop", "off", "x").enabled(false));
    more(builder).start().await.unwrap()
}

fn old_version() -> VaultSecret {
    VaultSecret::new("shop", VAULT_SECRET.0, "before")
}

fn vault_coordinates(emulator: &Emulator) -> Value {
    let old = old_version();
    json!({
        "environment": variables(emulator.entra_environment()),
        "tenant": emulator.tenant_id(),
        "client_id": emulator.applications()[0].client_id,
        "secret": SECRET,
        "vault": emulator.vault_urls()[0],
        "secret_name": VAULT_SECRET.0,
        "secret_value": VAULT_SECRET.1,
        "old_version": old.version,
        "old_value": old.value.expose(),
    })
}
