//! Who may do what in a database, kept as a file under review.
//!
//! A manifest says what identities, roles and permissions a database should
//! have; the catalogue says which it has. The difference is a plan, whose
//! statements can be read before any is run.

pub mod action;
mod apply;
pub mod danger;
mod error;
pub mod fleet;
mod hint;
mod key;
pub mod manifest;
mod model;
mod observed;
mod plan;
mod render;

pub use apply::{Applied, Progress, apply};
pub use error::{ApplyError, GrantsError};
pub use manifest::{Connection, ConnectionError, DatabaseEntry, Manifest, ManifestError};
pub use model::{
    Desired, Identity, Membership, Permission, PermissionState, Principal, PrincipalKind, Role,
    Securable,
};
pub use observed::Observed;
pub use plan::{
    Change, ChangeKind, Drift, Mode, Note, Plan, PlanError, Problem as PlanProblem, plan, revoke,
    verify,
};
pub use render::render;

pub use crate::settings::Problem;
