//! jTDS, the driver of old Java programs, which speaks TDS 7.1 without a PRELOGIN; with Microsoft's
//! driver beside it, which speaks 7.4, for what both must get.

use serde_json::{Value, json};

use super::{OldClients, list};
use crate::proxy::clients::list::Encryption;
use crate::support::clients::compare;
use crate::support::java::jtds as java;

#[tokio::test]
async fn values_and_parameters() {
    half("7.1", Half::Values).await;
}

#[tokio::test]
async fn statements_transactions_and_trouble() {
    half("7.1", Half::Rest).await;
}

/// By TLS inside of PRELOGIN, which it sends then: `ssl=request` and `ssl=require` take any
/// certificate, `ssl=authenticate` one of an authority that Java trusts.
#[tokio::test]
async fn encrypted() {
    let clients = OldClients::start().await;
    for (ssl, listener) in [
        ("off", Encryption::Unwanted),
        ("request", Encryption::Off),
        ("request", Encryption::Unwanted),
        ("request", Encryption::On),
        ("require", Encryption::Unwanted),
        ("require", Encryption::On),
        ("authenticate", Encryption::On),
    ] {
        let expected = list::connects("jTDS", "7.1");
        let Some(lines) = run(&clients, ssl, listener, &expected.features).await else {
            return;
        };
        compare(&expected, &lines);
    }
    clients.bench.no_password_went_upstream();
}

/// What the tests say of `every_type` is what a client of 7.4 gets.
#[tokio::test]
async fn by_7_4_the_values_are_the_same() {
    let clients = OldClients::start().await;
    let expected = list::expected("Microsoft JDBC driver, for comparison", "7.4");
    let mut told = told(&clients, Encryption::Off, "off");
    told["driver"] = json!("mssql");
    let features: Vec<&str> = expected.features.iter().map(String::as_str).collect();
    if let Some(lines) = java(&features, &told).await {
        compare(&expected, &lines);
    }
}

/// What is run together: all of it would take long in one go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Values,
    Rest,
}

async fn half(tds: &str, half: Half) {
    let clients = OldClients::start().await;
    let mut expected = list::expected("jTDS", tds);
    let is_of_values = |name: &String| {
        let of = [
            "types: ",
            "parameters of ",
            "output parameters of ",
            "values of ",
            "a result of ",
        ];
        of.iter().any(|start| name.starts_with(start))
    };
    let wanted = half == Half::Values;
    expected
        .features
        .retain(|name| is_of_values(name) == wanted);
    expected.refused.retain(|_| !wanted);
    let all: Vec<String> = expected
        .features
        .iter()
        .chain(&expected.refused)
        .cloned()
        .collect();
    if let Some(lines) = run(&clients, "off", Encryption::Off, &all).await {
        compare(&expected, &lines);
        clients.bench.no_password_went_upstream();
    }
}

async fn run(
    clients: &OldClients,
    ssl: &str,
    listener: Encryption,
    features: &[String],
) -> Option<Vec<Value>> {
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    java(&features, &told(clients, listener, ssl)).await
}

fn told(clients: &OldClients, listener: Encryption, ssl: &str) -> Value {
    let mut told = clients.told(listener);
    let types = told["types"].as_array().unwrap().iter();
    let types: Vec<String> = types.map(table_line).collect();
    told["types_table"] = json!(types.join("\n"));
    told["driver"] = json!("jtds");
    told["ssl"] = json!(ssl);
    told
}

/// Name, type and values with tabs between them, and `\N` for NULL.
fn table_line(of: &Value) -> String {
    let values = of["values"].as_array().unwrap().iter();
    let values = values.map(|value| value.as_str().unwrap_or("\\N"));
    let head = [&of["name"], &of["type"]].map(|text| text.as_str().unwrap());
    let all: Vec<&str> = head.into_iter().chain(values).collect();
    all.join("\t")
}
