mod hostile;
mod long;
mod metadata;
mod tokens;
mod values;

use crate::tds::{
    Collation, Column, HEADER_LEN, MessageReader, PacketStatus, PacketType, Place, Put,
    ServerMessage, TypeId, TypeInfo, encode_columns, token_id,
};
use crate::transcode::{OldVersion, Settings, TranscodeError, Transcoder};

const ALL: [OldVersion; 4] = [
    OldVersion::V7_1,
    OldVersion::V7_1Rev1,
    OldVersion::V7_2,
    OldVersion::V7_3A,
];

/// A DONE of 7.2 and later, without anything in it.
const DONE: [u8; 13] = [0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// The same up to 7.1.
const SHORT_DONE: [u8; 9] = [0xFD, 0, 0, 0, 0, 0, 0, 0, 0];

fn done(version: OldVersion) -> &'static [u8] {
    if version.is_7_1() { &SHORT_DONE } else { &DONE }
}

fn settings(version: OldVersion) -> Settings {
    Settings {
        version,
        client_packet_size: 4096,
        server_packet_size: 4096,
        collation: Collation::SQL_LATIN1_GENERAL_CP1_CI_AS,
        hold_limit: 16 << 20,
    }
}

/// A server's message in packets with so many bytes of data.
fn packets(payload: &[u8], data_len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chunks = payload.chunks(data_len).peekable();
    while let Some(chunk) = chunks.next() {
        let status = match chunks.peek() {
            None => PacketStatus::EOM,
            Some(_) => PacketStatus::NORMAL,
        };
        bytes.extend_from_slice(&[PacketType::TABULAR_RESULT.0, status.0]);
        bytes.put_u16_be((HEADER_LEN + chunk.len()) as u16);
        bytes.extend_from_slice(&[0, 51, 1, 0]);
        bytes.extend_from_slice(chunk);
    }
    bytes
}

/// All packets that come of these parts.
fn fed<'a>(
    transcoder: &mut Transcoder,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, TranscodeError> {
    let mut made = Vec::new();
    for mut part in parts {
        loop {
            let taken = transcoder.answers(part)?;
            made.extend_from_slice(transcoder.to_client());
            transcoder.sent_to_client();
            if taken == part.len() {
                break;
            }
            assert!(taken > 0);
            part = &part[taken..];
        }
    }
    Ok(made)
}

/// The payload of one whole message.
fn payload(packets: &[u8]) -> Vec<u8> {
    let mut reader = MessageReader::new(32767, 1 << 30);
    reader.push(packets);
    let message = reader.next().unwrap().expect("a whole message");
    assert_eq!(message.packet_type, PacketType::TABULAR_RESULT);
    assert_eq!(message.spid, 51);
    assert_eq!(reader.buffered(), 0);
    message.payload
}

/// What a client with these settings gets of an answer. However the answer is
/// cut, and into whatever packets, the tokens are the same; and for the same
/// packets, the packets are.
fn shown_with(settings: &Settings, answer: &[u8]) -> Vec<u8> {
    let whole = packets(answer, 32000);
    let expected = fed(&mut Transcoder::new(settings), [&whole[..]]).expect("an answer");
    // Every split of short ones, and enough of long ones.
    let step = if whole.len() < 3000 {
        1
    } else {
        whole.len() / 50
    };
    for split in (0..whole.len()).step_by(step) {
        let (head, tail) = whole.split_at(split);
        let parts = fed(&mut Transcoder::new(settings), [head, tail]).unwrap();
        assert_eq!(parts, expected, "split at {split}");
    }
    let bytewise = fed(&mut Transcoder::new(settings), whole.chunks(1)).unwrap();
    assert_eq!(bytewise, expected, "byte by byte");
    let expected = payload(&expected);
    for data_len in [1, 7, 100] {
        let many = packets(answer, data_len);
        let mut transcoder = Transcoder::new(settings);
        let together = fed(&mut transcoder, [&many[..]]).unwrap();
        let apart = fed(&mut Transcoder::new(settings), many.chunks(3)).unwrap();
        assert_eq!(apart, together, "packets of {data_len}");
        assert_eq!(payload(&together), expected, "packets of {data_len}");
        assert!(holds_nothing(&transcoder));
    }
    expected
}

fn shown(version: OldVersion, answer: &[u8]) -> Vec<u8> {
    shown_with(&settings(version), answer)
}

fn refused(version: OldVersion, answer: &[u8]) -> TranscodeError {
    let whole = packets(answer, 32000);
    fed(&mut Transcoder::new(&settings(version)), whole.chunks(1)).expect_err("bytewise");
    fed(&mut Transcoder::new(&settings(version)), [&whole[..]]).expect_err("whole")
}

fn holds_nothing(transcoder: &Transcoder) -> bool {
    let answers = &transcoder.answers;
    !answers.begun
        && answers.pending.capacity() == 0
        && answers.plans.row.slots.capacity() == 0
        && answers.scratch.capacity() == 0
        && answers.outlet.room() == 0
}

/// COLMETADATA with these types, named a, b and so on.
fn columns(types: &[TypeInfo]) -> Vec<u8> {
    let columns: Vec<Column> = (b'a'..=b'z')
        .cycle()
        .zip(types)
        .map(|(name, info)| Column::new(char::from(name), info.clone()))
        .collect();
    let mut out = vec![token_id::COLMETADATA];
    encode_columns(&columns, &mut out).unwrap();
    out
}

/// A ROW with these values.
fn row(types: &[TypeInfo], values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = vec![token_id::ROW];
    for (info, value) in types.iter().zip(values) {
        info.write_value(Place::Row, *value, &mut out).unwrap();
    }
    out
}

/// A NBCROW with these values.
fn nbc_row(types: &[TypeInfo], values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut nulls = vec![0; types.len().div_ceil(8)];
    for (column, value) in values.iter().enumerate() {
        nulls[column / 8] |= u8::from(value.is_none()) << (column % 8);
    }
    let mut out = vec![token_id::NBCROW];
    out.extend_from_slice(&nulls);
    for (info, value) in types.iter().zip(values) {
        if value.is_some() {
            info.write_value(Place::Row, *value, &mut out).unwrap();
        }
    }
    out
}

/// A PLP value with this total and these chunks.
fn plp(total: u64, chunks: &[&[u8]]) -> Vec<u8> {
    let mut out = total.to_le_bytes().to_vec();
    for chunk in chunks {
        out.put_l_varbyte("a chunk", chunk).unwrap();
    }
    out.put_u32_le(0);
    out
}

/// A text, ntext or image in a row.
fn text(value: &[u8]) -> Vec<u8> {
    let mut out = b"\x10dummy textptr\0\0\0dummyTS\0".to_vec();
    out.put_l_varbyte("the value", value).unwrap();
    out
}

fn intn() -> TypeInfo {
    TypeInfo::ByteLen {
        id: TypeId::INTN,
        max: 4,
    }
}

fn short(id: TypeId, max: u16) -> TypeInfo {
    let collation = match id {
        TypeId::BIGVARBIN | TypeId::BIGBINARY => None,
        _ => Some(Collation([1, 2, 3, 4, 5])),
    };
    TypeInfo::ShortLen { id, max, collation }
}

/// Parts of an answer, joined.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn error(text: &str) -> ServerMessage {
    ServerMessage {
        server: "s".to_owned(),
        procedure: "p".to_owned(),
        line: 70_000,
        ..ServerMessage::new(50000, 1, 16, text)
    }
}
