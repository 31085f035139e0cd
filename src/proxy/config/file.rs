//! The configuration file.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::check;
use super::{
    AdminConfig, Admission, ClientTls, Config, ConfigError, LimitsConfig, ListenAddress,
    ListenerConfig, PoolConfig, RuleConfig, TargetConfig, TlsMode, UserConfig,
};
use crate::causes::chain;
use crate::secret::Secret;
use crate::settings::{Document, Found, Section, TextSource, read_bounded};
use crate::token::Sources;

/// Far more than any configuration has.
const MAX_FILE: u64 = 4 * 1024 * 1024;

impl Config {
    /// Reads a TOML file, and checks all that can be checked without dialling:
    /// see [`check`](Self::check). Paths in it are relative to its folder. The
    /// environment of `sources` has the variables that it names.
    ///
    /// # Errors
    /// [`ConfigError::File`] if it cannot be read, [`ConfigError::Mistakes`] with
    /// lines and keys for what is wrong in it.
    pub fn from_file(path: &Path, sources: &Sources) -> Result<Self, ConfigError> {
        let text = read_bounded(path, MAX_FILE).map_err(|source| ConfigError::File {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::from_toml(text.expose(), &path.display().to_string(), folder, sources)
    }

    /// Reads TOML text. `origin` names it in errors; paths in it are relative to
    /// `folder`.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use entrada::proxy::Config;
    /// use entrada::token::{Environment, Sources};
    ///
    /// let text = r#"
    ///     [[target]]
    ///     connection = "Server=contoso.database.windows.net;Database=shop;Authentication=ActiveDirectoryMSI"
    ///
    ///     [[listener]]
    ///     lisen = "127.0.0.1:1433"
    /// "#;
    /// let sources = Sources::new(Environment::from_pairs::<String, String>([]));
    /// let error = Config::from_toml(text, "proxy.toml", Path::new("."), &sources).unwrap_err();
    /// let lines: Vec<_> = error.problems().iter().map(|problem| problem.to_string()).collect();
    /// assert!(lines.contains(&"line 6, column 5, listener.lisen: there is no such key; did you mean listen?".to_owned()));
    /// ```
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub fn from_toml(
        text: &str,
        origin: &str,
        folder: &Path,
        sources: &Sources,
    ) -> Result<Self, ConfigError> {
        let document = Document::parse(text);
        let config = Reading { folder, sources }.config(document.root());
        // What a broken file seems to say would only add riddles.
        if document.is_sound() {
            for fault in check::faults(&config, sources) {
                document.note(document.find(&fault.path), fault.key(), fault.what);
            }
        }
        match document.into_problems() {
            problems if problems.is_empty() => Ok(config),
            problems => Err(ConfigError::Mistakes {
                origin: origin.to_owned(),
                problems,
            }),
        }
    }
}

/// What the values of the file are relative to.
struct Reading<'a> {
    folder: &'a Path,
    sources: &'a Sources,
}

impl Reading<'_> {
    fn config(&self, root: Section<'_>) -> Config {
        let targets: Vec<_> = root
            .tables("target")
            .into_iter()
            .map(|t| self.target(t))
            .collect();
        let listeners = root.tables("listener").into_iter();
        let config = Config {
            listeners: listeners
                .map(|listener| self.listener(listener, &targets))
                .collect(),
            users: root.tables("user").into_iter().map(user).collect(),
            limits: limits(root.table("limits")),
            admin: admin(root.table("admin")),
            state_dir: root.text("state_dir").map(|found| self.path(found)),
            drain_timeout: root
                .duration("drain_timeout")
                .unwrap_or(super::DRAIN_TIMEOUT),
            targets,
        };
        root.end();
        config
    }

