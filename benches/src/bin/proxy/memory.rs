//! Memory of idle clients that have asked once: the proxy's, each with its session
//! at the server, and PgBouncer's, with none (it pools transactions) and with one
//! (it pools sessions), as each of the proxy's has.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair};

use super::Outcome;
use super::client::{Client, SHORT};
use super::process::{Process, free_port};
use super::table::Table;

/// Two descriptors each, of the 20,000 that are often the limit.
const CLIENTS: usize = 9_900;
/// Each is a process of PostgreSQL's.
const SESSIONS: usize = 1_000;

/// How PgBouncer serves its clients.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// As it is usually run before many clients: they share a few sessions.
    Transactions,
    /// A session for each client, in clear.
    Sessions,
    /// The same over TLS.
    SessionsOverTls,
}

pub(crate) fn measure(table: &mut Table) -> Outcome {
    let shared = pgbouncer(Peer::Transactions)?;
    let own = pgbouncer(Peer::Sessions)?;
    let own_over_tls = pgbouncer(Peer::SessionsOverTls)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("server.pem");
    let file = file.to_str().ok_or("an odd folder")?;
    let tls = Process::server(&[file])?;
    let clear = Process::server(&[])?;
    let encrypted = entrada(&format!(
        "Server=127.0.0.1,{};User ID=bench;Password=bench;Packet Size=4096;Encrypt=strict;ServerCertificate={file}",
        tls.port
    ))?;
    let clear = entrada(&format!(
        "sqlserver://bench:bench@127.0.0.1:{}?encrypt=disable",
        clear.port
    ))?;
    let kilobytes = |bytes: f64| format!("{:.2} KiB", bytes / 1024.0);
    let none = format!("{} by PgBouncer without one", kilobytes(shared));
    table.row(
        "memory per idle client, with a session over TLS",
        &kilobytes(encrypted),
        &none,
        encrypted / shared,
        2.0,
    );
    table.note(
        "the same",
        &kilobytes(encrypted),
        &format!("{} by PgBouncer with one", kilobytes(own_over_tls)),
        encrypted / own_over_tls,
    );
    table.note(
        "memory per idle client, with a session in clear",
        &kilobytes(clear),
        &none,
        clear / shared,
    );
    table.note(
        "the same",
        &kilobytes(clear),
        &format!("{} by PgBouncer with one", kilobytes(own)),
        clear / own,
    );
    Ok(())
}

fn entrada(connection: &str) -> Outcome<f64> {
    let proxy = Process::entrada(connection, &[])?;
    // What the first clients warm up counts for no client.
    let warm: Vec<Client> = (0..20)
        .map(|_| Client::connect(proxy.port))
        .collect::<Outcome<_>>()?;
    let before = proxy.resident()?;
    let mut clients = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        let mut client = Client::connect(proxy.port)?;
        client.batch(SHORT)?;
        clients.push(client.into_idle());
    }
    let after = proxy.resident()?;
    drop((warm, clients));
    Ok((after - before) / CLIENTS as f64)
}

fn pgbouncer(kind: Peer) -> Outcome<f64> {
    let folder = tempfile::tempdir()?;
    let (server, port) = (free_port()?, free_port()?);
    let path = folder.path();
    run(Command::new("chown").arg("postgres").arg(path))?;
    let postgres = Postgres::start(path, server)?;
    let settings = path.join("pgbouncer.ini");
    let pid_file = path.join("pgbouncer.pid");
    let (mode, pool, tls, clients) = match kind {
        Peer::Transactions => ("transaction", 20, "disable", CLIENTS),
        Peer::Sessions => ("session", 2 * SESSIONS, "disable", SESSIONS),
        Peer::SessionsOverTls => ("session", 2 * SESSIONS, "require", SESSIONS),
    };
    let text = format!(
        "[databases]\npostgres = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\nmax_client_conn = 20000\n\
         default_pool_size = {pool}\nserver_tls_sslmode = {tls}\npidfile = {}\n",
        pid_file.display()
    );
    fs::write(&settings, text)?;
    // The switch of users sets the limit anew, so it is raised behind it.
    let line = format!(
        "ulimit -n \"$(ulimit -Hn)\" && exec pgbouncer -q {}",
        settings.display()
    );
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", "sh", "-c", &line]);
    let bouncer = Process::listening(&mut command, port)?.with_pid(&pid_file)?;
    let warm: Vec<TcpStream> = (0..20).map(|_| pg_client(port)).collect::<Outcome<_>>()?;
    let before = bouncer.resident()?;
    let held: Vec<TcpStream> = (0..clients)
        .map(|_| pg_client(port))
        .collect::<Outcome<_>>()?;
    let after = bouncer.resident()?;
    drop((warm, held, bouncer, postgres));
    Ok((after - before) / clients as f64)
}

/// A PostgreSQL of this run.
struct Postgres<'a> {
    folder: &'a Path,
    programs: String,
}

impl<'a> Postgres<'a> {
    fn start(folder: &'a Path, port: u16) -> Outcome<Self> {
        let found = Command::new("sh")
            .args(["-c", "ls -d /usr/lib/postgresql/*/bin | tail -1"])
            .output()?;
        let programs = String::from_utf8(found.stdout)?.trim().to_owned();
        let postgres = Self { folder, programs };
        postgres.as_postgres(&format!("initdb -A trust -D {}/data", folder.display()))?;
        certificate(folder)?;
        let most = SESSIONS + 100;
        postgres.as_postgres(&format!(
            "pg_ctl -w -D {0}/data -l {0}/log -o '-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
             -c max_connections={most} -c ssl=on -c ssl_cert_file={0}/server.pem -c ssl_key_file={0}/server.key' start",
            folder.display()
        ))?;
        Ok(postgres)
    }

    fn as_postgres(&self, line: &str) -> Outcome {
        let line = format!("cd / && {}/{line} >/dev/null", self.programs);
        run(Command::new("runuser").args(["-u", "postgres", "--", "sh", "-c", &line]))
    }
}

impl Drop for Postgres<'_> {
    fn drop(&mut self) {
        let _ = self.as_postgres(&format!(
            "pg_ctl -m immediate -D {}/data stop",
            self.folder.display()
        ));
    }
}

/// PostgreSQL's own, which is to be its user's and nobody else's.
fn certificate(folder: &Path) -> Outcome {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    for (name, text) in [
        ("server.pem", certificate.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        let file = folder.join(name);
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        run(Command::new("chown").arg("postgres").arg(&file))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Outcome {
    match command.status()?.success() {
        true => Ok(()),
        false => Err(format!("{command:?} failed").into()),
    }
}

/// A client of PostgreSQL that has logged in and asked once.
fn pg_client(port: u16) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let mut startup = Vec::from(196_608u32.to_be_bytes());
    startup.extend(b"user\0postgres\0database\0postgres\0\0");
    stream.write_all(&(startup.len() as u32 + 4).to_be_bytes())?;
    stream.write_all(&startup)?;
    until_ready(&mut stream)?;
    let query = b"SELECT 1\0";
    let mut message = vec![b'Q'];
    message.extend((query.len() as u32 + 4).to_be_bytes());
    message.extend(query);
    stream.write_all(&message)?;
    until_ready(&mut stream)?;
    Ok(stream)
}

/// Reads messages up to ReadyForQuery.
fn until_ready(stream: &mut TcpStream) -> Outcome {
    loop {
        let mut header = [0; 5];
        stream.read_exact(&mut header)?;
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize - 4;
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        match header[0] {
            b'Z' => return Ok(()),
            b'E' => return Err(String::from_utf8_lossy(&body).into_owned().into()),
            _ => {}
        }
    }
}
