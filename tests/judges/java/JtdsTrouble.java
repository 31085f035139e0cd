import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.util.ArrayList;
import java.util.List;

/** Transactions, errors, messages and cancelled statements. */
final class JtdsTrouble {
    private JtdsTrouble() {}

    static void register(Judge judge) {
        judge.feature("transactions: commit, rollback and savepoints", JtdsTrouble::transactions);
        judge.feature("transactions: isolation levels", JtdsTrouble::isolation);
        judge.feature("transactions: ended by an error with XACT_ABORT", JtdsTrouble::aborted);
        judge.feature("errors with number, state and text, and the connection lives on", JtdsTrouble::errors);
        judge.feature("errors in the middle of a result", JtdsTrouble::inTheMiddle);
        judge.feature("PRINT and RAISERROR as warnings", JtdsTrouble::messages);
        judge.feature("cancel from another thread", JtdsTrouble::cancelled);
        judge.feature("cancel in the middle of a result", JtdsTrouble::cancelledInTheMiddle);
        judge.feature("query timeout", JtdsTrouble::timeout);
        judge.feature("closed in the middle of a result", JtdsTrouble::closed);
    }

    private static void transactions() throws SQLException {
        try (var connection = Dialled.connect(); var other = Dialled.connect()) {
            Dialled.run(connection, "DROP TABLE IF EXISTS dbo.jtds_tran; CREATE TABLE dbo.jtds_tran (a int NOT NULL PRIMARY KEY)");
            connection.setAutoCommit(false);
            Dialled.run(connection, "INSERT dbo.jtds_tran VALUES (1)");
            var half = connection.setSavepoint("half");
            Dialled.run(connection, "INSERT dbo.jtds_tran VALUES (2)");
            connection.rollback(half);
            Judge.same(Dialled.row(connection, "SELECT @@TRANCOUNT, CAST(XACT_STATE() AS int)"), List.of(1, 1));
            connection.commit();
            Judge.same(Dialled.rows(other, "SELECT a FROM dbo.jtds_tran"), List.of(List.of(1)));
            Dialled.run(connection, "DELETE dbo.jtds_tran");
            try (var insert = connection.prepareStatement("INSERT dbo.jtds_tran VALUES (?)")) {
                for (int i = 10; i < 13; i++) {
                    insert.setInt(1, i);
                    Judge.same(insert.executeUpdate(), 1);
                }
            }
            Judge.same(Dialled.row(connection, "SELECT COUNT(*), @@TRANCOUNT FROM dbo.jtds_tran"), List.of(3, 1));
            connection.rollback();
            connection.setAutoCommit(true);
            Judge.same(Dialled.row(connection, "SELECT a, @@TRANCOUNT FROM dbo.jtds_tran"), List.of(1, 0));
            // In T-SQL, over several requests.
            Dialled.run(connection, "BEGIN TRAN");
            Dialled.run(connection, "INSERT dbo.jtds_tran VALUES (20)");
            Dialled.run(connection, "BEGIN TRAN; INSERT dbo.jtds_tran VALUES (21)");
            Judge.same(Dialled.row(connection, "SELECT @@TRANCOUNT"), List.of(2));
            Dialled.run(connection, "COMMIT");
            Dialled.run(connection, "COMMIT");
            Judge.same(Dialled.row(other, "SELECT COUNT(*) FROM dbo.jtds_tran"), List.of(3));
            Dialled.run(connection, "DROP TABLE dbo.jtds_tran");
            Dialled.isGood(connection);
        }
    }

