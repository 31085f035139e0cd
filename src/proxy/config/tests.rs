use std::path::Path;
use std::time::Duration;

use super::*;
use crate::token::{Environment, Sources};

const TARGET: &str = "[[target]]\nconnection = \"Server=a.example;User ID=u;Password=Pa55\"\n";
const LISTENER: &str = "[[listener]]\nlisten = \"127.0.0.1:0\"\n";

/// A file with every key.
const FULL: &str = r#"
        state_dir = "state"
        drain_timeout = "1m 30s"

        [[target]]
        name = "shop"
        connection = "Server=contoso.database.windows.net;Database=shop;Authentication=ActiveDirectoryMSI"
        [target.pool]
        max = 50
        min_idle = 2
        lifetime = "1h"
        idle_timeout = "10m"
        queue_timeout = "500ms"
        keep = false
        unacknowledged_reset = true

        [[target]]
        name = "old"
        connection = "env:SHOP"

        [[listener]]
        name = "local"
        listen = "unix:/run/shop.sock"
        mode = 0o660
        tls = "off"
        admission = { uids = [1000, 1001], gids = [100] }
        target = "shop"
        [[listener.rule]]
        login = "reports"
        database = "sales"
        target = "shop"
        database_as = "sales_copy"
        identity = "00000000-0000-0000-0000-000000000001"

        [[listener]]
        listen = "systemd:shop"
        tls = "required"
        names = ["db.internal"]
        admission = "password"
        target = "old"

        [[user]]
        name = "ada"
        password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$BztdyfEefG5V18ZNlztPrfZaU5duVFKZiI6dJeWht0o"
        admin = true

        [limits]
        connections = 10
        connections_per_peer = 5
        failed_logins_per_minute = 3
        login_timeout = "5s"
        idle_timeout = "8h"
        transcode_buffer = "1MiB"

        [admin]
        listen = "127.0.0.1:9464"
        same_user = true
    "#;

fn sources() -> Sources {
    Sources::new(Environment::from_pairs([(
        "SHOP",
        "Server=b.example;User ID=u;Password=Pa55\r\n",
    )]))
}

fn read(text: &str) -> Result<Config, ConfigError> {
    Config::from_toml(text, "proxy.toml", Path::new("/folder"), &sources())
}

/// Each problem as `line key: what`.
fn problems(text: &str) -> Vec<String> {
    let error = read(text).unwrap_err();
    let shown = error.to_string() + &format!("{error:?}");
    assert!(!shown.contains("Pa55"), "{shown}");
    let problems = error.problems().iter();
    problems
        .map(|problem| {
            let (line, _) = problem.place.unwrap();
            format!("{line} {}: {}", problem.key, problem.what)
        })
        .collect()
}

#[test]
fn a_full_file_is_understood() {
    let config = read(FULL).unwrap();
    assert_eq!(
        config.state_dir.as_deref(),
        Some(Path::new("/folder/state"))
    );
    assert_eq!(config.drain_timeout, Duration::from_secs(90));
    let [shop, old] = &config.targets[..] else {
        panic!("{:?}", config.targets);
    };
    assert_eq!(shop.pool.max, 50);
    assert_eq!(shop.pool.min_idle, 2);
    assert_eq!(shop.pool.lifetime, Duration::from_secs(3600));
    assert_eq!(shop.pool.idle_timeout, Duration::from_secs(600));
    assert_eq!(shop.pool.queue_timeout, Duration::from_millis(500));
    assert!(!shop.pool.keep && shop.pool.unacknowledged_reset);
    // The line end that editors add is not part of it.
    assert!(old.connection.expose().ends_with("Pa55"));
    let [local, handed] = &config.listeners[..] else {
        panic!("{:?}", config.listeners);
    };
    assert_eq!(
        local.address,
        ListenAddress::Unix {
            path: "/run/shop.sock".into(),
            mode: 0o660
        }
    );
    assert_eq!(local.tls.mode, TlsMode::Off);
    let listed = Admission::Listed {
        uids: vec![1000, 1001],
        gids: vec![100],
    };
    assert_eq!(local.admission, listed);
    assert_eq!(local.rules[0].database_as.as_deref(), Some("sales_copy"));
    assert!(local.rules[0].identity.is_some());
    assert_eq!(handed.name, "systemd:shop");
    assert_eq!(handed.tls.names, ["db.internal"]);
    assert_eq!(handed.admission, Admission::Password);
    assert!(config.users[0].admin && config.users[0].name == "ada");
    assert_eq!(config.limits.connections, 10);
    assert_eq!(config.limits.connections_per_peer, Some(5));
    assert_eq!(config.limits.failed_logins_per_minute, 3);
    assert_eq!(config.limits.login_timeout, Duration::from_secs(5));
    assert_eq!(
        config.limits.idle_timeout,
        Some(Duration::from_secs(8 * 3600))
    );
    assert_eq!(config.limits.transcode_buffer, 1 << 20);
    assert_eq!(config.admin.listen.unwrap().port(), 9464);
    assert!(config.admin.same_user);
}

