//! Requests that do not pass as they are: statements for Entra put into others, and calls that would
//! lead out of the user's context.

use super::rewrite::rewritten;
use crate::emulator::Directory;
use crate::tds::{
    Collation, PacketType, Place, Put, Reader, ServerMessage, TypeId, TypeInfo, parse_all_headers,
};

/// The number of `sp_executesql` among the procedures that have one (MS-TDS 2.2.6.6).
const SP_EXECUTESQL: u16 = 10;
/// Stands in place of a name's length before such a number.
const BY_NUMBER: u16 = 0xFFFF;

/// The request as the server is to have it; `None` if that is as it came. What cannot be read is
/// for the server to judge.
///
/// # Errors
/// What the client is told instead of an answer of the server.
pub(super) fn translated(
    packet_type: PacketType,
    payload: &[u8],
    directory: &dyn Directory,
) -> Result<Option<Vec<u8>>, ServerMessage> {
    let Ok((_, content)) = parse_all_headers(payload) else {
        return Ok(None);
    };
    let headers = payload.get(..payload.len() - content.len());
    let new = match packet_type {
        PacketType::SQL_BATCH => batch(content, directory)?,
        PacketType::RPC => call(content, directory)?,
        _ => None,
    };
    Ok(new.map(|new| [headers.unwrap_or_default(), &new].concat()))
}

fn batch(content: &[u8], directory: &dyn Directory) -> Result<Option<Vec<u8>>, ServerMessage> {
    match text(content) {
        Some(sql) => Ok(rewritten(&sql, directory)?.map(|new| utf16(&new))),
        None => Ok(None),
    }
}

/// The text of a first call of `sp_executesql`.
fn call(content: &[u8], directory: &dyn Directory) -> Result<Option<Vec<u8>>, ServerMessage> {
    let Some(statement) = Statement::of(content) else {
        return Ok(None);
    };
    let Some(new) = rewritten(&statement.sql, directory)? else {
        return Ok(None);
    };
    let info = TypeInfo::ShortLen {
        id: TypeId::NVARCHAR,
        max: TypeInfo::MAX,
        collation: collation(&statement.type_info),
    };
    let mut out = statement.before.to_vec();
    let place = Place::Parameter;
    let written = info
        .encode(place, &mut out)
        .and_then(|()| info.write_value(place, Some(&utf16(&new)), &mut out));
    out.put_slice(statement.after);
    Ok(written.ok().map(|()| out))
}

/// Whether the request calls the procedure by which old clients reset a session.
pub(super) fn resets_by_name(packet_type: PacketType, start: &[u8]) -> bool {
    let Ok((_, content)) = parse_all_headers(start) else {
        return false;
    };
    packet_type == PacketType::RPC
        && matches!(procedure(&mut Reader::new(content)), Some(Procedure::Name(name))
            if name.ends_with("sp_reset_connection"))
}

/// The first parameter of `sp_executesql`, in its place.
struct Statement<'a> {
    before: &'a [u8],
    type_info: TypeInfo,
    sql: String,
    after: &'a [u8],
}

impl<'a> Statement<'a> {
    fn of(content: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(content);
        let executes = match procedure(&mut reader)? {
            Procedure::Number(number) => number == SP_EXECUTESQL,
            Procedure::Name(name) => name.ends_with("sp_executesql"),
        };
        if !executes {
            return None;
        }
        // Option flags; the parameter's name and status.
        reader.skip(2).ok()?;
        reader.b_varchar().ok()?;
        reader.skip(1).ok()?;
        let before = content.get(..reader.position())?;
        let type_info = TypeInfo::decode(Place::Parameter, &mut reader).ok()?;
        if !matches!(type_info.id(), TypeId::NVARCHAR | TypeId::NTEXT) {
            return None;
        }
        let value = type_info.read_value(Place::Parameter, &mut reader).ok()??;
        Some(Self {
            before,
            type_info,
            sql: text(&value)?,
            after: reader.rest(),
        })
    }
}

enum Procedure {
    Number(u16),
    /// In lower case, without the brackets.
    Name(String),
}

