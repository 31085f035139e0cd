//! The Azure side on loopback: identity endpoints, Entra, and an Azure SQL server.

mod directory;

pub use directory::{Directory, EntraKind, EntraPrincipal, InMemoryDirectory};
