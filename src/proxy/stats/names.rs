//! Every metric once: name, kind, labels, help. docs/proxy.md shows this list.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Metric {
    pub(in crate::proxy) name: &'static str,
    pub(in crate::proxy) kind: Kind,
    pub(in crate::proxy) labels: &'static [&'static str],
    pub(in crate::proxy) help: &'static str,
}

/// How it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Kind {
    Counter,
    Gauge,
    Histogram(Span),
}

/// What a histogram's buckets cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Span {
    /// 100 µs to a minute: a request, a login.
    Brief,
    /// 100 ms to a day: a session.
    Long,
}

macro_rules! metrics {
    ($($constant:ident = $kind:expr, $name:literal, [$($label:literal),*], $help:literal;)*) => {
        $(pub(in crate::proxy) const $constant: Metric = Metric {
            name: concat!("entrada_proxy_", $name),
            kind: $kind,
            labels: &[$($label),*],
            help: $help,
        };)*
        /// Every metric, in the order of the documentation.
        #[cfg(test)]
        pub(in crate::proxy) const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    BUILD_INFO = Kind::Gauge, "build_info", ["version"], "Always 1; the version that runs.";
    START_TIME = Kind::Gauge, "start_time_seconds", [], "When the proxy started, in seconds since 1970.";
    CLIENTS = Kind::Gauge, "clients", ["state"], "Clients that are connected, by state: greeting, waiting (for a session), relaying, admin.";
    LOGINS = Kind::Counter, "logins_total", ["listener", "outcome"], "Logins that have ended, by outcome: accepted, abandoned, denied, failed (no session), protocol, timeout.";
    LOGIN_SECONDS = Kind::Histogram(Span::Brief), "login_seconds", ["phase"], "Time of logins by phase: greet (to LOGIN7), admit, lease (to a session), total.";
    DENIALS = Kind::Counter, "denials_total", ["reason"], "Clients that were not let in, by reason.";
    LEASE_SECONDS = Kind::Histogram(Span::Brief), "lease_seconds", ["target", "origin"], "Time until a client got a session, by origin: warm (idle until then), cold (opened for it), queued (waited for).";
    TRANSCODED = Kind::Counter, "transcoded_clients_total", ["tds_version"], "Clients that got in and whose version of TDS is rewritten: 7.1, 7.1r1, 7.2, 7.3A.";
    SESSIONS_ENDED = Kind::Counter, "sessions_ended_total", ["reason"], "Clients that had got in and are gone, by reason.";
    SESSION_SECONDS = Kind::Histogram(Span::Long), "session_seconds", [], "How long clients that had got in stayed.";
    RELAY_BYTES = Kind::Counter, "relay_bytes_total", ["direction"], "Bytes relayed, of present and past clients: from_client, to_client.";
    REQUESTS = Kind::Counter, "requests_total", [], "Requests relayed, of present and past clients.";
    FIRST_BYTE_SECONDS = Kind::Histogram(Span::Brief), "first_byte_seconds", [], "Time from the end of a request to the first byte of its answer.";
    UPSTREAM_SESSIONS = Kind::Gauge, "upstream_sessions", ["target", "state"], "Sessions at the server by state: idle, in_use, resetting, opening.";
    UPSTREAM_MAX = Kind::Gauge, "upstream_sessions_max", ["target"], "Most sessions that the target's pool may have.";
    UPSTREAM_WAITING = Kind::Gauge, "upstream_waiting_clients", ["target"], "Clients that wait for a session of the target.";
    UPSTREAM_PAUSED = Kind::Gauge, "upstream_paused", ["target"], "1 while the target is paused.";
    UPSTREAM_OPENED = Kind::Counter, "upstream_opened_total", ["target"], "Sessions opened at the server.";
    UPSTREAM_REUSED = Kind::Counter, "upstream_reused_total", ["target"], "Clients that got a session which was open already.";
    UPSTREAM_CLOSED = Kind::Counter, "upstream_closed_total", ["target", "reason"], "Sessions closed, by reason.";
    TOKEN_EXPIRY = Kind::Gauge, "token_expiry_timestamp_seconds", ["target", "identity"], "When the token in hand ends, in seconds since 1970; absent while there is none.";
    TOKEN_AGE = Kind::Gauge, "token_age_seconds", ["target", "identity"], "How long ago the token in hand was obtained; absent while there is none.";
    TOKEN_TROUBLE = Kind::Gauge, "token_refresh_trouble", ["target", "identity"], "1 while the latest try to get a token has failed.";
    CERTIFICATE_EXPIRY = Kind::Gauge, "certificate_expiry_timestamp_seconds", ["listener"], "When the certificate that clients are shown ends, in seconds since 1970.";
    ACCEPT_ERRORS = Kind::Counter, "accept_errors_total", ["listener", "kind"], "Connections that could not be accepted, by kind.";
    ERRORS = Kind::Counter, "errors_total", [], "Errors of the kind that the status page lists.";
    RELOADS = Kind::Counter, "config_reloads_total", ["outcome"], "Times that the configuration was read again, by outcome: applied, refused.";
    LAST_RELOAD_SUCCESSFUL = Kind::Gauge, "config_last_reload_successful", [], "0 if the configuration last read was refused, and the one before it is still in force.";
}

impl Metric {
    pub(in crate::proxy) fn counter(&self, registry: &Registry) -> IntCounter {
        register(registry, IntCounter::with_opts(self.opts()))
    }

    pub(in crate::proxy) fn counters(&self, registry: &Registry) -> IntCounterVec {
        register(registry, IntCounterVec::new(self.opts(), self.labels))
    }

    pub(in crate::proxy) fn gauge(&self, registry: &Registry) -> IntGauge {
        register(registry, IntGauge::with_opts(self.opts()))
    }

    pub(in crate::proxy) fn gauges(&self, registry: &Registry) -> IntGaugeVec {
        register(registry, IntGaugeVec::new(self.opts(), self.labels))
    }

    pub(in crate::proxy) fn float(&self, registry: &Registry) -> Gauge {
        register(registry, Gauge::with_opts(self.opts()))
    }

    pub(in crate::proxy) fn floats(&self, registry: &Registry) -> GaugeVec {
        register(registry, GaugeVec::new(self.opts(), self.labels))
    }

    pub(in crate::proxy) fn histogram(&self, registry: &Registry) -> Histogram {
        register(registry, Histogram::with_opts(self.histogram_opts()))
    }

    pub(in crate::proxy) fn histograms(&self, registry: &Registry) -> HistogramVec {
        register(
            registry,
            HistogramVec::new(self.histogram_opts(), self.labels),
        )
    }

    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    fn histogram_opts(&self) -> HistogramOpts {
        let buckets = match self.kind {
            Kind::Histogram(Span::Long) => LONG,
            _ => BRIEF,
        };
        HistogramOpts::new(self.name, self.help).buckets(buckets.to_vec())
    }
}

const BRIEF: &[f64] = &[
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

const LONG: &[f64] = &[
    0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 14_400.0, 43_200.0, 86_400.0,
];

/// # Panics
/// For a name that is none or is taken, which the tests would show: all are above.
fn register<C>(registry: &Registry, metric: prometheus::Result<C>) -> C
where
    C: Collector + Clone + 'static,
{
    let metric = metric.expect("a name as Prometheus wants it");
    registry
        .register(Box::new(metric.clone()))
        .expect("a name of its own");
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- metrics:begin -->\n";
    const END: &str = "<!-- metrics:end -->";

    /// The table in the documentation is this list; `ENTRADA_BLESS=1` writes it anew.
    #[test]
    fn the_documentation_has_the_table_of_metrics() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/proxy.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (head, rest) = text.split_once(BEGIN).unwrap();
        let (found, tail) = rest.split_once(END).unwrap();
        let table = table();
        if std::env::var_os("ENTRADA_BLESS").is_some() {
            std::fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
            return;
        }
        assert_eq!(found, table, "run the test with ENTRADA_BLESS=1");
    }

    fn table() -> String {
        let mut table = "| Metric | Kind | Labels | |\n| --- | --- | --- | --- |\n".to_owned();
        for Metric {
            name,
            kind,
            labels,
            help,
        } in ALL
        {
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = labels.join(", ");
            table.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
        }
        table
    }

    #[test]
    fn names_say_kind_and_unit() {
        for metric in ALL {
            let is_counter = metric.kind == Kind::Counter;
            assert_eq!(
                metric.name.ends_with("_total"),
                is_counter,
                "{}",
                metric.name
            );
            let is_histogram = matches!(metric.kind, Kind::Histogram(_));
            assert!(
                !is_histogram || metric.name.ends_with("_seconds"),
                "{}",
                metric.name
            );
        }
    }
}
