//! Clients that others wrote, unmodified, through the proxy: the same programs that judge the
//! emulator (`tests/judges/`), with any user and password. What each must do stands in
//! `tests/data/proxy/clients.toml`, which the table in `docs/clients.md` is made from.

pub(crate) mod bench;
mod bridge;
mod command_line;
pub(crate) mod list;

use serde_json::Value;

use crate::support::clients::{compare, node, python, rust};
use crate::support::java::jdbc;
use bench::Bench;
use list::{Client, Encryption};

/// What drives a client.
#[derive(Clone, Copy)]
enum Judge {
    Python(&'static str),
    Node(&'static str),
    Rust(&'static str),
    Jdbc,
    Tsql,
    Isql,
}

impl Judge {
    /// Runs these features, all of them if none is named; `None` if this machine cannot.
    async fn run(self, features: &[&str], told: &Value) -> Option<Vec<Value>> {
        let authorities = told["ca"].as_str().unwrap().to_owned();
        let environment = [
            ("EMULATOR", told.to_string()),
            ("SSL_CERT_FILE", authorities),
        ];
        let owned = || {
            environment
                .clone()
                .map(|(name, value)| (name.to_owned(), value))
        };
        match self {
            Self::Python(script) => python(script, features, environment).await,
            Self::Node(script) => node(script, features, owned()).await,
            // It is told whom to trust, and trusts the system's authorities, too.
            Self::Rust("tiberius") => rust("tiberius", features, owned().into_iter().take(1)).await,
            Self::Rust(program) => rust(program, features, owned()).await,
            Self::Jdbc => jdbc(features, told).await,
            Self::Tsql => command_line::tsql(features, told).await,
            Self::Isql => command_line::isql(features, told).await,
        }
    }
}

#[tokio::test]
async fn mssql_python() {
    goes_through("mssql-python", Judge::Python("mssql_python_judge.py")).await;
}

#[tokio::test]
async fn pyodbc() {
    goes_through("pyodbc", Judge::Python("pyodbc_judge.py")).await;
}

#[tokio::test]
async fn pymssql() {
    goes_through("pymssql", Judge::Python("pymssql_judge.py")).await;
}

#[tokio::test]
async fn python_tds() {
    goes_through("python-tds", Judge::Python("pytds_judge.py")).await;
}

#[tokio::test]
async fn tedious() {
    goes_through("tedious", Judge::Node("tedious_judge.js")).await;
}

#[tokio::test]
async fn mssql_jdbc() {
    goes_through("Microsoft JDBC driver", Judge::Jdbc).await;
}

#[tokio::test]
async fn tiberius() {
    goes_through("tiberius", Judge::Rust("tiberius")).await;
}

#[tokio::test]
async fn mssql_tds() {
    goes_through("mssql-tds", Judge::Rust("mssql_tds")).await;
}

#[tokio::test]
async fn freetds_tsql() {
    goes_through("FreeTDS tsql", Judge::Tsql).await;
}

#[tokio::test]
async fn freetds_odbc_by_pyodbc() {
    let judge = Judge::Python("freetds_odbc_judge.py");
    goes_through("FreeTDS ODBC by pyodbc", judge).await;
}

#[tokio::test]
async fn freetds_odbc_by_isql() {
    goes_through("FreeTDS ODBC by isql", Judge::Isql).await;
}

/// Servers that Azure SQL redirects clients to are the proxy's business, not theirs.
#[tokio::test]
async fn a_redirect_is_followed_behind_the_clients_back() {
    let bench = Bench::with_fault(Some("redirect")).await;
    for (name, judge) in [
        ("pymssql", Judge::Python("pymssql_judge.py")),
        ("tedious", Judge::Node("tedious_judge.js")),
    ] {
        let client = Client::named(name);
        let expected = client.part(&[&client.connect, &client.results], &[]);
        if !does(judge, &bench, Encryption::Off, &expected).await {
            return;
        }
    }
    let logins = bench.logins();
    assert!(logins.iter().any(|login| login.at_node), "{logins:?}");
    bench.no_password_went_upstream();
}

/// The client's own user and password are not what the server refuses, and it is told so.
#[tokio::test]
async fn a_refused_identity_is_told_apart_from_the_clients_login() {
    let bench = Bench::with_a_stranger().await;
    for (name, judge) in [
        ("pyodbc", Judge::Python("pyodbc_judge.py")),
        ("pymssql", Judge::Python("pymssql_judge.py")),
        ("tedious", Judge::Node("tedious_judge.js")),
    ] {
        let client = Client::named(name);
        assert!(!client.refused_identity.is_empty(), "{name}");
        let expected = client.part(&[], &[&client.refused_identity]);
        if !does(judge, &bench, Encryption::Off, &expected).await {
            return;
        }
    }
    bench.no_password_went_upstream();
}

/// Fails unless the client does this; `false` if this machine cannot run it, which has been said.
async fn does(
    judge: Judge,
    bench: &Bench,
    encryption: Encryption,
    expected: &crate::support::clients::Client,
) -> bool {
    let features = expected.features.iter().chain(&expected.refused);
    let names: Vec<&str> = features.map(String::as_str).collect();
    let told = bench.told(encryption);
    let Some(lines) = judge.run(&names, &told).await else {
        return false;
    };
    compare(expected, &lines);
    true
}

/// A client that connects again and again is served by the few sessions that are there; `false` if
/// this machine cannot run it.
async fn stays_warm(client: &Client, judge: Judge, bench: &Bench) -> bool {
    let again = client.part(&[&client.reconnect], &[]);
    for _ in 0..2 {
        if !does(judge, bench, client.encryption[0], &again).await {
            return false;
        }
    }
    // One that the judge keeps to ask for versions, one that it works with, and others where it
    // comes back before the session that it has left is ready. It connects ten times and more.
    let logins = bench.logins();
    assert!(
        logins.len() <= 4,
        "{} opens {} sessions: {logins:?}",
        client.full_name(),
        logins.len()
    );
    true
}

/// A client does all that it must, with each kind of encryption.
async fn goes_through(name: &str, judge: Judge) {
    let client = Client::named(name);
    let bench = Bench::with_fault(None).await;
    if !stays_warm(&client, judge, &bench).await {
        return;
    }
    for (index, encryption) in client.encryption.iter().enumerate() {
        let expected = client.expected(*encryption, index == 0);
        if !does(judge, &bench, *encryption, &expected).await {
            return;
        }
    }
    bench.no_password_went_upstream();
    let told = bench.logins();
    assert!(
        told.iter()
            .any(|login| login.application == client.application),
        "{told:?}"
    );
}
