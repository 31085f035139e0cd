//! Types with values at their borders.

use super::bytes::utf16;
use super::types::{Collation, MAX, Ty, id, scaled_length, time_length};

/// SQL_Latin1_General_CP1_CI_AS.
pub(super) const LATIN1: Collation = [9, 4, 208, 0, 52];
/// A collation of a column that is not its database's.
pub(super) const OTHER: Collation = [0x11, 0x04, 0x90, 0x00, 0x00];

/// A type, values of it, and whether it may be NULL.
pub(super) type Sample = (Ty, Vec<Vec<u8>>);

pub(super) fn short(id: u8, max: u16) -> Ty {
    let plain = matches!(id, id::VARBINARY | id::BINARY);
    Ty::Short {
        id,
        max,
        collation: (!plain).then_some(OTHER),
    }
}

pub(super) fn long(id: u8) -> Ty {
    let max = if id == id::NTEXT {
        0x7FFF_FFFE
    } else {
        0x7FFF_FFFF
    };
    Ty::Long {
        id,
        max,
        collation: (id != id::IMAGE).then_some(OTHER),
    }
}

pub(super) fn udt(max: u16) -> Ty {
    Ty::Udt {
        max,
        names: ["shop".into(), "sys".into(), "hierarchyid".into()],
        assembly: "Microsoft.SqlServer.Types.SqlHierarchyId, Microsoft.SqlServer.Types".into(),
    }
}

fn low(number: u64, bytes: usize) -> Vec<u8> {
    number.to_le_bytes()[..bytes].to_vec()
}

/// Bytes that are all different from their neighbours.
pub(super) fn filled(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 + 1).collect()
}

/// Everything that a row can hold.
pub(super) fn all() -> Vec<Sample> {
    let mut all = fixed();
    all.extend(small());
    all.extend(dates());
    all.extend(short_values());
    all.extend(long_values());
    all.push((Ty::Variant { max: 8009 }, variants()));
    all
}

fn fixed() -> Vec<Sample> {
    let sizes = [
        (0x30, 1),
        (0x32, 1),
        (0x34, 2),
        (0x38, 4),
        (0x3A, 4),
        (0x3B, 4),
        (0x3C, 8),
        (0x3D, 8),
        (0x3E, 8),
        (0x7A, 4),
        (0x7F, 8),
    ];
    let sample = |(id, size)| {
        (
            Ty::Fixed(id),
            vec![vec![0; size], vec![1; size], filled(size)],
        )
    };
    sizes.map(sample).into()
}

fn small() -> Vec<Sample> {
    let byte = |id, max: u8| {
        let size = usize::from(max);
        (
            Ty::Byte { id, max },
            vec![vec![0; size], filled(size), vec![0xFF; size]],
        )
    };
    let mut all: Vec<_> = [
        (id::GUID, 16),
        (id::INTN, 1),
        (id::INTN, 2),
        (id::INTN, 4),
        (id::INTN, 8),
        (id::FLTN, 4),
        (id::FLTN, 8),
        (id::MONEYN, 4),
        (id::MONEYN, 8),
        (id::DATETIMN, 4),
        (id::DATETIMN, 8),
    ]
    .map(|(id, max)| byte(id, max))
    .into();
    all.push((
        Ty::Byte {
            id: id::BITN,
            max: 1,
        },
        vec![vec![0], vec![1]],
    ));
    for (precision, max) in [
        (1, 5),
        (9, 5),
        (10, 9),
        (19, 9),
        (20, 13),
        (28, 13),
        (29, 17),
        (38, 17),
    ] {
        for id in [id::DECIMALN, id::NUMERICN] {
            let size = usize::from(max);
            let mut negative = vec![0; size];
            negative[1] = 1;
            let mut large = vec![1; size];
            large[size - 1] = 0;
            let ty = Ty::Decimal {
                id,
                max,
                precision,
                scale: precision / 2,
            };
            all.push((ty, vec![negative, large]));
        }
    }
    all
}

