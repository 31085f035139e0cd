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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tds::{Done, DoneStatus, PacketStatus, PacketType};

    fn message(payload: Vec<u8>) -> Message {
        Message {
            packet_type: PacketType::TABULAR_RESULT,
            status: PacketStatus::EOM,
            spid: 51,
            payload,
        }
    }

    fn ack() -> Token {
        Token::LoginAck(LoginAck {
            interface: 1,
            tds_version: TdsVersion::V7_4,
            program_name: LoginAck::PROGRAM_NAME.to_owned(),
            version: [12, 0, 8, 0],
        })
    }

    fn done() -> Token {
        Token::Done(Done::new(DoneStatus::FINAL))
    }

    fn encoded(tokens: &[Token]) -> Vec<u8> {
        let mut payload = Vec::new();
        for token in tokens {
            token.encode(TdsVersion::V7_4, &mut payload).unwrap();
        }
        payload
    }

    fn verdict(tokens: &[Token]) -> Result<Verdict, LoginError> {
        Answer::read(&message(encoded(tokens)))?.judge(&[], false)
    }

    fn error(number: i32, class: u8) -> Token {
        Token::Error(ServerMessage::new(number, 1, class, "text"))
    }

    #[test]
    fn the_order_of_tokens_does_not_matter() {
        let routing = Token::EnvChange(EnvChange::Routing(Routing {
            protocol: 0,
            port: 11_000,
            server: "node".to_owned(),
            database: None,
        }));
        for tokens in [
            [ack(), routing.clone(), done()],
            [routing.clone(), ack(), done()],
        ] {
            assert!(matches!(verdict(&tokens), Ok(Verdict::Routed(_))));
        }
        // A redirect needs no acknowledgement before it.
        assert!(matches!(
            verdict(&[routing, done()]),
            Ok(Verdict::Routed(_))
        ));
    }

    #[test]
    fn only_an_error_after_the_acknowledgement_keeps_us_out() {
        let Ok(Verdict::Granted(granted)) = verdict(&[error(911, 16), ack(), done()]) else {
            panic!("an error that the server got over")
        };
        assert_eq!(granted.answer.infos.len(), 1);
        assert_eq!(granted.packet_size, DEFAULT_PACKET_SIZE);
        assert!(verdict(&[ack(), error(40613, 20), done()]).is_err());
        assert!(verdict(&[ack(), error(5701, 10), done()]).is_ok());
    }

    #[test]
    fn the_last_change_counts() {
        let size = |new| Token::EnvChange(EnvChange::PacketSize { new, old: 4096 });
        let Ok(Verdict::Granted(granted)) = verdict(&[size(100), ack(), size(8000), done()]) else {
            panic!("granted")
        };
        assert_eq!(granted.packet_size, 8000);
    }

    #[test]
    fn no_damage_panics() {
        let features = Token::FeatureExtAck(vec![Feature::new(FeatureId::FEDAUTH, [])]);
        let whole = encoded(&[error(18456, 14), ack(), features, done()]);
        for at in 0..whole.len() {
            let _ = Answer::read(&message(whole[..at].to_vec())).map(|a| a.judge(&[], true));
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                let _ = Answer::read(&message(damaged)).map(|a| a.judge(&[], true));
            }
        }
    }
}
