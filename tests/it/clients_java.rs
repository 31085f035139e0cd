//! The emulator as Microsoft's JDBC driver sees it, by SQL login.

use entrada::emulator::Emulator;
use serde_json::json;

use crate::clients_node::demo;
use crate::clients_python::{coordinates, dbo};
use crate::support::clients::judge;
use crate::support::java::jdbc;

#[tokio::test]
async fn mssql_jdbc() {
    let emulator = demo().await;
    let other = Emulator::builder().start().await.unwrap();
    let mut told = coordinates(&emulator);
    dbo(&mut told);
    told["other_ca"] = json!(other.ca_certificate_file());
    if let Some(lines) = jdbc(&[], &told).await {
        judge("Microsoft JDBC driver", &lines);
    }
}
