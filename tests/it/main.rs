//! The integration tests, one module per concern.

mod conn_string;
mod layers;
