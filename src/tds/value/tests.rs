use super::*;
use crate::tds::{Collation, TypeId};

fn nvarchar(max: u16) -> TypeInfo {
    TypeInfo::ShortLen {
        id: TypeId::NVARCHAR,
        max,
        collation: Some(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS),
    }
}

fn text() -> TypeInfo {
    TypeInfo::LongLen {
        id: TypeId::IMAGE,
        max: 0x7FFF_FFFF,
        collation: None,
    }
}

fn written(type_info: &TypeInfo, place: Place, value: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    type_info.write_value(place, value, &mut out).unwrap();
    let mut reader = Reader::new(&out);
    let read = type_info.read_value(place, &mut reader).unwrap();
    assert_eq!((read.as_deref(), reader.remaining()), (value, 0));
    out
}

#[test]
fn null_looks_as_its_framing_has_it() {
    let int = TypeInfo::ByteLen {
        id: TypeId::INTN,
        max: 4,
    };
    assert_eq!(written(&int, Place::Row, None), [0]);
    assert_eq!(written(&nvarchar(100), Place::Row, None), [0xFF; 2]);
    assert_eq!(
        written(&nvarchar(TypeInfo::MAX), Place::Row, None),
        [0xFF; 8]
    );
    assert_eq!(
        written(&TypeInfo::Variant { max: 8009 }, Place::Row, None),
        [0; 4]
    );
    assert_eq!(written(&text(), Place::Row, None), [0]);
    assert_eq!(written(&text(), Place::Parameter, None), [0xFF; 4]);
}

#[test]
fn empty_is_not_null_where_they_differ() {
    assert_eq!(written(&nvarchar(100), Place::Row, Some(&[])), [0, 0]);
    assert_eq!(
        written(&nvarchar(TypeInfo::MAX), Place::Row, Some(&[])),
        [0; 12]
    );
    assert_eq!(written(&text(), Place::Parameter, Some(&[])), [0; 4]);
    let in_row = written(&text(), Place::Row, Some(&[]));
    assert_eq!((in_row.len(), in_row.first()), (1 + 16 + 8 + 4, Some(&16)));
}

#[test]
fn chunks_are_joined() {
    let mut bytes = Vec::new();
    bytes.put_u64_le(PLP_UNKNOWN);
    for chunk in [&b"ab"[..], b"c"] {
        bytes.put_l_varbyte("chunk", chunk).unwrap();
    }
    bytes.put_u32_le(0);
    let value = nvarchar(TypeInfo::MAX).read_value(Place::Row, &mut Reader::new(&bytes));
    assert_eq!(value.unwrap().as_deref(), Some(&b"abc"[..]));
    bytes.truncate(bytes.len() - 4);
    let cut = nvarchar(TypeInfo::MAX).read_value(Place::Row, &mut Reader::new(&bytes));
    assert!(matches!(cut, Err(DecodeError::Truncated { .. })));
}

#[test]
fn what_the_type_cannot_hold_is_refused() {
    let mut out = Vec::new();
    let int = TypeInfo::Fixed(TypeId::INT4);
    for value in [None, Some(&[0; 3][..])] {
        let error = int.write_value(Place::Row, value, &mut out);
        assert!(matches!(error, Err(EncodeError::Unsupported { .. })));
    }
    // 0xFFFF would say NULL.
    let error = nvarchar(100).write_value(Place::Row, Some(&[0; 0xFFFF]), &mut out);
    assert!(matches!(error, Err(EncodeError::TooLong { .. })));
    assert!(out.is_empty());
}
