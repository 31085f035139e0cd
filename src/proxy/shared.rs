//! What every client's task sees.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::config::{Config, ListenerConfig, RuleConfig, TargetConfig};
use super::inherited::Inherited;
use super::registry::Registry;
use super::stats::Stats;
use super::targets::{Means, TargetEntry};
use super::tls::{Certificates, ListenerTls};
use super::upstream::Upstreams;
use super::{ProxyError, admission::Gate};

/// What every client's task sees.
#[derive(Debug)]
pub(super) struct Shared {
    /// What a reload replaces as a whole.
    pub(super) live: ArcSwap<Live>,
    pub(super) means: Arc<Means>,
    pub(super) certificates: Certificates,
    /// Sockets that were handed over at the start.
    pub(super) inherited: Inherited,
    pub(super) upstreams: Upstreams,
    pub(super) registry: Arc<Registry>,
    pub(super) stats: Stats,
    /// Cancelled when the proxy has been asked to stop.
    pub(super) draining: CancellationToken,
}

/// A configuration in force. Clients keep the one that they logged in under.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) config: Config,
    pub(super) targets: HashMap<String, Arc<TargetEntry>>,
    /// Those that rules name an identity for, by target and client id.
    others: HashMap<(String, String), Arc<TargetEntry>>,
    pub(super) gate: Gate,
    tls: HashMap<String, Arc<ListenerTls>>,
}

impl Shared {
    pub(super) async fn open(
        config: Config,
        means: Means,
        inherited: Inherited,
    ) -> Result<Self, ProxyError> {
        let means = Arc::new(means);
        let certificates = Certificates::new(config.state_dir.as_deref());
        let live = Live::open(config, None, &means, &certificates).await?;
        Ok(Self {
            live: ArcSwap::from_pointee(live),
            means,
            certificates,
            inherited,
            upstreams: Upstreams::new(),
            registry: Arc::default(),
            stats: Stats::new(),
            draining: CancellationToken::new(),
        })
    }
}

impl Live {
    /// Opens the targets and reads certificates and users; targets that `before`
    /// has and that are the same are taken from there.
    pub(super) async fn open(
        config: Config,
        before: Option<&Self>,
        means: &Arc<Means>,
        certificates: &Certificates,
    ) -> Result<Self, ProxyError> {
        let mut targets = HashMap::new();
        for target in &config.targets {
            let entry = entry(target, None, before, means).await?;
            targets.insert(target.name.clone(), entry);
        }
        let mut others = HashMap::new();
        for (rule, client_id) in rules_with_identity(&config) {
            let key = (rule.target.clone(), client_id.to_owned());
            let target = config.targets.iter().find(|t| t.name == rule.target);
            if let Some(target) = target.filter(|_| !others.contains_key(&key)) {
                others.insert(key, entry(target, Some(client_id), before, means).await?);
            }
        }
        let mut tls = HashMap::new();
        for listener in &config.listeners {
            let made = certificates.listener(&listener.tls);
            let made = made.map_err(|source| ProxyError::Certificate {
                listener: listener.name.clone(),
                source: Box::new(source),
            })?;
            tls.insert(listener.name.clone(), Arc::new(made));
        }
        Ok(Self {
            gate: Gate::new(&config, before.map(|live| &live.gate))?,
            config,
            targets,
            others,
            tls,
        })
    }

    /// The listener of that name, if the configuration still has it.
    pub(super) fn listener(&self, name: &str) -> Option<&ListenerConfig> {
        self.config
            .listeners
            .iter()
            .find(|listener| listener.name == name)
    }

    /// The TLS of the listener of that name, if the configuration still has it.
    pub(super) fn tls(&self, name: &str) -> Option<&Arc<ListenerTls>> {
        self.tls.get(name)
    }

    /// A target, with the identity that a rule names in place of its own.
    pub(super) fn entry(&self, target: &str, identity: Option<&str>) -> Option<&Arc<TargetEntry>> {
        match identity {
            None => self.targets.get(target),
            Some(id) => self.others.get(&(target.to_owned(), id.to_owned())),
        }
    }

    /// Every target with every identity.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Arc<TargetEntry>> {
        self.targets.values().chain(self.others.values())
    }
}

/// The rules that name an identity, and which.
fn rules_with_identity(config: &Config) -> impl Iterator<Item = (&RuleConfig, &str)> {
    let rules = config.listeners.iter().flat_map(|listener| &listener.rules);
    rules.filter_map(|rule| Some((rule, rule.identity.as_deref()?)))
}

async fn entry(
    target: &TargetConfig,
    identity: Option<&str>,
    before: Option<&Live>,
    means: &Arc<Means>,
) -> Result<Arc<TargetEntry>, ProxyError> {
    let kept = before.and_then(|live| live.entry(&target.name, identity));
    match kept.filter(|entry| entry.is_of(target, identity)) {
        Some(entry) => {
            entry.reread().await;
            Ok(Arc::clone(entry))
        }
        None => TargetEntry::open(target, identity, means).await,
    }
}
