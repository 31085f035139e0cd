//! Parameters by their declaration in T-SQL.

use super::bytes::utf16;
use super::requests::renewed;
use super::samples::{filled, long, short};
use super::types::{Collation, MAX, Ty, id};
use super::version::Version;
use super::write::Param;

pub(super) struct Declared {
    pub(super) sql: &'static str,
    pub(super) ty: Ty,
    pub(super) value: Option<Vec<u8>>,
}

impl Declared {
    pub(super) fn new(sql: &'static str, ty: Ty, value: Option<Vec<u8>>) -> Self {
        Self { sql, ty, value }
    }

    /// With the collation of the database, if there is any.
    fn collated(mut self, collation: Collation) -> Self {
        self.ty = collated(self.ty, collation);
        self
    }

    pub(super) fn param(&self, name: &str) -> Param {
        Param {
            name: name.to_owned(),
            output: false,
            ty: self.ty.clone(),
            value: self.value.clone(),
        }
    }
}

/// The type with another collation, if it has any.
pub(super) fn collated(mut ty: Ty, new: Collation) -> Ty {
    if let Ty::Short { collation, .. } | Ty::Long { collation, .. } = &mut ty {
        *collation = collation.map(|_| new);
    }
    ty
}

pub(super) fn byte(id: u8, max: u8) -> Ty {
    Ty::Byte { id, max }
}

/// What clients of this version can send.
pub(super) fn declared(version: Version, collation: Collation) -> Vec<Declared> {
    let mut all: Vec<_> = fixed()
        .into_iter()
        .map(|one| {
            let Param { ty, value, .. } = renewed(&one.param(""));
            Declared { ty, value, ..one }
        })
        .collect();
    // Servers since 2005 are said to take types of a fixed length from nobody.
    if !version.has_max() {
        all.extend(fixed());
        all.extend(old());
    }
    all.extend(small());
    all.extend(short_values());
    all.extend(long_values());
    if version.has_max() {
        all.extend(max_values());
    }
    if version.has_dates() {
        all.extend(dates());
    }
    all.into_iter().map(|one| one.collated(collation)).collect()
}

fn fixed() -> Vec<Declared> {
    let of = |sql, id, value: &[u8]| Declared::new(sql, Ty::Fixed(id), Some(value.into()));
    vec![
        of("bit", 0x32, &[1]),
        of("tinyint", 0x30, &[255]),
        of("smallint", 0x34, &[0, 0x80]),
        of("int", 0x38, &[1, 2, 3, 0x84]),
        of("bigint", 0x7F, &filled(8)),
        of("real", 0x3B, &1.5_f32.to_le_bytes()),
        of("float", 0x3E, &(-0.1_f64).to_le_bytes()),
        of("smallmoney", 0x7A, &filled(4)),
        of("money", 0x3C, &filled(8)),
        of("smalldatetime", 0x3A, &[9, 9, 5, 1]),
        of("datetime", 0x3D, &[9, 9, 0, 0, 5, 1, 0, 0]),
    ]
}

fn old() -> Vec<Declared> {
    let of = |sql, id, max, value| Declared::new(sql, byte(id, max), value);
    vec![
        of("char(30)", id::OLD_CHAR, 30, Some(b"old".repeat(10))),
        of("varchar(30)", id::OLD_VARCHAR, 30, Some(b"old".to_vec())),
        of("varchar(30)", id::OLD_VARCHAR, 30, None),
        of("varbinary(30)", id::OLD_VARBINARY, 30, Some(filled(3))),
        of("binary(5)", id::OLD_BINARY, 5, Some(filled(5))),
    ]
}

fn small() -> Vec<Declared> {
    let decimal = Ty::Decimal {
        id: id::DECIMALN,
        max: 17,
        precision: 38,
        scale: 4,
    };
    let number = [&[1], &filled(4)[..], &[0; 12]].concat();
    vec![
        Declared::new("int", byte(id::INTN, 4), None),
        Declared::new("uniqueidentifier", byte(id::GUID, 16), Some(filled(16))),
        Declared::new("decimal(38, 4)", decimal.clone(), Some(number)),
        Declared::new("decimal(38, 4)", decimal, None),
    ]
}

fn short_values() -> Vec<Declared> {
    let wide = || short(id::NVARCHAR, 8000);
    let mut all = vec![
        Declared::new("nvarchar(4000)", wide(), None),
        Declared::new("nchar(4)", short(id::NCHAR, 8), Some(utf16("abcd"))),
    ];
    for length in [0, 1, 255, 256, 7999, 8000] {
        let text = utf16(&"\u{e4}".repeat(length / 2));
        let narrow = Some(vec![b'a'; length]);
        let bytes = Some(filled(length));
        all.extend([
            Declared::new("nvarchar(4000)", wide(), Some(text)),
            Declared::new("varchar(8000)", short(id::VARCHAR, 8000), narrow),
            Declared::new("varbinary(8000)", short(id::VARBINARY, 8000), bytes),
        ]);
    }
    all
}

const LENGTHS: [usize; 5] = [0, 2, 8002, 65_534, 65_536];

fn long_values() -> Vec<Declared> {
    let of = |length| {
        [
            Declared::new("text", long(id::TEXT), Some(vec![b'a'; length])),
            Declared::new("ntext", long(id::NTEXT), Some(b"b\0".repeat(length / 2))),
            Declared::new("image", long(id::IMAGE), Some(filled(length))),
        ]
    };
    LENGTHS.into_iter().flat_map(of).collect()
}

fn max_values() -> Vec<Declared> {
    let of = |length| {
        let text = Some(b"b\0".repeat(length / 2));
        let narrow = Some(vec![b'a'; length]);
        let bytes = Some(filled(length));
        [
            Declared::new("nvarchar(max)", short(id::NVARCHAR, MAX), text),
            Declared::new("varchar(max)", short(id::VARCHAR, MAX), narrow),
            Declared::new("varbinary(max)", short(id::VARBINARY, MAX), bytes),
        ]
    };
    LENGTHS.into_iter().flat_map(of).collect()
}

fn dates() -> Vec<Declared> {
    let of = |sql, id, scale, value: &[u8]| {
        Declared::new(sql, Ty::Scaled { id, scale }, Some(value.into()))
    };
    let offset = [1, 2, 3, 4, 5, 6, 7, 8, 60, 0];
    vec![
        Declared::new("date", Ty::Date, Some(vec![1, 2, 3])),
        of("time(3)", id::TIME, 3, &[1, 2, 3, 0]),
        of("datetime2(7)", id::DATETIME2, 7, &offset[..8]),
        of("datetimeoffset(7)", id::DATETIMEOFFSET, 7, &offset),
    ]
}
