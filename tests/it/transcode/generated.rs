//! Tables of all kinds: for each column a type, for each cell an expression.

use proptest::prelude::*;

/// A column of a table.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) kind: usize,
    /// Chooses lengths, precisions and scales.
    pub(super) facet: usize,
    pub(super) nullable: bool,
}

/// A table and what chooses the values in it.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<Spec>,
    pub(super) rows: usize,
    pub(super) seed: u64,
}

impl Spec {
    fn any() -> impl Strategy<Value = Self> {
        let parts = (0..KINDS.len(), 0_usize..40, any::<bool>());
        parts.prop_map(|(kind, facet, nullable)| Self {
            kind,
            facet,
            nullable,
        })
    }
}

impl Table {
    /// Few columns with many rows, or many columns.
    pub(super) fn any() -> impl Strategy<Value = Self> {
        let columns = prop_oneof![
            4 => prop::collection::vec(Spec::any(), 1..12),
            1 => prop::collection::vec(Spec::any(), 30..110),
        ];
        (columns, 1_usize..12, any::<u64>()).prop_map(|(columns, rows, seed)| Self {
            columns,
            rows,
            seed,
        })
    }

    /// Each type once, with all that it has for a facet in turn.
    pub(super) fn of_all(facet: usize) -> Self {
        let columns = (0..KINDS.len()).map(|kind| Spec {
            kind,
            facet: facet + kind,
            nullable: true,
        });
        Self {
            columns: columns.collect(),
            rows: 12,
            seed: facet as u64,
        }
    }

    pub(super) fn create(&self, name: &str) -> String {
        let columns = self.columns.iter().enumerate().map(|(at, spec)| {
            let null = if spec.nullable { "NULL" } else { "NOT NULL" };
            format!(", c{at} {} {null}", KINDS[spec.kind].declared(spec.facet))
        });
        format!(
            "CREATE TABLE dbo.{name} (id int NOT NULL{})",
            columns.collect::<String>()
        )
    }

    /// One statement per row.
    pub(super) fn inserts(&self, name: &str) -> Vec<String> {
        let mut random = Random(self.seed);
        let rows = (0..self.rows).map(|row| {
            let values = self.columns.iter().map(|spec| {
                if spec.nullable && random.below(3) == 0 {
                    return ", NULL".to_owned();
                }
                format!(", {}", KINDS[spec.kind].value(spec.facet, &mut random))
            });
            format!(
                "INSERT INTO dbo.{name} VALUES ({row}{})",
                values.collect::<String>()
            )
        });
        rows.collect()
    }
}

