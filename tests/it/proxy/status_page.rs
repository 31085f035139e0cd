//! The status page in headless Chromium.

use std::time::Duration;

use entrada::proxy::Proxy;
use entrada::tds::{Encryption, Login7};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::metrics::{client, client_of, proxy_with_admin, scrape};
use super::{address, azure};
use crate::raw_client::{RawClient, soon};
use crate::support::clients::{node, tool};

const HOSTILE: &str = "<img src=x onerror=window.hacked=1>";
const NEED: &str = "Chromium (Debian: chromium) is needed to look at the status page";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_see_what_happens_and_strangers_cannot_write_there() {
    let Some(version) = tool("chromium", &["--version"], NEED) else {
        return;
    };
    let emulator = azure().await;
    let proxy = proxy_with_admin(&emulator).await;
    let _idle = client(&proxy).await;
    let _hostile = client_of(&proxy, HOSTILE).await;
    refused(&proxy).await;
    let busy = busy(&proxy).await;
    let admin = proxy.admin_address().unwrap();
    let scratch = TempDir::new().unwrap();
    let home = |name: &str| (name.to_owned(), scratch.path().display().to_string());
    let mut environment = vec![
        ("URL".to_owned(), format!("http://{admin}/")),
        ("CHROMIUM".to_owned(), "chromium".to_owned()),
        ("APPLICATION".to_owned(), HOSTILE.to_owned()),
        home("TMPDIR"),
        home("XDG_CONFIG_HOME"),
        home("XDG_CACHE_HOME"),
    ];
    environment[1].1 = which("chromium").expect("it has just told its version");
    if let Ok(pictures) = std::env::var("ENTRADA_PICTURES") {
        environment.push(("PICTURES".to_owned(), pictures));
    }
    let Some(lines) = node("status_page_judge.js", &[], environment).await else {
        return;
    };
    busy.abort();
    let features: Vec<&Value> = lines
        .iter()
        .filter(|line| line["feature"].is_string())
        .collect();
    assert_eq!(features.len(), 8, "{version}: {lines:#?}");
    for line in features {
        assert_eq!(
            line["ok"],
            true,
            "{version}: {}",
            line["detail"].as_str().unwrap_or_default()
        );
    }
}

/// A client whose database there is not.
async fn refused(proxy: &Proxy) {
    let mut client = RawClient::tcp(address(proxy)).await;
    client.prelogin(Encryption::NOT_SUP, None).await;
    let login = Login7 {
        database: "nowhere".to_owned(),
        ..Login7::default()
    };
    assert!(client.login(&login).await.refusal().is_some());
    soon("the error is counted", async {
        while !scrape(proxy).await.contains("entrada_proxy_errors_total 1") {}
    })
    .await;
}

/// A client that never rests.
async fn busy(proxy: &Proxy) -> JoinHandle<()> {
    let mut client = client(proxy).await;
    client.batch("SELECT 1").await;
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            client.batch("SELECT 1").await;
        }
    })
}

fn which(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places
        .find(|file| file.is_file())
        .map(|file| file.display().to_string())
}
