//! A token that is in the cache: ours against azure_identity's.
//!
//! Both get it from the same App Service endpoint, each once; what is measured is every later call.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azure_core::credentials::TokenCredential;
use azure_identity::ManagedIdentityCredential;
use criterion::{Criterion, criterion_group, criterion_main};
use entrada::target::Identity;
use entrada::token::{Environment, ManagedIdentity, Resource, TokenCache};
use tokio::runtime::Runtime;

const RESOURCE: &str = "https://database.windows.net/";

fn token(c: &mut Criterion) {
    let endpoint = app_service();
    // SAFETY: no other thread of this process reads the environment yet.
    unsafe {
        std::env::set_var("IDENTITY_ENDPOINT", &endpoint);
        std::env::set_var("IDENTITY_HEADER", "bench");
    }
    let runtime = Runtime::new().unwrap();
    let mut group = c.benchmark_group("cached token");

    let env = Environment::from_process();
    let source = ManagedIdentity::new(Identity::SystemAssigned, &env).unwrap();
    let slot = TokenCache::new().slot(Arc::new(source), Resource::new(RESOURCE));
    runtime.block_on(slot.get()).unwrap();
    group.bench_function("entrada", |b| {
        b.to_async(&runtime)
            .iter(|| async { slot.get().await.unwrap() });
    });

    let credential = ManagedIdentityCredential::new(None).unwrap();
    let scope = format!("{RESOURCE}.default");
    runtime
        .block_on(credential.get_token(&[&scope], None))
        .unwrap();
    group.bench_function("azure_identity", |b| {
        b.to_async(&runtime)
            .iter(|| async { credential.get_token(&[&scope], None).await.unwrap() });
    });
    group.finish();
}

/// An App Service endpoint on loopback that lives as long as the process.
fn app_service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = BufReader::new(stream.try_clone().unwrap());
            for line in request.lines() {
                if line.unwrap().is_empty() {
                    break;
                }
            }
            let expires = SystemTime::now() + Duration::from_secs(86_400);
            let body = format!(
                r#"{{"access_token":"{}","expires_on":"{}","resource":"{RESOURCE}","token_type":"Bearer"}}"#,
                "x".repeat(1900),
                expires.duration_since(UNIX_EPOCH).unwrap().as_secs(),
            );
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    format!("http://{address}/msi/token")
}

criterion_group!(benches, token);
criterion_main!(benches);
