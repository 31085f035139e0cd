//! The emulator as Rust's drivers and Azure's library for Rust see it, with their own TLS.

use entrada::emulator::Emulator;

use crate::clients_node::{demo, told};
use crate::support::clients::{judge, rust};

/// Runs the program once for each set of variables and compares what it did with what it must do.
async fn run(client: &str, program: &str, emulator: &Emulator, runs: Vec<Vec<(String, String)>>) {
    let mut lines = Vec::new();
    for identity in runs {
        let told = ("EMULATOR".to_owned(), told(emulator).to_string());
        let environment = identity.into_iter().chain([told]);
        match rust(program, environment).await {
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