/// Dates and times from the first to the last, at every scale.
fn dates() -> Vec<Sample> {
    const LAST_DAY: u64 = 3_652_058;
    let days = [
        0,
        1,
        58,
        59,
        364,
        365,
        730_178,
        738_000,
        LAST_DAY - 1,
        LAST_DAY,
    ];
    let mut all = vec![(Ty::Date, days.map(|day| low(day, 3)).into())];
    for scale in 0..=7 {
        let per_day = 86_400 * 10_u64.pow(scale.into());
        let times = [0, 1, per_day / 2, per_day / 86_400 * 3_599, per_day - 1];
        let times = times.map(|time| low(time, time_length(scale)));
        let mut moments = Vec::new();
        let mut offsets = Vec::new();
        for (at, time) in times.iter().enumerate() {
            for day in days {
                let moment = [&time[..], &low(day, 3)].concat();
                let offset = [0, 1, -1, 840, -840, 59, -60, 330][(at + moments.len()) % 8];
                // The local day must exist.
                if (2..LAST_DAY - 1).contains(&day) {
                    offsets.push([&moment[..], &i16::to_le_bytes(offset)].concat());
                }
                moments.push(moment);
            }
        }
        all.push((
            Ty::Scaled {
                id: id::TIME,
                scale,
            },
            times.into(),
        ));
        all.push((
            Ty::Scaled {
                id: id::DATETIME2,
                scale,
            },
            moments,
        ));
        all.push((
            Ty::Scaled {
                id: id::DATETIMEOFFSET,
                scale,
            },
            offsets,
        ));
    }
    all
}

fn short_values() -> Vec<Sample> {
    let texts = |sizes: &[usize]| sizes.iter().map(|size| filled(*size)).collect::<Vec<_>>();
    let mut all = Vec::new();
    for id in [id::VARBINARY, id::VARCHAR, id::NVARCHAR] {
        all.push((short(id, 8000), texts(&[0, 2, 254, 256, 7998, 8000])));
        all.push((short(id, 2), texts(&[0, 2])));
        all.push((
            short(id, MAX),
            texts(&[0, 2, 256, 8000, 8002, 65_534, 65_536]),
        ));
    }
    for id in [id::BINARY, id::CHAR, id::NCHAR] {
        all.push((short(id, 256), texts(&[256])));
    }
    let xml = "<a>\u{e4}\u{1f642}</a>";
    let with_mark = [&[0xFF, 0xFE][..], &utf16(xml)].concat();
    let values = vec![utf16(xml), with_mark, vec![0xFF, 0xFE], Vec::new()];
    all.push((Ty::Xml(None), values.clone()));
    let schema = ["shop".into(), "dbo".into(), "orders".into()];
    all.push((Ty::Xml(Some(schema)), values));
    all.push((udt(892), texts(&[0, 1, 6, 892])));
    all.push((udt(8000), texts(&[0, 7999, 8000])));
    all.push((udt(MAX), texts(&[0, 1, 8000, 8001, 70_000])));
    all
}

fn long_values() -> Vec<Sample> {
    [id::TEXT, id::NTEXT, id::IMAGE]
        .map(|id| (long(id), [0, 2, 256, 8002, 65_536].map(filled).into()))
        .into()
}

/// Each type that a sql_variant can hold.
pub(super) fn variants() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut add = |id: u8, properties: &[u8], data: &[u8]| {
        let head = [id, u8::try_from(properties.len()).unwrap()];
        all.push([&head, properties, data].concat());
    };
    for (ty, values) in fixed() {
        let Ty::Fixed(id) = ty else { unreachable!() };
        add(id, &[], &values[2]);
    }
    add(id::GUID, &[], &filled(16));
    add(id::DECIMALN, &[38, 10], &[&[1], &filled(16)[..]].concat());
    add(id::NUMERICN, &[5, 2], &[0, 1, 2, 3, 0]);
    for id in [id::VARBINARY, id::BINARY] {
        add(id, &[0x40, 0x1F], &filled(8000));
        add(id, &[4, 0], &filled(4));
    }
    for id in [id::VARCHAR, id::CHAR, id::NVARCHAR, id::NCHAR] {
        let properties = [&OTHER[..], &[0x40, 0x1F]].concat();
        add(id, &properties, &filled(8000));
        add(id, &properties, &filled(2));
    }
    add(id::VARCHAR, &[&OTHER[..], &[5, 0]].concat(), &[]);
    for (ty, values) in dates() {
        match ty {
            Ty::Date => add(id::DATE, &[], &values[4]),
            Ty::Scaled { id, scale } => {
                for value in [&values[1], values.last().unwrap()] {
                    assert_eq!(value.len(), scaled_length(id, scale));
                    add(id, &[scale], value);
                }
            }
            _ => {}
        }
    }
    all
}
