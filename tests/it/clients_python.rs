//! The emulator as clients for Python see it.

use std::collections::BTreeMap;

use entrada::emulator::{Assignment, Emulator, EmulatorBuilder};
use serde_json::{Value, json};

use crate::support::clients::{judge, python};

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
        "imds_environment": variables(emulator.imds_environment()),
        "app_service_environment": variables(emulator.app_service_environment()),
    })
}

fn variables(pairs: Vec<(String, String)>) -> BTreeMap<String, String> {
    pairs.into_iter().collect()
}

async fn with_fault(fault: &str) -> Emulator {
    let builder: EmulatorBuilder = Emulator::builder().fault(fault.parse().unwrap());
    builder.start().await.unwrap()
}

#[tokio::test]
async fn azure_identity() {
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
    ];
    let all: BTreeMap<&str, Value> = emulators
        .iter()
        .map(|(name, emulator)| (*name, coordinates(emulator)))
        .collect();
    run("azure-identity", "azure_identity_judge.py", json!(all)).await;
}
