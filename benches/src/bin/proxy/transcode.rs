//! Results for clients of older versions, which the proxy rewrites, beside the relay of the same
//! results to a client of 7.4; and what such clients hold of its memory.

use std::time::Instant;

use entrada::tds::TdsVersion;

use super::Outcome;
use super::client::{Client, SHORT};
use super::process::Process;
use super::table::{Table, median};

const ROUNDS: usize = 5;

/// At least half the throughput.
const BAR: f64 = 2.0;

const RESULTS: [(&str, &str); 6] = [
    ("narrow rows of numbers and short texts", "dbo.customers"),
    ("wide rows", "dbo.wide"),
    ("rows of NULLs (NBCROW)", "dbo.nulls"),
    ("rows with datetime2 and date", "dbo.dates"),
    ("varchar(max) of 100 kB, length known", "dbo.known"),
    ("varchar(max) of 100 kB, length unknown", "dbo.unknown"),
];

pub(crate) fn measure(table: &mut Table) -> Outcome {
    let folder = tempfile::tempdir()?;
    let certificate = folder.path().join("server.pem");
    let file = certificate.to_str().ok_or("an odd folder")?;
    let tls = Process::server(&[file])?;
    let clear = Process::server(&[])?;
    let over_tls = Process::entrada(
        &format!(
            "Server=127.0.0.1,{};User ID=bench;Password=bench;Encrypt=strict;ServerCertificate={file};Packet Size=4096",
            tls.port
        ),
        &[],
    )?;
    let in_clear = Process::entrada(
        &format!(
            "sqlserver://bench:bench@127.0.0.1:{}?encrypt=disable",
            clear.port
        ),
        &[],
    )?;
    for (what, name) in RESULTS {
        results(table, &over_tls, what, name, true)?;
    }
    for (what, name) in RESULTS {
        results(table, &in_clear, what, name, false)?;
    }
    memory(table, &in_clear)
}

/// One result at each version, in turns.
fn results(table: &mut Table, proxy: &Process, what: &str, name: &str, tls: bool) -> Outcome {
    let versions = [
        TdsVersion::V7_4,
        TdsVersion::V7_1_REV1,
        TdsVersion::V7_2,
        TdsVersion::V7_3A,
    ];
    let sql = format!("SELECT * FROM {name}");
    let mut sides = Vec::new();
    for version in versions {
        let mut client = Client::of_version(proxy.port, version)?;
        let bytes = client.batch(&sql)?;
        sides.push((client, bytes, Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (client, _, seconds) in &mut sides {
            let began = Instant::now();
            client.batch(&sql)?;
            seconds.push(began.elapsed().as_secs_f64());
        }
    }
    let mut sides = sides.into_iter();
    let (_, bytes, plain) = sides.next().ok_or("no versions")?;
    let (plain, megabytes) = (median(plain), bytes as f64 / 1e6);
    let from = if tls { "TLS server" } else { "server in clear" };
    for (version, (_, _, seconds)) in versions[1..].iter().zip(sides) {
        let seconds = median(seconds);
        let what = format!("{what} at {version}, {from}: time");
        let ours = format!("{:.0} MB/s", megabytes / seconds);
        let peer = format!("{:.0} MB/s relayed at 7.4", megabytes / plain);
        // Promised is what users have: Azure's sessions are encrypted.
        if tls && *version == TdsVersion::V7_1_REV1 {
            table.row(&what, &ours, &peer, seconds / plain, BAR);
        } else {
            table.note(&what, &ours, &peer, seconds / plain);
        }
    }
    Ok(())
}

/// Of clients that are idle, and of clients that do not read their results.
fn memory(table: &mut Table, proxy: &Process) -> Outcome {
    const IDLE: usize = 2000;
    const BUSY: usize = 100;
    let mut idle = [0.0; 2];
    let mut busy = [0.0; 2];
    let versions = [TdsVersion::V7_1_REV1, TdsVersion::V7_4];
    let mut held = Vec::new();
    for (index, version) in versions.into_iter().enumerate() {
        let before = proxy.resident()?;
        for _ in 0..IDLE {
            let mut client = Client::of_version(proxy.port, version)?;
            client.batch(SHORT)?;
            held.push(client.into_idle());
        }
        idle[index] = (proxy.resident()? - before) / IDLE as f64;
    }
    for (index, version) in versions.into_iter().enumerate() {
        let before = proxy.resident()?;
        for number in 0..BUSY {
            let mut client = Client::of_version(proxy.port, version)?;
            let (_, name) = RESULTS[number % RESULTS.len()];
            client.read_some(&format!("SELECT * FROM {name}"), 100_000)?;
            held.push(client.into_idle());
        }
        busy[index] = (proxy.resident()? - before) / BUSY as f64;
    }
    let kilobytes = |bytes: f64| format!("{:.2} KiB", bytes / 1024.0);
    for (what, [old, new]) in [("idle", idle), ("that stopped reading a result", busy)] {
        table.note(
            &format!("memory per client of 7.1r1 {what}, with a session in clear"),
            &kilobytes(old),
            &format!("{} at 7.4", kilobytes(new)),
            old / new,
        );
    }
    Ok(())
}
