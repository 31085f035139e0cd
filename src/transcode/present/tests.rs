//! Expectations are worked out by hand, or by counting days one by one.

use proptest::prelude::*;

use super::*;
use crate::tds::{Udt, XmlSchema};

const ALL: [OldVersion; 4] = [
    OldVersion::V7_1,
    OldVersion::V7_1Rev1,
    OldVersion::V7_2,
    OldVersion::V7_3A,
];
const BEFORE_7_3: [OldVersion; 3] = [OldVersion::V7_1, OldVersion::V7_1Rev1, OldVersion::V7_2];
const GERMAN: Collation = Collation([0x07, 0x04, 0xD0, 0x00, 0x00]);
/// Of a database whose comparisons mind the case.
const EXACT: Collation = Collation([0x09, 0x04, 0x00, 0x00, 0x33]);

fn time(id: TypeId, scale: u8) -> TypeInfo {
    TypeInfo::Time { id, scale }
}

fn text(id: TypeId, max: u16) -> TypeInfo {
    let collation = (id != TypeId::BIGVARBIN).then_some(GERMAN);
    TypeInfo::ShortLen { id, max, collation }
}

fn long(id: TypeId, max: u32, collation: Option<Collation>) -> TypeInfo {
    TypeInfo::LongLen { id, max, collation }
}

fn udt(max: u16) -> TypeInfo {
    TypeInfo::Udt(Udt {
        max,
        database: "shop".to_owned(),
        schema: "sys".to_owned(),
        name: "geometry".to_owned(),
        assembly: "Microsoft.SqlServer.Types.SqlGeometry".to_owned(),
    })
}

fn ascii(utf16: &[u8]) -> String {
    let units = utf16.chunks(2).map(|unit| match *unit {
        [low, 0] if low.is_ascii() => char::from(low),
        _ => panic!("no ASCII in UTF-16: {utf16:?}"),
    });
    units.collect()
}

/// What a client of 7.2 reads in the place of a value.
fn said(info: &TypeInfo, bytes: &[u8]) -> Result<String, crate::tds::DecodeError> {
    let text = DateText::of(info).unwrap();
    let mut out = vec![7];
    let result = text.write(bytes, &mut out);
    if result.is_err() {
        assert_eq!(out, [7], "nothing is left behind");
    }
    result.map(|()| {
        assert_eq!(out.len(), 1 + usize::from(text.len()));
        ascii(&out[1..])
    })
}

fn little<const N: usize>(number: u64) -> Vec<u8> {
    number.to_le_bytes()[..N].to_vec()
}

fn bytes_of_time(scale: u8, units: u64) -> Vec<u8> {
    match scale {
        0..=2 => little::<3>(units),
        3..=4 => little::<4>(units),
        _ => little::<5>(units),
    }
}

/// The bytes of a datetimeoffset: time and date in UTC, then the offset.
fn with_offset(scale: u8, units: u64, day: u64, offset: i16) -> Vec<u8> {
    let mut bytes = bytes_of_time(scale, units);
    bytes.extend(little::<3>(day));
    bytes.extend(offset.to_le_bytes());
    bytes
}

