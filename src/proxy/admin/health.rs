//! Whether a login works.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::causes::chain;
use crate::dial::LoginProfile;
use crate::proxy::shared::Shared;
use crate::proxy::targets::TargetEntry;

use super::status::entries;

/// How long an answer holds, so that probes do not hammer the server.
const FRESH: Duration = Duration::from_secs(5);
const DIAL_PATIENCE: Duration = Duration::from_secs(10);

/// What is known of each target, by its name and identity.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<HashMap<(String, String), Known>>);

type Known = Arc<tokio::sync::Mutex<Option<Finding>>>;

#[derive(Clone, Debug)]
struct Finding {
    at: Instant,
    trouble: Option<String>,
}

/// Whether clients can be served.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) ready: bool,
    draining: bool,
    targets: Vec<TargetReport>,
}

/// Whether a login to the target works.
#[derive(Debug, Serialize)]
struct TargetReport {
    name: String,
    identity: String,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Health {
    /// Looks at every target, at the same time. However many ask, a server gets
    /// one login at a time, and none for a while after that.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: a login under way goes on, and who
    /// asks next gets what it brings.
    pub(super) async fn check(&self, shared: &Arc<Shared>) -> Report {
        let live = shared.live.load_full();
        let checks = entries(&live).into_iter().map(|entry| {
            let known = self.known(entry);
            let (entry, shared) = (Arc::clone(entry), Arc::clone(shared));
            tokio::spawn(async move {
                let error = trouble(&entry, &known, &shared).await;
                TargetReport {
                    name: entry.name.clone(),
                    identity: entry.identity(),
                    ready: error.is_none(),
                    error,
                }
            })
        });
        let targets = futures_util::future::join_all(checks).await;
        let targets: Vec<_> = targets.into_iter().filter_map(Result::ok).collect();
        let draining = shared.draining.is_cancelled();
        let all = targets.len() == live.entries().count();
        Report {
            ready: all && !draining && targets.iter().all(|target| target.ready),
            draining,
            targets,
        }
    }

    fn known(&self, entry: &TargetEntry) -> Known {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            known
                .entry((entry.name.clone(), entry.identity()))
                .or_default(),
        )
    }
}

/// Why no client could get a session of the target, if so.
async fn trouble(entry: &TargetEntry, known: &Known, shared: &Shared) -> Option<String> {
    let pools = shared.upstreams.pools();
    let identity = entry.identity();
    let mut pools = pools
        .iter()
        .filter(|pool| pool.target == entry.name && pool.identity == identity);
    if pools.clone().any(|pool| pool.paused) {
        return Some("it is paused; RESUME in the admin database ends that".to_owned());
    }
    if pools.any(|pool| pool.idle > 0) {
        return None;
    }
    let mut finding = known.lock().await;
    if let Some(finding) = finding
        .as_ref()
        .filter(|finding| finding.at.elapsed() < FRESH)
    {
        return finding.trouble.clone();
    }
    let trouble = match timeout(DIAL_PATIENCE, entry.dial(&LoginProfile::default())).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(chain(&error)),
        Err(_) => Some(format!(
            "a login takes longer than {} s",
            DIAL_PATIENCE.as_secs()
        )),
    };
    let at = Instant::now();
    finding.insert(Finding { at, trouble }).trouble.clone()
}
