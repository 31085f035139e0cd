//! T-SQL in, results and errors out.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::answer::{ask, one, session};

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn expressions_have_the_values_of_sql_server() {
    let (_engine, mut session) = session();
    for (sql, expected) in [
        ("SELECT 1", "1"),
        ("SELECT 7 / 2, -7 / 2, 7 % 3", "3|-3|1"),
        ("SELECT 2.0 / 3.0", "0.666666"),
        ("SELECT 2.0 / 3", "0.666666"),
        ("SELECT CAST(1 AS decimal(38,10)) / 3", "0.3333333333"),
        ("SELECT 0.1 + 0.2", "0.3"),
        ("SELECT 1.10 * 3", "3.30"),
        ("SELECT 'a' + N'b'", "ab"),
        ("SELECT CASE WHEN 'ABC' = 'abc  ' THEN 1 ELSE 0 END", "1"),
        ("SELECT CASE WHEN NULL = NULL THEN 1 ELSE 0 END", "0"),
        ("SELECT LEN('ab  '), DATALENGTH(N'ab')", "2|4"),
        (
            "SELECT SUBSTRING('hello', 2, 3), LEFT('hello', 2), RIGHT('hello', 2)",
            "ell|he|lo",
        ),
        (
            "SELECT CHARINDEX('L', 'hello'), REPLACE('hello', 'L', 'x')",
            "3|hexxo",
        ),
        ("SELECT ISNULL(NULL, 5), COALESCE(NULL, NULL, 'x')", "5|x"),
        (
            "SELECT CAST('12' AS int) + 1, CAST(1.999 AS int), CONVERT(varchar(10), 42)",
            "13|1|42",
        ),
        (
            "SELECT CONVERT(varchar(30), CAST('2026-11-22T13:14:15.123' AS datetime), 121)",
            "2026-11-22 13:14:15.123",
        ),
        (
            "SELECT CONVERT(varchar(30), DATEADD(month, 1, CAST('2026-01-31' AS date)), 23)",
            "2026-02-28",
        ),
        (
            "SELECT DATEDIFF(day, '2026-01-01', '2026-03-01'), DATEPART(weekday, '2026-11-22')",
            "59|1",
        ),
        (
            "SELECT TRY_CAST('x' AS int), IIF(1 < 2, 'y', 'n')",
            "NULL|y",
        ),
        ("SELECT UPPER('aé'), CONCAT('a', NULL, 1)", "A\u{fffd}|a1"),
        (
            "SELECT ROUND(2.345, 2), ABS(-5), CEILING(1.2), FLOOR(-1.2)",
            "2.350|5|2|-2",
        ),
        (
            "SELECT (SELECT COUNT(*) FROM (VALUES (1),(2)) AS v(x))",
            "2",
        ),
        ("SELECT DB_NAME(), USER_NAME(), @@TRANCOUNT", "app|dbo|0"),
        (
            "SELECT STRING_AGG(x, ',') FROM (VALUES ('a'),('b')) AS v(x)",
            "a,b",
        ),
        (
            "SELECT SUM(x), AVG(x), MAX(x) FROM (VALUES (1),(2),(4)) AS v(x)",
            "7|2|4",
        ),
        (
            "SELECT SUM(x), AVG(x) FROM (VALUES (1.10),(2.20)) AS v(x)",
            "3.30|1.650000",
        ),
        ("SELECT CAST(0x0102 AS int), 0xAB", "258|ab"),
        (
            "SELECT CASE WHEN CAST(1 AS decimal(9,4)) = 1.0 THEN 'same' END",
            "same",
        ),
    ] {
        assert_eq!(one(&mut session, sql), expected, "{sql}");
    }
}