#[test]
fn the_least_that_a_file_needs_is_a_target_and_a_listener() {
    let config = read(&format!("{TARGET}{LISTENER}")).unwrap();
    assert_eq!(config.targets[0].name, "default");
    assert_eq!(config.listeners[0].name, "127.0.0.1:0");
    assert_eq!(config.listeners[0].target.as_deref(), Some("default"));
    assert_eq!(config.listeners[0].admission, Admission::SameUser);
    assert_eq!(config.drain_timeout, Duration::from_secs(30));
}

#[test]
fn the_example_is_understood() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/proxy.toml"));
    let config = Config::from_file(path, &sources()).unwrap();
    assert!(!config.listeners.is_empty());
}

#[test]
fn every_key_is_in_the_manual() {
    let manual = include_str!("../../../docs/proxy.md");
    for key in file::keys() {
        assert!(
            manual.contains(&format!("| `{key}` |")),
            "docs/proxy.md has no row for {key}"
        );
    }
}

/// Mistakes behind a target, and what is said of them.
const IN_LISTENERS: &[(&str, &str)] = &[
    (
        "[[listener]]\nlisten = \"localhost:1433\"",
        "5 listener.listen: write an IP address",
    ),
    (
        "[[listener]]\nlisten = 1433",
        "5 listener.listen: write a text between quotes",
    ),
    (
        "[[listener]]\nname = \"x\"",
        "4 listener.listen: it is missing; write",
    ),
    (
        "[listener]\nlisten = \"127.0.0.1:0\"",
        "4 listener: there can be several: write it as [[listener]]",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\nmode = 0o600",
        "6 listener.mode: only the file",
    ),
    (
        "[[listener]]\nlisten = \"unix:/s\"\nmode = 660",
        "6 listener.mode: write the permissions in octal",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\ntls = \"on\"",
        "6 listener.tls: write off, optional",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\nadmission = \"all\"",
        "6 listener.admission: write \"same-user\"",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\nadmission = \"password\"",
        "6 listener.admission: nobody has a password",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\nadmission = { uids = [-1] }",
        "6 listener.admission.uids: write a list of whole numbers",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\nadmission = {}",
        "6 listener.admission: nobody would be let in",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\ntarget = \"defalt\"",
        "6 listener.target: there is no target `defalt`; did you mean `default`?",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\n[[listener.rule]]\ntarget = \"zzz\"",
        "7 listener.rule.target: there is no target `zzz`; there are `default`",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\n[[listener.rule]]\nlogin = \"x\"",
        "6 listener.rule.target: it is missing",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\nkey = \"k.pem\"",
        "6 listener.certificate: certificate and key go together",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\ncertificate = \"c.pem\"\nkey = \"k.pem\"",
        "6 listener.certificate: `/folder/c.pem` cannot be used",
    ),
    (
        "[[listener]]\nlisten = \"0.0.0.0:1433\"",
        "5 listener.listen: listener `0.0.0.0:1433` can be reached from other machines",
    ),
    (
        "[[listener]]\nlisten = \"0.0.0.0:1433\"\ntls = \"required\"",
        "5 listener.listen: listener `0.0.0.0:1433` can be reached from other machines",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\n[[listener]]\nname = \"127.0.0.1:0\"\nlisten = \"127.0.0.1:0\"",
        "7 listener.name: another listener is named",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:7\"\n[[listener]]\nname = \"x\"\nlisten = \"127.0.0.1:7\"",
        "8 listener.listen: the listener `127.0.0.1:7` has this address",
    ),
    (
        "[[listener]]\nlisten = \"127.0.0.1:0\"\nlimts = 3",
        "6 listener.limts: there is no such key; there are listen, mode",
    ),
];

/// Mistakes in front of a target and a listener.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "drain_timeout = 30",
        "1 drain_timeout: write a text with a unit",
    ),
    (
        "drain_timeout = \"30\"",
        "1 drain_timeout: write a text with a unit",
    ),
    (
        "drain_timeout = \"0s\"",
        "1 drain_timeout: a time is longer than nothing",
    ),
    (
        "drain_timout = \"5s\"",
        "1 drain_timout: there is no such key; did you mean drain_timeout?",
    ),
    (
        "admin = { listen = \"0.0.0.0:1\" }",
        "1 admin.listen: metrics and the status page are for this machine",
    ),
    (
        "limits = { connections = 0 }",
        "1 limits.connections: nobody could connect",
    ),
    (
        "limits = { connections = \"9\" }",
        "1 limits.connections: write a whole number",
    ),
    (
        "limits = { transcode_buffer = \"0MiB\" }",
        "1 limits.transcode_buffer: write a text with a unit, as \"512KiB\"",
    ),
    (
        "limits = { transcode_buffer = \"99999999999GiB\" }",
        "1 limits.transcode_buffer: write a text with a unit",
    ),
    ("limits = 5", "1 limits: write it as a table, [limits]"),
    (
        "user = [{ name = \"ada\" }]",
        "1 user.password_hash: it is missing; write what `entrada proxy hash-password` prints",
    ),
];

