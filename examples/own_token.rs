//! A token from the caller's own code, for services that have a way of their own to get one.
//!
//! ```sh
//! export SERVER=contoso.database.windows.net
//! export TOKEN=$(az account get-access-token --resource https://database.windows.net/ \
//!     --query accessToken --output tsv)
//! cargo run --example own_token
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it got")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use entrada::Pool;
use entrada::target::{Auth, Server, Target};
use entrada::token::{AccessToken, CallbackToken};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = std::env::var("SERVER").map_err(|_| "set SERVER to the server's name")?;
    let target = Target::new(Server::new(server), Auth::Callback).with_database("master");

    // Called when there is no token yet, and again well before one ends.
    let source = CallbackToken::new(|_resource| async {
        let token = std::env::var("TOKEN").map_err(|_| "set TOKEN to an access token")?;
        Ok::<_, &str>(AccessToken::new(token, Duration::from_secs(3600)))
    });
    let pool = Pool::builder(target)
        .token_source(Arc::new(source))
        .build()?;

    let mut client = pool.get().await?;
    let row = client
        .simple_query("SELECT @@VERSION")
        .await?
        .into_row()
        .await?;
    println!("{:?}", row.as_ref().and_then(|row| row.get::<&str, _>(0)));
    Ok(())
}
