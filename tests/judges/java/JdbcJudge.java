import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLTimeoutException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;

import com.microsoft.sqlserver.jdbc.SQLServerBulkCopy;

/** Microsoft's JDBC driver, unmodified. */
final class JdbcJudge {
    private static final String TRUSTED = "judge";

    public static void main(String[] names) throws Exception {
        var judge = new Judge();
        logins(judge);
        values(judge);
        statements(judge);
        transactions(judge);
        trouble(judge);
        try (var connection = connect()) {
            judge.run(connection.getMetaData().getDriverVersion(), names);
        }
        // A pool's or a timer's threads shall not keep this one.
        System.exit(0);
    }

    private static Properties properties() throws Exception {
        var properties = new Properties();
        properties.put("user", Judge.told("USER"));
        properties.put("password", Judge.told("PASSWORD"));
        properties.put("databaseName", "demo");
        properties.put("applicationName", "judge");
        properties.put("loginTimeout", "20");
        properties.put("connectRetryCount", "0");
        // Else it sends a time as a datetime, with 300ths of a second.
        properties.put("sendTimeAsDatetime", "false");
        switch (Judge.told("ENCRYPTION")) {
            case "off" -> properties.put("encrypt", "false");
            case "on" -> properties.put("encrypt", "true");
            default -> properties.put("encrypt", "strict");
        }
        properties.put("trustServerCertificate", "false");
        properties.put("trustStoreType", "PKCS12");
        properties.put("trustStore", trustStore(Judge.told("CA")));
        properties.put("trustStorePassword", TRUSTED);
        return properties;
    }

    private static Connection connect(String... more) throws Exception {
        var properties = properties();
        for (int i = 0; i < more.length; i += 2) {
            properties.put(more[i], more[i + 1]);
        }
        return DriverManager.getConnection("jdbc:sqlserver://localhost:" + Judge.told("PORT"), properties);
    }

