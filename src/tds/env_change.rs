//! ENVCHANGE: the server tells that a setting of the session has changed
//! (MS-TDS 2.2.7.9).

#[cfg(test)]
mod tests;

use super::{DecodeError, EncodeError, Put, Reader};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvChange {
    /// Type 1: the current database.
    Database {
        /// The database now.
        new: String,
        /// The database before.
        old: String,
    },
    /// Type 2: the language of messages and dates.
    Language {
        /// The language now.
        new: String,
        /// The language before.
        old: String,
    },
    /// Type 4: the packet size in bytes, in force after this message.
    PacketSize {
        /// The size now.
        new: u32,
        /// The size before.
        old: u32,
    },
    /// Type 7: the collation, 5 bytes or none.
    Collation {
        /// The collation now.
        new: Vec<u8>,
        /// The collation before.
        old: Vec<u8>,
    },
    /// Type 8: a transaction began; its descriptor.
    BeginTransaction(u64),
    /// Type 9: the transaction with this descriptor was committed.
    CommitTransaction(u64),
    /// Type 10: the transaction with this descriptor was rolled back.
    RollbackTransaction(u64),
    /// Types 11, 12 and 17: a distributed or bound transaction was entered
    /// (11), left (12) or ended (17). The specification contradicts itself on
    /// which side holds the descriptor, so both are optional.
    Distributed {
        /// 11, 12 or 17.
        env_type: u8,
        /// The descriptor on the new side.
        new: Option<u64>,
        /// The descriptor on the old side.
        old: Option<u64>,
    },
    /// Type 13: the mirroring partner.
    MirrorPartner(String),
    /// Type 15: the transaction was promoted; the coordinator's token.
    Promoted(Vec<u8>),
    /// Type 18: the session was reset as RESETCONNECTION asked.
    ResetAcknowledged,
    /// Type 19: the name of the user instance that was started.
    UserInstance(String),
    /// Type 20, or 21 if a database is named: log in there instead.
    Routing(Routing),
    /// Any other type, with the bytes of both values.
    Other {
        /// The type.
        env_type: u8,
        /// Both values as they stand.
        data: Vec<u8>,
    },
}

/// Where to log in instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// 0 for TCP, the only one.
    pub protocol: u8,
    /// TCP port; never 0.
    pub port: u16,
    /// Host, which may be followed by `\instance`.
    pub server: String,
    /// The database to ask for there; only if the login asked for
    /// ENHANCEDROUTINGSUPPORT.
    pub database: Option<String>,
}

impl EnvChange {
    /// The change's type number.
    #[must_use]
    pub fn env_type(&self) -> u8 {
        match self {
            Self::Database { .. } => DATABASE,
            Self::Language { .. } => LANGUAGE,
            Self::PacketSize { .. } => PACKET_SIZE,
            Self::Collation { .. } => COLLATION,
            Self::BeginTransaction(_) => BEGIN_TRANSACTION,
            Self::CommitTransaction(_) => COMMIT_TRANSACTION,
            Self::RollbackTransaction(_) => ROLLBACK_TRANSACTION,
            Self::MirrorPartner(_) => MIRROR_PARTNER,
            Self::Promoted(_) => PROMOTED,
            Self::ResetAcknowledged => RESET_ACKNOWLEDGED,
            Self::UserInstance(_) => USER_INSTANCE,
            Self::Routing(routing) if routing.database.is_some() => ENHANCED_ROUTING,
            Self::Routing(_) => ROUTING,
            Self::Distributed { env_type, .. } | Self::Other { env_type, .. } => *env_type,
        }
    }

