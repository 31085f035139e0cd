//! Values of every type, through tables, parameters and output parameters, byte by byte.

use entrada::tds::{Collation, Put, TypeId, TypeInfo, token_id};

use super::answer::{Answer, ask, batch, read_with, session};
use super::requests::{nvarchar, rpc, utf16};

const COLLATION: Option<Collation> = Some(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS);

fn hex(_: &TypeInfo, value: Option<&[u8]>) -> String {
    let digits = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect();
    value.map_or_else(|| "NULL".to_owned(), digits)
}

fn byte(id: TypeId, max: u8) -> TypeInfo {
    TypeInfo::ByteLen { id, max }
}

fn short(id: TypeId, max: u16) -> TypeInfo {
    let text = matches!(
        id,
        TypeId::BIGCHAR | TypeId::BIGVARCHR | TypeId::NCHAR | TypeId::NVARCHAR
    );
    let collation = COLLATION.filter(|_| text);
    TypeInfo::ShortLen { id, max, collation }
}

fn long(id: TypeId, max: u32) -> TypeInfo {
    let collation = COLLATION.filter(|_| id != TypeId::IMAGE);
    TypeInfo::LongLen { id, max, collation }
}

fn time(id: TypeId, scale: u8) -> TypeInfo {
    TypeInfo::Time { id, scale }
}

fn decimal(id: TypeId, max: u8, precision: u8, scale: u8) -> TypeInfo {
    TypeInfo::Decimal {
        id,
        max,
        precision,
        scale,
    }
}

