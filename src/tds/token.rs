//! The token stream of a server's message (MS-TDS 2.2.7).

use super::feature_ext::{decode_features, encode_features};
use super::{
    DecodeError, Done, DoneKind, EncodeError, EnvChange, Feature, FedAuthInfo, LoginAck, Put,
    Reader, ServerMessage, TdsVersion,
};

/// One token of a login's response, and the ones that may come with any other.
///
/// Tokens that carry columns and rows are walked over by
/// [`ResponseWalker`](super::ResponseWalker) instead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Token {
    /// 0xAA: something failed.
    Error(ServerMessage),
    /// 0xAB: a message for the user.
    Info(ServerMessage),
    /// 0xE3: a setting of the session has changed.
    EnvChange(EnvChange),
    /// 0xE3 with several changes, which [`read_token`] alone returns.
    EnvChanges(Vec<EnvChange>),
    /// 0xAD: the login is accepted.
    LoginAck(LoginAck),
    /// 0xAE: the features that the server grants.
    FeatureExtAck(Vec<Feature>),
    /// 0xEE: where to get a token.
    FedAuthInfo(FedAuthInfo),
    /// 0xFD, 0xFE, 0xFF.
    Done(Done),
    /// 0xE4: what to send when recovering this session, as it stands.
    SessionState(Vec<u8>),
    /// 0xED: the next blob of integrated login.
    Sspi(Vec<u8>),
    /// 0xA9: the columns that the result is sorted by, as it stands.
    Order(Vec<u8>),
    /// 0x79: a procedure's return value.
    ReturnStatus(i32),
}

impl Token {
    /// Appends the token, its token byte included, as this version has it.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] if something does not fit its length.
    pub fn encode(&self, version: TdsVersion, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Error(message) | Self::Info(message) => {
                let error = matches!(self, Self::Error(_));
                out.put_u8(if error {
                    token_id::ERROR
                } else {
                    token_id::INFO
                });
                message.encode(version, out)
            }
            Self::EnvChange(change) => {
                out.put_u8(token_id::ENVCHANGE);
                change.encode(out)
            }
            Self::EnvChanges(changes) => changes.iter().try_for_each(|change| {
                out.put_u8(token_id::ENVCHANGE);
                change.encode(out)
            }),
            Self::LoginAck(ack) => {
                out.put_u8(token_id::LOGINACK);
                ack.encode(out)
            }
            Self::FeatureExtAck(features) => {
                out.put_u8(token_id::FEATUREEXTACK);
                encode_features(features, out)
            }
            Self::FedAuthInfo(info) => {
                out.put_u8(token_id::FEDAUTHINFO);
                info.encode(out)
            }
            Self::Done(done) => {
                done.encode(version, out);
                Ok(())
            }
            Self::SessionState(data) => {
                out.put_u8(token_id::SESSIONSTATE);
                out.put_l_varbyte("SESSIONSTATE", data)
            }
            Self::Sspi(data) => {
                out.put_u8(token_id::SSPI);
                out.put_us_varbyte("the SSPI blob", data)
            }
            Self::Order(data) => {
                out.put_u8(token_id::ORDER);
                out.put_us_varbyte("ORDER", data)
            }
            Self::ReturnStatus(value) => {
                out.put_u8(token_id::RETURNSTATUS);
                out.put_i32_le(*value);
                Ok(())
            }
        }
    }
}

/// Reads all tokens of a whole message; changes that share a token come apart.
///
/// # Errors
/// As [`read_token`].
pub fn read_tokens(payload: &[u8], version: TdsVersion) -> Result<Vec<Token>, DecodeError> {
    let mut reader = Reader::named("the response", payload);
    let mut tokens = Vec::new();
    while !reader.is_empty() {
        match read_token(&mut reader, version)? {
            Token::EnvChanges(changes) => {
                tokens.extend(changes.into_iter().map(Token::EnvChange));
            }
            token => tokens.push(token),
        }
    }
    Ok(tokens)
}