/// splitmix64.
pub(super) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its values stand in quotes.
    Plain(&'static str, &'static [&'static str]),
    Decimal(&'static str),
    /// A name, and how many units may be.
    Text(&'static str, usize),
    Binary(&'static str),
    /// A type whose length is not told.
    Long(&'static str),
    Time,
    DateTime2,
    DateTimeOffset,
    Variant,
}

use Kind::{Binary, Decimal, Long, Plain, Text};

/// All types.
pub(super) const KINDS: &[Kind] = &[
    Plain("bit", &["0", "1"]),
    Plain("tinyint", &["0", "1", "255"]),
    Plain("smallint", &["-32768", "32767", "0"]),
    Plain("int", &["-2147483648", "2147483647", "0"]),
    Plain(
        "bigint",
        &["-9223372036854775808", "9223372036854775807", "7"],
    ),
    Plain("real", &["0", "-3.4E38", "1.5", "1.18E-38"]),
    Plain("float", &["0", "-1.79E308", "0.1", "2.23E-308"]),
    Decimal("decimal"),
    Decimal("numeric"),
    Plain("smallmoney", &["-214748.3648", "214748.3647", "0"]),
    Plain(
        "money",
        &["-922337203685477.5808", "922337203685477.5807", "0.0001"],
    ),
    Text("char", 8000),
    Text("varchar", 8000),
    Text("nchar", 4000),
    Text("nvarchar", 4000),
    Binary("binary"),
    Binary("varbinary"),
    Plain(
        "uniqueidentifier",
        &[
            "00000000-0000-0000-0000-000000000000",
            "00112233-4455-6677-8899-AABBCCDDEEFF",
        ],
    ),
    Plain(
        "date",
        &[
            "0001-01-01",
            "9999-12-31",
            "2000-02-29",
            "1900-03-01",
            "1999-12-31",
        ],
    ),
    Kind::Time,
    Kind::DateTime2,
    Kind::DateTimeOffset,
    Plain(
        "smalldatetime",
        &["1900-01-01", "2079-06-06 23:59", "2000-02-29 12:01"],
    ),
    Plain(
        "datetime",
        &[
            "1753-01-01",
            "9999-12-31 23:59:59.997",
            "2000-02-29 12:01:02.003",
        ],
    ),
    Long("text"),
    Long("ntext"),
    Long("image"),
    Long("varchar(max)"),
    Long("nvarchar(max)"),
    Long("varbinary(max)"),
    Kind::Variant,
    Plain("xml", &["<a/>", "<a b=\"c\">text</a>", ""]),
];

const UNITS: [usize; 6] = [1, 2, 127, 128, 255, 256];
const LENGTHS: [usize; 12] = [
    0, 1, 2, 255, 256, 4000, 7999, 8000, 8001, 65_535, 65_536, 65_537,
];

impl Kind {
    fn declared(self, facet: usize) -> String {
        match self {
            Self::Plain(name, _) | Self::Long(name) => name.to_owned(),
            Self::Decimal(name) => {
                let (precision, scale) = digits(facet);
                format!("{name}({precision}, {scale})")
            }
            Self::Text(name, most) => format!("{name}({})", units(facet, most)),
            Self::Binary(name) => format!("{name}({})", units(facet, 8000)),
            Self::Time => format!("time({})", facet % 8),
            Self::DateTime2 => format!("datetime2({})", facet % 8),
            Self::DateTimeOffset => format!("datetimeoffset({})", facet % 8),
            Self::Variant => "sql_variant".to_owned(),
        }
    }

    /// An expression of the type.
    fn value(self, facet: usize, random: &mut Random) -> String {
        let declared = self.declared(facet);
        match self {
            Self::Plain(_, values) => format!("CAST('{}' AS {declared})", random.pick(values)),
            Self::Decimal(_) => format!("CAST('{}' AS {declared})", number(facet, random)),
            Self::Text(_, most) => {
                let most = units(facet, most);
                let units = random.pick(&[0, 1, most / 2, most]);
                format!("CAST({} AS {declared})", text(units, random))
            }
            Self::Binary(_) => {
                let most = units(facet, 8000);
                let bytes = random.pick(&[0, 1, most / 2, most]);
                format!("CAST({} AS {declared})", binary(bytes, random))
            }
            Self::Long(name) => {
                let length = random.pick(&LENGTHS);
                let bytes = matches!(name, "image" | "varbinary(max)");
                let value = if bytes {
                    binary(length, random)
                } else {
                    text(length, random)
                };
                format!("CAST({value} AS {declared})")
            }
            Self::Time => format!("CAST('{}' AS {declared})", clock(facet % 8, random)),
            Self::DateTime2 => {
                let day = random.pick(&["0001-01-01", "9999-12-31", "2024-02-29", "1582-10-15"]);
                format!("CAST('{day} {}' AS {declared})", clock(facet % 8, random))
            }
            Self::DateTimeOffset => {
                let day = random.pick(&["0001-01-02", "9999-12-30", "2024-02-29", "2023-12-31"]);
                let zone = random.pick(&["+00:00", "+14:00", "-14:00", "+05:30", "-00:30"]);
                format!(
                    "CAST('{day} {} {zone}' AS {declared})",
                    clock(facet % 8, random)
                )
            }
            Self::Variant => {
                let inner = random.pick(KINDS);
                match inner {
                    Self::Long(_) | Self::Variant | Plain("xml", _) => {
                        "CAST(N'plain' AS sql_variant)".to_owned()
                    }
                    other => {
                        let facet = random.below(40);
                        format!("CAST({} AS sql_variant)", other.value(facet, random))
                    }
                }
            }
        }
    }
}

/// The largest number of a precision and scale, the smallest, or 0.
fn number(facet: usize, random: &mut Random) -> String {
    let (precision, scale) = digits(facet);
    let whole = "9".repeat(precision - scale);
    let fraction = "9".repeat(scale);
    let number = match random.below(3) {
        0 => format!("{whole}.{fraction}"),
        1 => format!("-{whole}.{fraction}"),
        _ => "0".to_owned(),
    };
    number.trim_end_matches('.').to_owned()
}

/// Precision and scale.
fn digits(facet: usize) -> (usize, usize) {
    let precision = 1 + facet % 38;
    (precision, [0, precision / 2, precision][facet % 3])
}

fn units(facet: usize, most: usize) -> usize {
    // The longest are rare: a row has its limits.
    if facet % 20 == 19 {
        most
    } else {
        UNITS[facet % UNITS.len()]
    }
}

fn text(units: usize, random: &mut Random) -> String {
    let unit = random.pick(&["x", "\u{e4}", "'' ", "0"]);
    let long = if units > 4000 {
        ("CAST(N'", "' AS nvarchar(max))")
    } else {
        ("N'", "'")
    };
    match units {
        0 => "N''".to_owned(),
        1 => "N'y'".to_owned(),
        _ => format!(
            "LEFT(REPLICATE({}{unit}{}, {units}), {units})",
            long.0, long.1
        ),
    }
}

fn binary(bytes: usize, random: &mut Random) -> String {
    let pair = random.pick(&["00", "FF", "7F", "D1"]);
    if bytes <= 256 {
        return format!("0x{}", pair.repeat(bytes));
    }
    let unit = random.pick(&["a", "\u{e4}"]);
    format!("CAST(REPLICATE(CAST('{unit}' AS varchar(max)), {bytes}) AS varbinary(max))")
}

fn clock(scale: usize, random: &mut Random) -> String {
    let time = random.pick(&["00:00:00", "23:59:59", "12:34:56", "01:02:03"]);
    if scale == 0 {
        return time.to_owned();
    }
    let fraction = random.pick(&["0000000", "9999999", "0000001", "5000000", "1234567"]);
    format!("{time}.{}", &fraction[..scale])
}
