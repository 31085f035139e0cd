//! `entrada demo`: the whole story on loopback, from an empty machine to an outage that passes by.

#[cfg(feature = "proxy")]
mod legacy;
mod story;

use std::time::Duration;

use futures_util::future::try_join_all;

use super::exit::{Exit, Failure};
use super::output;
use super::query;
use crate::Error;
use crate::emulator::{Assignment, Emulator, ManagedIdentity};
use crate::pool::{Pool, PooledClient};
use crate::target::Target;
use crate::token::{Environment, Sources, TokenCache};
use story::{Step, Story};

/// The application's identity, by which its database user is called.
const APP: &str = "orders-app";
const DATABASE: &str = "shop";

/// What an administrator runs once: a table, and a user that may read and add, but not take away.
const GRANTS: &str = "\
CREATE TABLE dbo.orders (id int IDENTITY PRIMARY KEY, customer nvarchar(50) NOT NULL, total decimal(10,2) NOT NULL);
CREATE USER [orders-app] FROM EXTERNAL PROVIDER;
GRANT SELECT, INSERT ON dbo.orders TO [orders-app];";

/// Sessions that are opened at once after the identity endpoint has gone.
const SESSIONS: usize = 8;

/// Runs the demo. It ends by itself and leaves nothing behind.
pub(super) async fn run() -> Result<Exit, Failure> {
    output::print_line(
        "Azure, an application and no password: everything here is on 127.0.0.1.\n",
    )?;
    let mut story = Story::new();
    let emulator = start_azure(&mut story).await?;
    let told = tell(&mut story, &emulator).await;
    emulator.shutdown().await;
    told?;
    output::print_line("Done: the emulator is gone, and nothing is left on the disk.")?;
    Ok(Exit::Ok)
}

async fn start_azure(story: &mut Story) -> Result<Emulator, Failure> {
    let mut step = Step::begin("Azure on this machine");
    let emulator = Emulator::builder()
        .identity(ManagedIdentity::user_assigned(APP))
        .database(DATABASE)
        .start()
        .await
        .map_err(Error::from)?;
    step.note(format!("identity endpoint  {} (IMDS)", emulator.imds_url()));
    step.note(format!(
        "Azure SQL          {}, a certificate of its own, TLS for everybody",
        emulator.sql_addr()
    ));
    story.tell(step)?;
    Ok(emulator)
}

async fn tell(story: &mut Story, emulator: &Emulator) -> Result<(), Failure> {
    let mut step = Step::begin("The administrator lets the application in");
    emulator
        .run_sql(DATABASE, GRANTS)
        .await
        .map_err(Error::from)?;
    step.note(GRANTS);
    story.tell(step)?;

    let pool = open_pool(story, emulator).await?;
    work(story, &pool).await?;
    overstep(story, &pool).await?;
    #[cfg(feature = "proxy")]
    {
        let sources = Sources::new(Environment::from_pairs(emulator.imds_environment()));
        legacy::connect(story, &connection_string(emulator), sources).await?;
    }
    outlive_an_outage(story, emulator, &pool).await?;

    let mut step = Step::begin("The pool closes");
    pool.close().await;
    let counted = emulator.counters();
    step.note(format!(
        "tokens: {}, logins: {}, requests: {}, logins refused: {}",
        counted.tokens_issued, counted.logins_accepted, counted.requests, counted.logins_refused
    ));
    story.tell(step)
}

