//! The demo's program that has never heard of tokens, and the proxy that lets it in.

use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::story::{Step, Story};
use crate::Error;
use crate::cli::exit::{Exit, Failure};
use crate::cli::query;
use crate::pool::tiberius::{AuthMethod, Client, Config as Driver, EncryptionLevel};
use crate::proxy::config::{Config, ListenAddress};
use crate::proxy::{BoundAddress, Proxy};
use crate::token::Sources;

/// Serves the connection string on loopback, and queries as an old program would.
pub(super) async fn connect(
    story: &mut Story,
    connection: &str,
    sources: Sources,
) -> Result<(), Failure> {
    let mut step = Step::begin("A program that has never heard of tokens");
    let mut config = Config::for_connection(connection);
    for listener in &mut config.listeners {
        listener.address = ListenAddress::Tcp(([127, 0, 0, 1], 0).into());
    }
    let drain = config.drain_timeout;
    let proxy = Proxy::start(config, sources).await.map_err(Error::from)?;
    let Some((_, BoundAddress::Tcp(address))) = proxy.addresses().into_iter().next() else {
        return Err(Failure::new(
            Exit::Internal,
            "the proxy does not listen on TCP",
        ));
    };
    step.note(format!(
        "the proxy listens on {address} and lets in whoever runs as this user"
    ));
    step.note(format!(
        "Server={},{}; User ID=legacy; Password=anything; Encrypt=False",
        address.ip(),
        address.port()
    ));

    let mut driver = Driver::new();
    driver.host(address.ip());
    driver.port(address.port());
    driver.authentication(AuthMethod::sql_server("legacy", "anything"));
    driver.encryption(EncryptionLevel::NotSupported);
    driver.application_name("old program");
    let socket = TcpStream::connect(address)
        .await
        .map_err(|error| Failure::new(Exit::Network, error))?;
    // The driver warns that it sends the password in clear, which means nothing here.
    let mut client = Client::connect(driver, socket.compat_write())
        .with_subscriber(NoSubscriber::default())
        .await
        .map_err(Error::from)?;
    let sql =
        "SELECT USER_NAME() AS [user], APP_NAME() AS program, COUNT(*) AS orders FROM dbo.orders";
    step.note(sql);
    let results = client.simple_query(sql).await.map_err(Error::from)?;
    step.note(query::table(results).await?);
    drop(client);
    proxy.shutdown(drain).await;
    story.tell(step)
}
