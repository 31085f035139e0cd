//! Runs a mock server on loopback: prints its port as a line of JSON, prints
//! what it recorded of each connection for each line on stdin, and ends with
//! the end of stdin.
//!
//! Arguments, all optional: `--tls prelogin|strict` with `--cert FILE --key
//! FILE` (PEM); `--redirect HOST,PORT` with `--redirect-database NAME`.

use std::collections::HashMap;
use std::error::Error;
use std::fs;

use mssql_mock_tds::{ConnectionInfo, MockTdsServer, RedirectionConfig, create_test_identity};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

const ANY_PORT: &str = "127.0.0.1:0";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let server = start(&options).await?;
    println!("{}", json!({ "port": server.local_addr().port() }));

    let records = server.connection_store();
    tokio::spawn(server.run());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {
        let records = records.lock().await;
        let connections: Vec<Value> = records.all().values().map(describe).collect();
        println!("{}", Value::from(connections));
    }
    Ok(())
}

fn options() -> Result<HashMap<String, String>, Box<dyn Error>> {
    let mut options = HashMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        options.insert(name, value);
    }
    Ok(options)
}

async fn start(options: &HashMap<String, String>) -> Result<MockTdsServer, Box<dyn Error>> {
    let option = |name: &str| options.get(name).map(String::as_str);
    if let Some(to) = option("--redirect") {
        let (host, port) = to.split_once(',').ok_or("--redirect needs HOST,PORT")?;
        let port = port.parse()?;
        let redirect = match option("--redirect-database") {
            Some(database) => RedirectionConfig::enhanced(host, port, database),
            None => RedirectionConfig::new(host, port),
        };
        return Ok(MockTdsServer::new_with_redirection_config(ANY_PORT, redirect).await?);
    }
    let Some(tls) = option("--tls") else {
        return Ok(MockTdsServer::new(ANY_PORT).await?);
    };
    let certificate = fs::read(option("--cert").ok_or("--cert is missing")?)?;
    let key = fs::read(option("--key").ok_or("--key is missing")?)?;
    let identity = create_test_identity(&certificate, &key)?;
    Ok(match tls {
        "strict" => MockTdsServer::new_with_strict_tls(ANY_PORT, identity).await?,
        _ => MockTdsServer::new_with_tls(ANY_PORT, Some(identity)).await?,
    })
}

fn describe(connection: &ConnectionInfo) -> Value {
    json!({
        "authenticated": connection.authenticated,
        "token": connection.received_token_as_string(),
        "workflow": connection.fedauth_workflow,
        "server": connection.received_server_name,
        "database": connection.received_database,
        "features": connection.requested_feature_ids,
    })
}
