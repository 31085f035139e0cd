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

/// What the rows are, their table, and if they grow on the way to 7.1 the table that has them as
/// such a client gets them.
const RESULTS: [(&str, &str, Option<&str>); 6] = [
    (
        "narrow rows of numbers and short texts",
        "dbo.customers",
        None,
    ),
    ("wide rows", "dbo.wide", None),
    ("rows of NULLs (NBCROW)", "dbo.nulls", Some("dbo.full")),
    (
        "rows with datetime2 and date",
        "dbo.dates",
        Some("dbo.texts"),
    ),
    ("varchar(max) of 100 kB, length known", "dbo.known", None),
    (
        "varchar(max) of 100 kB, length unknown",
        "dbo.unknown",
        None,
    ),
];

/// All of it, or only the results with these words in their description.
pub(crate) fn measure(table: &mut Table, words: Option<&str>) -> Outcome {
    let wanted = |what: &str| words.is_none_or(|words| what.contains(words));
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
    for (proxy, tls) in [(&over_tls, true), (&in_clear, false)] {
        for (what, name, grown) in RESULTS {
            if wanted(what) {
                results(table, proxy, what, (name, grown), tls)?;
            }
        }
    }
    match words {
        None => memory(table, &in_clear),
        Some(_) => Ok(()),
    }
}

/// A client, what it asks for, and how long the answers took.
struct Side {
    version: TdsVersion,
    client: Client,
    sql: String,
    bytes: usize,
    seconds: Vec<f64>,
}

impl Side {
    fn new(proxy: &Process, version: TdsVersion, name: &str) -> Outcome<Self> {
        let mut client = Client::of_version(proxy.port, version)?;
        let sql = format!("SELECT * FROM {name}");
        let bytes = client.batch(&sql)?;
        let seconds = Vec::new();
        Ok(Self {
            version,
            client,
            sql,
            bytes,
            seconds,
        })
    }

    fn round(&mut self) -> Outcome {
        let began = Instant::now();
        self.client.batch(&self.sql)?;
        self.seconds.push(began.elapsed().as_secs_f64());
        Ok(())
    }

    fn median(&self) -> f64 {
        median(self.seconds.clone())
    }
}

/// One result at each version, in turns; the first one is relayed. Then the rows as 7.1 gets them,
/// relayed.
fn results(
    table: &mut Table,
    proxy: &Process,
    what: &str,
    (name, grown): (&str, Option<&str>),
    tls: bool,
) -> Outcome {
    const OLD: [TdsVersion; 3] = [TdsVersion::V7_1_REV1, TdsVersion::V7_2, TdsVersion::V7_3A];
    let mut relayed = Side::new(proxy, TdsVersion::V7_4, name)?;
    let old = OLD.map(|version| Side::new(proxy, version, name));
    let mut old = old.into_iter().collect::<Outcome<Vec<_>>>()?;
    let mut grown = grown
        .map(|name| Side::new(proxy, TdsVersion::V7_4, name))
        .transpose()?;
    for _ in 0..ROUNDS {
        relayed.round()?;
        for side in old.iter_mut().chain(&mut grown) {
            side.round()?;
        }
    }
    let from = if tls { "TLS server" } else { "server in clear" };
    let megabytes = relayed.bytes as f64 / 1e6;
    for side in &old {
        let (seconds, plain) = (side.median(), relayed.median());
        let what = format!("{what} at {}, {from}: time", side.version);
        let ours = format!("{:.0} MB/s", megabytes / seconds);
        let peer = format!("{:.0} MB/s relayed at 7.4", megabytes / plain);
        // Promised is what users have: Azure's sessions are encrypted.
        if tls && side.version == TdsVersion::V7_1_REV1 {
            table.row(&what, &ours, &peer, seconds / plain, BAR);
        } else {
            table.note(&what, &ours, &peer, seconds / plain);
        }
    }
    if let (Some(grown), Some(old)) = (&grown, old.first()) {
        of_as_many_bytes(
            table,
            &format!("{what}, {from}"),
            [&relayed, old, grown],
            tls,
        );
    }
    Ok(())
}

/// Beside a relay of as many bytes as a client of 7.1 gets; and what that takes in the time of a
/// relay of what the server sent, which is the least that any transcoder can take.
fn of_as_many_bytes(table: &mut Table, what: &str, [relayed, old, grown]: [&Side; 3], tls: bool) {
    let megabytes = old.bytes as f64 / 1e6;
    let (seconds, plain) = (old.median(), grown.median());
    let description = format!("{what}: against a relay of as many bytes");
    let ours = format!("{:.0} MB/s", megabytes / seconds);
    let peer = format!("{:.0} MB/s relayed at 7.4", megabytes / plain);
    if tls {
        table.row(&description, &ours, &peer, seconds / plain, BAR);
    } else {
        table.note(&description, &ours, &peer, seconds / plain);
    }
    table.note(
        &format!("{what}: that relay against the one of what the server sent"),
        &format!("{plain:.3} s"),
        &format!("{:.3} s", relayed.median()),
        plain / relayed.median(),
    );
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
            let (_, name, _) = RESULTS[number % RESULTS.len()];
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
