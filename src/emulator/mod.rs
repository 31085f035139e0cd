//! The Azure side on loopback: identity endpoints, Entra, and an Azure SQL server.

mod directory;
mod engine;

pub use directory::{Directory, EntraKind, EntraPrincipal, InMemoryDirectory};
pub use engine::{
    Engine, EngineError, EngineOptions, EngineSession, Interrupter, Principal, SessionInfo,
    SinkClosed, TokenSink,
};
