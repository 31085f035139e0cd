//! The proxy's state as tables. No cell holds a secret.

use std::sync::Arc;
use std::time::Duration;

use prometheus::proto::MetricType;
use tokio::time::Instant;

use super::super::console::moment;
use super::super::sql::{Kind, version};
use super::{Catalogue, DBO, Definition, Row, int, some_text, text};
use crate::causes::chain;
use crate::proxy::access_log::{printable, shown};
use crate::proxy::config::{Admission, TlsMode};
use crate::proxy::registry::{Entry, Phase};
use crate::proxy::targets::TargetEntry;
use crate::tds::Scalar;

use Kind::{BigInt, Bit, Float, Int, Moment, Text};

pub(super) const TABLES: &[Definition] = &[
    Definition {
        schema: DBO,
        name: "errors",
        about: "what went wrong lately, latest first",
        columns: &[("at", Moment), ("error", Text(500))],
        rows: errors,
    },
    Definition {
        schema: DBO,
        name: "help",
        about: "this list",
        columns: &[("command", Text(60)), ("about", Text(200))],
        rows: help,
    },
    Definition {
        schema: DBO,
        name: "listeners",
        about: "where clients connect",
        columns: &[
            ("name", Text(128)),
            ("address", Text(300)),
            ("tls", Text(20)),
            ("admission", Text(20)),
            ("target", Text(128)),
            ("rules", Int),
            ("sessions", Int),
        ],
        rows: listeners,
    },
    Definition {
        schema: DBO,
        name: "pools",
        about: "sessions at the servers, one row per target and identity",
        columns: &[
            ("target", Text(128)),
            ("identity", Text(300)),
            ("paused", Bit),
            ("max", Int),
            ("idle", Int),
            ("in_use", Int),
            ("resetting", Int),
            ("opening", Int),
            ("waiting", Int),
            ("opened", BigInt),
            ("reused", BigInt),
            ("closed", BigInt),
            ("closed_why", Text(400)),
        ],
        rows: pools,
    },
    Definition {
        schema: DBO,
        name: "sessions",
        about: "clients that are connected; seconds since they came, bytes sent and received by them",
        columns: &[
            ("id", BigInt),
            ("listener", Text(128)),
            ("peer", Text(200)),
            ("login", Text(128)),
            ("application", Text(128)),
            ("host", Text(128)),
            ("database", Text(128)),
            ("tds_version", Text(10)),
            ("encrypted", Bit),
            ("target", Text(128)),
            ("identity", Text(300)),
            ("spid", Int),
            ("state", Text(20)),
            ("connected_at", Moment),
            ("seconds", BigInt),
            ("requests", BigInt),
            ("bytes_sent", BigInt),
            ("bytes_received", BigInt),
        ],
        rows: sessions,
    },
    Definition {
        schema: DBO,
        name: "settings",
        about: "limits and times in force; seconds where it is a time",
        columns: &[("name", Text(60)), ("value", Text(60))],
        rows: settings,
    },
    Definition {
        schema: DBO,
        name: "stats",
        about: "every number that the metrics endpoint gives",
        columns: &[("name", Text(100)), ("labels", Text(400)), ("value", Float)],
        rows: stats,
    },
    Definition {
        schema: DBO,
        name: "targets",
        about: "where clients are taken",
        columns: &[
            ("name", Text(128)),
            ("identity", Text(300)),
            ("pool_max", Int),
            ("pool_min_idle", Int),
            ("pool_keep", Bit),
        ],
        rows: targets,
    },
    Definition {
        schema: DBO,
        name: "tokens",
        about: "the tokens in hand, without the tokens; age in seconds",
        columns: &[
            ("target", Text(128)),
            ("identity", Text(300)),
            ("expires_at", Moment),
            ("seconds_left", BigInt),
            ("age", BigInt),
            ("trouble", Text(1000)),
        ],
        rows: tokens,
    },
    Definition {
        schema: DBO,
        name: "version",
        about: "the version",
        columns: &[("version", Text(200))],
        rows: |_| vec![vec![text(version())]],
    },
];

