//! The emulator as clients for Python see it.

use std::collections::BTreeMap;

use entrada::emulator::{
    Assignment, Emulator, EmulatorBuilder, EntraKind, EntraPrincipal, ExpiresOn, Platform,
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
