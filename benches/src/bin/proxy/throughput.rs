//! A large result from a TLS server to a client in clear: the proxy, and stunnel in client mode.

use std::fs;
use std::process::Command;
use std::time::Instant;

use super::Outcome;
use super::client::{Client, LONG};
use super::process::{Process, free_port};
use super::table::{Table, median};

const ROUNDS: usize = 7;

pub(crate) fn measure(table: &mut Table) -> Outcome {
    let folder = tempfile::tempdir()?;
    let certificate = folder.path().join("server.pem");
    let file = certificate.to_str().ok_or("an odd folder")?;
    let server = Process::server(&[file])?;
    let connection = format!(
        "Server=127.0.0.1,{};User ID=bench;Password=bench;Encrypt=strict;ServerCertificate={file};Packet Size=4096",
        server.port
    );
    let ours = Process::entrada(&connection, &[])?;

    let port = free_port()?;
    let settings = folder.path().join("stunnel.conf");
    let text = format!(
        "foreground = yes\npid =\nsyslog = no\ndebug = err\n[tds]\nclient = yes\naccept = 127.0.0.1:{port}\n\
         connect = 127.0.0.1:{}\nCAfile = {file}\nverifyPeer = yes\n\
         socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n",
        server.port
    );
    fs::write(&settings, text)?;
    let stunnel = Process::listening(Command::new("stunnel").arg(&settings), port)?;

    let mut through = [Side::new(&ours)?, Side::new(&stunnel)?];
    for _ in 0..ROUNDS {
        for side in &mut through {
            side.round()?;
        }
    }
    let [ours, theirs] = through.map(Side::end);
    table.row(
        "relay: time for a large result, TLS server to client in clear",
        &format!("{:.0} MB/s", 1.0 / ours.seconds),
        &format!("{:.0} MB/s by stunnel", 1.0 / theirs.seconds),
        ours.seconds / theirs.seconds,
        1.0,
    );
    table.row(
        "relay: CPU time for it",
        &format!("{:.2} s/GB", ours.cpu * 1000.0),
        &format!("{:.2} s/GB by stunnel", theirs.cpu * 1000.0),
        ours.cpu / theirs.cpu,
        1.0,
    );
    Ok(())
}

/// One of the two, with what was measured of it.
struct Side<'a> {
    process: &'a Process,
    client: Client,
    seconds: Vec<f64>,
    cpu: Vec<f64>,
}

/// Per megabyte.
struct Cost {
    seconds: f64,
    cpu: f64,
}

impl<'a> Side<'a> {
    fn new(process: &'a Process) -> Outcome<Self> {
        let mut client = Client::connect(process.port)?;
        client.batch(LONG)?;
        Ok(Self {
            process,
            client,
            seconds: Vec::new(),
            cpu: Vec::new(),
        })
    }

    /// Several answers, so that the ticks of the CPU clock are fine enough.
    fn round(&mut self) -> Outcome {
        let (began, cpu) = (Instant::now(), self.process.cpu()?);
        let mut bytes = 0;
        for _ in 0..5 {
            bytes += self.client.batch(LONG)?;
        }
        let megabytes = bytes as f64 / 1e6;
        self.seconds.push(began.elapsed().as_secs_f64() / megabytes);
        self.cpu.push((self.process.cpu()? - cpu) / megabytes);
        Ok(())
    }

    fn end(self) -> Cost {
        Cost {
            seconds: median(self.seconds),
            cpu: median(self.cpu),
        }
    }
}
