//! What a configuration says that cannot be done.

use std::collections::HashSet;

use super::{
    Admission, Config, ConfigError, ListenAddress, ListenerConfig, PoolConfig, TargetConfig,
};
use crate::causes::chain;
use crate::proxy::admission::{check_hash, guard};
use crate::proxy::{BoundAddress, targets, tls};
use crate::settings::{Problem, Step, nearest};
use crate::token::Sources;

/// Something that cannot be done, and the value that asks for it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) path: Vec<Step>,
    pub(super) what: String,
}

impl Fault {
    /// The keys of the path, for people.
    pub(super) fn key(&self) -> String {
        let keys = self.path.iter().filter_map(|step| match step {
            Step::Key(key) => Some(*key),
            Step::Index(_) => None,
        });
        keys.collect::<Vec<_>>().join(".")
    }
}

impl Config {
    /// Checks what can be checked without dialling or listening: names that
    /// nothing has, addresses that are not safe, connection strings, hashes,
    /// and files of certificates, which it reads. Secrets in vaults are not
    /// asked for.
    ///
    /// [`Proxy::start`](crate::proxy::Proxy::start) does it, too.
    ///
    /// # Errors
    /// [`ConfigError::Mistakes`] with all that it finds.
    pub fn check(&self, sources: &Sources) -> Result<(), ConfigError> {
        let faults = faults(self, sources);
        if faults.is_empty() {
            return Ok(());
        }
        let problem = |fault: Fault| Problem {
            place: None,
            key: fault.key(),
            what: fault.what,
        };
        Err(ConfigError::Mistakes {
            origin: "the configuration".to_owned(),
            problems: faults.into_iter().map(problem).collect(),
        })
    }
}

