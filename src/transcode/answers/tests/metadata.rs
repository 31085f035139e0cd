//! Columns.

use super::*;
use crate::tds::{Udt, XmlSchema, column_flags};

/// The bytes of COLMETADATA with one column.
fn column(user_type: u32, flags: u16, info: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut out = vec![0x81, 1, 0];
    out.put_u32_le(user_type);
    out.put_u16_le(flags);
    out.put_slice(info);
    out.put_slice(tail);
    out
}

/// The same, with a user type of 2 bytes.
fn old_column(user_type: u16, flags: u16, info: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut out = column(0, flags, info, tail);
    out.splice(3..7, user_type.to_le_bytes());
    out
}

const NAME: [u8; 3] = [1, b'c', 0];
const COLLATION: [u8; 5] = [9, 4, 0xD0, 0, 0x34];

#[test]
fn user_types_and_flags_are_those_of_the_version() {
    let int = [0x26, 4];
    let sent = |user_type| joined(&[&column(user_type, 0xFFFF, &int, &NAME), &DONE]);
    for version in [OldVersion::V7_2, OldVersion::V7_3A] {
        let expected = column(0x1_2345, 0xF3FF, &int, &NAME);
        let expected = joined(&[&expected, &DONE]);
        assert_eq!(shown(version, &sent(0x1_2345)), expected, "{version:?}");
    }
    for version in [OldVersion::V7_1, OldVersion::V7_1Rev1] {
        for (user_type, old) in [(0x50, 0x50), (0xFFFF, 0xFFFF), (0x1_0000, 0)] {
            let expected = old_column(old, 0x001F, &int, &NAME);
            let expected = joined(&[&expected, &SHORT_DONE]);
            assert_eq!(shown(version, &sent(user_type)), expected, "{version:?}");
        }
    }
}

#[test]
fn no_columns_follow_without_metadata() {
    for version in ALL {
        for count in [0_u16, 0xFFFF] {
            let head = [&[0x81][..], &count.to_le_bytes()].concat();
            let expected = joined(&[&head, done(version)]);
            assert_eq!(shown(version, &joined(&[&head, &DONE])), expected);
        }
        // The rows are as before then.
        let types = [intn()];
        let row = row(&types, &[Some(&[1, 2, 3, 4])]);
        let more = [0x81, 0xFF, 0xFF];
        let answer = joined(&[&columns(&types), &row, &more, &row, &DONE]);
        let tail = joined(&[&row, &more, &row, done(version)]);
        assert!(shown(version, &answer).ends_with(&tail));
    }
}

/// What COLMETADATA says of a type.
fn type_of(version: OldVersion, info: &TypeInfo) -> Vec<u8> {
    let column = columns(std::slice::from_ref(info));
    let shown = shown(version, &joined(&[&column, &DONE]));
    let user_type = if version.is_7_1() { 2 } else { 4 };
    let end = shown.len() - done(version).len() - 3;
    shown[3 + user_type + 2..end].to_vec()
}

fn udt(max: u16) -> TypeInfo {
    TypeInfo::Udt(Udt {
        max,
        database: "d".to_owned(),
        schema: "sys".to_owned(),
        name: "geometry".to_owned(),
        assembly: "a".to_owned(),
    })
}

#[test]
fn types_that_are_not_there_are_shown_as_others() {
    let (v71, v72, v73) = (OldVersion::V7_1Rev1, OldVersion::V7_2, OldVersion::V7_3A);
    let long = |id, max: u32, collation: &[u8]| {
        // The table's name is empty.
        [&[id][..], &max.to_le_bytes(), collation, &[0, 0]].concat()
    };
    let max = |id| short(id, TypeInfo::MAX);
    let of_column = [1, 2, 3, 4, 5];
    let ntext = long(0x63, 0x7FFF_FFFE, &of_column);
    assert_eq!(type_of(v71, &max(TypeId::NVARCHAR)), ntext);
    let text = long(0x23, 0x7FFF_FFFF, &of_column);
    assert_eq!(type_of(v71, &max(TypeId::BIGVARCHR)), text);
    let image = long(0x22, 0x7FFF_FFFF, &[]);
    assert_eq!(type_of(v71, &max(TypeId::BIGVARBIN)), image);
    assert_eq!(type_of(v71, &udt(0xFFFF)), image);
    assert_eq!(type_of(v71, &udt(892)), [0xA5, 0x7C, 3]);
    assert_eq!(type_of(v72, &udt(0xFFFF)), [0xA5, 0xFF, 0xFF]);
    let xml = TypeInfo::Xml(Some(XmlSchema {
        database: "d".to_owned(),
        schema: String::new(),
        collection: "c".to_owned(),
    }));
    assert_eq!(type_of(v71, &xml), long(0x63, 0x7FFF_FFFE, &COLLATION));
    let nvarchar = |max| [&[0xE7, max, 0][..], &COLLATION].concat();
    for version in [v71, v72] {
        assert_eq!(type_of(version, &TypeInfo::Date), nvarchar(20));
        let id = TypeId::DATETIMEOFFSETN;
        let offset = TypeInfo::Time { id, scale: 7 };
        assert_eq!(type_of(version, &offset), nvarchar(68));
    }
    // What is there stays as it is.
    let kept = [
        (v72, xml.clone()),
        (v72, udt(892)),
        (v72, max(TypeId::NVARCHAR)),
        (v73, udt(0xFFFF)),
        (v73, TypeInfo::Date),
        (v71, TypeInfo::Variant { max: 8009 }),
        (v71, short(TypeId::NCHAR, 20)),
    ];
    for (version, info) in kept {
        let mut same = Vec::new();
        info.encode(Place::Row, &mut same).unwrap();
        assert_eq!(type_of(version, &info), same, "{version:?} {info:?}");
    }
    let refused = refused(v72, &joined(&[&columns(&[TypeInfo::Json]), &DONE]));
    assert!(matches!(refused, TranscodeError::Unsayable(_)));
}

