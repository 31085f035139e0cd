//! The emulator as Rust's drivers and Azure's library for Rust see it, with their own TLS.

use entrada::emulator::{Emulator, RecordedRequest, RequestKind};
use serde_json::json;

use crate::clients_node::{demo, told};
use crate::clients_python::{entra_coordinates, with_application};
use crate::support::clients::{has_the_arc_agents_folder, judge, rust, rust_arc};

/// Runs the program once for each set of variables and compares what it did with what it must do.
async fn run(client: &str, program: &str, emulator: &Emulator, runs: Vec<Vec<(String, String)>>) {
    let mut lines = Vec::new();
    for identity in runs {
        let told = ("EMULATOR".to_owned(), told(emulator).to_string());
        let environment = identity.into_iter().chain([told]);
        match rust(program, &[], environment).await {
            Some(printed) => lines.extend(printed),
            None => return,
        }
    }
    judge(client, &lines);
}

#[tokio::test]
async fn azure_identity() {
    let emulator = demo().await;
    let runs = vec![
        emulator.imds_environment(),
        emulator.app_service_environment(),
    ];
    run("azure_identity", "azure_identity", &emulator, runs).await;
}

/// It reads key files in the agent's own folder only, which takes root.
#[tokio::test]
async fn azure_identity_on_azure_arc() {
    let mut lines = Vec::new();
    for fault in [
        None,
        Some("big"),
        Some("dot-dot"),
        Some("missing"),
        Some("no-header"),
        Some("no-realm"),
        Some("outside"),
        Some("symlink"),
        Some("txt"),
    ] {
        let mut builder = Emulator::builder();
        if let Some(fault) = fault {
            builder = builder.fault(format!("arc:{fault}").parse().unwrap());
        }
        let emulator = builder.start().await.unwrap();
        if !has_the_arc_agents_folder(&emulator) {
            return;
        }
        let told = ("EMULATOR".to_owned(), told(&emulator).to_string());
        let spoilt = fault.is_some();
        let fault = fault.map(|fault| ("FAULT".to_owned(), fault.to_owned()));
        let environment = emulator.arc_environment().into_iter();
        match rust_arc(environment.chain([told]).chain(fault)).await {
            Some(printed) => lines.extend(printed),
            None => return,
        }
        // What it refuses is the challenge: it asked for one, and sent no key that it must not read.
        let statuses: Vec<_> = emulator.requests().into_iter().map(status).collect();
        assert!(statuses.contains(&Some(401)), "{statuses:?}");
        assert_eq!(statuses.contains(&Some(200)), !spoilt, "{statuses:?}");
    }
    judge("azure_identity, Azure Arc", &lines);
}

fn status(request: RecordedRequest) -> Option<u16> {
    match request.kind {
        RequestKind::Identity(request) => request.status,
        _ => None,
    }
}

#[tokio::test]
async fn azure_identity_at_entra() {
    let (emulator, _) = with_application().await;
    let mut told = entra_coordinates(&emulator);
    let jobs = emulator.gitlab_environment();
    let token = jobs.iter().find(|(name, _)| name == "GITLAB_OIDC_TOKEN");
    told["gitlab"] = json!(token.map(|(_, token)| token));
    let told = [("EMULATOR".to_owned(), told.to_string())];
    let environment = [
        emulator.entra_environment(),
        emulator.workload_identity_environment(),
        emulator.azure_pipelines_environment(),
    ];
    let environment = environment.into_iter().flatten().chain(told);
    if let Some(lines) = rust("azure_entra", &[], environment.collect::<Vec<_>>()).await {
        judge("azure_identity at Entra", &lines);
    }
}

#[tokio::test]
async fn mssql_tds() {
    let emulator = demo().await;
    run("mssql-tds", "mssql_tds", &emulator, vec![Vec::new()]).await;
}

#[tokio::test]
async fn tiberius() {
    let emulator = demo().await;
    run("tiberius", "tiberius", &emulator, vec![Vec::new()]).await;
}
