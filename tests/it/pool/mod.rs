//! The pool's promises, over a server that keeps sessions as SQL Server does.

mod doubt;
#[cfg(feature = "emulator")]
mod emulator;
mod failures;
mod judges;
mod lifetime;
mod observed;
mod reuse;
mod server;
mod stress;
#[cfg(feature = "emulator")]
mod vault;

use std::time::Duration;

use entrada::Secret;
use entrada::pool::{Client, Pool, PoolBuilder};
use entrada::target::{Auth, Encrypt, Server, Target};

use self::server::SqlServer;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A target on the server, by SQL login in the clear.
fn target(server: &SqlServer) -> Target {
    let address = Server::with_port("127.0.0.1", server.address.port());
    let auth = Auth::SqlPassword {
        user: "sa".to_owned(),
        password: Secret::new("MARKED-PASSWORD"),
    };
    let mut target = Target::new(address, auth).with_database("app");
    target.tls.encrypt = Encrypt::Disable;
    target.limits.connect_retry_count = 0;
    target
}

fn builder(server: &SqlServer) -> PoolBuilder {
    Pool::builder(target(server))
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
}

/// A pool of at most one session, so that everybody gets the same.
fn pool(server: &SqlServer) -> Pool {
    builder(server).max_size(1).build().unwrap()
}

/// The number that a batch answers with.
async fn ask(client: &mut Client, text: &str) -> i32 {
    let row = client
        .simple_query(text)
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap();
    row.unwrap().get(0).unwrap()
}

/// Runs a batch whose answer does not matter.
async fn run(client: &mut Client, text: &str) {
    client
        .simple_query(text)
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
}
