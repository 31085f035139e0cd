//! The one login.

mod browser;
mod prelogin;
mod tcp;
mod tls;
mod tunnel;
mod verifier;
mod wire;
