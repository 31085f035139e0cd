//! Connect and first query: a driver through the warm proxy, and the same driver's own TLS login
//! with a token.

use std::time::Instant;

use entrada::emulator::{Emulator, ManagedIdentity};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;

use super::Outcome;
use super::process::Process;
use super::table::{Table, median};

const ROUNDS: usize = 300;

pub(crate) fn measure(table: &mut Table) -> Outcome {
    tokio::runtime::Runtime::new()?.block_on(compare(table))
}

async fn compare(table: &mut Table) -> Outcome {
    let app = ManagedIdentity::user_assigned("app");
    let emulator = Emulator::builder()
        .identity(app.clone())
        .database("shop")
        .user("shop", "app", &["db_datareader"])
        .start()
        .await?;
    let identities = emulator.identities();
    let identity = identities.iter().find(|identity| identity.name == app.name);
    let connection = emulator.connection_strings("shop", identity).ado_net;
    let proxy = Process::entrada(&connection, &emulator.imds_environment())?;
    let token = emulator.issue_token(&app.name, "https://database.windows.net/")?;

    let mut direct = Config::new();
    direct.host("127.0.0.1");
    direct.port(emulator.sql_addr().port());
    direct.database("shop");
    direct.encryption(EncryptionLevel::Required);
    let authority = emulator.ca_certificate_file();
    direct.trust_cert_ca(authority.to_str().ok_or("an odd folder")?);
    direct.authentication(AuthMethod::aad_token(token.token.expose()));

    let mut through = Config::new();
    through.host("127.0.0.1");
    through.port(proxy.port);
    through.encryption(EncryptionLevel::NotSupported);
    through.authentication(AuthMethod::sql_server("any", "any"));

    // The first login through the proxy is a cold one.
    connect(&through).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(connect(&direct).await?);
        ours.push(connect(&through).await?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    table.row(
        "connect and first query, warm",
        &format!("{ours:.2} ms"),
        &format!("{theirs:.2} ms by the driver's own TLS login"),
        ours / theirs,
        0.25,
    );
    Ok(())
}

/// Milliseconds from nothing to the first row, and closes.
async fn connect(config: &Config) -> Outcome<f64> {
    let began = Instant::now();
    let socket = TcpStream::connect(config.get_addr()).await?;
    socket.set_nodelay(true)?;
    let mut client = Client::connect(config.clone(), socket.compat_write()).await?;
    client
        .simple_query("SELECT 1")
        .await?
        .into_row()
        .await?
        .ok_or("no row")?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    client.close().await?;
    Ok(took)
}
