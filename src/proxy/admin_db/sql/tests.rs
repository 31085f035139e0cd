use proptest::prelude::*;

use super::*;

/// One table: numbers, texts and NULLs.
struct Shop;

const ITEMS: [(i64, Option<&str>, Option<i64>); 6] = [
    (1, Some("Apple"), Some(30)),
    (2, Some("banana"), Some(20)),
    (3, None, Some(10)),
    (4, Some("APPLE"), None),
    (5, Some("cherry%"), Some(20)),
    (6, Some(""), Some(-5)),
];

impl Tables for Shop {
    fn table(&self, schema: Option<&str>, name: &str) -> Option<Table> {
        let known = same_name(name, "items") && same_name(schema.unwrap_or("dbo"), "dbo");
        known.then(|| Table {
            name: "items",
            columns: &[
                ("id", Kind::BigInt),
                ("name", Kind::Text(20)),
                ("price", Kind::Int),
            ],
            rows: ITEMS
                .iter()
                .map(|(id, name, price)| {
                    vec![
                        Scalar::Int(*id),
                        name.map_or(Scalar::Null, |name| Scalar::Text(name.to_owned())),
                        price.map_or(Scalar::Null, Scalar::Int),
                    ]
                })
                .collect(),
        })
    }
}

fn context() -> Context {
    Context {
        id: 7,
        login: "sa".to_owned(),
        host: "here".to_owned(),
        application: "tests".to_owned(),
        now: Moment(0),
        open_transactions: 1,
        last_rows: 3,
    }
}

fn query_with(text: &str, params: &Params) -> Result<Rows, SqlError> {
    let statements = parse(text)?;
    let [Statement::Select(query)] = &statements[..] else {
        panic!("{text} is no SELECT: {statements:?}");
    };
    Prepared::new(query, &Shop, params, &context())?.run()
}

/// The rows as text, columns parted by `|`, rows by a blank.
fn query(text: &str) -> String {
    match query_with(text, &[]) {
        Ok(rows) => shown(&rows),
        Err(error) => format!("{}: {error}", error.number()),
    }
}

fn shown(rows: &Rows) -> String {
    let cell = |value: &Scalar| value::text(value).unwrap_or_else(|| "NULL".to_owned());
    let row = |row: &Vec<Scalar>| row.iter().map(cell).collect::<Vec<_>>().join("|");
    rows.rows.iter().map(row).collect::<Vec<_>>().join(" ")
}

#[test]
fn rows_are_chosen_and_sorted() {
    let ids = |rest: &str| query(&format!("SELECT id FROM items {rest}"));
    assert_eq!(ids(""), "1 2 3 4 5 6");
    assert_eq!(ids("WHERE name = 'apple  '"), "1 4");
    assert_eq!(ids("WHERE name <> 'apple'"), "2 5 6");
    assert_eq!(ids("WHERE NOT (price > 10 OR price IS NULL)"), "3 6");
    assert_eq!(ids("WHERE price IN (20, '30', NULL)"), "1 2 5");
    assert_eq!(ids("WHERE price NOT IN (20, NULL)"), "");
    assert_eq!(ids("WHERE price BETWEEN 10 AND 20"), "2 3 5");
    assert_eq!(ids("WHERE name LIKE N'%AN%'"), "2");
    assert_eq!(ids("WHERE name LIKE '%!%' ESCAPE '!'"), "5");
    assert_eq!(ids("WHERE name NOT LIKE '[a-b]%'"), "5 6");
    assert_eq!(ids("ORDER BY price DESC, id DESC"), "1 5 2 3 6 4");
    assert_eq!(ids("ORDER BY name, 1"), "3 6 1 4 2 5");
    assert_eq!(
        ids("ORDER BY id OFFSET 2 ROWS FETCH NEXT 2 ROWS ONLY"),
        "3 4"
    );
    assert_eq!(
        query("SELECT TOP 2 id FROM dbo.items i WHERE i.id > 3"),
        "4 5"
    );
    assert_eq!(
        query("SELECT TOP (1) [id] AS n FROM [entrada].[dbo].[items] ORDER BY n DESC"),
        "6"
    );
    assert_eq!(
        query("SELECT DISTINCT price FROM items ORDER BY price"),
        "NULL -5 10 20 30"
    );
    assert_eq!(query("select * from Items where ID = 2"), "2|banana|20");
}

