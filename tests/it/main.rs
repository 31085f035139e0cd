//! The integration tests, one module per concern.

mod authentication;
#[cfg(all(feature = "azure-core", feature = "emulator"))]
mod azure_core;
#[cfg(all(feature = "check", feature = "cli", feature = "emulator"))]
mod check;
#[cfg(all(feature = "cli", feature = "emulator"))]
mod cli_demo;
mod cli_emulator;
#[cfg(feature = "cli")]
mod cli_parse;
#[cfg(all(feature = "cli", feature = "emulator"))]
mod cli_query;
#[cfg(feature = "cli")]
mod cli_token;
#[cfg(feature = "emulator")]
mod clients_freetds;
#[cfg(feature = "emulator")]
mod clients_java;
#[cfg(feature = "emulator")]
mod clients_node;
#[cfg(feature = "emulator")]
mod clients_python;
#[cfg(feature = "emulator")]
mod clients_rust;
mod conn_string;
#[cfg(all(feature = "cli", feature = "proxy", unix))]
mod deploy;
mod dial;
#[cfg(feature = "emulator")]
mod emulator_admin;
#[cfg(feature = "emulator")]
mod emulator_crowd;
#[cfg(feature = "emulator")]
mod emulator_entra;
#[cfg(feature = "emulator")]
mod emulator_federation;
#[cfg(feature = "emulator")]
mod emulator_fuzz;
#[cfg(feature = "emulator")]
mod emulator_gateway;
#[cfg(feature = "emulator")]
mod emulator_handle;
#[cfg(feature = "emulator")]
mod emulator_identity;
#[cfg(feature = "emulator")]
mod emulator_kept;
#[cfg(feature = "emulator")]
mod emulator_key_vault;
#[cfg(feature = "emulator")]
mod emulator_platforms;
#[cfg(feature = "emulator")]
mod emulator_tokens;
#[cfg(feature = "emulator")]
mod emulator_trouble;
#[cfg(feature = "emulator")]
mod emulator_wire;
#[cfg(feature = "emulator")]
mod engine;
#[cfg(feature = "emulator")]
mod forward;
mod front;
#[cfg(all(feature = "emulator", feature = "grants"))]
mod grants;
#[cfg(feature = "emulator")]
mod key_vault;
mod layers;
#[cfg(feature = "emulator")]
mod login_methods;
#[cfg(all(feature = "emulator", feature = "proxy"))]
mod old_clients;
mod pool;
#[cfg(all(feature = "emulator", feature = "proxy"))]
mod proxy;
#[cfg(feature = "emulator")]
mod raw_client;
#[cfg(all(feature = "cli", feature = "emulator"))]
mod scripts;
mod secrets;
mod support;
mod tds_captures;
mod token_allocations;
mod token_cache;
#[cfg(feature = "emulator")]
mod token_emulator;
mod token_endpoints;
#[cfg(feature = "emulator")]
mod token_entra;
#[cfg(feature = "emulator")]
mod token_federation;
mod token_matrix;
#[cfg(feature = "emulator")]
mod token_platforms;
#[cfg(unix)]
mod token_secrets;
#[cfg(all(feature = "emulator", feature = "proxy"))]
mod transcode;
#[cfg(feature = "proxy")]
mod transcode_captures;
#[cfg(feature = "proxy")]
mod transcode_splits;
#[cfg(feature = "emulator")]
mod tsql_cases;
#[cfg(all(
    feature = "check",
    feature = "cli",
    feature = "emulator",
    feature = "grants",
    feature = "proxy",
    unix
))]
mod walkthrough;
