//! The same statement gives clients of all versions the same values.

use entrada::emulator::Emulator;
use entrada::proxy::Proxy;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::answers::same;
use super::client::Client;
use super::generated::Table;
use super::show::View;
use super::version::Version;
use crate::proxy::{address, azure, proxy};

/// A client of each version, on one database.
pub(super) struct Clients {
    pub(super) newest: Client,
    pub(super) others: Vec<Client>,
    _proxy: Proxy,
    _emulator: Emulator,
}

impl Clients {
    pub(super) async fn start() -> Self {
        let emulator = azure().await;
        let proxy = proxy(&emulator).await;
        let mut others = Vec::new();
        for (at, version) in Version::ALL.into_iter().enumerate() {
            let packet_size = [512, 4096, 8000, 32_767, 4096, 4096][at];
            others.push(Client::login(address(&proxy), version, packet_size).await);
        }
        let newest = others.pop().unwrap();
        Self {
            newest,
            others,
            _proxy: proxy,
            _emulator: emulator,
        }
    }

    /// Runs a batch through each version.
    pub(super) async fn compare(&mut self, sql: &str) {
        let original = self.newest.batch(sql).await;
        for client in &mut self.others {
            let shown = client.batch(sql).await;
            let view = View {
                collation: self.newest.collation,
                ..client.view()
            };
            let start: String = sql.chars().take(200).collect();
            same(
                &format!("{:?}: {start}", client.version),
                &shown,
                &view.of(&original),
            );
        }
    }

    async fn compare_table(&mut self, table: &Table, name: &str) {
        self.newest.run(&table.create(name)).await;
        for insert in table.inserts(name) {
            self.newest.run(&insert).await;
        }
        self.compare(&format!("SELECT * FROM dbo.{name} ORDER BY id"))
            .await;
        self.newest.run(&format!("DROP TABLE dbo.{name}")).await;
    }
}

#[tokio::test]
async fn each_type_has_the_same_values_at_each_version() {
    let mut clients = Clients::start().await;
    for facet in 0..6 {
        let table = Table::of_all(facet * 7);
        clients.compare_table(&table, &format!("all{facet}")).await;
    }
}

#[tokio::test]
async fn generated_tables_have_the_same_values_at_each_version() {
    const CASES: usize = 24;
    let mut clients = Clients::start().await;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"clients of versions old and new.");
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for case in 0..CASES {
        let table = Table::any().new_tree(&mut runner).unwrap().current();
        clients.compare_table(&table, &format!("t{case}")).await;
    }
}

#[tokio::test]
async fn a_megabyte_and_many_rows_are_the_same_at_each_version() {
    let mut clients = Clients::start().await;
    let million = "REPLICATE(CAST(N'0123456789abcdef' AS nvarchar(max)), 65536)";
    let sql = format!(
        "SELECT {million} AS n, CAST({million} AS varchar(max)) AS v, \
         CAST({million} AS varbinary(max)) AS b, CAST({million} AS ntext) AS t"
    );
    clients.compare(&sql).await;
    let many = "WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
        SELECT i, CAST(CAST(i AS varchar(9)) AS varchar(max)) AS v, \
        DATEADD(day, i, CAST('2000-01-01' AS date)) AS d, \
        CASE WHEN i % 3 = 0 THEN NULL ELSE i END AS o FROM n OPTION (MAXRECURSION 0)";
    clients.compare(many).await;
}