    /** The authority in a store of its own, as `keytool -importcert` makes one. */
    private static String trustStore(String pem) throws Exception {
        var file = new File(System.getenv("HOME"), new File(pem).getName() + Math.abs(pem.hashCode()) + ".p12");
        if (!file.exists()) {
            var store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            try (var from = new FileInputStream(pem); var to = new FileOutputStream(file)) {
                store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(from));
                store.store(to, TRUSTED.toCharArray());
            }
        }
        return file.getPath();
    }

    private static List<List<Object>> all(ResultSet results) throws SQLException {
        var rows = new ArrayList<List<Object>>();
        while (results.next()) {
            var row = new ArrayList<Object>();
            for (int i = 1; i <= results.getMetaData().getColumnCount(); i++) {
                row.add(results.getObject(i));
            }
            rows.add(row);
        }
        return rows;
    }

    private static List<List<Object>> rows(Connection connection, String sql) throws SQLException {
        try (var statement = connection.createStatement()) {
            return all(statement.executeQuery(sql));
        }
    }

    private static List<String> column(ResultSet results, String name) throws SQLException {
        try (results) {
            var values = new ArrayList<String>();
            while (results.next()) {
                values.add(results.getString(name));
            }
            return values;
        }
    }

    private static void run(Connection connection, String sql) throws SQLException {
        try (var statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private static void logins(Judge judge) {
        judge.feature("login", () -> {
            try (var connection = connect("workstationID", "bench")) {
                var who = rows(connection, "SELECT USER_NAME(), DB_NAME(), APP_NAME(), HOST_NAME()");
                Judge.same(who, List.of(List.of(Judge.told("USER_NAME"), "demo", "judge", "bench")));
            }
        });
        judge.feature("a new connection again and again", () -> {
            for (int i = 0; i < 10; i++) {
                try (var connection = connect()) {
                    run(connection, "CREATE TABLE #mine (id int); SET LOCK_TIMEOUT 4321");
                    Judge.same(rows(connection, "SELECT @@LOCK_TIMEOUT"), List.of(List.of(4321)));
                }
            }
        });
        judge.feature("isValid and the catalog", () -> {
            try (var connection = connect()) {
                Judge.same(connection.isValid(5), true);
                Judge.same(connection.getCatalog(), "demo");
                Judge.same(connection.getMetaData().getDatabaseProductName(), "Microsoft SQL Server");
            }
        });
        judge.feature("packet sizes 512 and 32767", () -> {
            for (var size : List.of("512", "32767")) {
                try (var connection = connect("packetSize", size)) {
                    var text = rows(connection, "SELECT REPLICATE(CAST(N'ä' AS nvarchar(max)), 20000)").get(0).get(0);
                    Judge.same(text, "ä".repeat(20000));
                }
            }
        });
        judge.feature("a wrong password", () -> {
            var error = Judge.raises(SQLException.class, () -> connect("password", "wrong").close(), "Login failed");
            Judge.same(error.getErrorCode(), 18456);
        });
        judge.feature("a database that does not exist", () -> {
            var says = "Cannot open database \"nowhere\"";
            var error = Judge.raises(SQLException.class, () -> connect("databaseName", "nowhere").close(), says);
            Judge.same(error.getErrorCode(), 4060);
        });
        judge.feature("a certificate of an unknown authority", () -> {
            var other = trustStore(Judge.told("OTHER_CA"));
            Judge.raises(SQLException.class, () -> connect("trustStore", other).close(), "PKIX path");
        });
    }

    private record Kind(String type, String literal, Object value) {}

    private static final List<Kind> KINDS = List.of(
            new Kind("bit", "1", true),
            new Kind("tinyint", "255", (short) 255),
            new Kind("smallint", "-32768", (short) -32768),
            new Kind("int", "-2147483648", Integer.MIN_VALUE),
            new Kind("bigint", "9223372036854775807", Long.MAX_VALUE),
            new Kind("decimal(28,10)", "-123456789012345678.0123456789",
                    new BigDecimal("-123456789012345678.0123456789")),
            new Kind("money", "-922337203685477.5808", new BigDecimal("-922337203685477.5808")),
            new Kind("smallmoney", "214748.3647", new BigDecimal("214748.3647")),
            new Kind("real", "-1.5", -1.5f),
            new Kind("float", "1.7976931348623157e308", Double.MAX_VALUE),
            new Kind("char(5)", "'ab'", "ab   "),
            new Kind("varchar(20)", "'wörd'", "wörd"),
            new Kind("varchar(max)", "'long enough'", "long enough"),
            new Kind("nchar(4)", "N'ü'", "ü   "),
            new Kind("nvarchar(20)", "N'日本 😀'", "日本 😀"),
            new Kind("nvarchar(max)", "N'Ωmega'", "Ωmega"),
            new Kind("text", "'old'", "old"),
            new Kind("ntext", "N'älter'", "älter"),
            new Kind("binary(4)", "0x01FF", new byte[] {1, -1, 0, 0}),
            new Kind("varbinary(8)", "0x00", new byte[] {0}),
            new Kind("varbinary(max)", "0xDEADBEEF", new byte[] {-34, -83, -66, -17}),
            new Kind("image", "0x0102", new byte[] {1, 2}),
            new Kind("uniqueidentifier", "'6F9619FF-8B86-D011-B42D-00C04FC964FF'",
                    "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
            new Kind("date", "'0001-02-28'", LocalDate.of(1, 2, 28)),
            new Kind("time(7)", "'23:59:59.1234567'", LocalTime.of(23, 59, 59, 123_456_700)),
            new Kind("smalldatetime", "'2079-06-06T23:59:00'", LocalDateTime.of(2079, 6, 6, 23, 59)),
            new Kind("datetime", "'1753-01-01T00:00:00.997'", LocalDateTime.of(1753, 1, 1, 0, 0, 0, 997_000_000)),
            new Kind("datetime2(7)", "'9999-12-31T23:59:59.9999999'",
                    LocalDateTime.of(9999, 12, 31, 23, 59, 59, 999_999_900)),
            new Kind("datetimeoffset(7)", "'2026-11-22T01:02:03.000456+02:00'",
                    OffsetDateTime.parse("2026-11-22T01:02:03.000456+02:00")));

    private static void values(Judge judge) {
        judge.feature("values of every type, and NULL", () -> {
            var faults = new ArrayList<String>();
            for (var kind : KINDS) {
                try (var connection = connect()) {
                    bothWays(connection, kind);
                } catch (SQLException | AssertionError error) {
                    faults.add(kind.type + ": " + error);
                }
            }
            Judge.same(faults, List.of());
        });
        judge.feature("values of more than 1 MB", () -> {
            try (var connection = connect()) {
                large(connection);
            }
        });
        judge.feature("100,000 rows", () -> {
            try (var connection = connect(); var statement = connection.createStatement()) {
                run(connection, "CREATE TABLE #n (n int NOT NULL); INSERT #n SELECT v FROM (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) AS x(v)");
                var sql = "SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n, REPLICATE('x', 50)"
                        + " FROM #n a CROSS JOIN #n b CROSS JOIN #n c CROSS JOIN #n d CROSS JOIN #n e";
                long[] seen = {0, 0};
                var results = statement.executeQuery(sql);
                while (results.next()) {
                    seen[0]++;
                    seen[1] += results.getInt(1) + results.getString(2).length() - 50;
                }
                Judge.same(seen, new long[] {100_000, 4_999_950_000L});
            }
        });
    }

    private static void bothWays(Connection connection, Kind kind) throws SQLException {
        run(connection, "CREATE TABLE #t (id int PRIMARY KEY, v " + kind.type + " NULL)");
        run(connection, "INSERT #t VALUES (1, " + kind.literal + "), (2, NULL)");
        try (var insert = connection.prepareStatement("INSERT #t VALUES (3, ?)")) {
            insert.setObject(1, kind.value);
            Judge.same(insert.executeUpdate(), 1);
        }
        try (var statement = connection.createStatement()) {
            var results = statement.executeQuery("SELECT v FROM #t ORDER BY id");
            for (Object wanted : new Object[] {kind.value, null, kind.value}) {
                Judge.same(results.next(), true);
                Object got = kind.value instanceof byte[] || kind.value instanceof String
                        ? results.getObject(1)
                        : results.getObject(1, kind.value.getClass());
                Judge.same(got, wanted);
            }
        }
    }

    private static void large(Connection connection) throws SQLException {
        var text = "wörd 😀 ".repeat(150_000);
        var bytes = new byte[1_280_000];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) i;
        }
        run(connection, "CREATE TABLE #large (id int, t nvarchar(max), b varbinary(max))");
        var sql = "INSERT #large VALUES (?, ?, ?)";
        try (var insert = connection.prepareStatement(sql)) {
            insert.setInt(1, 1);
            insert.setNString(2, text);
            insert.setBytes(3, bytes);
            insert.executeUpdate();
            insert.setInt(1, 2);
            insert.setNCharacterStream(2, new StringReader(text));
            insert.setBinaryStream(3, new ByteArrayInputStream(bytes));
            insert.executeUpdate();
        }
        try (var statement = connection.createStatement()) {
            var results = statement.executeQuery("SELECT t, b FROM #large ORDER BY id");
            for (int i = 0; i < 2; i++) {
                Judge.same(results.next(), true);
                Judge.same(results.getNString(1).equals(text), true);
                Judge.same(Arrays.equals(results.getBytes(2), bytes), true);
            }
        }
    }

    private static void statements(Judge judge) {
        judge.feature("parameters", () -> {
            try (var connection = connect()) {
                run(connection, "CREATE TABLE #p (id int, name nvarchar(50))");
                run(connection, "INSERT #p VALUES (1, N'Ada'), (2, N'Grace'), (3, NULL)");
                try (var query = connection.prepareStatement("SELECT id, ? FROM #p WHERE id IN (?, ?) OR name = ? ORDER BY id")) {
                    // Prepared by sp_prepexec when it runs again.
                    for (int i = 0; i < 5; i++) {
                        query.setString(1, "x" + i);
                        query.setInt(2, 3);
                        query.setNull(3, Types.INTEGER);
                        query.setString(4, "ada");
                        Judge.same(all(query.executeQuery()), List.of(List.of(1, "x" + i), List.of(3, "x" + i)));
                    }
                }
            }
        });
        judge.feature("prepared once, run 100 times", () -> {
            try (var connection = connect(); var query = connection.prepareStatement("SELECT ? + 1, ?")) {
                for (int i = 0; i < 100; i++) {
                    query.setInt(1, i);
                    query.setString(2, "n" + i);
                    Judge.same(all(query.executeQuery()), List.of(List.of(i + 1, "n" + i)));
                }
            }
        });
        judge.feature("a batch of parameters", () -> {
            try (var connection = connect()) {
                run(connection, "CREATE TABLE #b (id int PRIMARY KEY, name nvarchar(50), price decimal(9,2))");
                try (var insert = connection.prepareStatement("INSERT #b VALUES (?, ?, ?)")) {
                    for (int i = 0; i < 200; i++) {
                        insert.setInt(1, i);
                        insert.setString(2, "näme " + i);
                        insert.setBigDecimal(3, BigDecimal.valueOf(i * 25L, 2));
                        insert.addBatch();
                    }
                    Judge.same(Arrays.stream(insert.executeBatch()).sum(), 200);
                    insert.setInt(1, 7);
                    insert.addBatch();
                    var error = Judge.raises(BatchUpdateException.class, insert::executeBatch, "PRIMARY KEY");
                    Judge.same(error.getErrorCode(), 2627);
                }
                Judge.same(rows(connection, "SELECT COUNT(*), SUM(price) FROM #b"),
                        List.of(List.of(200, new BigDecimal("4975.00"))));
            }
        });
        judge.feature("generated keys", () -> {
            try (var connection = connect()) {
                run(connection, "CREATE TABLE #i (id int IDENTITY(10, 5) PRIMARY KEY, name nvarchar(20))");
                var sql = "INSERT #i (name) VALUES (?)";
                try (var insert = connection.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
                    insert.setString(1, "first");
                    insert.executeUpdate();
                    var keys = insert.getGeneratedKeys();
                    Judge.same(keys.next(), true);
                    Judge.same(keys.getInt(1), 10);
                }
            }
        });
        judge.feature("several results and update counts", () -> {
            try (var connection = connect(); var statement = connection.createStatement()) {
                run(connection, "CREATE TABLE #r (id int)");
                Judge.same(statement.execute("SELECT 1 AS a; INSERT #r VALUES (1), (2); SELECT N'x' AS b, N'y' AS c WHERE 1 = 0; SELECT 2 AS d UNION ALL SELECT 3"), true);
                Judge.same(all(statement.getResultSet()), List.of(List.of(1)));
                Judge.same(List.of(statement.getMoreResults(), statement.getUpdateCount()), List.of(false, 2));
                Judge.same(statement.getMoreResults(), true);
                Judge.same(statement.getResultSet().getMetaData().getColumnLabel(2), "c");
                Judge.same(all(statement.getResultSet()), List.of());
                Judge.same(statement.getMoreResults(), true);
                Judge.same(all(statement.getResultSet()), List.of(List.of(2), List.of(3)));
                Judge.same(List.of(statement.getMoreResults(), statement.getUpdateCount()), List.of(false, -1));
            }
        });
        judge.feature("a procedure with an output parameter", () -> {
            try (var connection = connect(); var call = connection.prepareCall("{call sp_executesql(?, ?, ?, ?)}")) {
                call.setNString(1, "SET @twice = @n * 2");
                call.setNString(2, "@n int, @twice int OUTPUT");
                call.setInt(3, 21);
                call.registerOutParameter(4, Types.INTEGER);
                call.execute();
                Judge.same(call.getInt(4), 42);
            }
        });
        judge.feature("bulk copy", () -> {
            try (var connection = connect(); var source = connect()) {
                run(connection, "CREATE TABLE dbo.jdbc_bulk (id int NOT NULL, name nvarchar(50), price decimal(9,2))");
                run(source, "CREATE TABLE #s (id int NOT NULL, name nvarchar(50), price decimal(9,2))");
                try (var insert = source.prepareStatement("INSERT #s VALUES (?, ?, ?)")) {
                    for (int i = 0; i < 500; i++) {
                        insert.setInt(1, i);
                        insert.setString(2, i % 3 == 0 ? null : "näme " + i);
                        insert.setBigDecimal(3, BigDecimal.valueOf(i * 25L, 2));
                        insert.addBatch();
                    }
                    insert.executeBatch();
                }
                try (var statement = source.createStatement(); var load = new SQLServerBulkCopy(connection)) {
                    load.setDestinationTableName("dbo.jdbc_bulk");
                    load.writeToServer(statement.executeQuery("SELECT id, name, price FROM #s ORDER BY id"));
                }
                Judge.same(rows(connection, "SELECT COUNT(*), COUNT(name), SUM(price) FROM dbo.jdbc_bulk"),
                        List.of(List.of(500, 333, new BigDecimal("31187.50"))));
                run(connection, "DROP TABLE dbo.jdbc_bulk");
            }
        });
        judge.feature("DatabaseMetaData", () -> {
            try (var connection = connect()) {
                run(connection, "DROP TABLE IF EXISTS dbo.jdbc_meta; CREATE TABLE dbo.jdbc_meta (id int NOT NULL CONSTRAINT pk_jdbc_meta PRIMARY KEY, name nvarchar(40))");
                var meta = connection.getMetaData();
                var names = new ArrayList<String>();
                for (var tables = meta.getTables(null, "dbo", "jdbc_meta", null); tables.next(); ) {
                    names.add(tables.getString("TABLE_NAME"));
                }
                for (var columns = meta.getColumns(null, "dbo", "jdbc_meta", null); columns.next(); ) {
                    names.add(columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME"));
                }
                for (var keys = meta.getPrimaryKeys(null, "dbo", "jdbc_meta"); keys.next(); ) {
                    names.add(keys.getString("PK_NAME"));
                }
                Judge.same(names, List.of("jdbc_meta", "id int", "name nvarchar", "pk_jdbc_meta"));
                run(connection, "DROP TABLE dbo.jdbc_meta");
            }
        });
        judge.feature("what a database tool asks first", () -> {
            try (var connection = connect()) {
                run(connection, "DROP TABLE IF EXISTS dbo.tool_kid; DROP TABLE IF EXISTS dbo.tool_mum");
                run(connection, "CREATE TABLE dbo.tool_mum (id int NOT NULL CONSTRAINT pk_tool_mum PRIMARY KEY)");
                run(connection, "CREATE TABLE dbo.tool_kid (mum int NOT NULL CONSTRAINT fk_tool REFERENCES dbo.tool_mum (id))");
                var meta = connection.getMetaData();
                Judge.same(column(meta.getCatalogs(), "TABLE_CAT").contains("demo"), true);
                Judge.same(column(meta.getSchemas(), "TABLE_SCHEM").containsAll(List.of("dbo", "sys")), true);
                Judge.same(column(meta.getTableTypes(), "TABLE_TYPE").contains("TABLE"), true);
                Judge.same(column(meta.getTypeInfo(), "TYPE_NAME").contains("nvarchar"), true);
                var tables = meta.getTables("demo", "dbo", "tool%", new String[] {"TABLE"});
                Judge.same(column(tables, "TABLE_NAME"), List.of("tool_kid", "tool_mum"));
                Judge.same(column(meta.getColumns("demo", "dbo", "tool%", "%"), "COLUMN_NAME"), List.of("mum", "id"));
                Judge.same(column(meta.getImportedKeys("demo", "dbo", "tool_kid"), "FK_NAME"), List.of("fk_tool"));
                var databases = rows(connection, "SELECT name FROM sys.databases WHERE name = DB_NAME()");
                Judge.same(databases, List.of(List.of("demo")));
                var objects = "SELECT s.name, o.name FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id WHERE o.name LIKE 'tool%' AND o.type = 'U' ORDER BY o.name";
                Judge.same(rows(connection, objects), List.of(List.of("dbo", "tool_kid"), List.of("dbo", "tool_mum")));
                Judge.same(rows(connection, "SELECT CAST(SERVERPROPERTY('EngineEdition') AS int)"), List.of(List.of(5)));
                run(connection, "DROP TABLE dbo.tool_kid; DROP TABLE dbo.tool_mum");
            }
        });
    }

    private static void transactions(Judge judge) {
        judge.feature("commit, rollback and savepoints", () -> {
            try (var connection = connect()) {
                run(connection, "CREATE TABLE #t (a int)");
                connection.setAutoCommit(false);
                run(connection, "INSERT #t VALUES (1)");
                var half = connection.setSavepoint("half");
                run(connection, "INSERT #t VALUES (2)");
                connection.rollback(half);
                connection.commit();
                run(connection, "DELETE #t");
                Judge.same(rows(connection, "SELECT @@TRANCOUNT"), List.of(List.of(1)));
                connection.rollback();
                connection.setAutoCommit(true);
                Judge.same(rows(connection, "SELECT a, @@TRANCOUNT FROM #t"), List.of(List.of(1, 0)));
            }
        });
        judge.feature("isolation levels", () -> {
            try (var connection = connect()) {
                for (int level : new int[] {
                    Connection.TRANSACTION_READ_UNCOMMITTED,
                    Connection.TRANSACTION_REPEATABLE_READ,
                    Connection.TRANSACTION_SERIALIZABLE,
                    Connection.TRANSACTION_READ_COMMITTED,
                }) {
                    connection.setTransactionIsolation(level);
                    Judge.same(connection.getTransactionIsolation(), level);
                    Judge.same(rows(connection, "SELECT 1"), List.of(List.of(1)));
                }
            }
        });
    }

    private static void trouble(Judge judge) {
        judge.feature("errors are exceptions, and the connection lives on", () -> {
            try (var connection = connect()) {
                run(connection, "CREATE TABLE #e (a int NOT NULL PRIMARY KEY, b int CHECK (b > 0))");
                Object[][] cases = {
                    {"SELECT 1 / 0", 8134},
                    {"SELECT * FROM dbo.nothing", 208},
                    {"SELECT nothing", 207},
                    {"INSERT #e VALUES (1, 1), (1, 2)", 2627},
                    {"INSERT #e VALUES (NULL, 1)", 515},
                    {"INSERT #e VALUES (3, 0)", 547},
                    {"RAISERROR('own text', 16, 3)", 50000},
                    {"THROW 50123, 'thrown', 4", 50123},
                    {"SELECT CAST('x' AS int)", 245},
                };
                for (var one : cases) {
                    var error = Judge.raises(SQLException.class, () -> all(statement(connection, (String) one[0])));
                    Judge.same(new Object[] {one[0], error.getErrorCode()}, one);
                    Judge.same(rows(connection, "SELECT 1"), List.of(List.of(1)));
                }
            }
        });
        judge.feature("cancel from another thread, and the connection lives on", () -> {
            try (var watcher = connect(); var connection = connect(); var statement = connection.createStatement()) {
                run(watcher, "DROP TABLE IF EXISTS dbo.jdbc_started; CREATE TABLE dbo.jdbc_started (n int)");
                var stopper = new Thread(() -> {
                    try {
                        while (rows(watcher, "SELECT n FROM dbo.jdbc_started").isEmpty()) {
                            Thread.yield();
                        }
                        statement.cancel();
                    } catch (SQLException failed) {
                        throw new AssertionError(failed);
                    }
                });
                stopper.start();
                var sql = "SET NOCOUNT ON; INSERT dbo.jdbc_started VALUES (1); WAITFOR DELAY '00:00:30'";
                Judge.raises(SQLException.class, () -> statement.execute(sql), "cancel");
                stopper.join();
                Judge.same(rows(connection, "SELECT 1"), List.of(List.of(1)));
                run(watcher, "DROP TABLE dbo.jdbc_started");
            }
        });
        judge.feature("cancel in the middle of a result, and the connection lives on", () -> {
            try (var connection = connect("responseBuffering", "adaptive"); var statement = connection.createStatement()) {
                run(connection, "CREATE TABLE #n (n int NOT NULL); INSERT #n SELECT v FROM (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) AS x(v)");
                var results = statement.executeQuery("SELECT a.n, REPLICATE('x', 100) FROM #n a CROSS JOIN #n b CROSS JOIN #n c CROSS JOIN #n d CROSS JOIN #n e CROSS JOIN #n f");
                for (int i = 0; i < 1000; i++) {
                    Judge.same(results.next(), true);
                }
                statement.cancel();
                Judge.raises(SQLException.class, () -> {
                    while (results.next()) {}
                }, "cancel");
                Judge.same(rows(connection, "SELECT COUNT(*), @@TRANCOUNT FROM #n"), List.of(List.of(10, 0)));
            }
        });
        judge.feature("query timeout", () -> {
            try (var connection = connect(); var statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                Judge.raises(SQLTimeoutException.class, () -> statement.execute("WAITFOR DELAY '00:00:30'"));
                Judge.same(rows(connection, "SELECT 1"), List.of(List.of(1)));
            }
        });
        judge.feature("closed in the middle of a result", () -> {
            try (var connection = connect("responseBuffering", "adaptive")) {
                run(connection, "CREATE TABLE #n (n int NOT NULL); INSERT #n SELECT v FROM (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) AS x(v)");
                try (var statement = connection.createStatement()) {
                    var results = statement.executeQuery("SELECT a.n FROM #n a CROSS JOIN #n b CROSS JOIN #n c CROSS JOIN #n d CROSS JOIN #n e");
                    Judge.same(results.next(), true);
                }
                Judge.same(rows(connection, "SELECT 1"), List.of(List.of(1)));
            }
        });
        judge.feature("PRINT as a warning", () -> {
            try (var connection = connect(); var statement = connection.createStatement()) {
                statement.execute("PRINT N'said so'");
                Judge.same(statement.getWarnings().getMessage(), "said so");
            }
        });
    }

    private static ResultSet statement(Connection connection, String sql) throws SQLException {
        var statement = connection.createStatement();
        return statement.execute(sql) ? statement.getResultSet() : statement.executeQuery("SELECT 1");
    }
}
