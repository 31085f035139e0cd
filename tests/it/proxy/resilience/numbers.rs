//! The proxy's metrics, as Prometheus reads them.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw_client::soon;

/// What the metrics endpoint said at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers(String);

impl Numbers {
    pub(super) async fn read(admin: SocketAddr) -> Self {
        let (status, body) = page(admin, "/metrics").await;
        assert_eq!(status, 200, "{body}");
        Self(body)
    }

    /// Reads until they are as they should be.
    pub(super) async fn once(admin: SocketAddr, what: &str, fits: impl Fn(&Self) -> bool) -> Self {
        soon(what, async {
            loop {
                let numbers = Self::read(admin).await;
                if fits(&numbers) {
                    return numbers;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// The sum of all metrics of the name whose labels contain these words.
    pub(super) fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let value = |line: &str| {
            let (metric, value) = line.rsplit_once(' ')?;
            let (own, rest) = metric.split_once('{').unwrap_or((metric, ""));
            let fits = own.strip_prefix("entrada_proxy_") == Some(name)
                && labels.iter().all(|label| rest.contains(label));
            fits.then(|| value.parse::<f64>().unwrap().round())
        };
        let values = self.0.lines().filter_map(value);
        let sum = values.fold(0.0, |sum, value| sum + value);
        format!("{sum:.0}").parse().unwrap()
    }

    /// Clients that are here, and sessions that are neither idle nor closed.
    pub(super) fn busy(&self) -> u64 {
        let sessions = |state: &str| self.sum("upstream_sessions", &[state]);
        self.sum("clients", &[])
            + self.sum("upstream_waiting_clients", &[])
            + sessions("\"in_use\"")
            + sessions("\"resetting\"")
            + sessions("\"opening\"")
    }

    pub(super) fn logins(&self, outcome: &str) -> u64 {
        self.sum("logins_total", &[&format!("outcome=\"{outcome}\"")])
    }
}

impl std::fmt::Display for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.0.lines();
        for line in lines.filter(|line| !line.starts_with('#') && !line.contains("_bucket")) {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// The status and the text of a page of the admin listener.
pub(super) async fn page(admin: SocketAddr, path: &str) -> (u16, String) {
    let work = async {
        let mut socket = TcpStream::connect(admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: {admin}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = soon(path, work).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
