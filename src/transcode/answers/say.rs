//! Small tokens, said again for the client.

use super::plan::RawName;
use crate::tds::{
    DecodeError, Done, DoneStatus, EnvChange, LoginAck, Put, Reader, ServerMessage, Token, token_id,
};
use crate::transcode::{Session, TranscodeError, VALUE_TOO_LONG};

/// ERROR or INFO, of which `body` is what its length counts: the line has 2 bytes
/// up to 7.1. The text is not read, so that nothing of it can get lost.
pub(super) fn put_message(
    token: u8,
    body: &[u8],
    session: &Session,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    out.put_u8(token);
    if !session.version.is_7_1() {
        return put_counted(body, out);
    }
    let what = if token == token_id::ERROR {
        "ERROR"
    } else {
        "INFO"
    };
    let mut reader = Reader::named(what, body);
    reader.skip(6)?;
    let units = reader.u16_le()?;
    reader.skip(usize::from(units) * 2)?;
    for _ in 0..2 {
        let units = reader.u8()?;
        reader.skip(usize::from(units) * 2)?;
    }
    let front = body.get(..reader.position()).unwrap_or_default();
    let line = u16::try_from(reader.u32_le()?).unwrap_or(u16::MAX);
    put_length(front.len() + 2, out)?;
    out.put_slice(front);
    out.put_u16_le(line);
    Ok(())
}

/// ENVCHANGE, of which `body` is what follows the token byte; nothing if the
/// client does not know any of its changes.
pub(super) fn put_env_change(
    body: &[u8],
    session: &mut Session,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let Some((&length, values)) = body.split_first_chunk() else {
        return Ok(());
    };
    let mut reader = Reader::named("ENVCHANGE", values);
    if u16::from_le_bytes(length) > 0 && EnvChange::is_promotion(&reader) {
        if !session.version.is_7_1() {
            out.put_u8(token_id::ENVCHANGE);
            out.put_slice(body);
        }
        return Ok(());
    }
    let start = out.len();
    out.put_slice(&[token_id::ENVCHANGE, 0, 0]);
    while !reader.is_empty() {
        let from = reader.position();
        let change = EnvChange::decode(&mut reader)?;
        if knows(session, &change) {
            out.put_slice(values.get(from..reader.position()).unwrap_or_default());
        }
        take_note(&change, session);
    }
    let kept = out.len().saturating_sub(start + 3);
    let Ok(length @ 1..) = u16::try_from(kept) else {
        out.truncate(start);
        return Ok(());
    };
    if let Some(place) = out.get_mut(start + 1..start + 3) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

/// Whether a client hears of a change. Of packet sizes it knows its own, and
/// where its session is, is not its affair.
fn knows(session: &Session, change: &EnvChange) -> bool {
    match change.env_type() {
        1..=3 | 5..=7 => true,
        8..=12 | 15..=19 => !session.version.is_7_1(),
        _ => false,
    }
}

fn take_note(change: &EnvChange, session: &mut Session) {
    match change {
        EnvChange::BeginTransaction(descriptor) => session.descriptor = *descriptor,
        EnvChange::CommitTransaction(_) | EnvChange::RollbackTransaction(_) => {
            session.descriptor = 0;
        }
        EnvChange::Distributed { env_type, new, old } => {
            session.descriptor = match env_type {
                11 => new.or(*old).unwrap_or_default(),
                _ => 0,
            };
        }
        EnvChange::Collation { new, .. } => {
            if let Ok(collation) = new.as_slice().try_into() {
                session.collation.0 = collation;
            }
        }
        _ => {}
    }
}

/// TABNAME, of which `body` is what its length counts, for the first form of
/// 7.1, where each table is one text.
pub(super) fn put_joined_tables(body: &[u8], out: &mut Vec<u8>) -> Result<(), TranscodeError> {
    let mut reader = Reader::named("TABNAME", body);
    let mut joined = Vec::new();
    while !reader.is_empty() {
        let name = RawName::read(&mut reader).map_err(TranscodeError::Answer)?;
        name.write(true, &mut joined)?;
    }
    out.put_u8(token_id::TABNAME);
    let put = out.put_us_varbyte("TABNAME", &joined);
    put.map_err(TranscodeError::Unsayable)
}

/// LOGINACK, of which `body` is what its length counts, with the client's version;
/// the server's own stays, since drivers decide by it what they may ask.
pub(super) fn put_login_ack(
    body: &[u8],
    session: &Session,
    out: &mut Vec<u8>,
) -> Result<(), TranscodeError> {
    let mut ack = LoginAck::decode(body).map_err(TranscodeError::Answer)?;
    ack.tds_version = session.version.tds_version();
    let put = Token::LoginAck(ack).encode(session.version.tds_version(), out);
    put.map_err(TranscodeError::Unsayable)
}

/// DONE and its kin; `failed` if what it ends could not be said.
pub(super) fn put_done(mut done: Done, failed: bool, session: &Session, out: &mut Vec<u8>) {
    if failed {
        done.status.0 &= !DoneStatus::COUNT.0;
        done.status.insert(DoneStatus::ERROR);
        done.row_count = 0;
    }
    if session.version.is_7_1() {
        // The count is a signed number there.
        done.row_count = done.row_count.min(0x7FFF_FFFF);
    }
    done.encode(session.version.tds_version(), out);
}

/// Why rows do not come, as an ERROR token.
pub(super) fn row_too_long(session: &Session) -> Result<Vec<u8>, TranscodeError> {
    let limit = session.hold_limit;
    let version = session.version.tds_version();
    error(
        format!(
            "Entrada: the rest of this result cannot be sent. A client of TDS {version} gets the \
             length of a text, ntext or image before the value, and the server sends a value \
             without it, or one of more than 2 GB; only {limit} bytes of a row may be held. Raise \
             [limits] transcode_buffer, cast the value to a shorter type, or use a client of TDS \
             7.2 or later."
        ),
        session,
    )
}

/// Why an output value does not come, as an ERROR token.
pub(super) fn output_too_long(session: &Session) -> Result<Vec<u8>, TranscodeError> {
    let version = session.version.tds_version();
    error(
        format!(
            "Entrada: an output value cannot be sent. With its name it may have 65535 bytes for \
             a client of TDS {version}. Return it as a result instead, cast it to a shorter type, \
             or use a client of TDS 7.2 or later."
        ),
        session,
    )
}

fn error(text: String, session: &Session) -> Result<Vec<u8>, TranscodeError> {
    let message = ServerMessage {
        server: "entrada".to_owned(),
        ..ServerMessage::new(VALUE_TOO_LONG, 1, 16, text)
    };
    let mut token = Vec::new();
    Token::Error(message)
        .encode(session.version.tds_version(), &mut token)
        .map_err(TranscodeError::Unsayable)?;
    Ok(token)
}

/// Bytes with their length of 2 bytes.
pub(super) fn put_counted(body: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    put_length(body.len(), out)?;
    out.put_slice(body);
    Ok(())
}

fn put_length(len: usize, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let length = u16::try_from(len).map_err(|_| DecodeError::TooLong {
        what: "a token of the response",
        len: len as u64,
        max: u16::MAX.into(),
    })?;
    out.put_u16_le(length);
    Ok(())
}