/// The commands, beside the tables.
const COMMANDS: &[(&str, &str)] = &[
    (
        "SHOW name",
        "all of a table: SHOW SESSIONS, SHOW POOLS, SHOW HELP, ...",
    ),
    ("KILL id", "ends a client's session"),
    (
        "PAUSE [target]",
        "hands out no more sessions: new clients wait until RESUME, those connected go on",
    ),
    ("RESUME [target]", "ends a pause"),
    (
        "RECONNECT [target]",
        "opens sessions anew: idle ones are closed now, the others when their clients leave",
    ),
];

fn errors(catalogue: &Catalogue<'_>) -> Vec<Row> {
    let errors = catalogue.shared.stats.recent_errors();
    errors
        .into_iter()
        .map(|error| {
            vec![
                Scalar::Moment(moment(error.at)),
                text(printable(&error.text)),
            ]
        })
        .collect()
}

fn help(_: &Catalogue<'_>) -> Vec<Row> {
    let commands = COMMANDS
        .iter()
        .map(|(command, about)| vec![text(*command), text(*about)]);
    let tables = TABLES.iter().map(|table| {
        let command = format!("SELECT ... FROM {}", table.name);
        vec![text(command), text(table.about)]
    });
    commands.chain(tables).collect()
}

fn listeners(catalogue: &Catalogue<'_>) -> Vec<Row> {
    let entries = catalogue.shared.registry.entries();
    let listener = |listener: &crate::proxy::config::ListenerConfig| {
        let here = |entry: &&Arc<Entry>| *entry.listener == *listener.name;
        vec![
            text(&listener.name),
            text(listener.address.to_string()),
            text(match listener.tls.mode {
                TlsMode::Off => "off",
                TlsMode::Optional => "optional",
                TlsMode::Required => "required",
                TlsMode::Strict => "strict",
            }),
            text(match &listener.admission {
                Admission::SameUser => "same-user",
                Admission::Listed { .. } => "listed",
                Admission::Password => "password",
                Admission::Any => "any",
            }),
            listener.target.as_ref().map_or(Scalar::Null, text),
            int(listener.rules.len()),
            int(entries.iter().filter(here).count()),
        ]
    };
    catalogue
        .live
        .config
        .listeners
        .iter()
        .map(listener)
        .collect()
}

fn pools(catalogue: &Catalogue<'_>) -> Vec<Row> {
    let pools = catalogue.shared.upstreams.pools();
    pools
        .into_iter()
        .map(|pool| {
            let why: Vec<String> = pool
                .closed
                .iter()
                .map(|(reason, count)| format!("{reason} {count}"))
                .collect();
            vec![
                text(pool.target),
                text(pool.identity),
                Scalar::Bit(pool.paused),
                int(pool.max),
                int(pool.idle),
                int(pool.in_use),
                int(pool.resetting),
                int(pool.opening),
                int(pool.waiting),
                int(pool.opened),
                int(pool.reused),
                int(pool.closed.values().sum::<u64>()),
                some_text(&why.join(", ")),
            ]
        })
        .collect()
}

fn sessions(catalogue: &Catalogue<'_>) -> Vec<Row> {
    let now = Instant::now();
    let session = |entry: Arc<Entry>| {
        let known = entry.known();
        let totals = entry.traffic.totals();
        vec![
            int(entry.id),
            text(&*entry.listener),
            text(&*entry.peer),
            some_text(&shown(&known.login)),
            some_text(&shown(&known.application)),
            some_text(&shown(&known.host)),
            some_text(&shown(&known.database)),
            some_text(&known.tds_version),
            Scalar::Bit(known.encrypted),
            some_text(&known.target),
            some_text(&known.identity),
            match entry.spid() {
                0 => Scalar::Null,
                spid => int(spid),
            },
            text(match known.state {
                Phase::Greeting => "greeting",
                Phase::Waiting => "waiting",
                Phase::Relaying => "relaying",
                Phase::Admin => "admin",
            }),
            Scalar::Moment(moment(entry.since)),
            seconds(now.saturating_duration_since(entry.started)),
            int(totals.requests),
            int(totals.sent),
            int(totals.received),
        ]
    };
    let entries = catalogue.shared.registry.entries();
    entries.into_iter().map(session).collect()
}

