//! Roles and permissions from a file.

#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod cli_fleet;
#[cfg(all(feature = "cli", unix))]
mod cli_interrupt;
#[cfg(feature = "cli")]
mod cloud;
