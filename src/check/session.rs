//! A session, and queries in it.

use std::time::Duration;

use tokio::time::timeout;

use super::finding::{Failed, Kind};
use crate::causes::chain;
use crate::dial::walk::Walk;
use crate::pool::tiberius::Row;
use crate::pool::{Pool, PooledClient};
use crate::session::Session;
use crate::tds::known;

/// Logged in.
pub(super) struct Entered {
    client: PooledClient,
    limit: Duration,
}

impl Entered {
    pub(super) async fn new(
        session: Session,
        walk: &Walk,
        limit: Duration,
    ) -> Result<Self, Failed> {
        let pool = Pool::begun(session, walk.dialer().clone());
        let pool = pool.map_err(|error| broken(&error))?;
        let client = pool.get().await.map_err(|error| broken(&error))?;
        Ok(Self { client, limit })
    }

    /// Around a client of somebody's own.
    pub(super) fn of(client: PooledClient, limit: Duration) -> Self {
        Self { client, limit }
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// The rows of a statement's first result.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, Failed> {
        let asked = async {
            let results = self.client.simple_query(sql).await?;
            results.into_first_result().await
        };
        match timeout(self.limit, asked).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(refused(&error)),
            Err(_) => Err(Failed::new(
                Kind::Server,
                format!(
                    "the server did not answer a small query within {} s",
                    self.limit.as_secs_f32()
                ),
                "look at the database's load; if it is merely slow, raise --timeout",
            )),
        }
    }

    /// The only row of a statement.
    pub(super) async fn row(&mut self, sql: &str) -> Result<Row, Failed> {
        let row = self.rows(sql).await?.into_iter().next();
        row.ok_or_else(|| {
            Failed::new(
                Kind::Server,
                "the server answered a small query without a row",
                "check that a SQL Server answers there",
            )
        })
    }
}

fn refused(error: &crate::pool::tiberius::error::Error) -> Failed {
    use crate::pool::tiberius::error::Error;
    let Error::Server(said) = error else {
        return broken(error);
    };
    let number = i32::try_from(said.code()).unwrap_or_default();
    let advice = known(number).map_or("look the number up in SQL Server's list of errors", |it| {
        it.advice
    });
    let cause = format!("the server refused a query: {} ({number})", said.message());
    Failed::new(Kind::Server, cause, advice)
}

fn broken(error: &dyn std::error::Error) -> Failed {
    Failed::new(
        Kind::Network,
        format!("the session broke: {}", chain(error)),
        "run the check again; if it happens each time, look for what cuts connections in between",
    )
}
