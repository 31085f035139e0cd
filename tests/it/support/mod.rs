//! What several tests share.

pub(crate) mod certificates;
#[cfg(feature = "emulator")]
pub(crate) mod clients;
pub(crate) mod docs;
pub(crate) mod fake_server;
#[cfg(feature = "emulator")]
pub(crate) mod grammar;
#[cfg(feature = "emulator")]
pub(crate) mod java;
pub(crate) mod judges;
pub(crate) mod log;