#[test]
fn dates() {
    for (bytes, expected) in [
        ([0x00, 0x00, 0x00], "0001-01-01"),
        ([0x01, 0x00, 0x00], "0001-01-02"),
        // 365 days: the first year is none with a leap day.
        ([0x6D, 0x01, 0x00], "0002-01-01"),
        // 693595 = 0x0A955B, as datetime's first day.
        ([0x5B, 0x95, 0x0A], "1900-01-01"),
        // 719162 = 0x0AF93A, the epoch of Unix.
        ([0x3A, 0xF9, 0x0A], "1970-01-01"),
        // 730178 = 0x0B2442: 2000 has a leap day.
        ([0x42, 0x24, 0x0B], "2000-02-29"),
        ([0x43, 0x24, 0x0B], "2000-03-01"),
        // 3652058 = 0x37B9DA.
        ([0xDA, 0xB9, 0x37], "9999-12-31"),
    ] {
        assert_eq!(said(&TypeInfo::Date, &bytes).unwrap(), expected);
    }
    for wrong in [&[0xDB, 0xB9, 0x37][..], &[0xFF; 3], &[0; 2], &[0; 4], &[]] {
        assert!(said(&TypeInfo::Date, wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn times_of_every_scale() {
    // 13:14:15.6789012
    let ticks = ((13 * 60 + 14) * 60 + 15) * 10_000_000 + 6_789_012;
    for (scale, expected, last) in [
        (0, "13:14:15", "23:59:59"),
        (1, "13:14:15.6", "23:59:59.9"),
        (2, "13:14:15.67", "23:59:59.99"),
        (3, "13:14:15.678", "23:59:59.999"),
        (4, "13:14:15.6789", "23:59:59.9999"),
        (5, "13:14:15.67890", "23:59:59.99999"),
        (6, "13:14:15.678901", "23:59:59.999999"),
        (7, "13:14:15.6789012", "23:59:59.9999999"),
    ] {
        let info = time(TypeId::TIMEN, scale);
        let units = ticks / 10_u64.pow(7 - u32::from(scale));
        assert_eq!(said(&info, &bytes_of_time(scale, units)).unwrap(), expected);
        let day = 86_400 * 10_u64.pow(scale.into());
        assert_eq!(said(&info, &bytes_of_time(scale, day - 1)).unwrap(), last);
        let zero = said(&info, &bytes_of_time(scale, 0)).unwrap();
        assert_eq!(zero, last.replace(['2', '3', '5', '9'], "0"));
        assert!(said(&info, &bytes_of_time(scale, day)).is_err());
        let mut bytes = bytes_of_time(scale, 0);
        assert!(said(&info, &bytes[1..]).is_err());
        bytes.push(0);
        assert!(said(&info, &bytes).is_err());
    }
}

#[test]
fn date_and_time() {
    let day = little::<3>(730_178);
    let at = |scale, units| [bytes_of_time(scale, units), day.clone()].concat();
    let info = |scale| time(TypeId::DATETIME2N, scale);
    assert_eq!(said(&info(0), &at(0, 0)).unwrap(), "2000-02-29 00:00:00");
    assert_eq!(
        said(&info(7), &at(7, 863_999_999_999)).unwrap(),
        "2000-02-29 23:59:59.9999999"
    );
    assert_eq!(
        said(&info(3), &at(3, 50)).unwrap(),
        "2000-02-29 00:00:00.050"
    );
    let late = [bytes_of_time(0, 0), little::<3>(3_652_059)].concat();
    assert!(said(&info(0), &late).is_err());
}

#[test]
fn offsets_show_the_local_time() {
    let said = |scale, units, day, offset| {
        let info = time(TypeId::DATETIMEOFFSETN, scale);
        said(&info, &with_offset(scale, units, day, offset))
    };
    let hour = 3600;
    for (units, day, offset, expected) in [
        (12 * hour, 730_178, 0, "2000-02-29 12:00:00 +00:00"),
        (12 * hour, 730_178, 330, "2000-02-29 17:30:00 +05:30"),
        (12 * hour, 730_178, -570, "2000-02-29 02:30:00 -09:30"),
        (23 * hour, 730_178, 60, "2000-03-01 00:00:00 +01:00"),
        (0, 730_179, -1, "2000-02-29 23:59:00 -00:01"),
        // Into the next year and back.
        (20 * hour, 730_484, 840, "2001-01-01 10:00:00 +14:00"),
        (hour, 730_485, -840, "2000-12-31 11:00:00 -14:00"),
        // The first and last moments.
        (0, 0, 0, "0001-01-01 00:00:00 +00:00"),
        (14 * hour, 0, -840, "0001-01-01 00:00:00 -14:00"),
        (86_399, 3_652_058, 0, "9999-12-31 23:59:59 +00:00"),
        (
            86_399 - 14 * hour,
            3_652_058,
            840,
            "9999-12-31 23:59:59 +14:00",
        ),
    ] {
        assert_eq!(said(0, units, day, offset).unwrap(), expected);
    }
    assert_eq!(
        said(7, 1, 3_652_057, -840).unwrap(),
        "9999-12-29 10:00:00.0000001 -14:00"
    );
    // Local dates that do not exist, and offsets that do not.
    assert!(said(0, 14 * hour - 1, 0, -840).is_err());
    assert!(said(0, 86_400 - 14 * hour, 3_652_058, 840).is_err());
    for offset in [841, -841, i16::MAX, i16::MIN] {
        assert!(said(0, 0, 700_000, offset).is_err(), "{offset}");
    }
}

#[test]
fn lengths_are_those_of_the_longest_literal() {
    let len = |id, scale| DateText::of(&time(id, scale)).unwrap().len() / 2;
    let lens = |id| (0..=7).map(|scale| len(id, scale)).collect::<Vec<_>>();
    assert_eq!(DateText::of(&TypeInfo::Date).unwrap().len(), 20);
    assert_eq!(lens(TypeId::TIMEN), [8, 10, 11, 12, 13, 14, 15, 16]);
    assert_eq!(lens(TypeId::DATETIME2N), [19, 21, 22, 23, 24, 25, 26, 27]);
    assert_eq!(
        lens(TypeId::DATETIMEOFFSETN),
        [26, 28, 29, 30, 31, 32, 33, 34]
    );
    for id in [TypeId::TIMEN, TypeId::DATETIME2N, TypeId::DATETIMEOFFSETN] {
        assert_eq!(DateText::of(&time(id, 8)), None);
        for version in BEFORE_7_3 {
            assert!(shown(version, &time(id, 8), GERMAN).is_err());
        }
    }
    assert_eq!(DateText::of(&udt(20)), None);
}

/// The calendar by counting, from 0001-01-01.
fn counted() -> impl Iterator<Item = (u32, u32, u32)> {
    (1..=9999_u32).flat_map(|year| {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        (1..=12).flat_map(move |month| {
            let days = match month {
                2 => 28 + u32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (1..=days).map(move |day| (year, month, day))
        })
    })
}

#[test]
fn every_day_of_the_calendar() {
    let text = DateText::of(&TypeInfo::Date).unwrap();
    let mut days = 0;
    let mut out = Vec::new();
    for (number, (year, month, day)) in counted().enumerate() {
        // All of them takes long without optimisation: borders of months, and
        // every 7th day of the rest.
        if day < 28 && day > 1 && number % 7 != 0 {
            continue;
        }
        out.clear();
        text.write(&little::<3>(number as u64), &mut out).unwrap();
        let digits = |at: usize, len: usize| -> u32 {
            let units = out[2 * at..].iter().step_by(2).take(len);
            units.fold(0, |sum, &unit| sum * 10 + u32::from(unit - b'0'))
        };
        assert_eq!(
            (digits(0, 4), digits(5, 2), digits(8, 2)),
            (year, month, day)
        );
        days = number;
    }
    assert_eq!(days, 3_652_058);
}

proptest! {
    #[test]
    fn any_bytes_make_a_text_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..12),
        scale in 0..=7_u8,
        kind in 0..3_usize,
    ) {
        let ids = [TypeId::TIMEN, TypeId::DATETIME2N, TypeId::DATETIMEOFFSETN];
        let _ = said(&time(ids[kind], scale), &bytes);
        let _ = said(&TypeInfo::Date, &bytes);
        let mut out = Vec::new();
        let made = write_variant(&bytes, GERMAN, &mut out);
        prop_assert!(made.is_ok() || out.is_empty());
    }

    /// The local time less the offset is the time in UTC that was given.
    #[test]
    fn offsets_are_added(
        minutes in 0..1440_u64,
        day in 1..3_652_058_u64,
        offset in -840..=840_i16,
    ) {
        let info = time(TypeId::DATETIMEOFFSETN, 0);
        let text = said(&info, &with_offset(0, minutes * 60, day, offset)).unwrap();
        let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
        let sign = if &text[20..21] == "-" { -1 } else { 1 };
        let shown = sign * (number(21, 23) * 60 + number(24, 26));
        prop_assert_eq!(shown, i64::from(offset));
        let utc_date = said(&TypeInfo::Date, &little::<3>(day)).unwrap();
        let local = number(11, 13) * 60 + number(14, 16);
        let carried = minutes.cast_signed() + shown;
        prop_assert_eq!(local, (carried + 2880) % 1440);
        let same_day = text[..10] == utc_date;
        prop_assert_eq!(same_day, (0..1440).contains(&carried));
        prop_assert_eq!(&text[10..20].replace(char::is_numeric, "0"), " 00:00:00 ");
    }
}

#[test]
fn dates_are_nvarchar_before_7_3() {
    let dates = [
        TypeInfo::Date,
        time(TypeId::TIMEN, 7),
        time(TypeId::DATETIME2N, 0),
        time(TypeId::DATETIMEOFFSETN, 3),
    ];
    for (info, bytes) in dates.iter().zip([20, 32, 38, 60]) {
        for version in BEFORE_7_3 {
            let shown = shown(version, info, GERMAN).unwrap();
            assert_eq!(shown.type_info, text(TypeId::NVARCHAR, bytes));
            assert_eq!(shown.making, Making::DateText(DateText::of(info).unwrap()));
        }
        let shown = shown(OldVersion::V7_3A, info, GERMAN).unwrap();
        assert_eq!((&shown.type_info, shown.making), (info, Making::Same));
    }
}

#[test]
fn long_types_are_text_at_7_1() {
    let max = TypeInfo::MAX;
    let schema = XmlSchema {
        database: "shop".to_owned(),
        schema: "dbo".to_owned(),
        collection: "orders".to_owned(),
    };
    let kept = Making::Long { drop_bom: false };
    let xml = Making::Long { drop_bom: true };
    for (info, expected, making) in [
        (
            text(TypeId::BIGVARCHR, max),
            long(TypeId::TEXT, 0x7FFF_FFFF, Some(GERMAN)),
            kept,
        ),
        (
            text(TypeId::NVARCHAR, max),
            long(TypeId::NTEXT, 0x7FFF_FFFE, Some(GERMAN)),
            kept,
        ),
        (
            text(TypeId::BIGVARBIN, max),
            long(TypeId::IMAGE, 0x7FFF_FFFF, None),
            kept,
        ),
        (
            TypeInfo::Xml(None),
            long(TypeId::NTEXT, 0x7FFF_FFFE, Some(EXACT)),
            xml,
        ),
        (
            TypeInfo::Xml(Some(schema)),
            long(TypeId::NTEXT, 0x7FFF_FFFE, Some(EXACT)),
            xml,
        ),
        (udt(max), long(TypeId::IMAGE, 0x7FFF_FFFF, None), kept),
        (
            udt(892),
            text(TypeId::BIGVARBIN, 892),
            Making::Short { max: 892 },
        ),
    ] {
        for version in [OldVersion::V7_1, OldVersion::V7_1Rev1] {
            let shown = shown(version, &info, EXACT).unwrap();
            assert_eq!((&shown.type_info, shown.making), (&expected, making));
        }
        let is_large_udt = info == udt(max);
        for version in [OldVersion::V7_2, OldVersion::V7_3A] {
            let shown = shown(version, &info, EXACT).unwrap();
            assert_eq!(shown.making, Making::Same);
            if is_large_udt && version == OldVersion::V7_2 {
                assert_eq!(shown.type_info, text(TypeId::BIGVARBIN, max));
            } else {
                assert_eq!(shown.type_info, info);
            }
        }
    }
}

#[test]
fn what_a_version_has_stays() {
    let kept = [
        TypeInfo::Fixed(TypeId::INT8),
        TypeInfo::ByteLen {
            id: TypeId::DATETIMN,
            max: 8,
        },
        TypeInfo::Decimal {
            id: TypeId::NUMERICN,
            max: 17,
            precision: 38,
            scale: 5,
        },
        text(TypeId::NVARCHAR, 8000),
        text(TypeId::BIGVARBIN, 8000),
        long(TypeId::TEXT, 0x7FFF_FFFF, Some(GERMAN)),
    ];
    for (version, info) in ALL.iter().flat_map(|v| kept.iter().map(move |k| (*v, k))) {
        let shown = shown(version, info, EXACT).unwrap();
        assert_eq!((&shown.type_info, shown.making), (info, Making::Same));
    }
    let variant = TypeInfo::Variant { max: 8009 };
    for version in BEFORE_7_3 {
        let shown = shown(version, &variant, EXACT).unwrap();
        assert_eq!(shown.type_info, variant);
        assert_eq!(shown.making, Making::Variant);
    }
    let shown_at_7_3 = shown(OldVersion::V7_3A, &variant, EXACT).unwrap();
    assert_eq!(shown_at_7_3.making, Making::Same);
}

#[test]
fn types_that_nobody_asked_for_are_refused() {
    let vector = TypeInfo::Vector {
        max: 8000,
        dimension_type: 0,
    };
    for version in ALL {
        for info in [&TypeInfo::Json, &vector] {
            let error = shown(version, info, GERMAN).unwrap_err();
            assert!(matches!(error, EncodeError::Unsupported { .. }), "{error}");
        }
    }
}

#[test]
fn variants_of_dates_become_nvarchar() {
    let write = |bytes: &[u8]| {
        let mut out = vec![7];
        write_variant(bytes, GERMAN, &mut out).map(|()| out)
    };
    // datetime2(0): 2000-02-29 01:01:01, 3661 s = 0x000E4D.
    let made = write(&[0x2A, 1, 0, 0x4D, 0x0E, 0x00, 0x42, 0x24, 0x0B]).unwrap();
    let mut expected = vec![7, 47, 0, 0, 0, 0xE7, 7, 0x07, 0x04, 0xD0, 0x00, 0x00, 38, 0];
    expected.extend("2000-02-29 01:01:01".bytes().flat_map(|byte| [byte, 0]));
    assert_eq!(made, expected);
    let made = write(&[0x28, 0, 0, 0, 0]).unwrap();
    assert_eq!(made[..5], [7, 29, 0, 0, 0]);
    assert_eq!(ascii(&made[14..]), "0001-01-01");
    // An int, and a varbinary, stay.
    let made = write(&[0x38, 0, 1, 2, 3, 4]).unwrap();
    assert_eq!(made, [7, 6, 0, 0, 0, 0x38, 0, 1, 2, 3, 4]);
    let made = write(&[0xA5, 2, 0x40, 0x1F, 0xFF]).unwrap();
    assert_eq!(made, [7, 5, 0, 0, 0, 0xA5, 2, 0x40, 0x1F, 0xFF]);
    for wrong in [
        &[0x28, 1, 0, 0, 0, 0][..],
        &[0x28],
        &[0x2A, 0, 0, 0, 0, 0, 0, 0],
        &[0x29, 1, 8, 0, 0, 0, 0, 0],
        &[0x29, 1, 0, 0, 0],
        &[],
    ] {
        assert!(write(wrong).is_err(), "{wrong:?}");
    }
    let changing: Vec<u8> = (0..=255).filter(|&base| variant_changes(base)).collect();
    assert_eq!(changing, [0x28, 0x29, 0x2A, 0x2B]);
}

#[test]
fn flags_and_user_types() {
    let int = TypeInfo::Fixed(TypeId::INT4);
    let date = TypeInfo::Date;
    let all_flags = |version, info: &TypeInfo, collation| {
        let shown = shown(version, info, collation).unwrap();
        let set = flags(version, 0xFFFF, info, &shown);
        (set, flags(version, 0, info, &shown))
    };
    assert_eq!(all_flags(OldVersion::V7_1, &int, GERMAN), (0x001F, 0));
    assert_eq!(all_flags(OldVersion::V7_2, &int, GERMAN), (0xF3FF, 0));
    assert_eq!(all_flags(OldVersion::V7_3A, &int, GERMAN), (0xF3FF, 0));
    // A text that was none minds the case if the database does.
    assert_eq!(all_flags(OldVersion::V7_1, &date, GERMAN), (0x001D, 0));
    assert_eq!(all_flags(OldVersion::V7_1, &date, EXACT), (0x001F, 2));
    assert_eq!(all_flags(OldVersion::V7_2, &date, EXACT), (0xF2FF, 2));
    let own = text(TypeId::NVARCHAR, TypeInfo::MAX);
    assert_eq!(all_flags(OldVersion::V7_1, &own, EXACT), (0x001F, 0));

    let numbers = |version, info: &TypeInfo| {
        let shown = shown(version, info, GERMAN).unwrap();
        [0x50, 0xFFFF, 0x1_0000].map(|number| user_type(version, number, info, &shown))
    };
    assert_eq!(numbers(OldVersion::V7_1, &int), [0x50, 0xFFFF, 0]);
    assert_eq!(numbers(OldVersion::V7_2, &int), [0x50, 0xFFFF, 0x1_0000]);
    assert_eq!(numbers(OldVersion::V7_2, &date), [0, 0, 0]);
    assert_eq!(numbers(OldVersion::V7_3A, &date), [0x50, 0xFFFF, 0x1_0000]);
}

#[test]
fn table_names_are_one_text() {
    let parts = ["shop", "dbo", "orders"].map(str::to_owned);
    assert_eq!(table_name(&parts), "shop.dbo.orders");
    assert_eq!(table_name(&[]), "");
}