    /// Appends what follows the token byte: the length, the type, both values.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] if a value does not fit its length.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let Self::Promoted(token) = self {
            // The length counts the type only; servers do it, readers expect it.
            out.put_u16_le(1);
            out.put_u8(PROMOTED);
            out.put_l_varbyte("the transaction token", token)?;
            out.put_u8(0);
            return Ok(());
        }
        out.len_prefixed_u16("ENVCHANGE", |out| {
            out.put_u8(self.env_type());
            self.encode_values(out)
        })
    }

    fn encode_values(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Database { new, old } => put_texts("the database name", new, old, out),
            Self::Language { new, old } => put_texts("the language", new, old, out),
            Self::PacketSize { new, old } => {
                put_texts("the packet size", &new.to_string(), &old.to_string(), out)
            }
            Self::Collation { new, old } => {
                out.put_b_varbyte("the collation", new)?;
                out.put_b_varbyte("the collation", old)
            }
            Self::BeginTransaction(descriptor) => {
                put_descriptors(Some(*descriptor), None, out);
                Ok(())
            }
            Self::CommitTransaction(descriptor) | Self::RollbackTransaction(descriptor) => {
                put_descriptors(None, Some(*descriptor), out);
                Ok(())
            }
            Self::Distributed { new, old, .. } => {
                put_descriptors(*new, *old, out);
                Ok(())
            }
            Self::MirrorPartner(name) | Self::UserInstance(name) => {
                put_texts("the name", name, "", out)
            }
            Self::Routing(routing) => routing.encode(out),
            Self::Other { data, .. } => {
                out.put_slice(data);
                Ok(())
            }
            Self::ResetAcknowledged => {
                out.put_slice(&[0, 0]);
                Ok(())
            }
            // `encode` has dealt with it.
            Self::Promoted(_) => Ok(()),
        }
    }

    /// Reads what follows the token byte. One token may hold several changes.
    ///
    /// # Errors
    /// [`DecodeError`] if a value does not fit the token or its type.
    pub fn decode_all(reader: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let len = reader.u16_le()?;
        if len > 0 && Self::is_promotion(reader) {
            reader.skip(1)?;
            let token = reader.l_varbyte()?.to_vec();
            reader.b_varbyte()?;
            return Ok(vec![Self::Promoted(token)]);
        }
        let mut body = Reader::named(WHAT, reader.take(len.into())?);
        let mut changes = Vec::new();
        while !body.is_empty() {
            changes.push(Self::decode(&mut body)?);
        }
        Ok(changes)
    }

    /// The bytes of what follows the token byte; the length of a promotion lies.
    pub(crate) fn take<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
        let mut ahead = reader.clone();
        let len = ahead.u16_le();
        let promoted = len.as_ref().is_ok_and(|&len| len > 0) && Self::is_promotion(&ahead);
        let body = match len {
            Ok(_) if promoted => ahead
                .skip(1)
                .and_then(|()| ahead.l_varbyte())
                .and_then(|_| ahead.b_varbyte())
                .map(drop),
            // Its type tells whether the length is to be believed.
            Ok(1..) if ahead.is_empty() => ahead.skip(1),
            Ok(len) => ahead.skip(len.into()),
            Err(error) => Err(error),
        };
        let read = ahead.position() - reader.position();
        match body {
            Ok(()) => reader.take(read),
            // Counted from `reader`, which has not moved.
            Err(DecodeError::Truncated { need, .. }) => reader.take(read.saturating_add(need)),
            Err(error) => Err(error),
        }
    }

    /// Whether the type that stands next is 15, whose token length is not to be
    /// believed.
    pub(crate) fn is_promotion(reader: &Reader<'_>) -> bool {
        reader.peek() == Some(PROMOTED)
    }

    /// Reads one change, from its type on.
    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let env_type = body.u8()?;
        Ok(match env_type {
            DATABASE => Self::Database {
                new: body.b_varchar()?,
                old: body.b_varchar()?,
            },
            LANGUAGE => Self::Language {
                new: body.b_varchar()?,
                old: body.b_varchar()?,
            },
            PACKET_SIZE => Self::PacketSize {
                new: decimal(&body.b_varchar()?)?,
                old: decimal(&body.b_varchar()?)?,
            },
            COLLATION => Self::Collation {
                new: body.b_varbyte()?.to_vec(),
                old: body.b_varbyte()?.to_vec(),
            },
            BEGIN_TRANSACTION => Self::BeginTransaction(one(descriptors(body)?)?),
            COMMIT_TRANSACTION => Self::CommitTransaction(one(descriptors(body)?)?),
            ROLLBACK_TRANSACTION => Self::RollbackTransaction(one(descriptors(body)?)?),
            ENLIST_DTC | DEFECT_DTC | TRANSACTION_ENDED => {
                let (new, old) = descriptors(body)?;
                Self::Distributed { env_type, new, old }
            }
            MIRROR_PARTNER => Self::MirrorPartner(text_alone(body)?),
            USER_INSTANCE => Self::UserInstance(text_alone(body)?),
            RESET_ACKNOWLEDGED => {
                body.b_varbyte()?;
                body.b_varbyte()?;
                Self::ResetAcknowledged
            }
            ROUTING | ENHANCED_ROUTING => Self::Routing(Routing::decode(env_type, body)?),
            _ => Self::Other {
                env_type,
                data: body.take(body.remaining())?.to_vec(),
            },
        })
    }
}

