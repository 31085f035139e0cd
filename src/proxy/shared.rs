//! What every client's task sees.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::config::{Config, ListenerConfig};
use super::registry::Registry;
use super::stats::Stats;
use super::targets::TargetEntry;
use super::upstream::Upstreams;
use super::{ProxyError, admission::Gate};
use crate::token::{Sources, TokenCache};

/// What every client's task sees.
#[derive(Debug)]
pub(super) struct Shared {
    /// What a reload replaces as a whole.
    pub(super) live: ArcSwap<Live>,
    pub(super) tokens: TokenCache,
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
}

impl Shared {
    pub(super) fn new(config: &Config, sources: &Sources) -> Result<Self, ProxyError> {
        let tokens = TokenCache::new();
        let live = Live::new(config, sources, &tokens)?;
        Ok(Self {
            live: ArcSwap::from_pointee(live),
            tokens,
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
    ) -> Result<Self, ProxyError> {
        let mut targets = HashMap::new();
        for target in &config.targets {
            targets.insert(
                target.name.clone(),
                TargetEntry::open(target, sources, tokens)?,
            );
        }
        Ok(Self {
            config: config.clone(),
            targets,
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
}
