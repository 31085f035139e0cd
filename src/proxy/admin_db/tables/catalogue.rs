//! What tools ask to find the tables: a few of SQL Server's catalogue views.

use super::super::sql::{DATABASE, Kind};
use super::{Catalogue, DBO, Definition, Row, int, state, text};
use crate::tds::Scalar;

pub(super) const TABLES: &[Definition] = &[
    Definition {
        schema: "sys",
        name: "databases",
        about: "the one database",
        columns: &[
            ("name", Kind::Text(128)),
            ("database_id", Kind::Int),
            ("state", Kind::Int),
            ("state_desc", Kind::Text(60)),
            ("collation_name", Kind::Text(128)),
            ("is_read_only", Kind::Bit),
        ],
        rows: databases,
    },
    Definition {
        schema: "sys",
        name: "schemas",
        about: "the one schema",
        columns: &[
            ("name", Kind::Text(128)),
            ("schema_id", Kind::Int),
            ("principal_id", Kind::Int),
        ],
        rows: |_| vec![vec![text(DBO), int(1), int(1)]],
    },
    Definition {
        schema: "sys",
        name: "tables",
        about: "the tables",
        columns: OBJECT,
        rows: objects,
    },
    Definition {
        schema: "sys",
        name: "objects",
        about: "the tables",
        columns: OBJECT,
        rows: objects,
    },
    Definition {
        schema: "sys",
        name: "columns",
        about: "the tables' columns",
        columns: &[
            ("object_id", Kind::Int),
            ("name", Kind::Text(128)),
            ("column_id", Kind::Int),
            ("max_length", Kind::Int),
            ("is_nullable", Kind::Bit),
        ],
        rows: sys_columns,
    },
    Definition {
        schema: "INFORMATION_SCHEMA",
        name: "SCHEMATA",
        about: "the one schema",
        columns: &[
            ("CATALOG_NAME", Kind::Text(128)),
            ("SCHEMA_NAME", Kind::Text(128)),
            ("SCHEMA_OWNER", Kind::Text(128)),
        ],
        rows: |_| vec![vec![text(DATABASE), text(DBO), text(DBO)]],
    },
    Definition {
        schema: "INFORMATION_SCHEMA",
        name: "TABLES",
        about: "the tables",
        columns: &[
            ("TABLE_CATALOG", Kind::Text(128)),
            ("TABLE_SCHEMA", Kind::Text(128)),
            ("TABLE_NAME", Kind::Text(128)),
            ("TABLE_TYPE", Kind::Text(10)),
        ],
        rows: tables,
    },
    Definition {
        schema: "INFORMATION_SCHEMA",
        name: "COLUMNS",
        about: "the tables' columns",
        columns: &[
            ("TABLE_CATALOG", Kind::Text(128)),
            ("TABLE_SCHEMA", Kind::Text(128)),
            ("TABLE_NAME", Kind::Text(128)),
            ("COLUMN_NAME", Kind::Text(128)),
            ("ORDINAL_POSITION", Kind::Int),
            ("COLUMN_DEFAULT", Kind::Text(4000)),
            ("IS_NULLABLE", Kind::Text(3)),
            ("DATA_TYPE", Kind::Text(128)),
            ("CHARACTER_MAXIMUM_LENGTH", Kind::Int),
            // Not the standard's, but what sp_columns tells.
            ("COLUMN_SIZE", Kind::Int),
            ("BYTES", Kind::Int),
            ("ODBC_TYPE", Kind::Int),
        ],
        rows: columns,
    },
];

const OBJECT: &[(&str, Kind)] = &[
    ("name", Kind::Text(128)),
    ("object_id", Kind::Int),
    ("schema_id", Kind::Int),
    ("type", Kind::Text(2)),
    ("type_desc", Kind::Text(60)),
];

fn databases(_: &Catalogue<'_>) -> Vec<Row> {
    vec![vec![
        text(DATABASE),
        int(1),
        int(0),
        text("ONLINE"),
        text("SQL_Latin1_General_CP1_CI_AS"),
        Scalar::Bit(true),
    ]]
}

/// Our own tables with the numbers that they go by.
fn own() -> impl Iterator<Item = (i64, &'static Definition)> {
    (1..).zip(state::TABLES)
}

fn objects(_: &Catalogue<'_>) -> Vec<Row> {
    let object = |(id, table): (i64, &Definition)| {
        vec![
            text(table.name),
            int(id),
            int(1),
            text("U"),
            text("USER_TABLE"),
        ]
    };
    own().map(object).collect()
}

fn sys_columns(_: &Catalogue<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (id, table) in own() {
        for (place, (name, kind)) in (1i64..).zip(table.columns) {
            rows.push(vec![
                int(id),
                text(*name),
                int(place),
                int(bytes(*kind)),
                Scalar::Bit(true),
            ]);
        }
    }
    rows
}

fn tables(_: &Catalogue<'_>) -> Vec<Row> {
    let table = |(_, table): (i64, &Definition)| {
        vec![
            text(DATABASE),
            text(DBO),
            text(table.name),
            text("BASE TABLE"),
        ]
    };
    own().map(table).collect()
}

fn columns(_: &Catalogue<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (_, table) in own() {
        for (place, (name, kind)) in (1i64..).zip(table.columns) {
            rows.push(vec![
                text(DATABASE),
                text(DBO),
                text(table.name),
                text(*name),
                int(place),
                Scalar::Null,
                text("YES"),
                text(kind.name()),
                match kind {
                    Kind::Text(chars) => int(*chars),
                    _ => Scalar::Null,
                },
                int(size(*kind)),
                int(bytes(*kind)),
                int(odbc_type(*kind)),
            ]);
        }
    }
    rows
}

/// Characters or digits.
fn size(kind: Kind) -> i64 {
    match kind {
        Kind::Bit => 1,
        Kind::Int => 10,
        Kind::BigInt => 19,
        Kind::Float => 15,
        Kind::Text(chars) => chars.into(),
        Kind::Moment => 23,
    }
}

fn bytes(kind: Kind) -> i64 {
    match kind {
        Kind::Bit => 1,
        Kind::Int => 4,
        Kind::BigInt | Kind::Float => 8,
        Kind::Text(chars) => i64::from(chars) * 2,
        Kind::Moment => 16,
    }
}

/// The type's number in ODBC.
fn odbc_type(kind: Kind) -> i64 {
    match kind {
        Kind::Bit => -7,
        Kind::Int => 4,
        Kind::BigInt => -5,
        Kind::Float => 6,
        Kind::Text(_) => -9,
        Kind::Moment => 93,
    }
}
