import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

/** Connections by jTDS, or by Microsoft's driver to see that both get the same; and short words for what is done on them. */
final class Dialled {
    static final boolean IS_JTDS = Judge.told("DRIVER").equals("jtds");

    private Dialled() {}

    /** A connection with these properties beside the usual ones. Those of jTDS are ignored for the other driver. */
    static Connection connect(String... more) throws SQLException {
        return connect(List.of(), more);
    }

    static Connection connect(List<String> always, String... more) throws SQLException {
        if (IS_JTDS) {
            // It is older than drivers that are found by themselves.
            try {
                Class.forName("net.sourceforge.jtds.jdbc.Driver");
            } catch (ClassNotFoundException missing) {
                throw new SQLException(missing);
            }
        }
        var properties = new Properties();
        properties.put("user", Judge.told("USER"));
        properties.put("password", Judge.told("PASSWORD"));
        properties.put("loginTimeout", "20");
        if (IS_JTDS) {
            properties.put("appName", "judge");
            properties.put("progName", "judge");
            properties.put("ssl", Judge.told("SSL"));
            for (int i = 0; i < more.length; i += 2) {
                properties.put(more[i], more[i + 1]);
            }
        } else {
            properties.put("applicationName", "judge");
            properties.put("encrypt", "false");
            properties.put("sendTimeAsDatetime", "false");
        }
        for (int i = 0; i < always.size(); i += 2) {
            properties.put(always.get(i), always.get(i + 1));
        }
        var at = "localhost:" + Judge.told("PORT");
        var url = IS_JTDS ? "jdbc:jtds:sqlserver://" + at + "/demo" : "jdbc:sqlserver://" + at + ";databaseName=demo";
        return DriverManager.getConnection(url, properties);
    }

    static List<List<Object>> all(ResultSet results) throws SQLException {
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

    static List<List<Object>> rows(Connection connection, String sql) throws SQLException {
        try (var statement = connection.createStatement()) {
            return all(statement.executeQuery(sql));
        }
    }

    static List<Object> row(Connection connection, String sql) throws SQLException {
        return rows(connection, sql).get(0);
    }

    static void run(Connection connection, String sql) throws SQLException {
        try (var statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    /** What a connection must do after whatever has happened on it. */
    static void isGood(Connection connection) throws SQLException {
        Judge.same(rows(connection, "SELECT 42, N'ü', @@TRANCOUNT"), List.of(List.of(42, "ü", 0)));
    }
}
