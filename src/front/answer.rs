//! What a login is answered with, put together from what the real server said.

use crate::session::LoginInfo;
use crate::tds::{
    CHANGED_DATABASE, CHANGED_LANGUAGE, DEFAULT_PACKET_SIZE, Done, DoneStatus, EnvChange, Feature,
    FeatureId, LoginAck, TdsVersion, Token,
};

/// What the answer must know of the LOGIN7 that it answers.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) version: TdsVersion,
    pub(super) features: Vec<FeatureId>,
}

/// The version to speak with a client: what it asked for, unless the server is
/// older. The client's transport decides whether it is 7.4 or 8.0, which have
/// the same tokens.
pub(super) fn granted_version(asked: TdsVersion, server: TdsVersion) -> TdsVersion {
    if server >= TdsVersion::V7_4 {
        asked.round_down()
    } else {
        asked.round_down().min(server)
    }
}

/// The tokens of a successful login, in the order of MS-TDS 4.5.
pub(super) fn login_answer(
    info: &LoginInfo,
    asked: &Asked,
    version: TdsVersion,
    packet_size: usize,
) -> Vec<Token> {
    let notes = |number: i32| infos(info, move |other| other == number);
    let other_notes = infos(info, |number| {
        number != CHANGED_DATABASE && number != CHANGED_LANGUAGE
    });
    let mut tokens = vec![Token::EnvChange(database(info))];
    tokens.extend(notes(CHANGED_DATABASE));
    tokens.extend(collation(info).map(Token::EnvChange));
    tokens.extend(language(info).map(Token::EnvChange));
    tokens.extend(notes(CHANGED_LANGUAGE));
    tokens.extend(other_notes);
    tokens.push(Token::LoginAck(LoginAck {
        tds_version: version,
        ..info.ack.clone()
    }));
    tokens.push(Token::EnvChange(EnvChange::PacketSize {
        new: u32::try_from(packet_size).unwrap_or(u32::MAX),
        old: DEFAULT_PACKET_SIZE as u32,
    }));
    let features = features(info, asked);
    if version >= TdsVersion::V7_4 && !features.is_empty() {
        tokens.push(Token::FeatureExtAck(features));
    }
    tokens.push(Token::Done(Done::new(DoneStatus::FINAL)));
    tokens
}

fn infos(info: &LoginInfo, wanted: impl Fn(i32) -> bool) -> impl Iterator<Item = Token> {
    info.infos
        .iter()
        .filter(move |message| wanted(message.number))
        .cloned()
        .map(Token::Info)
}

/// The last change of the kind that the server reported.
fn last_change(info: &LoginInfo, wanted: impl Fn(&EnvChange) -> bool) -> Option<&EnvChange> {
    info.env_changes.iter().rev().find(|change| wanted(change))
}

/// The database the session is in, said even if the server did not say it:
/// clients learn it from here only.
fn database(info: &LoginInfo) -> EnvChange {
    last_change(info, |change| matches!(change, EnvChange::Database { .. }))
        .cloned()
        .unwrap_or_else(|| EnvChange::Database {
            new: info.database.clone(),
            old: String::new(),
        })
}

fn collation(info: &LoginInfo) -> Option<EnvChange> {
    last_change(info, |change| matches!(change, EnvChange::Collation { .. })).cloned()
}

fn language(info: &LoginInfo) -> Option<EnvChange> {
    last_change(info, |change| matches!(change, EnvChange::Language { .. })).cloned()
}

/// The acknowledged features that the client asked for; a client breaks off
/// when it sees another (MS-TDS 2.2.7.11).
fn features(info: &LoginInfo, asked: &Asked) -> Vec<Feature> {
    // Both speak of the server's address, which is ours to know.
    const OURS: [FeatureId; 3] = [
        FeatureId::FEDAUTH,
        FeatureId::AZURESQLDNSCACHING,
        FeatureId::ENHANCEDROUTINGSUPPORT,
    ];
    let mut features: Vec<Feature> = info
        .features
        .iter()
        .filter(|feature| asked.features.contains(&feature.id) && !OURS.contains(&feature.id))
        .cloned()
        .collect();
    // A client that sent a token of its own must see it acknowledged, or it
    // closes (MS-TDS 3.2.5.4); the token that counted upstream is another.
    if asked.features.contains(&FeatureId::FEDAUTH) {
        features.insert(0, Feature::new(FeatureId::FEDAUTH, []));
    }
    features
}