#[test]
fn mistakes_have_the_numbers_of_sql_server() {
    let (_engine, mut session) = session();
    ask(
        &mut session,
        "CREATE TABLE t(id int NOT NULL PRIMARY KEY, s varchar(3) NULL, n int NOT NULL DEFAULT 1 CHECK (n < 10))",
    );
    ask(&mut session, "INSERT t(id) VALUES (1)");
    for (sql, number) in [
        ("SELEC 1", 2812),
        ("SELECT 1 FROM", 102),
        ("GO", 2812),
        ("SELECT 1 +", 102),
        ("SELECT * FROM missing", 208),
        ("SELECT missing FROM t", 207),
        ("SELECT @x", 137),
        ("SELECT 1/0", 8134),
        ("SELECT 2147483647 + 1", 8115),
        ("SELECT CAST('abc' AS int)", 245),
        ("INSERT t(id, s) VALUES (2, 'abcd')", 2628),
        ("INSERT t(id) VALUES (NULL)", 515),
        ("INSERT t(id) VALUES (1)", 2627),
        ("INSERT t(id, n) VALUES (3, 11)", 547),
        ("CREATE TABLE t(a int)", 2714),
        ("DROP TABLE missing", 3701),
        ("COMMIT", 3902),
        ("ROLLBACK", 3903),
        ("SELECT id, COUNT(*) FROM t", 8120),
        ("SELECT * FROM t WHERE id", 4145),
        ("SELECT NOSUCH(1)", 195),
        ("USE nowhere", 40508),
        ("EXEC nosuch", 2812),
        ("SELECT 1 WHERE 'a' LIKE 'b' ESCAPE 'cc'", 506),
        (
            "MERGE t USING t AS s ON 1=1 WHEN MATCHED THEN DELETE;",
            40517,
        ),
        ("SELECT NOSUCH(1)", 195),
        ("SELECT 'open", 105),
        ("SELECT (SELECT x FROM (VALUES (1),(2)) AS v(x))", 512),
        ("THROW 50001, 'mine', 1", 50001),
        ("RAISERROR('mine %s', 16, 1, 'x')", 50000),
    ] {
        assert_eq!(ask(&mut session, sql).error(), number, "{sql}");
    }
    assert_eq!(one(&mut session, "SELECT COUNT(*) FROM t"), "1");
}

#[test]
fn rows_are_inserted_changed_and_deleted() {
    let (_engine, mut session) = session();
    ask(
        &mut session,
        "CREATE TABLE dbo.o(id int IDENTITY(10,5) PRIMARY KEY, name nvarchar(20) NOT NULL, price decimal(9,2) NULL)",
    );
    let answer = ask(
        &mut session,
        "INSERT INTO o(name, price) OUTPUT inserted.id VALUES (N'a', 1.5), (N'b', NULL), (N'ü', 3)",
    );
    assert_eq!(answer.rows(), [["10"], ["15"], ["20"]]);
    assert_eq!(
        one(&mut session, "SELECT SCOPE_IDENTITY(), @@IDENTITY"),
        "20|20"
    );
    assert_eq!(
        ask(
            &mut session,
            "UPDATE o SET price = price * 2 WHERE price IS NOT NULL"
        )
        .dones[0]
            .row_count,
        2
    );
    let answer = ask(
        &mut session,
        "SELECT id, name, price FROM o ORDER BY name DESC",
    );
    assert_eq!(
        answer.rows(),
        [
            ["20", "ü", "6.00"],
            ["15", "b", "NULL"],
            ["10", "a", "3.00"]
        ]
    );
    let answer = ask(
        &mut session,
        "UPDATE x SET x.name = y.n FROM o AS x JOIN (VALUES (10, N'z')) AS y(i, n) ON y.i = x.id",
    );
    assert_eq!(answer.dones[0].row_count, 1);
    assert_eq!(one(&mut session, "SELECT name FROM o WHERE id = 10"), "z");
    assert_eq!(
        ask(&mut session, "DELETE FROM o WHERE name IN ('Z', 'B')").dones[0].row_count,
        2
    );
    assert_eq!(
        one(&mut session, "SELECT TOP (1) id FROM o ORDER BY id"),
        "20"
    );
    ask(&mut session, "SELECT id, name INTO #copy FROM o");
    assert_eq!(one(&mut session, "SELECT COUNT(*) FROM #copy"), "1");
    ask(&mut session, "TRUNCATE TABLE o");
    assert_eq!(one(&mut session, "SELECT COUNT(*) FROM o"), "0");
}