    private static void isolation() throws SQLException {
        try (var connection = Dialled.connect()) {
            for (int level : new int[] {
                Connection.TRANSACTION_READ_UNCOMMITTED,
                Connection.TRANSACTION_REPEATABLE_READ,
                Connection.TRANSACTION_SERIALIZABLE,
                Connection.TRANSACTION_READ_COMMITTED,
            }) {
                connection.setTransactionIsolation(level);
                Judge.same(connection.getTransactionIsolation(), level);
                // As sys.dm_exec_sessions numbers them.
                int wanted = level == 8 ? 4 : level == 4 ? 3 : level;
                var sql = "SELECT CAST(transaction_isolation_level AS int) FROM sys.dm_exec_sessions WHERE session_id = @@SPID";
                Judge.same(Dialled.row(connection, sql), List.of(wanted));
            }
        }
    }

    private static void aborted() throws SQLException {
        try (var connection = Dialled.connect()) {
            Dialled.run(connection, "CREATE TABLE #x (a int NOT NULL PRIMARY KEY); SET XACT_ABORT ON; BEGIN TRAN; INSERT #x VALUES (1)");
            var error = Judge.raises(SQLException.class, () -> Dialled.run(connection, "INSERT #x VALUES (1)"), "PRIMARY KEY");
            Judge.same(error.getErrorCode(), 2627);
            Judge.same(Dialled.row(connection, "SELECT COUNT(*), @@TRANCOUNT FROM #x"), List.of(0, 0));
            Dialled.isGood(connection);
        }
    }

    private static void errors() throws SQLException {
        try (var connection = Dialled.connect()) {
            Dialled.run(connection, "CREATE TABLE #e (a int NOT NULL PRIMARY KEY, b int CHECK (b > 0))");
            Object[][] cases = {
                {"SELECT 1 / 0", 8134, "Divide by zero error encountered."},
                {"SELECT * FROM dbo.nothing", 208, "Invalid object name 'dbo.nothing'."},
                {"SELECT nothing", 207, "Invalid column name 'nothing'."},
                {"INSERT #e VALUES (1, 1), (1, 2)", 2627, "Violation of PRIMARY KEY constraint"},
                {"INSERT #e VALUES (NULL, 1)", 515, "Cannot insert the value NULL into column 'a'"},
                {"INSERT #e VALUES (3, 0)", 547, "CHECK constraint"},
                {"RAISERROR(N'own text ü %d', 16, 3, 5)", 50000, "own text ü 5"},
                {"THROW 50123, N'thrown 日本', 4", 50123, "thrown 日本"},
                {"SELECT CAST('x' AS int)", 245, "Conversion failed when converting the varchar value 'x' to data type int."},
            };
            for (var one : cases) {
                var error = Judge.raises(SQLException.class, () -> {
                    try (var statement = connection.createStatement()) {
                        if (statement.execute((String) one[0])) {
                            Dialled.all(statement.getResultSet());
                        }
                    }
                }, (String) one[2]);
                Judge.same(List.of(one[0], error.getErrorCode()), List.of(one[0], one[1]));
                Dialled.isGood(connection);
            }
            try (var query = connection.prepareStatement("SELECT 1 / ?")) {
                for (int i : new int[] {0, 1, 0}) {
                    query.setInt(1, i);
                    if (i == 0) {
                        var error = Judge.raises(SQLException.class, () -> Dialled.all(query.executeQuery()), "Divide by zero");
                        Judge.same(error.getErrorCode(), 8134);
                    } else {
                        Judge.same(Dialled.all(query.executeQuery()), List.of(List.of(1)));
                    }
                }
            }
        }
    }

    private static void inTheMiddle() throws SQLException {
        try (var connection = Dialled.connect(); var statement = connection.createStatement()) {
            var sql = "SELECT 1 AS a; SELECT 10 / (n - 5) FROM dbo.numbers WHERE n < 10 ORDER BY n; SELECT 3 AS c";
            Judge.same(statement.execute(sql), true);
            Judge.same(Dialled.all(statement.getResultSet()), List.of(List.of(1)));
            var error = Judge.raises(SQLException.class, () -> {
                statement.getMoreResults();
                Dialled.all(statement.getResultSet());
            }, "Divide by zero");
            Judge.same(error.getErrorCode(), 8134);
            Dialled.isGood(connection);
        }
    }

