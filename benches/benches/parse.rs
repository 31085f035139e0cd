//! An ADO.NET connection string: ours against tiberius's parser.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use entrada::conn_string::{ConnectionString, Dialect};

/// Keywords that both parsers know. tiberius has no `Authentication`.
const PORTAL: &str = "Server=tcp:myserver.database.windows.net,1433;Initial Catalog=mydb;\
    Persist Security Info=False;User ID=myuser;Password={your_password};\
    MultipleActiveResultSets=False;Encrypt=True;TrustServerCertificate=False;Connection Timeout=30;";

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    group.bench_function("entrada", |b| {
        b.iter(|| ConnectionString::parse_as(black_box(PORTAL), Dialect::AdoNet).unwrap());
    });
    group.bench_function("entrada, dialect detected", |b| {
        b.iter(|| ConnectionString::parse(black_box(PORTAL)).unwrap());
    });
    group.bench_function("tiberius", |b| {
        b.iter(|| tiberius::Config::from_ado_string(black_box(PORTAL)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
