//! Passwordless access without Azure: the emulator in the same process, as a test of a service would
//! start it.
//!
//! ```sh
//! cargo run --example laptop
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it got")]

use std::error::Error;

use entrada::Pool;
use entrada::emulator::{Emulator, ManagedIdentity};
use entrada::target::Target;
use entrada::token::Environment;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::builder()
        .identity(ManagedIdentity::system_assigned("billing"))
        .database("shop")
        .script(
            "shop",
            "CREATE TABLE dbo.invoices (id int PRIMARY KEY, amount decimal(10,2) NOT NULL);
             INSERT dbo.invoices VALUES (1, 12.50), (2, 99.90);
             CREATE USER [billing] FROM EXTERNAL PROVIDER;
             ALTER ROLE db_datareader ADD MEMBER [billing];",
        )
        .start()
        .await?;

    // On Azure the platform sets these variables; here they are handed over as values.
    let environment = Environment::from_pairs(emulator.imds_environment());
    let target = Target::parse(&emulator.connection_string("shop"))?;
    let pool = Pool::builder(target).environment(environment).build()?;

    let mut client = pool.get().await?;
    let rows = client
        .query("SELECT id FROM dbo.invoices WHERE amount > @P1", &[&50_i32])
        .await?
        .into_first_result()
        .await?;
    for row in rows {
        println!("invoice {:?}", row.get::<i32, _>(0));
    }

    drop(client);
    pool.close().await;
    emulator.shutdown().await;
    Ok(())
}