    fn target(&self, section: Section<'_>) -> TargetConfig {
        let name = section.text("name").map_or("default", |found| found.value);
        let connection = match section.text("connection") {
            Some(found) => self.connection(&section, found),
            None => {
                section.missing(
                    "connection",
                    "a connection string, \"env:NAME\" or \"file:PATH\"",
                );
                Secret::default()
            }
        };
        let target = TargetConfig {
            name: name.to_owned(),
            connection,
            pool: pool(section.table("pool")),
        };
        section.end();
        target
    }

    /// The connection string itself, or from where the text says.
    fn connection(&self, section: &Section<'_>, found: Found<&str>) -> Secret {
        let source = TextSource::of(found.value, self.folder);
        let read = source.read(|name| self.sources.environment().var(name));
        read.unwrap_or_else(|error| {
            section.note(found.at, "connection", chain(&error));
            Secret::default()
        })
    }

    fn listener(&self, section: Section<'_>, targets: &[TargetConfig]) -> ListenerConfig {
        let listen = section.parsed("listen", str::parse::<ListenAddress>);
        if listen.is_none() {
            section.missing(
                "listen",
                "\"127.0.0.1:1433\", \"unix:/path\" or \"systemd:NAME\"",
            );
        }
        let address = listen.map_or(nowhere(), |found| found.value);
        let address = with_mode(address, &section);
        let rules: Vec<_> = section.tables("rule").into_iter().map(rule).collect();
        let target = section.text("target").map(|found| found.value.to_owned());
        let only = match targets {
            [only] if rules.is_empty() => Some(only.name.clone()),
            _ => None,
        };
        let name = section.text("name").map(|found| found.value.to_owned());
        let listener = ListenerConfig {
            name: name.unwrap_or_else(|| address.to_string()),
            address,
            tls: self.tls(&section),
            admission: admission(&section),
            target: target.or(only),
            rules,
        };
        section.end();
        listener
    }

    fn tls(&self, section: &Section<'_>) -> ClientTls {
        let certificate = section.text("certificate");
        let key = section.text("key");
        if let (Some(one), None) | (None, Some(one)) = (certificate, key) {
            section.note(
                one.at,
                "certificate",
                "certificate and key go together: name both files",
            );
        }
        let mode = section.parsed("tls", str::parse::<TlsMode>);
        ClientTls {
            mode: mode.map(|found| found.value).unwrap_or_default(),
            certificate: certificate
                .zip(key)
                .map(|(certificate, key)| (self.path(certificate), self.path(key))),
            names: section
                .texts("names")
                .into_iter()
                .map(str::to_owned)
                .collect(),
        }
    }

    fn path(&self, found: Found<&str>) -> PathBuf {
        self.folder.join(found.value)
    }
}

fn with_mode(address: ListenAddress, section: &Section<'_>) -> ListenAddress {
    let Some(given) = section.number::<u32>("mode") else {
        return address;
    };
    match address {
        ListenAddress::Unix { path, .. } if given.value <= 0o777 => ListenAddress::Unix {
            path,
            mode: given.value,
        },
        ListenAddress::Unix { .. } => {
            section.note(given.at, "mode", "write the permissions in octal, as 0o660");
            address
        }
        _ => {
            section.note(
                given.at,
                "mode",
                "only the file of a Unix socket has permissions",
            );
            address
        }
    }
}

fn admission(section: &Section<'_>) -> Admission {
    if section.is_table("admission") {
        let listed = section.table("admission");
        let admission = Admission::Listed {
            uids: listed.numbers("uids"),
            gids: listed.numbers("gids"),
        };
        listed.end();
        return admission;
    }
    let read = section.parsed("admission", |text| match text {
        "same-user" => Ok(Admission::SameUser),
        "password" => Ok(Admission::Password),
        "any" => Ok(Admission::Any),
        _ => Err("write \"same-user\", \"password\", \"any\", or { uids = [1000], gids = [100] }"),
    });
    read.map(|found| found.value).unwrap_or_default()
}

