//! Roles and permissions from a file, carried out on the emulator's engine.

mod bench;
mod changes;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod cli_fleet;
#[cfg(all(feature = "cli", unix))]
mod cli_interrupt;
mod cli_slips;
#[cfg(feature = "cli")]
mod cloud;
mod interrupted;
mod owners;
mod refusals;
mod render;
mod rights;
mod round_trip;
