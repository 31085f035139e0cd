//! The answer to a login, read as a set and judged at its end (MS-TDS 3.2.5.4).

use tokio::time::Instant;

use super::login_error::LoginError;
use super::routing::Route;
use crate::session::LoginInfo;
use crate::tds::{
    DEFAULT_PACKET_SIZE, EnvChange, Feature, FeatureId, FedAuthInfo, LOGIN_FAILED, LoginAck,
    MAX_PACKET_SIZE, MIN_PACKET_SIZE, Message, Routing, ServerMessage, TdsVersion, Token, Version,
    read_tokens,
};
use crate::token::AccessToken;

/// What an answer comes to.
#[derive(Debug)]
pub(super) enum Verdict {
    Granted(Box<Granted>),
    Routed(Routing),
}

/// An answer that lets us in.
#[derive(Debug)]
pub(super) struct Granted {
    ack: LoginAck,
    packet_size: usize,
    answer: Answer,
}

/// What is known of a login besides its answer.
#[derive(Debug)]
pub(super) struct About<'a> {
    pub(super) route: &'a Route,
    pub(super) endpoint: String,
    pub(super) server_version: Version,
    pub(super) encrypted: bool,
    pub(super) token: Option<&'a AccessToken>,
    pub(super) identity: String,
}

impl Granted {
    pub(super) fn into_info(self, about: About<'_>) -> LoginInfo {
        let (mut database, mut language, mut collation) = Default::default();
        for change in &self.answer.env_changes {
            match change {
                EnvChange::Database { new, .. } => database = new.clone(),
                EnvChange::Language { new, .. } => language = new.clone(),
                EnvChange::Collation { new, .. } => collation = new.clone(),
                _ => {}
            }
        }
        LoginInfo {
            tds_version: self.ack.tds_version,
            packet_size: self.packet_size,
            database,
            language,
            collation,
            spid: self.answer.spid,
            ack: self.ack,
            env_changes: self.answer.env_changes,
            infos: self.answer.infos,
            features: self.answer.features,
            server: about.route.host.clone(),
            endpoint: about.endpoint,
            server_version: about.server_version,
            encrypted: about.encrypted,
            token_expires: about.token.map(AccessToken::expires_at),
            identity: about.identity,
            opened: Instant::now(),
            redirects: about.route.hops,
        }
    }
}

/// Everything that a login's answer says, in no order: servers differ in it.
#[derive(Debug, Default)]
pub(super) struct Answer {
    spid: u16,
    ack: Option<LoginAck>,
    env_changes: Vec<EnvChange>,
    infos: Vec<ServerMessage>,
    features: Vec<Feature>,
    pub(super) fed_auth_info: Option<FedAuthInfo>,
    /// Errors since the last LOGINACK.
    errors: Vec<ServerMessage>,
    done: bool,
}

impl Answer {
    pub(super) fn read(message: &Message) -> Result<Self, LoginError> {
        let mut answer = Self {
            spid: message.spid,
            ..Self::default()
        };
        for token in read_tokens(&message.payload, TdsVersion::V7_4)? {
            answer.take(token);
        }
        Ok(answer)
    }

    /// Takes over what an earlier answer of the same login has acknowledged:
    /// some servers do so along with FEDAUTHINFO.
    pub(super) fn after(mut self, earlier: Self) -> Self {
        self.features.extend(earlier.features);
        self
    }

    /// Whether this lets us in, or sends us on.
    pub(super) fn judge(
        mut self,
        asked: &[Feature],
        by_token: bool,
    ) -> Result<Verdict, LoginError> {
        if let Some(message) = self.telling_error().cloned() {
            self.errors.retain(|other| *other != message);
            return Err(LoginError::Rejected {
                message,
                others: self.errors,
                by_token,
            });
        }
        let unasked = |granted: &&Feature| !asked.iter().any(|feature| feature.id == granted.id);
        if let Some(feature) = self.features.iter().find(unasked) {
            return Err(LoginError::UnaskedFeature(feature.id));
        }
        if !self.done {
            return Err(LoginError::NotDone);
        }
        if let Some(routing) = self.routing() {
            return Ok(Verdict::Routed(routing));
        }
        let ack = self.ack.take().ok_or(LoginError::NotAcknowledged)?;
        let needed = if by_token {
            TdsVersion::V7_4
        } else {
            TdsVersion::V7_2
        };
        if ack.tds_version < needed {
            return Err(LoginError::OldServer {
                granted: ack.tds_version,
                needed,
            });
        }
        match self.features.iter().find(|f| f.id == FeatureId::FEDAUTH) {
            None if by_token => return Err(LoginError::TokenNotAcknowledged),
            Some(fed_auth) if !fed_auth.data.is_empty() => return Err(LoginError::UnaskedNonce),
            _ => {}
        }
        Ok(Verdict::Granted(Box::new(Granted {
            packet_size: self.packet_size()?,
            ack,
            answer: self,
        })))
    }

    /// Where the server sends us. One that does so twice means the last.
    fn routing(&self) -> Option<Routing> {
        self.last(|change| match change {
            EnvChange::Routing(routing) => Some(routing.clone()),
            _ => None,
        })
    }

    /// The packet size from here on, in bytes.
    fn packet_size(&self) -> Result<usize, LoginError> {
        let told = self.last(|change| match change {
            EnvChange::PacketSize { new, .. } => Some(*new),
            _ => None,
        });
        let Some(told) = told else {
            return Ok(DEFAULT_PACKET_SIZE);
        };
        usize::try_from(told)
            .ok()
            .filter(|size| (MIN_PACKET_SIZE..=MAX_PACKET_SIZE).contains(size))
            .ok_or(LoginError::PacketSize(told))
    }

    fn last<T>(&self, pick: impl Fn(&EnvChange) -> Option<T>) -> Option<T> {
        self.env_changes.iter().rev().find_map(pick)
    }

    /// "Login failed" often comes on the heels of what it failed for.
    fn telling_error(&self) -> Option<&ServerMessage> {
        let telling = |message: &&ServerMessage| message.number != LOGIN_FAILED;
        self.errors.iter().find(telling).or(self.errors.first())
    }

    fn take(&mut self, token: Token) {
        match token {
            Token::Error(message) if message.is_error() => self.errors.push(message),
            Token::Error(message) | Token::Info(message) => self.infos.push(message),
            Token::EnvChange(change) => self.env_changes.push(change),
            Token::EnvChanges(changes) => self.env_changes.extend(changes),
            Token::LoginAck(ack) => {
                self.ack = Some(ack);
                // What went before did not keep us out.
                self.infos.append(&mut self.errors);
            }
            Token::FeatureExtAck(features) => self.features.extend(features),
            Token::FedAuthInfo(info) => self.fed_auth_info = Some(info),
            Token::Done(done) => self.done = done.is_final(),
            _ => {}
        }
    }
}
