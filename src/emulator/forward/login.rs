//! Opening a session on the real server for somebody whom the gateway has let in.

use tokio::time::timeout;

use super::Forwarding;
use super::context::{self, DatabaseUser, Outside};
use super::error::ForwardError;
use super::session::ForwardSession;
use super::wire::Wire;
use crate::causes::chain;
use crate::dial::{DialError, Dialer, LoginProfile};
use crate::emulator::EntraPrincipal;
use crate::emulator::engine::{Principal, SessionInfo};
use crate::session::LoginInfo;
use crate::target::Auth;
use crate::tds::{
    Collation, FeatureId, LOGIN_FAILED, Login7, PacketStatus, ServerMessage, TdsVersion,
    option_flags1, type_flags,
};

/// Our own words to a client carry this number, as RAISERROR's do.
const OWN_WORDS: i32 = 50_000;
/// "Database … is not currently available": clients know to try again.
const NOT_AVAILABLE: i32 = 40_613;

/// Why no session could be opened.
#[derive(Debug, thiserror::Error)]
pub(in crate::emulator) enum OpenError {
    #[error("the backend refuses the login of the emulator's connection string")]
    OwnLogin(#[source] DialError),
    #[error("the backend refuses the login")]
    Refused(#[source] DialError),
    #[error("the backend cannot be reached")]
    Unreachable(#[source] DialError),
    #[error("the backend cannot take a session into the context of a database user")]
    NoContexts(#[source] ForwardError),
    #[error("the principal has no user in the database")]
    NoUser,
    #[error("the backend speaks TDS {0}, and sessions are relayed as TDS 7.4")]
    OldServer(TdsVersion),
    #[error("opening a session on the backend took too long")]
    Deadline,
}

impl OpenError {
    /// What the client is told; `None` for the refusal of a token, which has words of its own.
    pub(in crate::emulator) fn message(&self, database: &str) -> Option<ServerMessage> {
        let own = |text: String| Some(ServerMessage::new(OWN_WORDS, 1, 16, text));
        match self {
            Self::NoUser => None,
            Self::Refused(error) => Some(match error.server_error() {
                Some(said) => said.clone(),
                None => ServerMessage::new(NOT_AVAILABLE, 1, 17, chain(self)),
            }),
            Self::Unreachable(_) | Self::Deadline => {
                let text = format!(
                    "Database '{database}' is not currently available: {}. Please retry the connection later.",
                    chain(self)
                );
                Some(ServerMessage::new(NOT_AVAILABLE, 1, 17, text))
            }
            Self::OwnLogin(_) => own(format!(
                "{}. Check user and password of --backend.",
                chain(self)
            )),
            Self::NoContexts(_) => own(format!(
                "{}. The backend must be a SQL Server, and its login allowed to impersonate every user.",
                chain(self)
            )),
            Self::OldServer(_) => own(chain(self)),
        }
    }
}

impl Forwarding {
    /// Opens a session for the principal, in the database that the login names.
    pub(in crate::emulator) async fn open(
        &self,
        principal: &Principal,
        login: &Login7,
    ) -> Result<ForwardSession, OpenError> {
        // The client is told before its own login's time is over.
        let limit = self.patience.mul_f32(0.8);
        timeout(limit, self.open_without_limit(principal, login))
            .await
            .map_err(|_| OpenError::Deadline)?
    }

    async fn open_without_limit(
        &self,
        principal: &Principal,
        login: &Login7,
    ) -> Result<ForwardSession, OpenError> {
        let profile = profile(login);
        let own = !matches!(principal, Principal::SqlLogin { .. });
        let session = match own {
            true => self.dialer.dial_with(&profile).await,
            false => match self.dialer_for(login) {
                Ok(dialer) => dialer.dial_with(&profile).await,
                Err(error) => Err(error),
            },
        };
        let session = session.map_err(|error| opened_not(error, own))?;
        let (stream, info) = session.into_parts();
        if info.tds_version < TdsVersion::V7_4 {
            return Err(OpenError::OldServer(info.tds_version));
        }
        let wire = Wire::new(stream, info.packet_size);
        let directory = self.directory.clone();
        let mut session = ForwardSession::new(wire, about(&info), directory, self.patience);
        if let Principal::Entra(entra) = principal {
            let (outside, user) = self.user_of(&mut session, entra).await?;
            session
                .enter(user, outside)
                .await
                .map_err(OpenError::NoContexts)?;
        }
        Ok(session)
    }

    async fn user_of(
        &self,
        session: &mut ForwardSession,
        entra: &EntraPrincipal,
    ) -> Result<(Outside, DatabaseUser), OpenError> {
        let lookup = context::lookup(entra);
        let answer = session.ask(&lookup, PacketStatus::NORMAL).await;
        let answer = answer.map_err(OpenError::NoContexts)?;
        if let Some(error) = answer.errors.first() {
            return Err(OpenError::NoContexts(ForwardError::Refused(error.clone())));
        }
        match context::found(&answer, entra, &self.directory) {
            Some((outside, Some(user))) => Ok((outside, user)),
            Some((_, None)) => Err(OpenError::NoUser),
            None => Err(OpenError::NoContexts(ForwardError::Context)),
        }
    }

    /// A dialer that logs in with the client's own user and password.
    fn dialer_for(&self, login: &Login7) -> Result<Dialer, DialError> {
        let mut target = (*self.target).clone();
        target.auth = Auth::SqlPassword {
            user: login.user_name.clone(),
            password: login.password.clone(),
        };
        Dialer::new(target, None)
    }
}

/// Why the server did not let us in; `own` is the login of the connection string.
fn opened_not(error: DialError, own: bool) -> OpenError {
    match error.server_error().map(|said| said.number) {
        Some(LOGIN_FAILED) if own => OpenError::OwnLogin(error),
        Some(_) => OpenError::Refused(error),
        None => OpenError::Unreachable(error),
    }
}

/// The login that the client sent, as far as it concerns the session.
fn profile(login: &Login7) -> LoginProfile {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let utf8 = login.feature(FeatureId::UTF8_SUPPORT);
    LoginProfile {
        application_name: text(&login.app_name),
        host_name: text(&login.host_name),
        library_name: text(&login.library_name),
        language: text(&login.language),
        database: text(&login.database),
        packet_size: Some(login.packet_size).filter(|size| *size > 0),
        read_only: Some(login.type_flags & type_flags::READ_ONLY_INTENT != 0),
        client_version: Some(login.client_prog_version),
        client_pid: Some(login.client_pid),
        lcid: Some(login.lcid),
        client_id: Some(login.client_id),
        // In another database than the one asked for the principal would be another user.
        option_flags1: Some(login.option_flags1 | option_flags1::INIT_DB_FATAL),
        option_flags2: Some(login.option_flags2),
        type_flags: Some(login.type_flags),
        option_flags3: None,
        features: utf8.cloned().into_iter().collect(),
    }
}

fn about(info: &LoginInfo) -> SessionInfo {
    let Collation(default) = Collation::SQL_LATIN1_GENERAL_CP1_CI_AS;
    SessionInfo {
        database: info.database.clone(),
        language: info.language.clone(),
        collation: info.collation.as_slice().try_into().unwrap_or(default),
        spid: info.spid,
        version: info.ack.version,
    }
}