/// A type, and a value that is sent and comes back unchanged.
type Case = (&'static str, TypeInfo, Vec<u8>);

fn numbers() -> Vec<Case> {
    vec![
        ("bit", byte(TypeId::BITN, 1), vec![1]),
        ("tinyint", byte(TypeId::INTN, 1), vec![255]),
        ("smallint", byte(TypeId::INTN, 2), vec![0, 0x80]),
        ("int", byte(TypeId::INTN, 4), vec![0, 0, 0, 0x80]),
        (
            "bigint",
            byte(TypeId::INTN, 8),
            vec![0, 0, 0, 0, 0, 0, 0, 0x80],
        ),
        (
            "real",
            byte(TypeId::FLTN, 4),
            f32::MIN.to_le_bytes().to_vec(),
        ),
        (
            "real",
            byte(TypeId::FLTN, 4),
            f32::MAX.to_le_bytes().to_vec(),
        ),
        (
            "float",
            byte(TypeId::FLTN, 8),
            f64::MAX.to_le_bytes().to_vec(),
        ),
        (
            "float",
            byte(TypeId::FLTN, 8),
            f64::MIN_POSITIVE.to_le_bytes().to_vec(),
        ),
        (
            "uniqueidentifier",
            byte(TypeId::GUID, 16),
            (0..16).collect(),
        ),
    ]
}

fn amounts() -> Vec<Case> {
    let mut most = vec![1];
    most.extend((10_u128.pow(38) - 1).to_le_bytes());
    let mut least = most.clone();
    least[0] = 0;
    vec![
        ("smallmoney", byte(TypeId::MONEYN, 4), vec![0, 0, 0, 0x80]),
        (
            "smallmoney",
            byte(TypeId::MONEYN, 4),
            vec![0xFF, 0xFF, 0xFF, 0x7F],
        ),
        (
            "money",
            byte(TypeId::MONEYN, 8),
            vec![0, 0, 0, 0x80, 0, 0, 0, 0],
        ),
        (
            "decimal(9,5)",
            decimal(TypeId::DECIMALN, 5, 9, 5),
            vec![1, 0xFF, 0xC9, 0x9A, 0x3B],
        ),
        (
            "decimal(38,5)",
            decimal(TypeId::DECIMALN, 17, 38, 5),
            least.clone(),
        ),
        (
            "decimal(38,0)",
            decimal(TypeId::DECIMALN, 17, 38, 0),
            most.clone(),
        ),
        (
            "decimal(38,38)",
            decimal(TypeId::DECIMALN, 17, 38, 38),
            least,
        ),
        (
            "numeric(19,4)",
            decimal(TypeId::NUMERICN, 9, 19, 4),
            vec![1, 9, 0, 0, 0, 0, 0, 0, 0],
        ),
    ]
}

fn moments() -> Vec<Case> {
    vec![
        ("date", TypeInfo::Date, vec![0, 0, 0]),
        ("date", TypeInfo::Date, vec![0xDA, 0xB9, 0x37]),
        ("time(0)", time(TypeId::TIMEN, 0), vec![0x7F, 0x51, 1]),
        (
            "time(7)",
            time(TypeId::TIMEN, 7),
            vec![0xFF, 0xBF, 0x69, 0x2A, 0xC9],
        ),
        (
            "datetime2(0)",
            time(TypeId::DATETIME2N, 0),
            vec![1, 0, 0, 2, 0, 0],
        ),
        (
            "datetime2(3)",
            time(TypeId::DATETIME2N, 3),
            vec![0, 0, 0, 0, 0xDA, 0xB9, 0x37],
        ),
        (
            "datetime2(7)",
            time(TypeId::DATETIME2N, 7),
            vec![0xFF, 0xBF, 0x69, 0x2A, 0xC9, 0xDA, 0xB9, 0x37],
        ),
        (
            "datetimeoffset(3)",
            time(TypeId::DATETIMEOFFSETN, 3),
            vec![1, 2, 3, 0, 0x10, 0x20, 0x0B, 0x88, 0xFF],
        ),
        (
            "datetimeoffset(7)",
            time(TypeId::DATETIMEOFFSETN, 7),
            vec![0, 0, 0, 0, 0, 0x42, 0x24, 0x0B, 0x48, 3],
        ),
        (
            "datetime",
            byte(TypeId::DATETIMN, 8),
            vec![0x46, 0x2E, 0xFF, 0xFF, 1, 0, 0, 0],
        ),
        (
            "smalldatetime",
            byte(TypeId::DATETIMN, 4),
            vec![0xFF, 0xFF, 0x9F, 5],
        ),
    ]
}

fn strings() -> Vec<Case> {
    let wide = |text: &str| utf16(text).unwrap();
    vec![
        ("char(5)", short(TypeId::BIGCHAR, 5), b"ab   ".to_vec()),
        ("nchar(3)", short(TypeId::NCHAR, 6), wide("é  ")),
        ("binary(4)", short(TypeId::BIGBINARY, 4), vec![1, 2, 0, 0]),
        (
            "varchar(8000)",
            short(TypeId::BIGVARCHR, 8000),
            vec![b'x'; 8000],
        ),
        (
            "nvarchar(4000)",
            short(TypeId::NVARCHAR, 8000),
            wide("\u{1F600}"),
        ),
        ("nvarchar(4000)", short(TypeId::NVARCHAR, 8000), Vec::new()),
        ("varbinary(3)", short(TypeId::BIGVARBIN, 3), Vec::new()),
        (
            "varbinary(10)",
            short(TypeId::BIGVARBIN, 10),
            vec![0, 255, 0],
        ),
        (
            "varchar(max)",
            short(TypeId::BIGVARCHR, 0xFFFF),
            vec![0xE9; 9000],
        ),
        (
            "nvarchar(max)",
            short(TypeId::NVARCHAR, 0xFFFF),
            wide(&"ü".repeat(9000)),
        ),
        (
            "varbinary(max)",
            short(TypeId::BIGVARBIN, 0xFFFF),
            vec![0xAB; 70_000],
        ),
        ("xml", TypeInfo::Xml(None), wide("<a>é</a>")),
    ]
}

/// Types that no variable may have.
fn old_large() -> Vec<Case> {
    vec![
        ("text", long(TypeId::TEXT, 0x7FFF_FFFF), vec![0xE9; 9000]),
        (
            "ntext",
            long(TypeId::NTEXT, 0x7FFF_FFFE),
            utf16("né").unwrap(),
        ),
        ("image", long(TypeId::IMAGE, 0x7FFF_FFFF), vec![0; 9000]),
    ]
}

fn variants() -> Vec<Case> {
    let texts = |id: u8, max: u16, data: &[u8]| {
        let mut bytes = vec![id, 7];
        bytes.extend(COLLATION.unwrap().0);
        bytes.extend(max.to_le_bytes());
        bytes.extend(data);
        bytes
    };
    let values = [
        vec![0x38, 0, 1, 0, 0, 0],
        vec![0x32, 0, 1],
        vec![0x3E, 0, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F],
        vec![
            0x24, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
        ],
        vec![0x6A, 2, 9, 2, 0, 5, 0, 0, 0],
        vec![0x3C, 0, 0, 0, 0, 0, 5, 0, 0, 0],
        vec![0x3D, 0, 1, 0, 0, 0, 2, 0, 0, 0],
        vec![0x28, 0, 0x42, 0x24, 0x0B],
        vec![0x29, 1, 0, 1, 2, 0],
        vec![0x2A, 1, 3, 1, 0, 0, 0, 0x42, 0x24, 0x0B],
        vec![0x2B, 1, 7, 1, 0, 0, 0, 0, 0x42, 0x24, 0x0B, 0x48, 3],
        vec![0xA5, 2, 0x40, 0x1F, 0xAB],
        texts(0xA7, 8000, b"caf\xE9"),
        texts(0xE7, 8000, &[0x41, 0, 0xE9, 0]),
    ];
    let info = TypeInfo::Variant { max: 8009 };
    values.map(|v| ("sql_variant", info.clone(), v)).to_vec()
}

/// The value comes back from a table, and from an output parameter.
fn goes_round((ty, info, value): Case, gives_output: bool) {
    let (_engine, mut session) = session();
    ask(&mut session, &format!("CREATE TABLE t(v {ty} NULL)"));
    let output = if gives_output { "; SET @o = @v" } else { "" };
    let sql = format!("INSERT t VALUES (@v), (@n); SELECT v FROM t{output}");
    let mut declared = format!("@v {ty}, @n {ty}");
    if gives_output {
        declared += &format!(", @o {ty} OUTPUT");
    }
    let mut params = vec![
        ("", false, nvarchar(8000), utf16(&sql)),
        ("", false, nvarchar(8000), utf16(&declared)),
        ("@v", false, info.clone(), Some(value.clone())),
        ("@n", false, info.clone(), None),
    ];
    if gives_output {
        params.push(("@o", true, info.clone(), None));
    }
    let mut bytes = Vec::new();
    session.execute(&rpc(10, &params), &mut bytes).unwrap();
    let answer: Answer = read_with(&bytes, hex);
    assert!(answer.errors.is_empty(), "{ty}: {:?}", answer.errors);
    let (columns, rows) = &answer.results[0];
    assert_eq!(columns[0].type_info, info, "{ty}");
    let value = hex(&info, Some(&value));
    assert_eq!(rows, &[[value.as_str()], ["NULL"]], "{ty}");
    let outputs = answer.outputs.iter().map(|(_, value)| value);
    let expected = gives_output.then_some(&value);
    assert!(outputs.eq(expected), "{ty}: {:?}", answer.outputs);
}

#[test]
fn every_type_goes_through_tables_and_parameters() {
    for case in [numbers(), amounts(), moments(), strings(), variants()].concat() {
        goes_round(case, true);
    }
    for case in old_large() {
        goes_round(case, false);
    }
}

#[test]
fn xml_comes_in_pieces_of_a_total_that_is_not_said() {
    let (_engine, mut session) = session();
    let sql = "SELECT CAST('<a>' + REPLICATE(CAST('x' AS varchar(max)), 3000) + '</a>' AS xml)";
    let mut answer = Vec::new();
    session.execute(&batch(sql), &mut answer).unwrap();
    let text = utf16(&format!("<a>{}</a>", "x".repeat(3000))).unwrap();
    let mut row = vec![token_id::ROW];
    row.put_u64_le(0xFFFF_FFFF_FFFF_FFFE);
    row.put_u32_le(4096);
    row.put_slice(&text[..4096]);
    row.put_u32_le(u32::try_from(text.len()).unwrap() - 4096);
    row.put_slice(&text[4096..]);
    row.put_u32_le(0);
    assert!(answer.windows(row.len()).any(|part| part == row));
}

/// A bitmap, the first column in the lowest bit, then the values that there are.
#[test]
fn a_row_with_nulls_names_them_first() {
    let (_engine, mut session) = session();
    let sql = "SELECT CAST(7 AS int), CAST(NULL AS int), CAST(NULL AS varchar(max)), CAST(1 AS bit), \
               CAST(NULL AS ntext), CAST(NULL AS sql_variant), CAST(NULL AS decimal(9,2)), \
               CAST(NULL AS date), CAST(NULL AS xml), CAST(2 AS tinyint)";
    let mut answer = Vec::new();
    session.execute(&batch(sql), &mut answer).unwrap();
    let row = [
        token_id::NBCROW,
        0b1111_0110,
        0b01,
        4,
        7,
        0,
        0,
        0,
        1,
        1,
        1,
        2,
    ];
    let without_lengths = [token_id::NBCROW, 0b1111_0110, 0b01, 7, 0, 0, 0, 1, 2];
    let has = |row: &[u8]| answer.windows(row.len()).any(|part| part == row);
    assert!(has(&row) || has(&without_lengths), "{answer:02x?}");
    let mut answer = Vec::new();
    session
        .execute(&batch("SELECT CAST(7 AS int), 'x'"), &mut answer)
        .unwrap();
    let row = [token_id::ROW, 4, 7, 0, 0, 0, 1, 0, b'x'];
    let not_null = [token_id::ROW, 7, 0, 0, 0, 1, 0, b'x'];
    let has = |row: &[u8]| answer.windows(row.len()).any(|part| part == row);
    assert!(has(&row) || has(&not_null), "{answer:02x?}");
}
