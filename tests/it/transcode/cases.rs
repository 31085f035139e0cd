//! Answers of all kinds, with what no emulator sends.

use super::answer::{Column, Compute, Done, Env, Message, Returned, Tok, may_be_null};
use super::bytes::utf16;
use super::samples::{self, LATIN1, Sample, long, short, udt};
use super::types::{MAX, Ty, id};
use super::write::{Answer, Pieces};

/// An answer with a name.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) payload: Vec<u8>,
}

pub(super) fn done(token: u8, status: u16, count: u64) -> Tok {
    Tok::Done(Done {
        token,
        status,
        command: 0xC1,
        count,
    })
}

pub(super) fn end() -> Tok {
    done(0xFD, 0, 0)
}

pub(super) fn column(name: &str, ty: Ty) -> Column {
    let table = match ty {
        Ty::Long { .. } => vec!["dbo".to_owned(), "orders".to_owned()],
        _ => Vec::new(),
    };
    let flags = if may_be_null(&ty) { 9 } else { 8 };
    Column {
        user_type: 0,
        flags,
        ty,
        table,
        name: name.to_owned(),
    }
}

/// One result with all values of these types, each row with other values and
/// other NULLs.
pub(super) fn table(samples: &[Sample]) -> Vec<Tok> {
    let columns = samples.iter().enumerate();
    let columns = columns.map(|(at, (ty, _))| column(&format!("c{at}"), ty.clone()));
    let mut tokens = vec![Tok::Columns(columns.collect())];
    let most = samples
        .iter()
        .map(|(_, values)| values.len())
        .max()
        .unwrap_or(0);
    for row in 0..=most {
        let values = samples.iter().enumerate().map(|(at, (ty, values))| {
            let null = may_be_null(ty) && (row == most || (row + at) % 3 == 2);
            // Long values come once, or there would be too much of them.
            let value = values
                .get(row)
                .or_else(|| values.iter().min_by_key(|v| v.len()));
            (!null).then(|| value.unwrap().clone())
        });
        tokens.push(Tok::Row(values.collect()));
    }
    tokens.push(done(0xFD, Done::COUNT, most as u64 + 1));
    tokens
}

/// Everything but long values: small enough to be cut at each byte.
pub(super) fn small() -> Vec<Case> {
    let case = |name, tokens: &[Tok]| Case {
        name,
        payload: Answer::new(Pieces::Known(3)).with(tokens).bytes,
    };
    let mut cases = vec![
        case("messages", &messages()),
        case("counts", &counts()),
        case("user types and flags", &user_types()),
        case("several results", &several()),
        case("tables and orders", &tables()),
        case("computed rows", &computed()),
        case("output values", &returned(&short_returned())),
        case("no columns", &[Tok::NoColumns, end()]),
        case("zero columns", &[Tok::Columns(Vec::new()), end()]),
        case("state of the session", &opaque()),
        case(
            "an empty result",
            &[Tok::Columns(vec![column("", udt(MAX))]), end()],
        ),
    ];
    cases.extend(
        environment()
            .into_iter()
            .map(|tokens| case("environment", &tokens)),
    );
    for how in [
        Pieces::Whole,
        Pieces::Known(1),
        Pieces::Unknown(1),
        Pieces::Unknown(7),
    ] {
        let samples = tiny();
        let tokens = table(&samples);
        let plain = Answer::new(how).with(&tokens).bytes;
        let bitmaps = Answer::new(how).with_bitmaps().with(&tokens).bytes;
        cases.push(Case {
            name: "tiny rows",
            payload: plain,
        });
        cases.push(Case {
            name: "tiny rows with bitmaps",
            payload: bitmaps,
        });
    }
    cases
}

/// A short value or two of each type.
fn tiny() -> Vec<Sample> {
    let mut all = samples::all();
    for (ty, values) in &mut all {
        if matches!(ty, Ty::Variant { .. }) {
            continue;
        }
        values.retain(|value| value.len() <= 20);
        values.truncate(2);
    }
    all.retain(|(ty, values)| !values.is_empty() && !matches!(ty, Ty::Variant { .. }));
    let inner = samples::variants();
    let inner = inner.into_iter().filter(|value| value.len() < 40).take(9);
    all.push((Ty::Variant { max: 8009 }, inner.collect()));
    all
}