#[test]
fn rows_are_grouped() {
    assert_eq!(
        query(
            "SELECT COUNT(*), COUNT(price), COUNT(DISTINCT price), SUM(price), MIN(name) FROM items"
        ),
        "6|5|4|75|"
    );
    assert_eq!(
        query("SELECT COUNT(*), MAX(id) FROM items WHERE id > 9"),
        "0|NULL"
    );
    assert_eq!(
        query("SELECT price, COUNT(*) AS n FROM items GROUP BY price HAVING COUNT(*) > 1"),
        "20|2"
    );
    assert_eq!(
        query("SELECT name, SUM(id) FROM items GROUP BY name ORDER BY 2 DESC"),
        "|6 Apple|5 cherry%|5 NULL|3 banana|2"
    );
    assert!(query("SELECT name, COUNT(*) FROM items").starts_with("8120: "));
    assert!(query("SELECT id FROM items WHERE COUNT(*) > 1").starts_with("40517: "));
}

#[test]
fn what_tools_ask_at_start_is_answered() {
    assert_eq!(
        query("SELECT @@SPID, DB_NAME(), @@TRANCOUNT, 1"),
        "7|entrada|1|1"
    );
    assert!(query("SELECT @@VERSION AS v").starts_with("Entrada "));
    assert_eq!(
        query("SELECT CAST(SERVERPROPERTY('ProductVersion') AS varchar(20)), SUSER_SNAME()"),
        "12.0.2000.8|sa"
    );
    assert_eq!(
        query("SELECT CURRENT_USER, SYSTEM_USER, GETDATE()"),
        "dbo|sa|1970-01-01 00:00:00.000"
    );
    assert_eq!(
        query("SELECT CASE WHEN 1 = 2 THEN 'a' ELSE 'b' END, 7 / 2, 7.0 / 2, 'a' + 'b'"),
        "b|3|3.5|ab"
    );
    assert_eq!(
        query(
            "SELECT ISNULL(NULL, 5), LEN('ab '), UPPER('ä'), LEFT('abc', 2), SUBSTRING('abc', 2, 9)"
        ),
        "5|2|Ä|ab|bc"
    );
    assert_eq!(
        query("SELECT CONVERT(datetime, '2026-01-02'), -5"),
        "2026-01-02 00:00:00.000|-5"
    );
}

#[test]
fn parameters_are_compared_by_value() {
    let param = |name: &str, kind, value| Param {
        name: name.to_owned(),
        kind,
        value,
    };
    let params = [
        param("@P1", Kind::Text(10), Scalar::Text("a%".to_owned())),
        param("@least", Kind::Int, Scalar::Int(30)),
    ];
    let text = "SELECT id, @p1 FROM items WHERE name LIKE @p1 AND price >= @least";
    assert_eq!(shown(&query_with(text, &params).unwrap()), "1|a%");
    assert!(query(text).starts_with("137: "));
    let declared =
        parse_declarations("@P1 nvarchar(10), @least int OUTPUT,@x datetime2(7)").unwrap();
    let names: Vec<_> = declared.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["@P1", "@least", "@x"]);
    assert!(parse_declarations("@a int)").is_err());
}