/// Reads one token of a login's response.
///
/// An ENVCHANGE token with exactly one change, which is what servers send,
/// comes as [`Token::EnvChange`].
///
/// # Errors
/// [`DecodeError::UnknownToken`] for any other token, since there is no safe
/// way past it; else what is wrong with the token's content.
pub fn read_token(reader: &mut Reader<'_>, version: TdsVersion) -> Result<Token, DecodeError> {
    let token = reader.u8()?;
    if let Some(kind) = DoneKind::from_token(token) {
        return Done::decode(kind, version, reader).map(Token::Done);
    }
    Ok(match token {
        token_id::ERROR => {
            Token::Error(ServerMessage::decode(version, true, reader.us_varbyte()?)?)
        }
        token_id::INFO => Token::Info(ServerMessage::decode(version, false, reader.us_varbyte()?)?),
        token_id::ENVCHANGE => {
            let mut changes = EnvChange::decode_all(reader)?;
            match changes.pop() {
                Some(change) if changes.is_empty() => Token::EnvChange(change),
                last => Token::EnvChanges(changes.into_iter().chain(last).collect()),
            }
        }
        token_id::LOGINACK => Token::LoginAck(LoginAck::decode(reader.us_varbyte()?)?),
        token_id::FEATUREEXTACK => Token::FeatureExtAck(decode_features(reader)?),
        token_id::FEDAUTHINFO => Token::FedAuthInfo(FedAuthInfo::decode(reader.l_varbyte()?)?),
        token_id::SESSIONSTATE => Token::SessionState(reader.l_varbyte()?.to_vec()),
        token_id::SSPI => Token::Sspi(reader.us_varbyte()?.to_vec()),
        token_id::ORDER => Token::Order(reader.us_varbyte()?.to_vec()),
        token_id::RETURNSTATUS => Token::ReturnStatus(reader.i32_le()?),
        token => return Err(DecodeError::UnknownToken { token }),
    })
}

/// The token bytes (MS-TDS 2.2.7), except for the DONE family, which is in
/// [`DoneKind`].
pub mod token_id {
    /// OFFSET, which servers before 2005 sent.
    pub const OFFSET: u8 = 0x78;
    /// RETURNSTATUS.
    pub const RETURNSTATUS: u8 = 0x79;
    /// COLMETADATA.
    pub const COLMETADATA: u8 = 0x81;
    /// ALTMETADATA, which servers before 2012 sent.
    pub const ALTMETADATA: u8 = 0x88;
    /// DATACLASSIFICATION, in sessions that negotiated it.
    pub const DATACLASSIFICATION: u8 = 0xA3;
    /// TABNAME.
    pub const TABNAME: u8 = 0xA4;
    /// COLINFO.
    pub const COLINFO: u8 = 0xA5;
    /// ORDER.
    pub const ORDER: u8 = 0xA9;
    /// ERROR.
    pub const ERROR: u8 = 0xAA;
    /// INFO.
    pub const INFO: u8 = 0xAB;
    /// RETURNVALUE.
    pub const RETURNVALUE: u8 = 0xAC;
    /// LOGINACK.
    pub const LOGINACK: u8 = 0xAD;
    /// FEATUREEXTACK.
    pub const FEATUREEXTACK: u8 = 0xAE;
    /// ROW.
    pub const ROW: u8 = 0xD1;
    /// NBCROW.
    pub const NBCROW: u8 = 0xD2;
    /// ALTROW, which servers before 2012 sent.
    pub const ALTROW: u8 = 0xD3;
    /// ENVCHANGE.
    pub const ENVCHANGE: u8 = 0xE3;
    /// SESSIONSTATE.
    pub const SESSIONSTATE: u8 = 0xE4;
    /// SSPI.
    pub const SSPI: u8 = 0xED;
    /// FEDAUTHINFO.
    pub const FEDAUTHINFO: u8 = 0xEE;
}
