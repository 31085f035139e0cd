//! Clients of TDS 7.1, 7.2 and 7.3, which others wrote, through the proxy to the emulator: the
//! session there is of 7.4, and each sees what SQL Server itself would show to its version.

mod every_type;
mod freetds;
mod jtds;
mod list;
mod pymssql;
mod pytds;
mod tedious;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::proxy::clients::bench::Bench;
use crate::proxy::clients::list::Encryption;
use crate::support::clients::{Client, compare, node, python};
use every_type::TYPES;

/// The proxy in front of an emulator whose database `demo` has two tables:
///
/// - `dbo.every_type (id int not null primary key, …)` with a column for each of [`TYPES`]. Row 0 is
///   all NULL, row n has the n-th value of each type, or NULL where there are fewer.
/// - `dbo.numbers (n int not null primary key)`, 0 to 9999.
pub(crate) struct OldClients {
    pub(crate) bench: Bench,
}

impl OldClients {
    pub(crate) async fn start() -> Self {
        let bench = Bench::with_fault(None).await;
        for script in [every_type(), NUMBERS.to_owned()] {
            bench.emulator().run_sql("demo", &script).await.unwrap();
        }
        Self { bench }
    }

    /// What a judge is told, for the listener that encrypts so: `host`, `port`, `user`,
    /// `password`, `ca`, …; and as `types` for each column of `every_type` its `name`, `type` and
    /// `values`, the texts of its rows in the order of their ids (null for NULL), as [`TYPES`] has
    /// them.
    pub(crate) fn told(&self, encryption: Encryption) -> Value {
        let mut told = self.bench.told(encryption);
        let rows = rows();
        let types = TYPES.iter().map(|one| {
            let values: Vec<_> = (0..rows).map(|row| one.text(row)).collect();
            json!({"name": one.name, "type": one.sql_type, "values": values})
        });
        told["types"] = Value::Array(types.collect());
        told
    }
}

/// What drives a client.
#[derive(Clone, Copy)]
enum Script {
    Python(&'static str),
    Node(&'static str),
}

impl Script {
    /// Runs those of these features that it has; `None` if this machine cannot.
    async fn run(self, features: &[&str], told: &Value) -> Option<Vec<Value>> {
        let told = ("EMULATOR", told.to_string());
        match self {
            Self::Python(script) => python(script, features, [told]).await,
            Self::Node(script) => node(script, features, [(told.0.to_owned(), told.1)]).await,
        }
    }
}

/// Fails unless the client that is told to speak this version does all that the list says.
async fn does(name: &str, tds: &str, scripts: &[Script]) {
    let clients = OldClients::start().await;
    let expected = list::expected(name, tds);
    let connects = list::connects(name, tds);
    let passes = async |encryption, expected: &Client| {
        let mut told = clients.told(encryption);
        told["tds"] = json!(tds);
        run(scripts, expected, &told).await
    };
    if expected.refused.is_empty() {
        for _ in 0..2 {
            if !passes(Encryption::Off, &connects).await {
                return;
            }
        }
        // One that it works with, one of TDS 7.4, and others where it comes back before the session
        // that it has left is ready. It connects ten times and more.
        let logins = clients.bench.logins().len();
        assert!(logins <= 4, "{name} opens {logins} sessions");
        passes(Encryption::On, &connects).await;
    }
    if passes(Encryption::Off, &expected).await && expected.refused.is_empty() {
        clients.bench.no_password_went_upstream();
    }
}

/// `false` if this machine cannot run it, which has been said.
async fn run(scripts: &[Script], expected: &Client, told: &Value) -> bool {
    let features = expected.features.iter().chain(&expected.refused);
    let names: Vec<&str> = features.map(String::as_str).collect();
    let mut lines = Vec::new();
    for script in scripts {
        let Some(printed) = script.run(&names, told).await else {
            return false;
        };
        lines.extend(printed);
    }
    compare(expected, &lines);
    true
}

const NUMBERS: &str = "create table dbo.numbers (n int not null primary key); \
     with d (d) as (select v from (values (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) as x(v)) \
     insert dbo.numbers select a.d + 10 * b.d + 100 * c.d + 1000 * e.d \
     from d a cross join d b cross join d c cross join d e";

fn every_type() -> String {
    let mut script = String::from("create table dbo.every_type (id int not null primary key");
    for one in TYPES {
        write!(script, ", [{}] {} null", one.name, one.sql_type).unwrap();
    }
    script += ");\n";
    for row in 0..rows() {
        write!(script, "insert dbo.every_type values ({row}").unwrap();
        for one in TYPES {
            write!(script, ", {}", one.literal(row)).unwrap();
        }
        script += ");\n";
    }
    script
}

/// How many rows `every_type` has.
fn rows() -> usize {
    1 + TYPES.iter().map(|one| one.values.len()).max().unwrap()
}

/// What the tests say of `every_type` is what stands in it.
#[tokio::test]
async fn the_emulator_has_a_value_of_every_type() {
    let clients = OldClients::start().await;
    let told = clients.told(Encryption::Off);
    assert_eq!(told["types"].as_array().unwrap().len(), TYPES.len());
}
