import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.math.BigDecimal;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** jTDS, unmodified, which speaks TDS 7.1; and the same by Microsoft's driver, which speaks 7.4. */
final class JtdsJudge {
    public static void main(String[] names) throws Exception {
        if (Judge.told("SSL").equals("authenticate")) {
            trust(Judge.told("CA"));
        }
        var judge = new Judge();
        logins(judge);
        JtdsValues.register(judge);
        statements(judge);
        calls(judge);
        JtdsTrouble.register(judge);
        JtdsCatalogue.register(judge);
        try (var connection = Dialled.connect()) {
            judge.run(connection.getMetaData().getDriverVersion(), names);
        }
        // A timer's threads shall not keep this one.
        System.exit(0);
    }

    /** The authority in a store of its own, as `keytool -importcert` makes one, for the whole JVM. */
    private static void trust(String pem) throws Exception {
        var file = new File(System.getenv("HOME"), "trust.p12");
        var store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (var from = new FileInputStream(pem); var to = new FileOutputStream(file)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(from));
            store.store(to, "judge!".toCharArray());
        }
        System.setProperty("javax.net.ssl.trustStore", file.getPath());
        System.setProperty("javax.net.ssl.trustStorePassword", "judge!");
    }

    private static void logins(Judge judge) {
        judge.feature("login", () -> {
            try (var connection = Dialled.connect("wsid", "bench")) {
                var who = Dialled.row(connection, "SELECT USER_NAME(), DB_NAME(), APP_NAME()");
                Judge.same(who, List.of(Judge.told("USER_NAME"), "demo", "judge"));
                Judge.same(connection.getCatalog(), "demo");
                Judge.same(connection.isClosed(), false);
            }
        });
        judge.feature("a new connection again and again", () -> {
            for (int i = 0; i < 10; i++) {
                try (var connection = Dialled.connect()) {
                    Dialled.run(connection, "CREATE TABLE #mine (id int); SET LOCK_TIMEOUT 4321; SET IMPLICIT_TRANSACTIONS ON; INSERT #mine VALUES (1)");
                    Judge.same(Dialled.row(connection, "SELECT @@LOCK_TIMEOUT, @@TRANCOUNT"), List.of(4321, 1));
                }
            }
            try (var connection = Dialled.connect()) {
                Judge.same(Dialled.row(connection, "SELECT @@LOCK_TIMEOUT, @@TRANCOUNT"), List.of(-1, 0));
            }
        });
        judge.feature("several connections at once", () -> {
            var open = new ArrayList<Connection>();
            try {
                for (int i = 0; i < 8; i++) {
                    open.add(Dialled.connect());
                    Dialled.run(open.get(i), "CREATE TABLE #n (n int); INSERT #n VALUES (" + i + ")");
                }
                for (int i = 0; i < 8; i++) {
                    Judge.same(Dialled.row(open.get(i), "SELECT n FROM #n"), List.of(i));
                }
            } finally {
                for (var connection : open) {
                    connection.close();
                }
            }
        });
        judge.feature("TDS 7.0 is refused, and told what to do", () ->
            Judge.raises(SQLException.class, () -> Dialled.connect("TDS", "7.0").close(), "7.0", "7.1"));
        judge.feature("a database that does not exist", () -> {
            var at = "jdbc:jtds:sqlserver://localhost:" + Judge.told("PORT") + "/nowhere;user=a;password=b;ssl=" + Judge.told("SSL");
            var error = Judge.raises(SQLException.class, () -> java.sql.DriverManager.getConnection(at).close(), "Cannot open database \"nowhere\"");
            Judge.same(error.getErrorCode(), 4060);
        });
    }

    private static void statements(Judge judge) {
        for (var prepared : new String[] {"0", "1", "2", "3"}) {
            judge.feature("prepared once, run 100 times: prepareSQL=" + prepared, () -> {
                try (var connection = Dialled.connect("prepareSQL", prepared);
                        var query = connection.prepareStatement("SELECT ? + 1, ?, n FROM dbo.numbers WHERE n BETWEEN ? AND ?");
                        var other = connection.prepareStatement("SELECT CAST(? AS bigint)")) {
                    for (int i = 0; i < 100; i++) {
                        query.setInt(1, i);
                        query.setString(2, i % 10 == 0 ? null : "nämé " + i);
                        query.setInt(3, i);
                        query.setInt(4, i + 1);
                        var text = i % 10 == 0 ? null : "nämé " + i;
                        Judge.same(Dialled.all(query.executeQuery()),
                                List.of(Arrays.asList(i + 1, text, i), Arrays.asList(i + 1, text, i + 1)));
                        other.setLong(1, Long.MIN_VALUE + i);
                        Judge.same(Dialled.all(other.executeQuery()), List.of(List.of(Long.MIN_VALUE + i)));
                    }
                }
            });
        }
        judge.feature("several results and update counts", () -> {
            try (var connection = Dialled.connect("lastUpdateCount", "false"); var statement = connection.createStatement()) {
                Dialled.run(connection, "CREATE TABLE #r (id int)");
                Judge.same(statement.execute("SELECT 1 AS a; INSERT #r VALUES (1), (2); SELECT N'x' AS b, N'y' AS c WHERE 1 = 0; UPDATE #r SET id = 3 WHERE id > 5; SELECT 2 AS d UNION ALL SELECT 3"), true);
                Judge.same(Dialled.all(statement.getResultSet()), List.of(List.of(1)));
                Judge.same(List.of(statement.getMoreResults(), statement.getUpdateCount()), List.of(false, 2));
                Judge.same(statement.getMoreResults(), true);
                Judge.same(statement.getResultSet().getMetaData().getColumnLabel(2), "c");
                Judge.same(Dialled.all(statement.getResultSet()), List.of());
                Judge.same(List.of(statement.getMoreResults(), statement.getUpdateCount()), List.of(false, 0));
                Judge.same(statement.getMoreResults(), true);
                Judge.same(Dialled.all(statement.getResultSet()), List.of(List.of(2), List.of(3)));
                Judge.same(List.of(statement.getMoreResults(), statement.getUpdateCount()), List.of(false, -1));
            }
        });
        judge.feature("batches", () -> {
            for (var prepared : new String[] {"0", "2", "3"}) {
                try (var connection = Dialled.connect("prepareSQL", prepared)) {
                    batches(connection);
                }
            }
        });
        judge.feature("generated keys", () -> {
            try (var connection = Dialled.connect()) {
                Dialled.run(connection, "CREATE TABLE #i (id int IDENTITY(10, 5) PRIMARY KEY, name nvarchar(20))");
                var sql = "INSERT INTO #i (name) VALUES (?)";
                try (var insert = connection.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
                    for (int i = 0; i < 3; i++) {
                        insert.setString(1, "first");
                        Judge.same(insert.executeUpdate(), 1);
                        var keys = insert.getGeneratedKeys();
                        Judge.same(keys.next(), true);
                        Judge.same(keys.getInt(1), 10 + 5 * i);
                        Judge.same(keys.next(), false);
                    }
                }
            }
        });
        judge.feature("two statements in turns on one connection", () -> {
            try (var connection = Dialled.connect(); var one = connection.createStatement(); var two = connection.createStatement()) {
                var first = one.executeQuery("SELECT n, REPLICATE('x', 2000) FROM dbo.numbers WHERE n < 300 ORDER BY n");
                var second = two.executeQuery("SELECT n, REPLICATE('y', 2000) FROM dbo.numbers WHERE n < 300 ORDER BY n DESC");
                for (int i = 0; i < 300; i++) {
                    Judge.same(List.of(first.next(), second.next()), List.of(true, true));
                    Judge.same(List.of(first.getInt(1), second.getInt(1)), List.of(i, 299 - i));
                    Judge.same(first.getString(2).charAt(1999), 'x');
                    Judge.same(second.getString(2).charAt(1999), 'y');
                }
                Judge.same(List.of(first.next(), second.next()), List.of(false, false));
            }
        });
    }

    private static void batches(Connection connection) throws SQLException {
        Dialled.run(connection, "CREATE TABLE #b (id int PRIMARY KEY, name nvarchar(50), price decimal(9,2))");
        try (var insert = connection.prepareStatement("INSERT #b VALUES (?, ?, ?)")) {
            for (int i = 0; i < 500; i++) {
                insert.setInt(1, i);
                insert.setString(2, i % 3 == 0 ? null : "näme " + i);
                insert.setBigDecimal(3, BigDecimal.valueOf(i * 25L, 2));
                insert.addBatch();
            }
            Judge.same(Arrays.stream(insert.executeBatch()).sum(), 500);
            insert.setInt(1, 7);
            insert.addBatch();
            var error = Judge.raises(BatchUpdateException.class, insert::executeBatch, "PRIMARY KEY");
            Judge.same(error.getErrorCode(), 2627);
        }
        try (var statement = connection.createStatement()) {
            statement.addBatch("UPDATE #b SET price = price + 1 WHERE id < 10");
            statement.addBatch("DELETE #b WHERE id >= 400");
            statement.addBatch("INSERT #b VALUES (1000, 'x', 0)");
            Judge.same(statement.executeBatch(), new int[] {10, 100, 1});
        }
        Judge.same(Dialled.row(connection, "SELECT COUNT(*), COUNT(name), SUM(price) FROM #b"),
                List.of(401, 267, new BigDecimal("19960.00")));
    }

    private static void calls(Judge judge) {
        judge.feature("output parameters and return codes", () -> {
            try (var connection = Dialled.connect(); var call = connection.prepareCall("{?=call sp_executesql(?, ?, ?, ?, ?)}")) {
                for (int i = 0; i < 3; i++) {
                    call.registerOutParameter(1, Types.INTEGER);
                    call.setString(2, "SELECT n FROM dbo.numbers WHERE n < 3 ORDER BY n; SET @twice = @n * 2; SET @text = N'日本' + CAST(@n AS nvarchar(9))");
                    call.setString(3, "@n int, @twice int OUTPUT, @text nvarchar(20) OUTPUT");
                    call.setInt(4, 21 + i);
                    call.registerOutParameter(5, Types.INTEGER);
                    call.registerOutParameter(6, Types.VARCHAR);
                    Judge.same(Dialled.all(call.executeQuery()), List.of(List.of(0), List.of(1), List.of(2)));
                    Judge.same(call.getMoreResults(), false);
                    Judge.same(List.of(call.getInt(1), call.getInt(5), call.getString(6)), List.of(0, 42 + 2 * i, "日本" + (21 + i)));
                }
            }
        });
        judge.feature("a procedure of one's own", () -> {
            try (var connection = Dialled.connect()) {
                Dialled.run(connection, "CREATE PROCEDURE #own @n int, @of nvarchar(20) = N'stück', @out nvarchar(40) OUTPUT AS"
                        + " SET NOCOUNT ON; SET @out = CAST(@n AS nvarchar(9)) + N' ' + @of; SELECT @n AS n; RETURN @n + 1");
                try (var call = connection.prepareCall("{?=call #own(?, ?, ?)}")) {
                    for (int i = 0; i < 3; i++) {
                        call.registerOutParameter(1, Types.INTEGER);
                        call.setInt(2, i);
                        call.setString(3, "日本");
                        call.registerOutParameter(4, Types.VARCHAR);
                        Judge.same(Dialled.all(call.executeQuery()), List.of(List.of(i)));
                        Judge.same(call.getMoreResults(), false);
                        Judge.same(List.of(call.getInt(1), call.getString(4)), List.of(i + 1, i + " 日本"));
                    }
                }
            }
        });
    }
}