fn rule(section: Section<'_>) -> RuleConfig {
    let owned = |key| section.text(key).map(|found| found.value.to_owned());
    let target = owned("target");
    if target.is_none() {
        section.missing("target", "the name of a [[target]]");
    }
    let rule = RuleConfig {
        login: owned("login"),
        database: owned("database"),
        target: target.unwrap_or_default(),
        database_as: owned("database_as"),
        identity: owned("identity"),
    };
    section.end();
    rule
}

fn pool(section: Section<'_>) -> PoolConfig {
    let or = PoolConfig::default();
    let count = |key, or| {
        section
            .number(key)
            .map_or(or, |found: Found<usize>| found.value)
    };
    let keys = ["max", "min_idle", "lifetime", "idle_timeout", "keep"];
    let pool = PoolConfig {
        stated: keys.into_iter().filter(|key| section.has(key)).collect(),
        max: count("max", or.max),
        min_idle: count("min_idle", or.min_idle),
        lifetime: section.duration("lifetime").unwrap_or(or.lifetime),
        idle_timeout: section.duration("idle_timeout").unwrap_or(or.idle_timeout),
        queue_timeout: section
            .duration("queue_timeout")
            .unwrap_or(or.queue_timeout),
        queue: count("queue", or.queue),
        keep: section.flag("keep").unwrap_or(or.keep),
        unacknowledged_reset: section
            .flag("unacknowledged_reset")
            .unwrap_or(or.unacknowledged_reset),
    };
    section.end();
    pool
}

fn user(section: Section<'_>) -> UserConfig {
    let name = section.text("name");
    if name.is_none() {
        section.missing("name", "the login name");
    }
    let hash = section.text("password_hash");
    if hash.is_none() {
        section.missing("password_hash", "what `entrada proxy hash-password` prints");
    }
    let user = UserConfig {
        name: name.map_or_else(String::new, |found| found.value.to_owned()),
        password_hash: hash.map_or_else(Secret::default, |found| Secret::new(found.value)),
        admin: section.flag("admin").unwrap_or_default(),
    };
    section.end();
    user
}

fn limits(section: Section<'_>) -> LimitsConfig {
    let or = LimitsConfig::default();
    let per_peer = section.number("connections_per_peer");
    let failed = section.number("failed_logins_per_minute");
    let limits = LimitsConfig {
        connections: section
            .number("connections")
            .map_or(or.connections, |found| found.value),
        connections_per_peer: per_peer
            .map(|found| found.value)
            .or(or.connections_per_peer),
        failed_logins_per_minute: failed.map_or(or.failed_logins_per_minute, |found| found.value),
        login_timeout: section
            .duration("login_timeout")
            .unwrap_or(or.login_timeout),
        idle_timeout: section.duration("idle_timeout").or(or.idle_timeout),
        transcode_buffer: section
            .size("transcode_buffer")
            .unwrap_or(or.transcode_buffer),
    };
    section.end();
    limits
}

fn admin(section: Section<'_>) -> AdminConfig {
    let listen = section.parsed("listen", |text| {
        text.parse::<SocketAddr>()
            .map_err(|_| "write an IP address and a port, as \"127.0.0.1:9464\"")
    });
    let admin = AdminConfig {
        listen: listen.map(|found| found.value),
        same_user: section.flag("same_user").unwrap_or_default(),
    };
    section.end();
    admin
}

/// Stands for an address that could not be read.
fn nowhere() -> ListenAddress {
    ListenAddress::Tcp((IpAddr::from([127, 0, 0, 1]), 0).into())
}

/// Every key that a file may have, with its tables.
#[cfg(test)]
pub(super) fn keys() -> std::collections::BTreeSet<String> {
    use crate::token::Environment;

    // The least that has each table.
    let text = "target = [{}]\nuser = [{}]\n[[listener]]\nadmission = {}\nrule = [{}]\n";
    let sources = Sources::new(Environment::from_pairs::<String, String>([]));
    let document = Document::parse(text);
    let reading = Reading {
        folder: Path::new(""),
        sources: &sources,
    };
    reading.config(document.root());
    document.keys.into_inner()
}
