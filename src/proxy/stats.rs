//! What has happened, in numbers: one registry per proxy, read by the metrics
//! endpoint, the status page and the admin database.

/// The numbers of one proxy.
#[derive(Debug, Default)]
pub(super) struct Stats {}
