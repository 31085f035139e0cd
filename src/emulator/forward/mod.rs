//! The forwarding backend: a real SQL Server behind the emulator's gateway.
//!
//! The gateway judges tokens as ever. Then this logs in to the server by a SQL login, finds the
//! principal's database user, enters that user's context, and leaves the rest to the relay. It is
//! the one part of the emulator that uses `dial`.

mod answer;
mod context;
mod error;
mod lexer;
mod login;
mod requests;
mod rewrite;
mod session;
mod tracker;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use super::engine::Principal;
use super::{EmulatorError, InMemoryDirectory};
use crate::Secret;
use crate::dial::Dialer;
use crate::target::{Auth, Target, TargetError};
use crate::tds::Login7;

pub(super) use error::ForwardError;
pub(super) use session::ForwardSession;
pub(super) use tracker::Tracker;
pub(super) use wire::{WireReader, WireWriter};

/// A real SQL Server, and the login that opens sessions on it.
#[derive(Clone, Debug)]
pub(super) struct Forwarding {
    dialer: Dialer,
    target: Arc<Target>,
    admin: Option<(String, Secret)>,
    directory: InMemoryDirectory,
    /// Time for opening a session, and for a request of the gateway's own.
    patience: Duration,
}

impl Forwarding {
    /// Reads the connection string, in any dialect. It must name a SQL login.
    pub(super) fn new(
        backend: &Secret,
        admin: Option<(String, Secret)>,
        directory: InMemoryDirectory,
        patience: Duration,
    ) -> Result<Self, EmulatorError> {
        let mut target = Target::parse(backend.expose()).map_err(|error| match error {
            TargetError::NoIdentity => EmulatorError::BackendAuth { method: "no login" },
            source => EmulatorError::Backend {
                source: Box::new(source),
            },
        })?;
        if !matches!(target.auth, Auth::SqlPassword { .. }) {
            return Err(EmulatorError::BackendAuth {
                method: target.auth.name(),
            });
        }
        // The gateway's client retries, and must not wait for us to do so.
        target.limits.connect_retry_count = 0;
        let target = Arc::new(target);
        let dialer =
            Dialer::new(target.clone(), None).map_err(|source| EmulatorError::Backend {
                source: Box::new(source),
            })?;
        Ok(Self {
            dialer,
            target,
            admin,
            directory,
            patience,
        })
    }

    /// Who logs in by name and password: the emulator's administrator, whose sessions act as the
    /// backend's login, or somebody for the server to judge.
    pub(super) fn password_principal(&self, login: &Login7) -> Principal {
        let name = login.user_name.clone();
        let admin = self.admin.as_ref().is_some_and(|(admin, password)| {
            admin.eq_ignore_ascii_case(&name) && *password == login.password
        });
        match admin {
            true => Principal::ServerAdmin { name },
            false => Principal::SqlLogin { name },
        }
    }

    /// The server's name, as its connection string has it.
    pub(super) fn server(&self) -> String {
        self.target.server.to_string()
    }

    /// The database that a backend's connection string names, or else the one that every server has.
    pub(super) fn database_of(backend: &Secret) -> String {
        let target = Target::parse(backend.expose()).ok();
        let named = target.and_then(|target| target.database);
        named.unwrap_or_else(|| "master".to_owned())
    }
}