#[test]
fn batches_have_variables_flow_and_handlers() {
    let (_engine, mut session) = session();
    let sql = "DECLARE @i int = 0, @s varchar(100) = '';
        WHILE 1 = 1 BEGIN
            SET @i += 1
            IF @i = 2 CONTINUE
            IF @i > 4 BREAK
            SET @s = @s + CAST(@i AS varchar(10))
        END
        SELECT @s, @i";
    assert_eq!(one(&mut session, sql), "134|5");
    let sql =
        "BEGIN TRY SELECT 1/0 END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_MESSAGE() END CATCH";
    let answer = ask(&mut session, sql);
    assert!(answer.errors.is_empty());
    assert_eq!(
        answer.results.last().unwrap().1,
        [["8134", "Divide by zero error encountered."]]
    );
    let answer = ask(
        &mut session,
        "PRINT 'one'; SELECT 1; SELECT 2; EXEC('SELECT 3'); EXEC sp_executesql N'SELECT @p', N'@p int', @p = 4",
    );
    assert_eq!(answer.infos[0].message, "one");
    let values: Vec<_> = answer.results.iter().map(|r| r.1[0][0].clone()).collect();
    assert_eq!(values, ["1", "2", "3", "4"]);
    let answer = ask(
        &mut session,
        "CREATE TABLE e(x int NOT NULL)\nINSERT e VALUES (NULL)\nSELECT @@ERROR",
    );
    assert_eq!((answer.errors[0].number, answer.errors[0].line), (515, 2));
    assert_eq!(answer.results[0].1, [["515"]]);
}

#[test]
fn queries_join_group_recurse_and_window() {
    let (_engine, mut session) = session();
    ask(
        &mut session,
        "CREATE TABLE p(id int PRIMARY KEY, g varchar(5)); INSERT p VALUES (1,'a'),(2,'A'),(3,'b')",
    );
    for (sql, expected) in [
        (
            "SELECT g, COUNT(*) FROM p GROUP BY g HAVING COUNT(*) > 1",
            vec!["a|2"],
        ),
        (
            "SELECT a.id, b.id FROM p a LEFT JOIN p b ON b.id = a.id + 1 ORDER BY 1",
            vec!["1|2", "2|3", "3|NULL"],
        ),
        (
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n",
            vec!["1", "2", "3"],
        ),
        (
            "SELECT id, ROW_NUMBER() OVER (PARTITION BY g ORDER BY id DESC) FROM p ORDER BY id",
            vec!["1|2", "2|1", "3|1"],
        ),
        (
            "SELECT id FROM p ORDER BY id OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY",
            vec!["2"],
        ),
        (
            "SELECT COUNT(*) FROM (SELECT g FROM p UNION SELECT 'B') AS u",
            vec!["2"],
        ),
        ("SELECT DISTINCT g FROM p ORDER BY g", vec!["a", "b"]),
        (
            "SELECT id FROM p WHERE EXISTS (SELECT 1 FROM p q WHERE q.g = p.g AND q.id <> p.id) ORDER BY id",
            vec!["1", "2"],
        ),
        (
            "SELECT id FROM p WHERE g LIKE '[A-a]%' AND id NOT IN (SELECT 2) ORDER BY id",
            vec!["1"],
        ),
    ] {
        let rows: Vec<String> = ask(&mut session, sql)
            .rows()
            .iter()
            .map(|r| r.join("|"))
            .collect();
        assert_eq!(rows, expected, "{sql}");
    }
    let runaway = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n";
    assert_eq!(ask(&mut session, runaway).error(), 530);
    ask(
        &mut session,
        "CREATE VIEW v AS SELECT id AS key_id, g FROM p WHERE id > 1",
    );
    assert_eq!(
        one(&mut session, "SELECT COUNT(*) FROM dbo.v WHERE key_id = 3"),
        "1"
    );
}

