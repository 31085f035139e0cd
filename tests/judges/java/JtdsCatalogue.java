import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/** What tools for databases ask of DatabaseMetaData. */
final class JtdsCatalogue {
    private JtdsCatalogue() {}

    static void register(Judge judge) {
        judge.feature("DatabaseMetaData: tables and columns", JtdsCatalogue::tables);
        judge.feature("DatabaseMetaData: keys and indexes", JtdsCatalogue::keys);
        judge.feature("DatabaseMetaData: catalogs, schemas, types and procedures", JtdsCatalogue::lists);
        judge.feature("what parameters a statement has", JtdsCatalogue::parameters);
    }

    private static List<String> column(ResultSet results, String... names) throws SQLException {
        try (results) {
            var values = new ArrayList<String>();
            while (results.next()) {
                var row = new ArrayList<String>();
                for (var name : names) {
                    row.add(results.getString(name));
                }
                values.add(String.join(" ", row));
            }
            return values;
        }
    }

    private static void tables() throws SQLException {
        try (var connection = Dialled.connect()) {
            Dialled.run(connection, "DROP TABLE IF EXISTS dbo.jtds_meta");
            Dialled.run(connection, "CREATE TABLE dbo.jtds_meta (id int NOT NULL IDENTITY, name nvarchar(40), price decimal(9,2), at datetime2(3), big varchar(max))");
            var meta = connection.getMetaData();
            Judge.same(meta.getDatabaseProductName(), "Microsoft SQL Server");
            Judge.same(column(meta.getTables("demo", "dbo", "jtds_meta", new String[] {"TABLE"}), "TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE"),
                    List.of("demo dbo jtds_meta TABLE"));
            Judge.same(column(meta.getTables(null, null, "jtds\\_met%", null), "TABLE_NAME"), List.of("jtds_meta"));
            var columns = column(meta.getColumns("demo", "dbo", "jtds_meta", "%"), "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE", "IS_NULLABLE");
            Judge.same(columns.subList(0, 3), List.of("id int identity 10 NO", "name nvarchar 40 YES", "price decimal 9 YES"));
            Judge.same(columns.get(3).startsWith("at datetime2 23 YES"), true);
            Judge.same(columns.get(4).startsWith("big varchar"), true);
            Dialled.run(connection, "DROP TABLE dbo.jtds_meta");
            Dialled.isGood(connection);
        }
    }

    private static void keys() throws SQLException {
        try (var connection = Dialled.connect()) {
            Dialled.run(connection, "DROP TABLE IF EXISTS dbo.jtds_kid; DROP TABLE IF EXISTS dbo.jtds_mum");
            Dialled.run(connection, "CREATE TABLE dbo.jtds_mum (id int NOT NULL CONSTRAINT pk_jtds_mum PRIMARY KEY)");
            Dialled.run(connection, "CREATE TABLE dbo.jtds_kid (mum int NOT NULL CONSTRAINT fk_jtds REFERENCES dbo.jtds_mum (id), n int)");
            Dialled.run(connection, "CREATE INDEX ix_jtds ON dbo.jtds_kid (n)");
            var meta = connection.getMetaData();
            Judge.same(column(meta.getPrimaryKeys("demo", "dbo", "jtds_mum"), "COLUMN_NAME", "PK_NAME"), List.of("id pk_jtds_mum"));
            var wanted = List.of("jtds_mum id jtds_kid mum fk_jtds");
            var names = new String[] {"PKTABLE_NAME", "PKCOLUMN_NAME", "FKTABLE_NAME", "FKCOLUMN_NAME", "FK_NAME"};
            Judge.same(column(meta.getImportedKeys("demo", "dbo", "jtds_kid"), names), wanted);
            Judge.same(column(meta.getExportedKeys("demo", "dbo", "jtds_mum"), names), wanted);
            var indexes = column(meta.getIndexInfo("demo", "dbo", "jtds_kid", false, true), "INDEX_NAME");
            Judge.same(indexes.contains("ix_jtds"), true);
            Judge.same(column(meta.getBestRowIdentifier("demo", "dbo", "jtds_mum", 0, true), "COLUMN_NAME"), List.of("id"));
            Dialled.run(connection, "DROP TABLE dbo.jtds_kid; DROP TABLE dbo.jtds_mum");
            Dialled.isGood(connection);
        }
    }

    private static void lists() throws SQLException {
        try (var connection = Dialled.connect()) {
            var meta = connection.getMetaData();
            Judge.same(column(meta.getCatalogs(), "TABLE_CAT").contains("demo"), true);
            Judge.same(column(meta.getSchemas(), "TABLE_SCHEM").contains("dbo"), true);
            Judge.same(column(meta.getTableTypes(), "TABLE_TYPE").contains("TABLE"), true);
            Judge.same(column(meta.getTypeInfo(), "TYPE_NAME").containsAll(List.of("nvarchar", "int", "uniqueidentifier")), true);
            column(meta.getProcedures("demo", "dbo", "%"), "PROCEDURE_NAME");
            column(meta.getTablePrivileges("demo", "dbo", "numbers"), "PRIVILEGE");
            Judge.same(List.of(meta.getDatabaseMajorVersion() >= 12, meta.getMaxColumnNameLength()), List.of(true, 128));
            Judge.same(meta.supportsTransactionIsolationLevel(8), true);
            Judge.same(meta.getUserName() == null, false);
            Judge.same(meta.isReadOnly(), false);
            Dialled.isGood(connection);
        }
    }

    private static void parameters() throws SQLException {
        try (var connection = Dialled.connect(); var query = connection.prepareStatement("SELECT n FROM dbo.numbers WHERE n = ?")) {
            Judge.same(query.getMetaData().getColumnName(1), "n");
            Judge.same(query.getParameterMetaData().getParameterCount(), 1);
            query.setInt(1, 5);
            Judge.same(Dialled.all(query.executeQuery()), List.of(List.of(5)));
        }
    }
}
