//! What is remembered of a login, without its secrets.

use super::Shared;
use super::error::ConnectionError;
use super::login::LoggedIn;
use crate::emulator::engine::Principal;
use crate::emulator::recorded::Ticket;
use crate::emulator::{LoginOutcome, LoginRequest, RequestKind};
use crate::tds::{FeatureId, Login7, option_flags2};

/// A login whose end is still to be told.
pub(super) struct Record<'a> {
    shared: &'a Shared,
    ticket: Ticket,
}

impl<'a> Record<'a> {
    pub(super) fn begin(
        shared: &'a Shared,
        login: &Login7,
        at_node: bool,
        encrypted: bool,
    ) -> Self {
        let authentication = if login.feature(FeatureId::FEDAUTH).is_some() {
            "token"
        } else if login.option_flags2 & option_flags2::INTEGRATED_SECURITY != 0 {
            "integrated"
        } else {
            "password"
        };
        let ticket = shared.recorded.begin(RequestKind::Login(LoginRequest {
            at_node,
            server: login.server_name.clone(),
            database: login.database.clone(),
            application: login.app_name.clone(),
            host: login.host_name.clone(),
            library: login.library_name.clone(),
            authentication,
            user: (authentication == "password").then(|| login.user_name.clone()),
            object_id: None,
            encrypted,
            outcome: None,
        }));
        Self { shared, ticket }
    }

    pub(super) fn principal(&self, principal: &Principal) {
        if let Principal::Entra(entra) = principal {
            self.amend(|login| login.object_id = Some(entra.object_id));
        }
    }

    pub(super) fn end(&self, ended: &Result<LoggedIn, ConnectionError>) {
        let outcome = match ended {
            Ok(_) => LoginOutcome::Accepted,
            Err(ConnectionError::Refused { number, .. }) => LoginOutcome::Refused(*number),
            Err(ConnectionError::Redirected) => LoginOutcome::Redirected,
            Err(_) => LoginOutcome::Broken,
        };
        self.amend(|login| login.outcome = Some(outcome));
    }

    fn amend(&self, change: impl FnOnce(&mut LoginRequest)) {
        self.shared.recorded.amend(self.ticket, |kind| {
            if let RequestKind::Login(login) = kind {
                change(login);
            }
        });
    }
}

impl Drop for Record<'_> {
    /// A login that was cut short, by its deadline or a shutdown, has ended, too.
    fn drop(&mut self) {
        self.amend(|login| {
            login.outcome.get_or_insert(LoginOutcome::Broken);
        });
    }
}