fn procedure(reader: &mut Reader<'_>) -> Option<Procedure> {
    Some(match reader.u16_le().ok()? {
        BY_NUMBER => Procedure::Number(reader.u16_le().ok()?),
        units => {
            let name = reader.utf16(units.into()).ok()?;
            Procedure::Name(name.replace(['[', ']', '"'], "").to_lowercase())
        }
    })
}

fn collation(info: &TypeInfo) -> Option<Collation> {
    match info {
        TypeInfo::ShortLen { collation, .. } | TypeInfo::LongLen { collation, .. } => *collation,
        _ => None,
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    Reader::new(bytes).utf16(bytes.len() / 2).ok()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::InMemoryDirectory;
    use crate::tds::all_headers;

    const CREATE: &str = "CREATE USER u WITH SID = 0x00112233445566778899AABBCCDDEEFF, TYPE = E";

    fn translate(packet_type: PacketType, content: &[u8]) -> Option<Vec<u8>> {
        let payload = [&all_headers(7), content].concat();
        translated(packet_type, &payload, &InMemoryDirectory::new()).unwrap()
    }

    fn call_of(name: &[u8], info: &TypeInfo, sql: &str) -> Vec<u8> {
        let mut content = [name, &[0, 0, 0, 0]].concat();
        info.encode(Place::Parameter, &mut content).unwrap();
        info.write_value(Place::Parameter, Some(&utf16(sql)), &mut content)
            .unwrap();
        content.extend([1, 2, 3]);
        content
    }

    #[test]
    fn batches_keep_their_headers() {
        let new = translate(PacketType::SQL_BATCH, &utf16(CREATE)).unwrap();
        assert!(new.starts_with(&all_headers(7)));
        assert!(text(&new[22..]).unwrap().contains("WITHOUT LOGIN"));
        assert_eq!(translate(PacketType::SQL_BATCH, &utf16("SELECT 1")), None);
        assert_eq!(
            translate(PacketType::SQL_BATCH, &[0, 0xD8]),
            None,
            "half a pair"
        );
        assert_eq!(
            translated(PacketType::SQL_BATCH, &[1], &InMemoryDirectory::new()),
            Ok(None)
        );
    }

    #[test]
    fn the_text_of_a_call_is_put_in_its_place() {
        let collation = Some(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS);
        let short = TypeInfo::ShortLen {
            id: TypeId::NVARCHAR,
            max: 8000,
            collation,
        };
        let long = TypeInfo::LongLen {
            id: TypeId::NTEXT,
            max: 1 << 20,
            collation,
        };
        let named = [&13_u16.to_le_bytes()[..], &utf16("sp_executesql")].concat();
        for name in [&[0xFF, 0xFF, 10, 0][..], &named] {
            for info in [&short, &long] {
                let content = call_of(name, info, CREATE);
                let new = translate(PacketType::RPC, &content).unwrap();
                let statement = Statement::of(&new[22..]).unwrap();
                assert!(statement.sql.contains("WITHOUT LOGIN"));
                assert_eq!(super::collation(&statement.type_info), collation);
                assert_eq!(statement.after, [1, 2, 3]);
                let harmless = call_of(name, info, "SELECT 1");
                assert_eq!(translate(PacketType::RPC, &harmless), None);
            }
        }
        let other = call_of(&[0xFF, 0xFF, 11, 0], &short, CREATE);
        assert_eq!(translate(PacketType::RPC, &other), None);
    }

    #[test]
    fn a_reset_by_name_is_seen_however_it_is_written() {
        let rpc = |name: &str| {
            let name = utf16(name);
            let units = u16::try_from(name.len() / 2).unwrap();
            [&all_headers(0), &units.to_le_bytes()[..], &name, &[0, 0]].concat()
        };
        for name in ["sp_reset_connection", "[master].sys.[SP_Reset_Connection]"] {
            assert!(resets_by_name(PacketType::RPC, &rpc(name)), "{name}");
        }
        assert!(!resets_by_name(PacketType::RPC, &rpc("sp_who")));
        assert!(!resets_by_name(PacketType::RPC, &[]));
    }
}
