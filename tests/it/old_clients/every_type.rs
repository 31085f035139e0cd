//! A value of every type, its extremes, and how it is written down.

/// A column of `dbo.every_type`.
pub(super) struct Type {
    pub(super) name: &'static str,
    pub(super) sql_type: &'static str,
    /// Literals, and their texts: numbers in decimal with as many digits behind the point as the
    /// scale, floats as their shortest text, binaries in hexadecimal, GUIDs in upper case; of dates
    /// and times what SQL Server shows to those who do not know the type, which is ISO 8601 with a
    /// blank (`2026-11-22 13:14:15.1234567 +01:00`).
    pub(super) values: &'static [(&'static str, &'static str)],
}

impl Type {
    pub(super) fn literal(&self, row: usize) -> &'static str {
        self.value(row).map_or("null", |value| value.0)
    }

    /// `None` for NULL.
    pub(super) fn text(&self, row: usize) -> Option<&'static str> {
        self.value(row).map(|value| value.1)
    }

    fn value(&self, row: usize) -> Option<&'static (&'static str, &'static str)> {
        row.checked_sub(1).and_then(|index| self.values.get(index))
    }
}

const fn of(
    name: &'static str,
    sql_type: &'static str,
    values: &'static [(&'static str, &'static str)],
) -> Type {
    Type {
        name,
        sql_type,
        values,
    }
}

pub(super) const TYPES: &[Type] = &[
    of("bit", "bit", &[("0", "0"), ("1", "1")]),
    of("tinyint", "tinyint", &[("0", "0"), ("255", "255")]),
    of(
        "smallint",
        "smallint",
        &[("-32768", "-32768"), ("32767", "32767")],
    ),
    of(
        "int",
        "int",
        &[
            ("-2147483648", "-2147483648"),
            ("2147483647", "2147483647"),
            ("0", "0"),
        ],
    ),
    of(
        "bigint",
        "bigint",
        &[
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775807", "9223372036854775807"),
        ],
    ),
    of(
        "decimal",
        "decimal(9,2)",
        &[("-9999999.99", "-9999999.99"), ("0.01", "0.01")],
    ),
    of(
        "numeric",
        "numeric(38,10)",
        &[
            (
                "-9999999999999999999999999999.9999999999",
                "-9999999999999999999999999999.9999999999",
            ),
            (
                "9999999999999999999999999999.9999999999",
                "9999999999999999999999999999.9999999999",
            ),
            ("0", "0.0000000000"),
        ],
    ),
    of(
        "money",
        "money",
        &[
            ("-922337203685477.5808", "-922337203685477.5808"),
            ("922337203685477.5807", "922337203685477.5807"),
        ],
    ),
    of(
        "smallmoney",
        "smallmoney",
        &[("-214748.3648", "-214748.3648"), ("0.0001", "0.0001")],
    ),
    of("real", "real", &[("-1.5", "-1.5"), ("0.25", "0.25")]),
    of(
        "float",
        "float",
        &[
            ("1.7976931348623157e308", "1.7976931348623157E308"),
            ("-0.125", "-0.125"),
        ],
    ),
    of("char", "char(5)", &[("'ab'", "ab   "), ("''", "     ")]),
    of(
        "varchar",
        "varchar(8000)",
        &[("'wörd €'", "wörd €"), ("''", ""), ("'a'", "a")],
    ),
    of("nchar", "nchar(4)", &[("N'ü'", "ü   ")]),
    of(
        "nvarchar",
        "nvarchar(4000)",
        &[("N'日本 😀'", "日本 😀"), ("N''", ""), ("N'b'", "b")],
    ),
    of("text", "text", &[("'älter'", "älter"), ("'a'", "a")]),
    of(
        "ntext",
        "ntext",
        &[("N'日本 😀'", "日本 😀"), ("N'b'", "b")],
    ),
    of(
        "varchar_max",
        "varchar(max)",
        &[("'längst'", "längst"), ("'a'", "a"), ("''", "")],
    ),
    of(
        "nvarchar_max",
        "nvarchar(max)",
        &[("N'Ωmega 😀'", "Ωmega 😀"), ("N'b'", "b"), ("N''", "")],
    ),
    of("binary", "binary(4)", &[("0x01FF", "01FF0000")]),
    of(
        "varbinary",
        "varbinary(8000)",
        &[("0xDEADBEEF00", "DEADBEEF00"), ("0x", ""), ("0x00", "00")],
    ),
    of("image", "image", &[("0x0102FF", "0102FF"), ("0x00", "00")]),
    of(
        "varbinary_max",
        "varbinary(max)",
        &[("0xFFFEFD", "FFFEFD"), ("0x00", "00"), ("0x", "")],
    ),
    of(
        "uniqueidentifier",
        "uniqueidentifier",
        &[(
            "'6F9619FF-8B86-D011-B42D-00C04FC964FF'",
            "6F9619FF-8B86-D011-B42D-00C04FC964FF",
        )],
    ),
    of(
        "smalldatetime",
        "smalldatetime",
        &[
            ("'1900-01-01T00:00:00'", "1900-01-01 00:00:00"),
            ("'2079-06-06T23:59:00'", "2079-06-06 23:59:00"),
        ],
    ),
    of(
        "datetime",
        "datetime",
        &[
            ("'1753-01-01T00:00:00.000'", "1753-01-01 00:00:00.000"),
            ("'9999-12-31T23:59:59.997'", "9999-12-31 23:59:59.997"),
            ("'2026-11-22T13:14:15.123'", "2026-11-22 13:14:15.123"),
        ],
    ),
    of(
        "date",
        "date",
        &[
            ("'0001-01-01'", "0001-01-01"),
            ("'9999-12-31'", "9999-12-31"),
            ("'2026-11-22'", "2026-11-22"),
        ],
    ),
    of(
        "time",
        "time(7)",
        &[
            ("'00:00:00'", "00:00:00.0000000"),
            ("'23:59:59.9999999'", "23:59:59.9999999"),
        ],
    ),
    of(
        "time_0",
        "time(0)",
        &[("'00:00:00'", "00:00:00"), ("'23:59:59'", "23:59:59")],
    ),
    of(
        "datetime2",
        "datetime2(7)",
        &[
            ("'0001-01-01T00:00:00'", "0001-01-01 00:00:00.0000000"),
            (
                "'9999-12-31T23:59:59.9999999'",
                "9999-12-31 23:59:59.9999999",
            ),
            (
                "'2026-11-22T13:14:15.1234567'",
                "2026-11-22 13:14:15.1234567",
            ),
        ],
    ),
    of(
        "datetime2_3",
        "datetime2(3)",
        &[("'2026-11-22T13:14:15.123'", "2026-11-22 13:14:15.123")],
    ),
    of(
        "datetimeoffset",
        "datetimeoffset(7)",
        &[
            (
                "'0001-01-01T00:00:00 +00:00'",
                "0001-01-01 00:00:00.0000000 +00:00",
            ),
            (
                "'9999-12-31T09:59:59.9999999 -14:00'",
                "9999-12-31 09:59:59.9999999 -14:00",
            ),
            (
                "'2026-11-22T01:02:03.1234567 +05:30'",
                "2026-11-22 01:02:03.1234567 +05:30",
            ),
        ],
    ),
    of(
        "datetimeoffset_0",
        "datetimeoffset(0)",
        &[("'2026-11-22T23:02:03 -08:00'", "2026-11-22 23:02:03 -08:00")],
    ),
];
