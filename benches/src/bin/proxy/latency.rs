//! What the proxy and HAProxy in TCP mode each add to a `SELECT 1`, in clear on both sides.

use std::fs;
use std::process::Command;
use std::time::Instant;

use super::Outcome;
use super::client::{Client, SHORT};
use super::process::{Process, free_port};
use super::table::{Table, median};

const ROUNDS: usize = 20;
const QUERIES: usize = 1000;

pub(crate) fn measure(table: &mut Table) -> Outcome {
    let folder = tempfile::tempdir()?;
    let server = Process::server(&[])?;
    let connection = format!(
        "sqlserver://bench:bench@127.0.0.1:{}?encrypt=disable",
        server.port
    );
    let ours = Process::entrada(&connection, &[])?;

    let port = free_port()?;
    let settings = folder.path().join("haproxy.cfg");
    let text = format!(
        "global\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n\
         listen tds\n  bind 127.0.0.1:{port}\n  server sql 127.0.0.1:{}\n",
        server.port
    );
    fs::write(&settings, text)?;
    let haproxy = Process::listening(
        Command::new("haproxy").arg("-db").arg("-f").arg(&settings),
        port,
    )?;

    let ports = [server.port, ours.port, haproxy.port];
    let mut clients = Vec::new();
    for port in ports {
        clients.push((Client::connect(port)?, Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (client, times) in &mut clients {
            for _ in 0..QUERIES {
                let began = Instant::now();
                client.batch(SHORT)?;
                times.push(began.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    let times: Vec<f64> = clients
        .into_iter()
        .map(|(_, times)| median(times))
        .collect();
    let [direct, ours, theirs] = times[..] else {
        return Err("three were measured".into());
    };
    table.row(
        &format!("latency added to `SELECT 1` ({direct:.0} µs without)"),
        &format!("{:.1} µs", ours - direct),
        &format!("{:.1} µs by HAProxy", theirs - direct),
        (ours - direct) / (theirs - direct),
        1.3,
    );
    Ok(())
}
