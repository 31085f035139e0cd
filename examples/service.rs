//! A service that reads its connection string from a variable and asks the server who it is.
//!
//! ```sh
//! export SHOP='Server=contoso.database.windows.net;Database=shop;Authentication=ActiveDirectoryMSI'
//! cargo run --example service
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it got")]

use std::error::Error;

use entrada::Pool;
use entrada::target::Target;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let text = std::env::var("SHOP").map_err(|_| "set SHOP to a connection string")?;
    let target = Target::parse(&text)?;
    for note in target.notes() {
        println!("note: {}", note.text);
    }
    let pool = Pool::builder(target).max_size(10).build()?;

    let mut client = pool.get().await?;
    let row = client
        .simple_query("SELECT SUSER_SNAME(), DB_NAME()")
        .await?
        .into_row()
        .await?
        .ok_or("no row")?;
    let (who, database): (Option<&str>, Option<&str>) = (row.get(0), row.get(1));
    println!("logged in to {database:?} as {who:?}");
    println!("{:?}", pool.status());
    Ok(())
}