/// All that cannot be done.
pub(super) fn faults(config: &Config, sources: &Sources) -> Vec<Fault> {
    let mut found = Faults::default();
    found.whole(config);
    for (index, target) in config.targets.iter().enumerate() {
        found.target(config, index, target, sources);
    }
    for (index, listener) in config.listeners.iter().enumerate() {
        found.listener(config, index, listener);
    }
    found.users(config);
    found.0
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, path: &[Step], what: impl Into<String>) {
        self.0.push(Fault {
            path: path.to_vec(),
            what: what.into(),
        });
    }

    fn whole(&mut self, config: &Config) {
        if config.listeners.is_empty() {
            let what = "there is no listener: write [[listener]] with listen = \"127.0.0.1:1433\"";
            self.add(&[], what);
        }
        if config.targets.is_empty() {
            self.add(
                &[],
                "there is no target: write [[target]] with a connection",
            );
        }
        if config.limits.connections == 0 {
            let path = [Step::Key("limits"), Step::Key("connections")];
            self.add(&path, "nobody could connect; write 1 or more");
        }
        let beyond = config
            .admin
            .listen
            .filter(|address| !address.ip().to_canonical().is_loopback());
        if beyond.is_some() {
            let path = [Step::Key("admin"), Step::Key("listen")];
            let what = "metrics and the status page are for this machine only; write an address of \
                        loopback, as \"127.0.0.1:9464\"";
            self.add(&path, what);
        }
    }

    fn target(&mut self, config: &Config, index: usize, target: &TargetConfig, sources: &Sources) {
        let at = |key| [Step::Key("target"), Step::Index(index), Step::Key(key)];
        let before = config.targets.iter().take(index);
        if before.clone().any(|other| other.name == target.name) {
            let what = format!("another target is named `{}`, too", target.name);
            self.add(&at("name"), what);
        }
        if let Err(error) = targets::check(target, None, sources) {
            self.add(&at("connection"), chain(&error));
        }
        let PoolConfig { max, min_idle, .. } = target.pool;
        let pool = |key| [&at("pool")[..], &[Step::Key(key)]].concat();
        if max == 0 {
            self.add(&pool("max"), "nobody would get a session; write 1 or more");
        } else if min_idle > max {
            self.add(
                &pool("min_idle"),
                format!("it is more than max, which is {max}"),
            );
        }
    }

    fn listener(&mut self, config: &Config, index: usize, listener: &ListenerConfig) {
        let at = |key| [Step::Key("listener"), Step::Index(index), Step::Key(key)];
        let before = || config.listeners.iter().take(index);
        if before().any(|other| other.name == listener.name) {
            let what = format!("another listener is named `{}`, too", listener.name);
            self.add(&at("name"), what);
        }
        let same = before().find(|other| is_same(&other.address, &listener.address));
        if let Some(other) = same {
            let what = format!("the listener `{}` has this address already", other.name);
            self.add(&at("listen"), what);
        }
        if let Some(what) = beyond_loopback(config, listener) {
            self.add(&at("listen"), what);
        }
        if listener.admission == Admission::Password && config.users.is_empty() {
            let what = "nobody has a password: write [[user]] with name and password_hash";
            self.add(&at("admission"), what);
        }
        if matches!(&listener.admission, Admission::Listed { uids, gids } if uids.is_empty() && gids.is_empty())
        {
            let what = "nobody would be let in; list numbers of users or groups";
            self.add(&at("admission"), what);
        }
        if listener.target.is_none() && listener.rules.is_empty() {
            let what = "clients would be taken nowhere; name a target, or write [[listener.rule]]";
            self.add(&at("target"), what);
        }
        if let Some(what) = listener
            .target
            .as_ref()
            .and_then(|name| unknown(config, name))
        {
            self.add(&at("target"), what);
        }
        for (number, rule) in listener.rules.iter().enumerate() {
            let rule_at = |key| [&at("rule")[..], &[Step::Index(number), Step::Key(key)]].concat();
            if let Some(what) = unknown(config, &rule.target) {
                self.add(&rule_at("target"), what);
            }
        }
        self.certificate(index, listener);
    }

    fn certificate(&mut self, index: usize, listener: &ListenerConfig) {
        if let Err(error) = tls::check(&listener.tls) {
            let path = [
                Step::Key("listener"),
                Step::Index(index),
                Step::Key("certificate"),
            ];
            self.add(&path, chain(&error));
        }
    }

    fn users(&mut self, config: &Config) {
        let mut names = HashSet::new();
        for (index, user) in config.users.iter().enumerate() {
            let at = |key| [Step::Key("user"), Step::Index(index), Step::Key(key)];
            if !names.insert(user.name.to_lowercase()) {
                let what = format!(
                    "another user is named `{}`, too; case does not matter",
                    user.name
                );
                self.add(&at("name"), what);
            }
            // That there is none has been told of.
            let hash = user.password_hash.expose();
            if let Some(error) = check_hash(hash).err().filter(|_| !hash.is_empty()) {
                self.add(&at("password_hash"), error.to_string());
            }
        }
    }
}

/// Any number of listeners can ask for some free port.
fn is_same(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => one == other && one.port() != 0,
        (ListenAddress::Unix { path: one, .. }, ListenAddress::Unix { path: other, .. }) => {
            one == other
        }
        (ListenAddress::Systemd(one), ListenAddress::Systemd(other)) => one == other,
        _ => false,
    }
}

/// Why other machines must not reach a listener.
fn beyond_loopback(config: &Config, listener: &ListenerConfig) -> Option<String> {
    let ListenAddress::Tcp(address) = &listener.address else {
        return None;
    };
    let at = BoundAddress::Tcp(*address);
    let refused = guard(listener, &at, None, config.users.len()).err()?;
    Some(chain(&refused))
}

fn unknown(config: &Config, wanted: &str) -> Option<String> {
    let mut names = config.targets.iter().map(|target| target.name.as_str());
    // A rule without a target has been told of.
    if wanted.is_empty() || names.clone().any(|name| name == wanted) {
        return None;
    }
    Some(match nearest(wanted, names.clone()) {
        Some(meant) => format!("there is no target `{wanted}`; did you mean `{meant}`?"),
        None => {
            let known = names.by_ref().collect::<Vec<_>>().join("`, `");
            format!("there is no target `{wanted}`; there are `{known}`")
        }
    })
}
