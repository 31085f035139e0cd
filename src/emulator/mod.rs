//! The Azure side on loopback: identity endpoints, Entra, and an Azure SQL server.

mod admin;
mod backend;
mod builder;
mod clock;
mod cloud;
mod config;
mod counters;
mod directory;
mod engine;
mod entra;
mod environments;
mod error;
mod fault_kinds;
mod fault_spec;
mod faults;
mod forward;
mod gateway;
mod handle;
mod identity;
mod issuers;
mod platform;
mod published;
mod recorded;
mod sessions;
mod state_dir;
mod vault;
mod web;

pub use builder::EmulatorBuilder;
pub use clock::Clock;
pub use counters::{Counters, CountersSnapshot};
pub use directory::{Directory, EntraKind, EntraPrincipal, InMemoryDirectory};
pub use engine::{
    BodyCancelled, ClientInfo, Engine, EngineError, EngineOptions, EngineSession, Interrupter,
    Principal, RequestBody, SessionInfo, SinkClosed, TokenSink,
};
pub use entra::{Application, FederatedCredential};
pub use error::EmulatorError;
pub use fault_kinds::{
    ArcChallenge, DatabaseState, EntraFault, GatewayFault, GatewayStep, IdentityFault, Redirect,
    VaultFault,
};
pub use fault_spec::{FaultSpec, FaultSpecError};
pub use faults::{ActiveFault, FaultId, Faults};
pub use gateway::EncryptionPolicy;
pub use handle::Emulator;
pub use identity::{Assignment, ExpiresOn, IssuedToken, ManagedIdentity};
pub use issuers::Pipelines;
pub use platform::{Platform, UnknownPlatform};
pub use published::ConnectionStrings;
pub use recorded::{
    EntraRequest, IdentityRequest, IssuerRequest, LoginOutcome, LoginRequest, RecordedRequest,
    RequestKind, VaultRequest,
};
pub use sessions::SessionRecord;
pub use vault::{VaultChallenge, VaultSecret};