#[test]
fn statements_need_no_semicolon() {
    let text = "set nocount on\nSET TRANSACTION ISOLATION LEVEL READ COMMITTED select 1 \
        IF @@TRANCOUNT > 0 COMMIT TRAN; USE [entrada] BEGIN TRANSACTION t rollback \
        exec sp_executesql N'SELECT @a', N'@a int', @a = 5 KILL 7; pause shop RESUME SHOW sessions;";
    let statements = parse(text).unwrap();
    let words: Vec<String> = statements
        .iter()
        .map(|statement| {
            let debug = format!("{statement:?}");
            debug
                .chars()
                .take_while(char::is_ascii_alphabetic)
                .collect()
        })
        .collect();
    assert_eq!(
        words,
        [
            "Set", "Set", "Select", "If", "Use", "Begin", "Rollback", "Execute", "Kill", "Pause",
            "Resume", "Show"
        ]
    );
    assert_eq!(statements[9], Statement::Pause(Some("shop".to_owned())));
    assert_eq!(statements[10], Statement::Resume(None));
}

#[test]
fn what_is_not_done_here_is_said() {
    for (text, number) in [
        ("DELETE FROM items", 40517),
        ("DROP TABLE items", 40517),
        ("SELECT * FROM items UNION SELECT * FROM items", 40517),
        ("SELECT * FROM items a JOIN items b ON a.id = b.id", 40517),
        ("SELECT (SELECT 1)", 40517),
        ("SELECT * INTO x FROM items", 40517),
        ("SELECT * FROM nothing", 208),
        ("SELECT nothing FROM items", 207),
        ("SELECT other.id FROM items", 207),
        ("SELECT nothing(1)", 195),
        ("SELECT LEN()", 174),
        ("SELECT id FROM items WHERE name > 5", 245),
        ("SELECT 1 / 0", 8134),
        ("SELECT 9223372036854775807 + 1", 8115),
        ("SELECT FROM", 102),
        ("SELECT 'open", 102),
        ("PAUSE 5", 102),
        ("RECONNECT *", 102),
        (")", 102),
    ] {
        let error = match parse(text) {
            Err(error) => error,
            Ok(_) => query_with(text, &[]).expect_err(text),
        };
        assert_eq!(error.number(), number, "{text}: {error}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let number = |text: String| match parse(&text) {
        Err(error) => error.number(),
        Ok(_) => query_with(&text, &[]).expect_err("it is too much").number(),
    };
    assert_eq!(
        number(format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500))),
        191
    );
    assert_eq!(number(format!("SELECT {}1", "- ".repeat(501))), 191);
    assert_eq!(number(format!("SELECT 1{}", " + 1".repeat(900))), 191);
    assert_eq!(number(format!("SELECT 1{}", " + 1".repeat(5000))), 191);
    assert_eq!(number(format!("SELECT '{}'", "x".repeat(70_000))), 191);
    assert_eq!(number(format!("{} SELECT 1", "IF 1 = 1 ".repeat(100))), 191);
    let types = format!("{}int{}", "ARRAY<".repeat(600), ">".repeat(600));
    let nested = number(format!("SELECT CAST(1 AS {types})"));
    assert!([102, 191, 40517].contains(&nested), "{nested}");
    assert_eq!(
        query(&format!("SELECT 1{}", " BETWEEN 0 AND 1".repeat(99))),
        "1"
    );
    let cases = format!(
        "{}1{}",
        "CASE ".repeat(9),
        " WHEN 1 THEN 1 WHEN 2 THEN 1 END".repeat(9)
    );
    assert_eq!(query(&format!("SELECT {cases}")), "1");
}

#[test]
fn results_are_bounded() {
    let wide = Param {
        name: "@p".to_owned(),
        kind: Kind::Text(4000),
        value: Scalar::Text("数".repeat(4000)),
    };
    let ask = |columns: usize| {
        let text = format!("SELECT {} FROM items", vec!["@p"; columns].join(","));
        query_with(&text, std::slice::from_ref(&wide))
    };
    assert_eq!(ask(100).unwrap().rows.len(), ITEMS.len());
    assert_eq!(ask(900).unwrap_err().number(), 8618);
    // A text is never longer than the longest of a column.
    let sum = query_with("SELECT LEN(@p + @p), LEN(CONCAT(@p, @p))", &[wide]).unwrap();
    assert_eq!(shown(&sum), "4000|4000");
}

