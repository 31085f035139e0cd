//! A million rows of three columns: through a pooled session against plain tiberius.
//!
//! Both read the same canned bytes from the same server without TLS, where what the pool's stream
//! adds to each byte weighs most.

use std::net::SocketAddr;

use criterion::{Criterion, criterion_group, criterion_main};
use entrada::Pool;
use entrada_benches::canned;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_util::compat::TokioAsyncWriteCompatExt;

const SQL: &str = "SELECT id, amount, name FROM dbo.customers";

fn rows(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let address = runtime.block_on(canned::start()).unwrap();
    let mut group = c.benchmark_group("a million rows");
    group.sample_size(10);

    let pool = runtime.block_on(Pool::connect(&format!(
        "sqlserver://bench:bench@127.0.0.1:{}?encrypt=disable&packet+size=4096",
        address.port()
    )));
    let pool = pool.unwrap();
    let mut client = runtime.block_on(pool.get()).unwrap();
    group.bench_function("entrada", |b| {
        b.iter(|| runtime.block_on(async { read(client.simple_query(SQL).await.unwrap()).await }));
    });
    drop(client);

    let mut client = runtime.block_on(plain(address));
    group.bench_function("tiberius", |b| {
        b.iter(|| runtime.block_on(async { read(client.simple_query(SQL).await.unwrap()).await }));
    });
    group.finish();
}

/// Reads every cell, as a caller would.
async fn read(results: tiberius::QueryStream<'_>) -> i64 {
    use futures_util::TryStreamExt;
    let mut rows = results.into_row_stream();
    let (mut sum, mut seen) = (0_i64, 0);
    while let Some(row) = rows.try_next().await.unwrap() {
        let name: &str = row.get(2).unwrap();
        sum += i64::from(row.get::<i32, _>(0).unwrap()) + row.get::<i64, _>(1).unwrap();
        sum += name.len() as i64;
        seen += 1;
    }
    assert_eq!(seen, canned::ROWS);
    sum
}

async fn plain(address: SocketAddr) -> tiberius::Client<tokio_util::compat::Compat<TcpStream>> {
    let mut config = tiberius::Config::new();
    config.host("127.0.0.1");
    config.port(address.port());
    config.encryption(tiberius::EncryptionLevel::NotSupported);
    config.authentication(tiberius::AuthMethod::sql_server("bench", "bench"));
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    tiberius::Client::connect(config, stream.compat_write())
        .await
        .unwrap()
}

criterion_group!(benches, rows);
criterion_main!(benches);
