//! Take a session from the pool, run `SELECT 1`, put it back: ours against bb8-tiberius.
//!
//! Both log in to the emulator with the same SQL login over TLS, and then do what their defaults do.

use bb8_tiberius::ConnectionManager;
use criterion::{Criterion, criterion_group, criterion_main};
use entrada::Pool;
use entrada::emulator::Emulator;
use tokio::runtime::Runtime;

const USER: &str = "bench";
const PASSWORD: &str = "Bench-1234";

fn pool(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let emulator = Emulator::builder()
        .database("bench")
        .sql_admin(USER, PASSWORD)
        .start();
    let emulator = runtime.block_on(emulator).unwrap();
    let port = emulator.sql_addr().port();
    let mut group = c.benchmark_group("pool");

    let ours = runtime.block_on(Pool::connect(&format!(
        "Server=tcp:127.0.0.1,{port};Database=bench;User ID={USER};Password={PASSWORD};\
         TrustServerCertificate=True;Max Pool Size=4"
    )));
    let ours = ours.unwrap();
    group.bench_function("entrada", |b| {
        b.to_async(&runtime).iter(|| async {
            let mut client = ours.get().await.unwrap();
            let row = client
                .simple_query("SELECT 1")
                .await
                .unwrap()
                .into_row()
                .await;
            assert_eq!(row.unwrap().unwrap().get(0), Some(1_i32));
        });
    });

    let manager = ConnectionManager::build(config(port)).unwrap();
    let peer = runtime
        .block_on(bb8::Pool::builder().max_size(4).build(manager))
        .unwrap();
    group.bench_function("bb8-tiberius", |b| {
        b.to_async(&runtime).iter(|| async {
            let mut client = peer.get().await.unwrap();
            let row = client
                .simple_query("SELECT 1")
                .await
                .unwrap()
                .into_row()
                .await;
            assert_eq!(row.unwrap().unwrap().get(0), Some(1_i32));
        });
    });
    group.finish();
    runtime.block_on(emulator.shutdown());
}

/// bb8-tiberius is built on tiberius 0.12, so this is that version's configuration.
fn config(port: u16) -> tiberius_0_12::Config {
    let mut config = tiberius_0_12::Config::new();
    config.host("127.0.0.1");
    config.port(port);
    config.database("bench");
    config.authentication(tiberius_0_12::AuthMethod::sql_server(USER, PASSWORD));
    config.trust_cert();
    config
}

criterion_group!(benches, pool);
criterion_main!(benches);
