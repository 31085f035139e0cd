//! The integration tests, one module per concern.

#[cfg(feature = "cli")]
mod cli_token;
mod conn_string;
mod dial;
mod layers;
mod pool;
mod support;
mod tds_captures;
mod token_allocations;
mod token_cache;
mod token_endpoints;