#[test]
fn the_catalogue_describes_tables_and_columns() {
    let (_engine, mut session) = session();
    ask(&mut session, "CREATE SCHEMA sales");
    ask(
        &mut session,
        "CREATE TABLE sales.c(id bigint IDENTITY NOT NULL, n nvarchar(40) NULL)",
    );
    let sql = "SELECT s.name, t.name, c.name, TYPE_NAME(c.user_type_id), c.max_length, c.is_nullable, c.is_identity
        FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id JOIN sys.columns c ON c.object_id = t.object_id ORDER BY c.column_id";
    let rows = ask(&mut session, sql).rows();
    assert_eq!(rows[0].join("|"), "sales|c|id|bigint|8|0|1");
    assert_eq!(rows[1].join("|"), "sales|c|n|nvarchar|80|1|0");
    assert_eq!(
        one(
            &mut session,
            "SELECT DATA_TYPE FROM INFORMATION_SCHEMA.COLUMNS WHERE COLUMN_NAME = 'n'"
        ),
        "nvarchar"
    );
    assert_eq!(
        one(
            &mut session,
            "SELECT CASE WHEN OBJECT_ID('sales.c', 'U') IS NULL THEN 0 ELSE 1 END"
        ),
        "1"
    );
}

#[test]
fn deep_and_long_statements_are_refused_or_run() {
    let (_engine, mut session) = session();
    let mut chain = String::from("SELECT 1");
    for _ in 0..20_000 {
        chain.push_str("+1");
    }
    assert!(!ask(&mut session, &chain).errors.is_empty());
    let nested = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(!ask(&mut session, &nested).errors.is_empty());
    let blocks = format!("{}SELECT 1{}", "BEGIN ".repeat(3_000), " END".repeat(3_000));
    assert!(!ask(&mut session, &blocks).errors.is_empty());
    let mut values = String::from("SELECT COUNT(*) FROM (VALUES (0)");
    for n in 1..2_000 {
        write!(values, ",({n})").unwrap();
    }
    assert_eq!(one(&mut session, &(values + ") AS v(n)")), "2000");
}

