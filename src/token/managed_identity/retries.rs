//! What the endpoints of the platforms say about asking again.

use std::time::Duration;

use super::super::retry::{LOCAL, RetryPolicy};

impl RetryPolicy {
    /// Azure Arc, for the request that shows the key. The one before it is never
    /// sent again: a 401 is what it is for.
    pub(crate) const ARC: Self = Self {
        retries: 3,
        statuses: |status| matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
        gone_budget: Duration::ZERO,
        share: LOCAL,
    };

    /// Cloud Shell.
    pub(crate) const CLOUD_SHELL: Self = Self::ARC;

    /// Azure Machine Learning.
    pub(crate) const MACHINE_LEARNING: Self = Self::ARC;

    /// Service Fabric: after 1, 2, 4, 8 and 16 s when it is throttling. A 404 is
    /// permanent, unlike at IMDS, and a 500 mostly means a resource that does
    /// not exist.
    pub(crate) const SERVICE_FABRIC: Self = Self {
        retries: 5,
        statuses: |status| matches!(status, 429 | 502 | 503 | 504),
        gone_budget: Duration::ZERO,
        share: LOCAL,
    };
}