/// Whole results of all types at their borders.
pub(super) fn large() -> Vec<Case> {
    let all = samples::all();
    let mut cases = Vec::new();
    let tokens = table(&all);
    for (how, bitmaps) in [
        (Pieces::Whole, false),
        (Pieces::Known(1001), true),
        (Pieces::Unknown(4095), false),
        (Pieces::Unknown(4095), true),
    ] {
        let answer = Answer::new(how);
        let answer = if bitmaps {
            answer.with_bitmaps()
        } else {
            answer
        };
        cases.push(Case {
            name: "all types",
            payload: answer.with(&tokens).bytes,
        });
    }
    for columns in [1, 7, 8, 9, 16, 17, 100, 1024] {
        let samples: Vec<_> = all.iter().cycle().take(columns).map(shortest).collect();
        let payload = Answer::new(Pieces::Whole)
            .with_bitmaps()
            .with(&table(&samples))
            .bytes;
        cases.push(Case {
            name: "bitmaps of each width",
            payload,
        });
    }
    let payload = Answer::new(Pieces::Unknown(999))
        .with(&returned(&long_returned()))
        .bytes;
    cases.push(Case {
        name: "long output values",
        payload,
    });
    cases
}

fn shortest((ty, values): &Sample) -> Sample {
    let value = values.iter().min_by_key(|value| value.len()).unwrap();
    (ty.clone(), vec![value.clone()])
}

fn message(is_error: bool, line: u32, text: &str) -> Tok {
    Tok::Message(Message {
        is_error,
        number: 50_000,
        state: 7,
        class: if is_error { 16 } else { 0 },
        text: text.to_owned(),
        server: "server".to_owned(),
        procedure: "dbo.p".to_owned(),
        line,
    })
}

fn messages() -> Vec<Tok> {
    let mut tokens = Vec::new();
    for line in [0, 1, 65_535, 65_536, 100_000, u32::MAX] {
        tokens.push(message(true, line, "no \u{1f642} good"));
        tokens.push(message(false, line, ""));
    }
    tokens.push(message(false, 3, &"long".repeat(1000)));
    tokens.push(done(0xFD, Done::ERROR, 0));
    tokens
}

fn counts() -> Vec<Tok> {
    let mut tokens = Vec::new();
    for count in [0, 1, 0x7FFF_FFFE, 0x7FFF_FFFF] {
        for token in [0xFD, 0xFE, 0xFF] {
            tokens.push(done(token, Done::COUNT | Done::MORE, count));
        }
    }
    for count in [1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 5, u64::MAX] {
        tokens.push(done(0xFF, Done::COUNT | Done::MORE, count));
    }
    tokens.push(Tok::Status(-6));
    tokens.push(done(0xFE, 0x80 | Done::MORE, 0));
    tokens.push(end());
    tokens
}

fn user_types() -> Vec<Tok> {
    let of = |user_type, flags, ty| Column {
        user_type,
        flags,
        ..column("c", ty)
    };
    let binary = || short(id::BINARY, 8);
    let mut columns = vec![
        of(0x50, 0x0008, binary()),
        of(0xFF, 0x0009, binary()),
        of(0xFFFF, 0x0009, binary()),
        of(0x1_0000, 0x0009, binary()),
        of(0x0123_4567, 0x0009, Ty::Date),
        of(0x50, 0x0009, short(id::NVARCHAR, MAX)),
        of(0, 0x0103, Ty::Xml(None)),
        of(0, 0x0103, udt(80)),
        of(0, 0x0103, short(id::VARCHAR, MAX)),
    ];
    for bit in 0..16 {
        // 6 and 7 are said to be for gateways, 12 for nobody.
        if ![6, 7, 12].contains(&bit) {
            columns.push(of(0, 1 << bit | 1, binary()));
        }
    }
    vec![Tok::Columns(columns), end()]
}

fn several() -> Vec<Tok> {
    let mut tokens = table(&[(Ty::Date, vec![vec![1, 2, 3]])]);
    tokens.pop();
    tokens.push(done(0xFF, Done::MORE | Done::COUNT, 2));
    tokens.push(message(false, 1, "between"));
    tokens.extend(table(&[(short(id::NVARCHAR, MAX), vec![utf16("two")])]));
    tokens.pop();
    tokens.push(done(0xFF, Done::MORE | Done::COUNT, 2));
    tokens.push(Tok::Status(0));
    tokens.push(done(0xFE, 0, 0));
    tokens
}

fn tables() -> Vec<Tok> {
    let name = |parts: &[&str]| {
        parts
            .iter()
            .map(|part| (*part).to_owned())
            .collect::<Vec<_>>()
    };
    let mut texts = Vec::new();
    for parts in [
        &["t"][..],
        &["dbo", "t"],
        &["shop", "dbo", "t"],
        &["s", "shop", "dbo", "t"],
    ] {
        texts.push(Column {
            table: name(parts),
            ..column("c", long(id::NTEXT))
        });
    }
    vec![
        Tok::Tables(vec![
            name(&["t"]),
            name(&["dbo", "t"]),
            name(&["a", "b", "c", "d"]),
        ]),
        Tok::Columns(texts),
        Tok::ColumnInfo([&[1, 1, 8, 2, 0, 4, 3, 1, 0x20, 1][..], &utf16("x")].concat()),
        Tok::Order(vec![1, 2, 300]),
        Tok::Row(vec![Some(Vec::new()), None, Some(utf16("x")), None]),
        end(),
    ]
}