/// A mistake alone in a file that is good otherwise, and what is said of it.
#[test]
fn a_mistake_is_named_with_line_key_and_what_to_write() {
    for (text, wanted) in IN_LISTENERS {
        let told = problems(&format!("{TARGET}\n{text}"));
        assert!(
            told.len() == 1 && told[0].starts_with(wanted),
            "{text}\n{told:?}"
        );
    }
    for (text, wanted) in ELSEWHERE {
        let told = problems(&format!("{text}\n{TARGET}{LISTENER}"));
        assert!(
            told.len() == 1 && told[0].starts_with(wanted),
            "{text}\n{told:?}"
        );
    }
}

#[test]
fn a_connection_string_is_named_by_its_column_and_not_shown() {
    for (connection, wanted) in [
        (
            "\"Server=a;Pasword=Pa55;Encrypt=maybe\"",
            "3 target.connection: the connection string of target",
        ),
        (
            "\"env:NOTHING\"",
            "3 target.connection: the variable NOTHING is not set",
        ),
        (
            "\"file:nothing\"",
            "3 target.connection: cannot read /folder/nothing: ",
        ),
        ("12", "3 target.connection: write a text between quotes"),
    ] {
        let text = format!("{LISTENER}target = \"d\"\n");
        let text = text.replace("target = \"d\"\n", "");
        let told = problems(&format!(
            "[[target]]\nname = \"d\"\nconnection = {connection}\n{text}"
        ));
        assert!(
            told.len() == 1 && told[0].starts_with(wanted),
            "{connection}\n{told:?}"
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_their_order() {
    let told = problems(
        "drain_timeout = \"soon\"\n[[target]]\nconection = \"Server=a;Password=Pa55\"\n[[listener]]\nlisten = \"x\"\n[limits]\nlogin_timeout = 3\n",
    );
    let keys: Vec<_> = told
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "1 drain_timeout",
            "2 target.connection",
            "3 target.conection",
            "5 listener.listen",
            "7 limits.login_timeout"
        ]
    );
    let text = read("[[listener]]\nlisten = \"x\"\ntls = \"y\"\n")
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("proxy.toml has 2 mistakes\n  line 2, column 10, listener.listen: "),
        "{text}"
    );
}

#[test]
fn broken_syntax_has_a_line_too() {
    let told = problems("[[target]]\nconnection = \"Server=a;Password=Pa55\nname = 3\n");
    assert!(told[0].starts_with("2 : "), "{told:?}");
    assert!(problems("")[0].starts_with("1 : there is no listener"));
}

#[test]
fn names_of_users_and_targets_are_unique() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$BztdyfEefG5V18ZNlztPrfZaU5duVFKZiI6dJeWht0o";
    let user = |name| format!("[[user]]\nname = \"{name}\"\npassword_hash = \"{hash}\"\n");
    let told = problems(&format!("{TARGET}{LISTENER}{}{}", user("ada"), user("ADA")));
    assert!(
        told[0].starts_with("9 user.name: another user is named `ADA`"),
        "{told:?}"
    );
    let told = problems(&format!("{TARGET}{TARGET}{LISTENER}target = \"default\"\n"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("3 target.name: another target is named `default`"),
        "{told:?}"
    );
}

#[test]
fn a_connection_string_has_defaults_for_the_pool_and_the_file_wins() {
    let pool = |string: &str, keys: &str| {
        let text = format!(
            "[[target]]\nconnection = \"Server=a.example;User ID=u;Password=p;{string}\"\n\
             [target.pool]\n{keys}\n[[listener]]\nlisten = \"127.0.0.1:1433\""
        );
        let target = read(&text).unwrap().targets.remove(0);
        let said = crate::target::Target::parse(target.connection.expose()).unwrap();
        target.pool.with_defaults(&said.pool)
    };
    let said = "Max Pool Size=7;Min Pool Size=3;Connection Lifetime=60;Pooling=false";
    let by_string = pool(said, "");
    assert_eq!((by_string.max, by_string.min_idle), (7, 3));
    assert_eq!(by_string.lifetime, Duration::from_secs(60));
    assert!(!by_string.keep);
    let by_file = pool(
        said,
        "max = 100\nmin_idle = 0\nlifetime = \"9h\"\nidle_timeout = \"5m\"\nkeep = true",
    );
    let default = super::PoolConfig::default();
    assert_eq!(
        (by_file.max, by_file.min_idle),
        (default.max, default.min_idle)
    );
    assert_eq!((by_file.lifetime, by_file.keep), (default.lifetime, true));
    assert_eq!(pool(said, "max = 2").min_idle, 2, "never more than may be");
    let silent = pool("", "");
    assert_eq!((silent.max, silent.min_idle, silent.keep), (100, 0, true));
    assert_eq!(silent.lifetime, default.lifetime);
    assert_eq!(silent.idle_timeout, default.idle_timeout);
}
