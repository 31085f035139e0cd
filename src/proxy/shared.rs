//! What every client's task sees.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::config::{Config, ListenerConfig};
use super::registry::Registry;
use super::stats::Stats;
use super::targets::TargetEntry;
use super::tls::{Certificates, ListenerTls};
use super::upstream::Upstreams;
use super::{ProxyError, admission::Gate};
use crate::token::{Sources, TokenCache};

/// What every client's task sees.
#[derive(Debug)]
pub(super) struct Shared {
    /// What a reload replaces as a whole.
    pub(super) live: ArcSwap<Live>,
    pub(super) tokens: TokenCache,
    pub(super) certificates: Certificates,
    pub(super) upstreams: Upstreams,
    pub(super) registry: Registry,
    pub(super) stats: Stats,
}

/// A configuration in force. Clients keep the one that they logged in under.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) config: Config,
    pub(super) targets: HashMap<String, Arc<TargetEntry>>,
    pub(super) gate: Gate,
    tls: HashMap<String, Arc<ListenerTls>>,
}

impl Shared {
    pub(super) fn new(config: &Config, sources: &Sources) -> Result<Self, ProxyError> {
        let tokens = TokenCache::new();
        let certificates = Certificates::new(config.state_dir.as_deref());
        let live = Live::new(config, sources, &tokens, &certificates)?;
        Ok(Self {
            live: ArcSwap::from_pointee(live),
            tokens,
            certificates,
            upstreams: Upstreams::new(),
            registry: Registry::default(),
            stats: Stats::new(),
        })
    }
}

impl Live {
    pub(super) fn new(
        config: &Config,
        sources: &Sources,
        tokens: &TokenCache,
        certificates: &Certificates,
    ) -> Result<Self, ProxyError> {
        let mut targets = HashMap::new();
        for target in &config.targets {
            targets.insert(
                target.name.clone(),
                TargetEntry::open(target, sources, tokens)?,
            );
        }
        let mut tls = HashMap::new();
        for listener in &config.listeners {
            let made = certificates.listener(&listener.tls);
            let made = made.map_err(|source| ProxyError::Certificate {
                listener: listener.name.clone(),
                source,
            })?;
            tls.insert(listener.name.clone(), Arc::new(made));
        }
        Ok(Self {
            config: config.clone(),
            targets,
            tls,
            gate: Gate::new(config),
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
}