fn computed() -> Vec<Tok> {
    let compute = |operator, ty| Compute {
        operator,
        operand: 1,
        column: column("sum", ty),
    };
    let columns = vec![
        compute(
            0x4D,
            Ty::Byte {
                id: id::INTN,
                max: 4,
            },
        ),
        compute(
            0x51,
            Ty::Scaled {
                id: id::DATETIME2,
                scale: 3,
            },
        ),
    ];
    let value = vec![Some(vec![1, 0, 0, 0]), Some(vec![9, 0, 0, 0, 1, 0, 0])];
    vec![
        Tok::Columns(vec![column("a", Ty::Fixed(0x38))]),
        Tok::Computed {
            id: 1,
            by: vec![1],
            columns,
        },
        Tok::Computed {
            id: 2,
            by: vec![],
            columns: vec![compute(0x4D, Ty::Date)],
        },
        Tok::Row(vec![Some(vec![1, 2, 3, 4])]),
        Tok::ComputedRow {
            id: 1,
            values: value,
        },
        Tok::Row(vec![Some(vec![5, 6, 7, 8])]),
        Tok::ComputedRow {
            id: 2,
            values: vec![None],
        },
        Tok::ComputedRow {
            id: 2,
            values: vec![Some(vec![1, 0, 0])],
        },
        end(),
    ]
}

pub(super) fn returned(samples: &[Sample]) -> Vec<Tok> {
    let mut tokens = vec![Tok::Status(5)];
    for (at, (ty, values)) in samples.iter().enumerate() {
        let null = may_be_null(ty).then_some(None);
        for value in values.iter().cloned().map(Some).chain(null) {
            tokens.push(Tok::Returned(Box::new(Returned {
                ordinal: Some(at as u16),
                name: if at % 2 == 0 {
                    "@out".into()
                } else {
                    String::new()
                },
                status: if at % 5 == 4 { 2 } else { 1 },
                user_type: if at == 3 { 0x2_0000 } else { 0 },
                flags: 0,
                ty: ty.clone(),
                value,
            })));
        }
    }
    tokens.push(done(0xFE, 0, 0));
    tokens
}

/// No server has outputs of text, ntext and image.
fn short_returned() -> Vec<Sample> {
    let mut all = tiny();
    all.retain(|(ty, _)| !matches!(ty, Ty::Long { .. }));
    all
}

fn long_returned() -> Vec<Sample> {
    let long = |ty: Ty| (ty, [0, 100, 65_000].map(samples::filled).into());
    vec![
        long(short(id::NVARCHAR, MAX)),
        long(short(id::VARCHAR, MAX)),
        long(short(id::VARBINARY, MAX)),
        long(Ty::Xml(None)),
        long(udt(MAX)),
    ]
}

fn opaque() -> Vec<Tok> {
    vec![
        // Features acknowledged where no login is: 0x0A with one byte.
        Tok::Opaque(0xAE, vec![0x0A, 1, 0, 0, 0, 1, 0xFF]),
        Tok::Columns(vec![column("a", Ty::Fixed(0x30))]),
        Tok::Row(vec![Some(vec![5])]),
        Tok::Opaque(0xE4, vec![1, 0, 0, 0, 1, 9, 2, 7, 7]),
        end(),
    ]
}

/// Changes of each type, each with an answer around it.
fn environment() -> Vec<Vec<Tok>> {
    let change = |kind, new: &[u8], old: &[u8]| Env {
        kind,
        new: new.into(),
        old: old.into(),
    };
    let descriptor = [1, 2, 3, 4, 5, 6, 7, 8];
    let known = [
        change(1, b"shop", b"master"),
        change(2, b"Deutsch", b"us_english"),
        change(4, b"8000", b"4096"),
        change(7, &LATIN1, &[]),
        change(8, &descriptor, &[]),
        change(9, &[], &descriptor),
        change(10, &[], &descriptor),
        change(11, &descriptor, &[]),
        change(12, &[], &descriptor),
        change(13, b"partner", b""),
        change(16, &[1, 2, 3], &[]),
        change(17, &[], &descriptor),
        change(17, &descriptor, &[]),
        change(18, &[], &[]),
        change(19, b"instance", b""),
    ];
    let around = |changes: Vec<Env>| vec![message(false, 1, "before"), Tok::Env(changes), end()];
    let mut all: Vec<_> = known.iter().map(|one| around(vec![one.clone()])).collect();
    all.push(around(vec![change(15, &[7; 300], &[])]));
    all.push(around(vec![
        known[0].clone(),
        known[4].clone(),
        known[1].clone(),
    ]));
    all.push(around(vec![known[4].clone(), known[5].clone()]));
    all
}
