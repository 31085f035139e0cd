//! The integration tests, one module per concern.

mod conn_string;
mod dial;
mod layers;
mod support;
mod tds_captures;
mod token_allocations;
mod token_cache;
mod token_endpoints;
