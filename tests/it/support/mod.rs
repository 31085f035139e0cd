//! What several tests share.

pub(crate) mod certificates;
pub(crate) mod fake_server;
pub(crate) mod judges;