async fn open_pool(story: &mut Story, emulator: &Emulator) -> Result<Pool, Failure> {
    let mut step = Step::begin("The application opens its pool");
    let text = connection_string(emulator);
    step.note(text.replace(';', "; "));
    let target = Target::parse(&text).map_err(Error::from)?;
    let environment = Environment::from_pairs(emulator.imds_environment());
    let cache = TokenCache::new();
    let source = Sources::new(environment.clone())
        .source(&target.auth, &target.cloud)
        .map_err(Error::from)?;
    let slot = cache.slot(source, target.cloud);
    let token = slot.get().await.map_err(Error::from)?;
    step.note(format!(
        "token from {} for {}: {} bytes, good for {:.1} h, never shown",
        slot.key().source(),
        slot.resource().as_str(),
        token.secret().len(),
        token.remaining().as_secs_f64() / 3600.0
    ));
    let pool = Pool::builder(target)
        .environment(environment)
        .token_cache(cache)
        .max_size(u32::try_from(SESSIONS).unwrap_or(u32::MAX))
        .build()
        .map_err(Error::from)?;
    let client = pool.get().await.map_err(Error::from)?;
    let login = client.info();
    step.note(format!(
        "logged in: database {}, session {}, packets of {} bytes, TLS {}",
        login.database,
        login.spid,
        login.packet_size,
        if login.encrypted { "on" } else { "off" }
    ));
    drop(client);
    story.tell(step)?;
    Ok(pool)
}

/// As the application has it in its configuration.
fn connection_string(emulator: &Emulator) -> String {
    let identity = emulator
        .identities()
        .into_iter()
        .find(|identity| identity.name == APP && identity.assignment == Assignment::User);
    emulator
        .connection_strings(DATABASE, identity.as_ref())
        .ado_net
}

async fn work(story: &mut Story, pool: &Pool) -> Result<(), Failure> {
    let mut step = Step::begin("Work: parameters in, results out");
    let mut client = pool.get().await.map_err(Error::from)?;
    for (customer, cents) in [("Ada", 12_050_i64), ("Blaise", 990), ("Ada", 4_200)] {
        let total = tiberius_decimal(cents);
        client
            .execute(
                "INSERT dbo.orders (customer, total) VALUES (@P1, @P2)",
                &[&customer, &total],
            )
            .await
            .map_err(Error::from)?;
    }
    let sql = "SELECT customer, COUNT(*) AS orders, SUM(total) AS total \
               FROM dbo.orders GROUP BY customer ORDER BY customer";
    step.note(sql);
    let results = client.simple_query(sql).await.map_err(Error::from)?;
    step.note(query::table(results).await?);
    drop(client);
    story.tell(step)
}

/// Two decimals, exactly.
fn tiberius_decimal(cents: i64) -> crate::pool::tiberius::numeric::Numeric {
    crate::pool::tiberius::numeric::Numeric::new_with_scale(i128::from(cents), 2)
}

async fn overstep(story: &mut Story, pool: &Pool) -> Result<(), Failure> {
    let mut step = Step::begin("One step further than it was granted");
    let mut client = pool.get().await.map_err(Error::from)?;
    let sql = "DELETE FROM dbo.orders";
    step.note(sql);
    let Err(refused) = run_batch(&mut client, sql).await else {
        let fault = "the application could delete orders, which it was never granted";
        return Err(Failure::new(Exit::Failed, fault));
    };
    step.note(refused);
    drop(client);
    story.tell(step)
}

async fn run_batch(client: &mut PooledClient, sql: &str) -> Result<(), Error> {
    client.simple_query(sql).await?.into_results().await?;
    Ok(())
}

async fn outlive_an_outage(
    story: &mut Story,
    emulator: &Emulator,
    pool: &Pool,
) -> Result<(), Failure> {
    let mut step = Step::begin("The identity endpoint dies, and nobody notices");
    emulator.faults().identity_down().await;
    let probe = reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(Duration::from_secs(2))
        .build()
        .map_err(|error| Failure::new(Exit::Internal, error))?;
    if probe.get(emulator.imds_url()).send().await.is_ok() {
        return Err(Failure::new(
            Exit::Failed,
            "the identity endpoint still answers",
        ));
    }
    step.note(format!("{}: no answer", emulator.imds_url()));

    let before = emulator.counters().logins_accepted;
    let waiting = (0..SESSIONS).map(|_| pool.get());
    let mut clients = try_join_all(waiting).await.map_err(Error::from)?;
    for client in &mut clients {
        run_batch(client, "SELECT COUNT(*) FROM dbo.orders").await?;
    }
    step.note(format!(
        "{} sessions at once, {} of them logged in just now, all with the token from before",
        clients.len(),
        emulator.counters().logins_accepted - before
    ));
    drop(clients);
    story.tell(step)
}
