//! The answers to LOGIN7.

use crate::emulator::engine::SessionInfo;
use crate::tds::{
    CHANGED_DATABASE, CHANGED_LANGUAGE, Done, DoneStatus, EncodeError, EnvChange, Feature,
    FeatureId, Login7, LoginAck, Routing, ServerMessage, TdsVersion, Token,
};

/// A login that succeeded.
#[derive(Debug)]
pub(super) struct Accepted<'a> {
    pub(super) login: &'a Login7,
    pub(super) version: TdsVersion,
    pub(super) session: &'a SessionInfo,
    pub(super) server_name: &'a str,
    pub(super) packet_size: usize,
    /// Where to go instead.
    pub(super) routing: Option<Routing>,
}

impl Accepted<'_> {
    /// The tokens, in the order of SQL Server's own 7.4 answers (MS-TDS 4.5).
    pub(super) fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        for token in self.tokens() {
            token.encode(self.version, &mut out)?;
        }
        Ok(out)
    }

    fn tokens(&self) -> Vec<Token> {
        let SessionInfo {
            database,
            language,
            collation,
            ..
        } = self.session;
        let env = Token::EnvChange;
        let mut tokens = vec![
            env(EnvChange::Database {
                new: database.clone(),
                old: "master".into(),
            }),
            self.info(
                CHANGED_DATABASE,
                2,
                format!("Changed database context to '{database}'."),
            ),
            env(EnvChange::Collation {
                new: collation.to_vec(),
                old: Vec::new(),
            }),
            env(EnvChange::Language {
                new: language.clone(),
                old: String::new(),
            }),
            self.info(
                CHANGED_LANGUAGE,
                1,
                format!("Changed language setting to {language}."),
            ),
            Token::LoginAck(LoginAck {
                interface: 1,
                tds_version: self.version,
                program_name: LoginAck::PROGRAM_NAME.to_owned(),
                version: self.session.version,
            }),
            // One client counts on this even if the size stays what it was.
            env(EnvChange::PacketSize {
                new: u32::try_from(self.packet_size).unwrap_or(u32::MAX),
                old: 4096,
            }),
        ];
        let features = acknowledged(self.login);
        if !features.is_empty() {
            tokens.push(Token::FeatureExtAck(features));
        }
        tokens.extend(
            self.routing
                .clone()
                .map(|routing| env(EnvChange::Routing(routing))),
        );
        tokens.push(Token::Done(Done::new(DoneStatus::FINAL)));
        tokens
    }

    fn info(&self, number: i32, state: u8, text: String) -> Token {
        let mut message = ServerMessage::new(number, state, 0, text);
        self.server_name.clone_into(&mut message.server);
        message.line = 1;
        Token::Info(message)
    }
}

/// ERROR and a DONE that says so; the connection is closed after it.
pub(super) fn refused(
    mut error: ServerMessage,
    server_name: &str,
    version: TdsVersion,
) -> Result<Vec<u8>, EncodeError> {
    server_name.clone_into(&mut error.server);
    error.line = error.line.max(1);
    let mut out = Vec::new();
    Token::Error(error).encode(version, &mut out)?;
    Token::Done(Done::new(DoneStatus::ERROR)).encode(version, &mut out)?;
    Ok(out)
}

/// Features that are granted: those that were asked for and cost no other change of the stream.
fn acknowledged(login: &Login7) -> Vec<Feature> {
    let answer = |feature: &Feature| match feature.id {
        FeatureId::FEDAUTH => Some(Feature::new(feature.id, [])),
        FeatureId::AZURESQLSUPPORT | FeatureId::UTF8_SUPPORT => Some(Feature::new(feature.id, [1])),
        _ => None,
    };
    login.features.iter().filter_map(answer).collect()
}