/// A condition, and what a row-by-row reading of it says.
#[derive(Clone, Debug)]
enum Condition {
    Price(&'static str, i64),
    NoPrice,
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

impl Condition {
    fn sql(&self) -> String {
        match self {
            Self::Price(operator, number) => format!("price {operator} {number}"),
            Self::NoPrice => "price IS NULL".to_owned(),
            Self::Not(of) => format!("NOT ({})", of.sql()),
            Self::And(a, b) => format!("({} AND {})", a.sql(), b.sql()),
            Self::Or(a, b) => format!("({} OR {})", a.sql(), b.sql()),
        }
    }

    /// 2 is true, 1 unknown, 0 false: then AND is the least, OR the greatest.
    fn holds(&self, price: Option<i64>) -> u8 {
        match self {
            Self::Price(operator, number) => price.map_or(1, |price| {
                2 * u8::from(match *operator {
                    "=" => price == *number,
                    "<>" => price != *number,
                    "<" => price < *number,
                    _ => price >= *number,
                })
            }),
            Self::NoPrice => 2 * u8::from(price.is_none()),
            Self::Not(of) => 2 - of.holds(price),
            Self::And(a, b) => a.holds(price).min(b.holds(price)),
            Self::Or(a, b) => a.holds(price).max(b.holds(price)),
        }
    }
}

fn conditions() -> impl Strategy<Value = Condition> {
    let operator = prop_oneof![Just("="), Just("<>"), Just("<"), Just(">=")];
    let leaf = prop_oneof![
        4 => (operator, -10i64..40).prop_map(|(operator, number)| Condition::Price(operator, number / 10 * 10)),
        1 => Just(Condition::NoPrice),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            inner.prop_map(|of| Condition::Not(Box::new(of))),
            pair.clone()
                .prop_map(|(a, b)| Condition::And(Box::new(a), Box::new(b))),
            pair.prop_map(|(a, b)| Condition::Or(Box::new(a), Box::new(b))),
        ]
    })
}

proptest! {
    #[test]
    fn conditions_hold_as_a_naive_reading_says(condition in conditions()) {
        let expected: Vec<String> = ITEMS
            .iter()
            .filter(|(_, _, price)| condition.holds(*price) == 2)
            .map(|(id, ..)| id.to_string())
            .collect();
        let text = format!("SELECT id FROM items WHERE {}", condition.sql());
        prop_assert_eq!(query(&text), expected.join(" "));
    }

    #[test]
    fn no_text_breaks_anything(text in "\\PC{0,60}") {
        let _ = parse(&text);
        let _ = parse_declarations(&text);
    }

    #[test]
    fn no_words_break_anything(words in prop::collection::vec(prop::sample::select(WORDS), 0..25)) {
        let text = words.join(" ");
        if let Ok(statements) = parse(&text) {
            for statement in &statements {
                if let Statement::Select(query) = statement {
                    let _ = Prepared::new(query, &Shop, &[], &context()).and_then(Prepared::run);
                }
            }
        }
    }
}

const WORDS: &[&str] = &[
    "SELECT", "FROM", "items", "WHERE", "id", "name", "price", "*", ",", "(", ")", "AND", "OR",
    "NOT", "IN", "LIKE", "'%a'", "NULL", "IS", "=", "<", "1", "-", "+", "/", "0", "COUNT", "SUM",
    "GROUP", "BY", "ORDER", "TOP", "CASE", "WHEN", "THEN", "END", "CAST", "AS", "int", "IF", "SET",
    "KILL", "@@SPID", "@p", ";", "DISTINCT", "HAVING", "BETWEEN", "LEN", "OFFSET", "ROWS", "EXEC",
    "x",
];