    private static void messages() throws SQLException {
        try (var connection = Dialled.connect(); var statement = connection.createStatement()) {
            statement.execute("PRINT N'said sö'; RAISERROR(N'by the way', 5, 7) WITH NOWAIT; SELECT 1; PRINT N'" + "x".repeat(4000) + "'");
            var said = new ArrayList<String>();
            for (SQLWarning one = statement.getWarnings(); one != null; one = one.getNextWarning()) {
                said.add(one.getErrorCode() + " " + one.getMessage());
            }
            Judge.same(said.subList(0, 2), List.of("0 said sö", "50000 by the way"));
            Judge.same(Dialled.all(statement.getResultSet()), List.of(List.of(1)));
            Dialled.isGood(connection);
        }
    }

    private static void cancelled() throws Exception {
        try (var watcher = Dialled.connect(); var connection = Dialled.connect(); var statement = connection.createStatement()) {
            Dialled.run(watcher, "DROP TABLE IF EXISTS dbo.jtds_started; CREATE TABLE dbo.jtds_started (n int)");
            for (int round = 0; round < 3; round++) {
                var number = round;
                var stopper = new Thread(() -> {
                    try {
                        while (Dialled.rows(watcher, "SELECT n FROM dbo.jtds_started WHERE n = " + number).isEmpty()) {
                            Thread.yield();
                        }
                        statement.cancel();
                    } catch (SQLException failed) {
                        throw new AssertionError(failed);
                    }
                });
                stopper.start();
                var sql = "SET NOCOUNT ON; INSERT dbo.jtds_started VALUES (" + round + "); WAITFOR DELAY '00:00:30'";
                Judge.raises(SQLException.class, () -> statement.execute(sql), "ancel");
                stopper.join();
                Dialled.isGood(connection);
            }
            Dialled.run(watcher, "DROP TABLE dbo.jtds_started");
        }
    }

    private static void cancelledInTheMiddle() throws SQLException {
        try (var connection = Dialled.connect(); var statement = connection.createStatement()) {
            var sql = "SELECT a.n, REPLICATE(CAST('x' AS varchar(max)), 20000) FROM dbo.numbers a CROSS JOIN dbo.numbers b WHERE a.n < 10";
            for (int round = 0; round < 3; round++) {
                var results = statement.executeQuery(sql);
                for (int i = 0; i < 50; i++) {
                    Judge.same(results.next(), true);
                    Judge.same(results.getString(2).length(), 20_000);
                }
                statement.cancel();
                Judge.raises(SQLException.class, () -> {
                    while (results.next()) {}
                }, "ancel");
                Dialled.isGood(connection);
            }
            connection.setAutoCommit(false);
            Dialled.run(connection, "CREATE TABLE #kept (a int); INSERT #kept VALUES (1)");
            var results = statement.executeQuery(sql);
            Judge.same(results.next(), true);
            statement.cancel();
            Judge.raises(SQLException.class, () -> {
                while (results.next()) {}
            }, "ancel");
            Judge.same(Dialled.row(connection, "SELECT COUNT(*), @@TRANCOUNT FROM #kept"), List.of(1, 1));
            connection.rollback();
            connection.setAutoCommit(true);
            Dialled.isGood(connection);
        }
    }

    private static void timeout() throws SQLException {
        try (var connection = Dialled.connect(); var statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            Judge.raises(SQLException.class, () -> statement.execute("WAITFOR DELAY '00:00:30'"), "timed out");
            Dialled.isGood(connection);
        }
    }

    private static void closed() throws SQLException {
        try (var connection = Dialled.connect()) {
            try (var statement = connection.createStatement()) {
                var results = statement.executeQuery("SELECT n, REPLICATE('x', 2000) FROM dbo.numbers");
                Judge.same(results.next(), true);
            }
            Dialled.isGood(connection);
        }
    }
}