fn settings(catalogue: &Catalogue<'_>) -> Vec<Row> {
    let config = &catalogue.live.config;
    let limits = &config.limits;
    let count = |count: usize| text(count.to_string());
    let time = |time: Duration| text(time.as_secs_f64().to_string());
    let rows = [
        ("connections", count(limits.connections)),
        (
            "connections_per_peer",
            limits.connections_per_peer.map_or(Scalar::Null, count),
        ),
        (
            "failed_logins_per_minute",
            text(limits.failed_logins_per_minute.to_string()),
        ),
        ("login_timeout", time(limits.login_timeout)),
        (
            "idle_timeout",
            limits.idle_timeout.map_or(Scalar::Null, time),
        ),
        ("drain_timeout", time(config.drain_timeout)),
        (
            "admin_listen",
            config
                .admin
                .listen
                .map_or(Scalar::Null, |address| text(address.to_string())),
        ),
    ];
    rows.into_iter()
        .map(|(name, value)| vec![text(name), value])
        .collect()
}

fn stats(catalogue: &Catalogue<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for family in catalogue.shared.stats.gather() {
        for metric in family.get_metric() {
            let labels: Vec<String> = metric
                .get_label()
                .iter()
                .map(|label| format!("{}={}", label.name(), label.value()))
                .collect();
            let labels = some_text(&labels.join(", "));
            let mut row = |suffix: &str, value: f64| {
                let name = format!("{}{suffix}", family.name());
                rows.push(vec![text(name), labels.clone(), Scalar::Float(value)]);
            };
            match family.get_field_type() {
                MetricType::HISTOGRAM => {
                    let histogram = metric.get_histogram();
                    row("_count", count(histogram.get_sample_count()));
                    row("_sum", histogram.get_sample_sum());
                }
                MetricType::COUNTER => row("", metric.get_counter().get_value()),
                _ => row("", metric.get_gauge().get_value()),
            }
        }
    }
    rows
}

#[expect(clippy::cast_precision_loss, reason = "a count as metrics give it")]
fn count(count: u64) -> f64 {
    count as f64
}

fn targets(catalogue: &Catalogue<'_>) -> Vec<Row> {
    let target = |target: &Arc<TargetEntry>| {
        vec![
            text(&target.name),
            text(target.identity()),
            int(target.pool.max),
            int(target.pool.min_idle),
            Scalar::Bit(target.pool.keep),
        ]
    };
    by_name(catalogue).into_iter().map(target).collect()
}

fn tokens(catalogue: &Catalogue<'_>) -> Vec<Row> {
    let token = |target: &Arc<TargetEntry>| {
        let slot = target.token()?;
        let in_hand = slot.peek();
        let of = |what: &dyn Fn(&crate::token::AccessToken) -> Scalar| {
            in_hand.as_ref().map_or(Scalar::Null, what)
        };
        let trouble = slot.trouble().map(|error| chain(&error));
        Some(vec![
            text(&target.name),
            text(target.identity()),
            of(&|token| Scalar::Moment(moment(token.expires_on()))),
            of(&|token| seconds(token.remaining())),
            of(&|token| seconds(token.obtained_at().elapsed())),
            trouble.map_or(Scalar::Null, text),
        ])
    };
    by_name(catalogue).into_iter().filter_map(token).collect()
}

fn by_name<'a>(catalogue: &'a Catalogue<'_>) -> Vec<&'a Arc<TargetEntry>> {
    let mut targets: Vec<_> = catalogue.live.targets.values().collect();
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    targets
}

fn seconds(time: Duration) -> Scalar {
    int(time.as_secs())
}
