import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

/** Microsoft's JDBC driver, unmodified, at the proxy's admin database. */
final class AdminJudge {
    public static void main(String[] names) throws Exception {
        var judge = new Judge();
        judge.feature("tables with a filter and parameters", AdminJudge::tables);
        judge.feature("metadata", AdminJudge::metadata);
        judge.feature("autocommit off", AdminJudge::transaction);
        judge.feature("KILL", AdminJudge::kill);
        try (var connection = connect("entrada", "judge")) {
            judge.run(connection.getMetaData().getDriverVersion(), names);
        }
        System.exit(0);
    }

    private static Connection connect(String database, String application) throws SQLException {
        var properties = new Properties();
        properties.put("user", "me");
        properties.put("password", "x");
        properties.put("databaseName", database);
        properties.put("applicationName", application);
        properties.put("loginTimeout", "20");
        properties.put("connectRetryCount", "0");
        properties.put("encrypt", "false");
        return DriverManager.getConnection("jdbc:sqlserver://127.0.0.1:" + Judge.told("PORT"), properties);
    }

    private static void tables() throws Exception {
        var sql = "SELECT application, state FROM sessions WHERE application = ? AND seconds < ?";
        try (var admin = connect("entrada", "by jdbc"); var statement = admin.prepareStatement(sql)) {
            // The second time it prepares, the third time it executes what is prepared.
            for (int i = 0; i < 4; i++) {
                statement.setString(1, "by jdbc");
                statement.setLong(2, 600);
                try (var rows = statement.executeQuery()) {
                    Judge.same(rows.next(), true);
                    Judge.same(rows.getString("state"), "admin");
                    Judge.same(rows.next(), false);
                }
            }
            try (var plain = admin.createStatement()) {
                Judge.raises(SQLException.class, () -> plain.execute("SELECT * FROM nothing"), "SHOW HELP");
                Judge.same(plain.execute("PAUSE"), false);
                Judge.same(plain.execute("RESUME"), false);
                Judge.same(plain.execute("RECONNECT [default]"), false);
            }
        }
    }

    private static void metadata() throws Exception {
        try (var admin = connect("entrada", "by jdbc")) {
            List<String> tables = new ArrayList<>();
            try (var rows = admin.getMetaData().getTables(null, null, "se%", null)) {
                while (rows.next()) {
                    tables.add(rows.getString("TABLE_NAME"));
                }
            }
            Judge.same(tables, List.of("sessions", "settings"));
            Judge.same(admin.getCatalog(), "entrada");
            Judge.same(admin.isValid(5), true);
        }
    }

    private static void transaction() throws Exception {
        try (var admin = connect("entrada", "by jdbc"); var statement = admin.createStatement()) {
            admin.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            admin.setAutoCommit(false);
            try (var rows = statement.executeQuery("SHOW VERSION")) {
                Judge.same(rows.next(), true);
            }
            admin.commit();
            admin.rollback();
            admin.setAutoCommit(true);
        }
    }

    private static void kill() throws Exception {
        try (var victim = connect("shop", "victim"); var admin = connect("entrada", "by jdbc");
                var statement = admin.createStatement()) {
            long id;
            try (var rows = statement.executeQuery("SELECT id FROM sessions WHERE application = 'victim'")) {
                Judge.same(rows.next(), true);
                id = rows.getLong(1);
            }
            statement.execute("KILL " + id);
            Judge.raises(SQLException.class, () -> victim.createStatement().execute("SELECT 1"));
            Judge.raises(SQLException.class, () -> statement.execute("KILL " + id), "no session");
        }
    }
}
