//! Who may do what in a database, kept as a file under review.
//!
//! A manifest says what identities, roles and permissions a database should
//! have; the catalogue says which it has. The difference is a plan, whose
//! statements can be read before any is run.

pub mod action;
pub mod danger;
pub mod manifest;
mod model;

pub use manifest::{Connection, ConnectionError, DatabaseEntry, Manifest, ManifestError};
pub use model::{
    Desired, Identity, Membership, Permission, PermissionState, Principal, PrincipalKind, Role,
    Securable,
};

pub use crate::settings::Problem;
