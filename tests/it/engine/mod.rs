//! The emulator's engine, driven by messages as the gateway drives it.

pub(crate) mod answer;
mod applock;
mod attacks;
mod impersonation;
mod language;
mod load;
mod requests;
mod rpc;
mod security;
mod values;