fn never_panics(texts: impl Strategy<Value = String>) {
    let (_engine, session) = session();
    let session = std::cell::RefCell::new(session);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(400));
    let result = runner.run(&texts, |text| {
        ask(&mut session.borrow_mut(), &text);
        Ok(())
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn no_text_panics() {
    never_panics("[ -~\\PC]{0,60}");
}

#[test]
fn no_shuffle_of_words_panics() {
    const WORDS: &[&str] = &[
        "SELECT", "FROM", "WHERE", "(", ")", ",", "1", "'a'", "x", "t", "*", "AND", "=",
        "GROUP BY", "ORDER BY", "INSERT", "INTO", "VALUES", "UPDATE", "SET", "DELETE", "BEGIN",
        "END", "IF", "ELSE", "DECLARE", "@x", "int", "TOP", "CASE", "WHEN", "THEN", "JOIN", "ON",
        "UNION", "EXEC", "CREATE", "TABLE", "COUNT", "NULL", "IS", "NOT", "LIKE", "GRANT", "TO",
        ";", ".", "[", "]",
    ];
    let words = prop::collection::vec(prop::sample::select(WORDS), 0..14);
    never_panics(words.prop_map(|words| words.join(" ")));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn everyday_statements_do_what_they_say() {
    let (_engine, mut session) = session();
    let setup = "CREATE TABLE a(id int IDENTITY PRIMARY KEY, u nvarchar(10) NULL UNIQUE, at datetime2(3) NOT NULL DEFAULT SYSUTCDATETIME(), g uniqueidentifier DEFAULT NEWID(), d decimal(10,3) DEFAULT 1.5);
        CREATE TABLE b(id int PRIMARY KEY, a_id int NULL REFERENCES a(id), note varchar(50) DEFAULT 'x');
        INSERT a(u) VALUES (N'one'), (NULL); INSERT b(id, a_id) VALUES (1, 1), (2, NULL)";
    assert!(ask(&mut session, setup).errors.is_empty());
    for (sql, expected) in [
        (
            "IF EXISTS (SELECT 1 FROM a WHERE u = 'ONE') SELECT 'yes' ELSE SELECT 'no'",
            "yes",
        ),
        (
            "SELECT COUNT(*) FROM a WHERE at > DATEADD(hour, -1, SYSUTCDATETIME()) AND g IS NOT NULL AND d = 1.5",
            "2",
        ),
        (
            "DECLARE @n int = 1; SELECT TOP (@n) id FROM a ORDER BY id DESC",
            "2",
        ),
        (
            "DECLARE @o int = 1; SELECT id FROM a ORDER BY id OFFSET @o ROWS FETCH NEXT 5 ROWS ONLY",
            "2",
        ),
        (
            "SELECT CASE WHEN u IS NULL THEN 'none' ELSE u END AS k FROM a ORDER BY k",
            "",
        ),
        (
            "SELECT YEAR(at) - YEAR(at), COUNT(*) FROM a GROUP BY YEAR(at) - YEAR(at)",
            "0|2",
        ),
        (
            "SELECT a.u + ':' + b.note FROM a JOIN b ON b.a_id = a.id",
            "one:x",
        ),
        (
            "DECLARE @v int; SELECT @v = id FROM b WHERE id = 2; SELECT @v, @@ROWCOUNT",
            "2|1",
        ),
        (
            "WITH c AS (SELECT id FROM b WHERE id = 2) SELECT id FROM c",
            "2",
        ),
        ("SELECT MAX(x.n) FROM (SELECT id * 2 AS n FROM b) AS x", "4"),
        (
            "SELECT id FROM b AS t WHERE id = (SELECT MAX(id) FROM b WHERE b.id <= t.id) AND t.id > 1",
            "2",
        ),
    ] {
        if expected.is_empty() {
            assert_eq!(ask(&mut session, sql).rows(), [["none"], ["one"]]);
        } else {
            assert_eq!(one(&mut session, sql), expected, "{sql}");
        }
    }
    for (sql, number) in [
        ("INSERT a(u) VALUES (N'ONE')", 2627),
        ("INSERT a(u) VALUES (NULL)", 2627),
        ("INSERT b(id, a_id) VALUES (3, 99)", 547),
        ("DELETE a WHERE id = 1", 547),
        ("INSERT a(id, u) VALUES (9, N'nine')", 544),
        ("DROP TABLE a", 3726),
        ("UPDATE a SET id = 3", 8102),
    ] {
        assert_eq!(ask(&mut session, sql).error(), number, "{sql}");
    }
    let sql = "SET IDENTITY_INSERT a ON; INSERT a(id, u) VALUES (9, N'nine'); SET IDENTITY_INSERT a OFF; INSERT a(u) VALUES (N'ten'); SELECT SCOPE_IDENTITY()";
    assert_eq!(one(&mut session, sql), "10");
    assert_eq!(
        ask(
            &mut session,
            "DELETE FROM b OUTPUT deleted.id, deleted.note WHERE id = 2"
        )
        .rows(),
        [["2", "x"]]
    );
    assert_eq!(
        ask(
            &mut session,
            "WITH c AS (SELECT 5 AS n) INSERT b(id) SELECT n FROM c"
        )
        .dones[0]
            .row_count,
        1
    );
    ask(
        &mut session,
        "ALTER TABLE b ADD extra int NOT NULL DEFAULT 7",
    );
    assert_eq!(one(&mut session, "SELECT SUM(extra) FROM b"), "14");
    assert_eq!(
        one(
            &mut session,
            "CREATE UNIQUE INDEX ix ON b(note DESC, id); SELECT COUNT(*) FROM b"
        ),
        "2"
    );
    assert_eq!(
        ask(
            &mut session,
            "SET NOCOUNT ON; UPDATE b SET note = note + '!'; SELECT note FROM b WHERE id = 1"
        )
        .rows(),
        [["x!"]]
    );
}