impl Routing {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.len_prefixed_u16("the route", |out| {
            out.put_u8(self.protocol);
            out.put_u16_le(self.port);
            out.put_us_varchar("the server name", &self.server)?;
            match &self.database {
                Some(database) => out.put_us_varchar("the database name", database),
                None => Ok(()),
            }
        })?;
        out.put_u16_le(0);
        Ok(())
    }

    fn decode(env_type: u8, body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut route = Reader::named(WHAT, body.us_varbyte()?);
        let routing = Self {
            protocol: route.u8()?,
            port: route.u16_le()?,
            server: route.us_varchar()?,
            database: match env_type {
                ENHANCED_ROUTING => Some(route.us_varchar()?),
                _ => None,
            },
        };
        // Some gateways leave the old value out altogether.
        if !body.is_empty() {
            body.us_varbyte()?;
        }
        if routing.port == 0 || routing.server.is_empty() {
            return Err(invalid("the route names no server or no port"));
        }
        Ok(routing)
    }
}

const WHAT: &str = "ENVCHANGE";
const DATABASE: u8 = 1;
const LANGUAGE: u8 = 2;
const PACKET_SIZE: u8 = 4;
const COLLATION: u8 = 7;
const BEGIN_TRANSACTION: u8 = 8;
const COMMIT_TRANSACTION: u8 = 9;
const ROLLBACK_TRANSACTION: u8 = 10;
const ENLIST_DTC: u8 = 11;
const DEFECT_DTC: u8 = 12;
const MIRROR_PARTNER: u8 = 13;
const PROMOTED: u8 = 15;
const TRANSACTION_ENDED: u8 = 17;
const RESET_ACKNOWLEDGED: u8 = 18;
const USER_INSTANCE: u8 = 19;
const ROUTING: u8 = 20;
const ENHANCED_ROUTING: u8 = 21;

fn put_texts(
    what: &'static str,
    new: &str,
    old: &str,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    out.put_b_varchar(what, new)?;
    out.put_b_varchar(what, old)
}

fn put_descriptors(new: Option<u64>, old: Option<u64>, out: &mut Vec<u8>) {
    for side in [new, old] {
        match side {
            Some(descriptor) => {
                out.put_u8(8);
                out.put_u64_le(descriptor);
            }
            None => out.put_u8(0),
        }
    }
}

fn descriptors(body: &mut Reader<'_>) -> Result<(Option<u64>, Option<u64>), DecodeError> {
    Ok((descriptor(body)?, descriptor(body)?))
}

fn descriptor(body: &mut Reader<'_>) -> Result<Option<u64>, DecodeError> {
    match body.b_varbyte()? {
        [] => Ok(None),
        bytes => match bytes.try_into() {
            Ok(bytes) => Ok(Some(u64::from_le_bytes(bytes))),
            Err(_) => Err(invalid("a transaction descriptor is not 8 bytes long")),
        },
    }
}

fn one((new, old): (Option<u64>, Option<u64>)) -> Result<u64, DecodeError> {
    new.or(old)
        .ok_or_else(|| invalid("the transaction descriptor is missing"))
}

fn text_alone(body: &mut Reader<'_>) -> Result<String, DecodeError> {
    let text = body.b_varchar()?;
    body.b_varbyte()?;
    Ok(text)
}

/// The packet size is sent as decimal text; an empty old value counts as 0.
fn decimal(text: &str) -> Result<u32, DecodeError> {
    match text.trim_end_matches('\0') {
        "" => Ok(0),
        digits => digits
            .parse()
            .map_err(|_| invalid("the packet size is not a number")),
    }
}

fn invalid(problem: &'static str) -> DecodeError {
    DecodeError::Invalid {
        what: WHAT,
        problem,
    }
}
