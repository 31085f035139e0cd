//! The integration tests, one module per concern.

mod conn_string;
mod layers;
mod token_allocations;
mod token_cache;
mod token_endpoints;