#[test]
fn a_text_column_names_its_table() {
    let info = [&[0x63, 0xFE, 0xFF, 0xFF, 0x7F][..], &COLLATION].concat();
    let parts = [2, 1, 0, b'd', 0, 2, 0, b't', 0, 0x00, 0xD8];
    let tail = [&parts[..], &NAME].concat();
    let answer = joined(&[&column(0, 1, &info, &tail), &DONE]);
    assert_eq!(shown(OldVersion::V7_2, &answer), answer);
    // A lone surrogate is no text that could be joined to one.
    let name = [4, 0, b'd', 0, b'.', 0, b't', 0, 0xFD, 0xFF];
    let tail = [&name[..], &NAME].concat();
    let expected = joined(&[&old_column(0, 1, &info, &tail), &SHORT_DONE]);
    for version in [OldVersion::V7_1, OldVersion::V7_1Rev1] {
        assert_eq!(shown(version, &answer), expected);
    }
}

#[test]
fn compute_clauses_have_columns_of_their_own() {
    let types = [intn(), TypeInfo::Date];
    // Two columns, id 7, by columns 1 and 2; SUM of 1 and MAX of 2.
    let head = [0x88, 2, 0, 7, 0, 2, 1, 0, 2, 0];
    let sum = [0x4D, 1, 0];
    let max = [0x52, 2, 0];
    let new = [
        &head[..],
        &sum,
        &[0, 0, 0, 0, 1, 0, 0x26, 4, 0],
        &max,
        &[0, 0, 0, 0, 1, 4, 0x28, 1, b'm', 0],
    ]
    .concat();
    let user_type: &[u8] = &[0, 0];
    let old = [
        &head[..],
        &sum,
        user_type,
        &[1, 0, 0x26, 4, 0],
        &max,
        user_type,
        &[1, 0, 0xE7, 20, 0],
        &COLLATION,
        &[1, b'm', 0],
    ]
    .concat();
    let alt_row = [0xD3, 7, 0, 4, 1, 0, 0, 0, 3, 0, 0, 0];
    let mut old_row = vec![0xD3, 7, 0, 4, 1, 0, 0, 0, 20, 0];
    old_row.put_utf16("0001-01-01");
    let answer = joined(&[&columns(&types), &new, &alt_row, &alt_row, &DONE]);
    let expected = joined(&[&old, &old_row, &old_row, &SHORT_DONE]);
    let shown = shown(OldVersion::V7_1Rev1, &answer);
    assert!(shown.ends_with(&expected), "{shown:x?}");
    // Another id is not known.
    let unknown = [0xD3, 8, 0, 4, 1, 0, 0, 0, 0];
    refused(
        OldVersion::V7_1Rev1,
        &joined(&[&columns(&types), &new, &unknown, &DONE]),
    );
    // All of it forgotten with the next result.
    let next = joined(&[&columns(&types), &new, &columns(&types), &alt_row, &DONE]);
    refused(OldVersion::V7_2, &next);
}

#[test]
fn a_column_that_cannot_be_ends_the_session() {
    for version in ALL {
        let null_type = joined(&[&column(0, 0, &[0x1F], &NAME), &DONE]);
        refused(version, &null_type);
        refused(version, &joined(&[&column(0, 0, &[0xF3], &NAME), &DONE]));
        // More than a unit may have.
        let tail = vec![0xFF; 300_000];
        let info = [&[0x63, 0xFE, 0xFF, 0xFF, 0x7F][..], &COLLATION].concat();
        let endless = column(0, column_flags::NULLABLE, &info, &tail);
        let error = refused(version, &joined(&[&endless]));
        assert!(error.is_servers(), "{error}");
    }
}
