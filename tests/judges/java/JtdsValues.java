import java.io.ByteArrayInputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.CRC32;

/** Values of every type in both directions, large ones too. */
final class JtdsValues {
    private static final DateTimeFormatter MILLIS = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss.SSS");
    private static final DateTimeFormatter SECONDS = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss");

    /** A column of dbo.every_type: the texts of its rows by id. */
    private record Kind(String name, String type, List<String> texts) {
        String base() {
            return type.replaceAll("\\(.*", "");
        }

        boolean isOfText() {
            return base().endsWith("char") || base().endsWith("text");
        }

        boolean isBinary() {
            return base().endsWith("binary") || base().equals("image");
        }
    }

    private static final List<Kind> KINDS = kinds();

    private JtdsValues() {}

    private static List<Kind> kinds() {
        var kinds = new ArrayList<Kind>();
        for (var line : Judge.told("TYPES_TABLE").split("\n")) {
            var fields = line.split("\t", -1);
            var texts = Arrays.stream(fields).skip(2).map(text -> text.equals("\\N") ? null : text).toList();
            kinds.add(new Kind(fields[0], fields[1], texts));
        }
        return kinds;
    }

    static void register(Judge judge) {
        judge.feature("types: values, extremes and NULL", () -> {
            try (var connection = Dialled.connect()) {
                everyType(connection);
            }
        });
        judge.feature("types: all in one row", () -> {
            try (var connection = Dialled.connect()) {
                allAtOnce(connection);
            }
        });
        judge.feature("types: what metadata says", () -> {
            try (var connection = Dialled.connect()) {
                metadata(connection);
            }
        });
        judge.feature("types: sql_variant", JtdsValues::variants);
        for (var prepared : new String[] {"0", "1", "2", "3"}) {
            for (var unicode : new String[] {"true", "false"}) {
                judge.feature("parameters of every type: prepareSQL=" + prepared + ", sendStringParametersAsUnicode=" + unicode, () -> {
                    try (var connection = Dialled.connect("prepareSQL", prepared, "sendStringParametersAsUnicode", unicode)) {
                        parameters(connection, unicode.equals("true"));
                    }
                });
            }
        }
        judge.feature("output parameters of every type", () -> {
            try (var connection = Dialled.connect()) {
                outputs(connection);
            }
        });
        // Long texts come as ntext, which the server does not put into a column of text by itself.
        judge.feature("values of 1 MB: text, ntext and image", () -> large("text", "ntext", "image"));
        judge.feature("values of 1 MB: text, sendStringParametersAsUnicode=false", JtdsValues::narrow);
        judge.feature("values of 1 MB: varchar(max), nvarchar(max) and varbinary(max)",
                () -> large("varchar(max)", "nvarchar(max)", "varbinary(max)"));
        judge.feature("values of 1 MB as streams, Clob and Blob", JtdsValues::streams);
        judge.feature("a result of 50 MB", () -> huge(List.of()));
        judge.feature("a result of 50 MB in packets of 512 and 32767", () -> {
            huge(List.of("packetSize", "512"));
            huge(List.of("packetSize", "32767"));
        });
    }

    /** The value as the list of texts has it. */
    private static String text(ResultSet results, int column, Kind kind) throws SQLException {
        Object value = switch (kind.base()) {
            case "bit" -> results.getBoolean(column) ? "1" : "0";
            case "tinyint", "smallint", "int", "bigint" -> results.getLong(column);
            case "decimal", "numeric", "money", "smallmoney" -> shown(results.getBigDecimal(column));
            case "real" -> results.getFloat(column);
            case "float" -> results.getDouble(column);
            case "binary", "varbinary", "image" -> hex(results.getBytes(column));
            case "smalldatetime" -> shown(results.getTimestamp(column), SECONDS);
            case "datetime" -> shown(results.getTimestamp(column), MILLIS);
            default -> results.getString(column);
        };
        return results.wasNull() ? null : String.valueOf(value);
    }

    private static String shown(BigDecimal value) {
        return value == null ? null : value.toPlainString();
    }

    private static String shown(Timestamp value, DateTimeFormatter format) {
        return value == null ? null : value.toLocalDateTime().format(format);
    }

    private static String hex(byte[] value) {
        return value == null ? null : HexFormat.of().withUpperCase().formatHex(value);
    }

    private static void everyType(Connection connection) throws SQLException {
        var faults = new ArrayList<String>();
        for (var kind : KINDS) {
            var got = new ArrayList<String>();
            try (var statement = connection.createStatement()) {
                var results = statement.executeQuery("SELECT [" + kind.name + "] FROM dbo.every_type ORDER BY id");
                while (results.next()) {
                    got.add(text(results, 1, kind));
                }
            }
            if (!got.equals(kind.texts)) {
                faults.add(kind.name + ": " + got + ", want " + kind.texts);
            }
        }
        Judge.same(faults, List.of());
    }

    private static void allAtOnce(Connection connection) throws SQLException {
        try (var statement = connection.createStatement()) {
            var results = statement.executeQuery("SELECT * FROM dbo.every_type ORDER BY id");
            for (int row = 0; row < KINDS.get(0).texts.size(); row++) {
                Judge.same(results.next(), true);
                Judge.same(results.getInt("id"), row);
                for (int i = 0; i < KINDS.size(); i++) {
                    var kind = KINDS.get(i);
                    Judge.same(kind.name + " " + text(results, i + 2, kind), kind.name + " " + kind.texts.get(row));
                }
            }
            Judge.same(results.next(), false);
        }
    }

    /** What stands in the place of the types that the version has not. */
    private static void metadata(Connection connection) throws SQLException {
        try (var statement = connection.createStatement()) {
            var meta = statement.executeQuery("SELECT * FROM dbo.every_type WHERE 1 = 0").getMetaData();
            Judge.same(meta.getColumnCount(), KINDS.size() + 1);
            Judge.same(List.of(meta.getColumnName(1), meta.isNullable(1)), List.of("id", 0));
            var faults = new ArrayList<String>();
            for (int i = 0; i < KINDS.size(); i++) {
                var kind = KINDS.get(i);
                var got = List.of(meta.getColumnName(i + 2), meta.getColumnTypeName(i + 2), meta.isNullable(i + 2));
                var wanted = List.of(kind.name, Dialled.IS_JTDS ? old(kind) : kind.base(), 1);
                if (!got.equals(wanted)) {
                    faults.add(got + ", want " + wanted);
                }
                if (Dialled.IS_JTDS && isOfNewDates(kind)) {
                    Judge.same(kind.name + meta.getPrecision(i + 2), kind.name + chars(kind));
                }
            }
            Judge.same(faults, List.of());
        }
    }

    private static boolean isOfNewDates(Kind kind) {
        return List.of("date", "time", "datetime2", "datetimeoffset").contains(kind.base());
    }

    private static String old(Kind kind) {
        return switch (kind.type) {
            case "varchar(max)" -> "text";
            case "nvarchar(max)" -> "ntext";
            case "varbinary(max)" -> "image";
            default -> isOfNewDates(kind) ? "nvarchar" : kind.base();
        };
    }

    /** Characters of a date or time as text, by its scale. */
    private static int chars(Kind kind) {
        var digits = kind.type.replaceAll("\\D", "");
        int scale = kind.base().equals("date") || digits.isEmpty() ? 0 : kind.type.charAt(kind.type.length() - 2) - '0';
        int fraction = scale == 0 ? 0 : scale + 1;
        return switch (kind.base()) {
            case "date" -> 10;
            case "time" -> 8 + fraction;
            case "datetime2" -> 19 + fraction;
            default -> 26 + fraction;
        };
    }

    private static void variants() throws SQLException {
        try (var connection = Dialled.connect()) {
            var sql = "SELECT CAST(-5 AS sql_variant), CAST(N'日本' AS sql_variant), CAST('wörd' AS sql_variant),"
                    + " CAST(CAST(1.25 AS decimal(9,2)) AS sql_variant), CAST(0x0102 AS sql_variant),"
                    + " CAST(CAST(2.5 AS float) AS sql_variant), CAST(CAST(1 AS bit) AS sql_variant), CAST(NULL AS sql_variant)";
            var row = Dialled.row(connection, sql);
            Judge.same(row.get(4), new byte[] {1, 2});
            var others = new ArrayList<>(row);
            others.remove(4);
            Judge.same(others, Arrays.asList(-5, "日本", "wörd", new BigDecimal("1.25"), 2.5, true, null));
            sql = "SELECT CAST(CAST('2026-11-22' AS date) AS sql_variant),"
                    + " CAST(CAST('13:14:15.1234567' AS time(7)) AS sql_variant),"
                    + " CAST(CAST('2026-11-22 13:14:15.123' AS datetime2(3)) AS sql_variant),"
                    + " CAST(CAST('2026-11-22 01:02:03 +05:30' AS datetimeoffset(0)) AS sql_variant)";
            if (Dialled.IS_JTDS) {
                Judge.same(Dialled.row(connection, sql), List.of("2026-11-22", "13:14:15.1234567",
                        "2026-11-22 13:14:15.123", "2026-11-22 01:02:03 +05:30"));
            }
        }
    }

    /** Sets a parameter as programs do, or NULL. */
    private static void set(PreparedStatement statement, int index, Kind kind, String text) throws SQLException {
        int type = jdbcType(kind);
        if (text == null) {
            statement.setNull(index, type);
            return;
        }
        switch (kind.base()) {
            case "bit" -> statement.setBoolean(index, text.equals("1"));
            case "tinyint" -> statement.setShort(index, Short.parseShort(text));
            case "smallint" -> statement.setShort(index, Short.parseShort(text));
            case "int" -> statement.setInt(index, Integer.parseInt(text));
            case "bigint" -> statement.setLong(index, Long.parseLong(text));
            case "decimal", "numeric", "money", "smallmoney" -> statement.setBigDecimal(index, new BigDecimal(text));
            case "real" -> statement.setFloat(index, Float.parseFloat(text));
            case "float" -> statement.setDouble(index, Double.parseDouble(text));
            case "binary", "varbinary", "image" -> statement.setBytes(index, HexFormat.of().parseHex(text));
            case "smalldatetime", "datetime" -> statement.setTimestamp(index, Timestamp.valueOf(text));
            default -> statement.setString(index, text);
        }
    }

    private static int jdbcType(Kind kind) {
        return switch (kind.base()) {
            case "bit" -> Types.BIT;
            // jTDS takes tinyint for signed, as Java's byte is.
            case "tinyint" -> Types.SMALLINT;
            case "smallint" -> Types.SMALLINT;
            case "int" -> Types.INTEGER;
            case "bigint" -> Types.BIGINT;
            case "decimal", "money", "smallmoney" -> Types.DECIMAL;
            case "numeric" -> Types.NUMERIC;
            case "real" -> Types.REAL;
            case "float" -> Types.DOUBLE;
            case "binary", "varbinary", "image" -> Types.VARBINARY;
            case "smalldatetime", "datetime" -> Types.TIMESTAMP;
            default -> Types.VARCHAR;
        };
    }

    private static void parameters(Connection connection, boolean unicode) throws SQLException {
        var faults = new ArrayList<String>();
        for (var kind : KINDS) {
            try {
                Dialled.run(connection, "CREATE TABLE #p (id int NOT NULL PRIMARY KEY, v " + kind.type + " NULL)");
                try (var insert = connection.prepareStatement("INSERT #p (id, v) VALUES (?, ?)")) {
                    for (int i = 0; i < kind.texts.size(); i++) {
                        insert.setInt(1, i);
                        set(insert, 2, kind, kind.texts.get(i));
                        Judge.same(insert.executeUpdate(), 1);
                    }
                }
                var got = new ArrayList<String>();
                try (var select = connection.prepareStatement("SELECT v FROM #p WHERE id >= ? ORDER BY id")) {
                    select.setInt(1, 0);
                    var results = select.executeQuery();
                    while (results.next()) {
                        got.add(text(results, 1, kind));
                    }
                }
                Judge.same(got, unicode ? kind.texts : narrowed(kind));
            } catch (SQLException | AssertionError error) {
                faults.add(kind.name + ": " + error);
            }
            Dialled.run(connection, "DROP TABLE IF EXISTS #p");
        }
        Judge.same(faults, List.of());
    }

    /** What is left of a text that went in the database's code page. */
    private static List<String> narrowed(Kind kind) {
        if (!Dialled.IS_JTDS || !kind.isOfText()) {
            return kind.texts;
        }
        var texts = new ArrayList<String>();
        for (var text : kind.texts) {
            texts.add(text == null ? null : text.replaceAll("[日本Ω]", "?").replace("😀", "?"));
        }
        return texts;
    }

    /** sp_executesql gives back what it was given, by a statement that a server would find in a procedure. */
    private static void outputs(Connection connection) throws SQLException {
        var faults = new ArrayList<String>();
        for (var kind : KINDS) {
            if (kind.base().endsWith("text") || kind.base().equals("image") || kind.type.contains("max")) {
                continue; // Output parameters of such types do not exist at 7.1.
            }
            var declared = "@in " + kind.type + ", @out " + kind.type + " OUTPUT";
            try (var call = connection.prepareCall("{?=call sp_executesql(?, ?, ?, ?)}")) {
                for (var text : kind.texts) {
                    call.registerOutParameter(1, Types.INTEGER);
                    call.setString(2, "SET @out = @in");
                    call.setString(3, declared);
                    set(call, 4, kind, text);
                    if (isDecimal(kind)) {
                        call.registerOutParameter(5, jdbcType(kind), scale(kind));
                    } else {
                        call.registerOutParameter(5, jdbcType(kind));
                    }
                    call.execute();
                    Judge.same(call.getInt(1), 0);
                    Judge.same(given(call, 5, kind), text);
                }
            } catch (SQLException | AssertionError error) {
                faults.add(kind.name + ": " + error);
            }
        }
        Judge.same(faults, List.of());
    }

    private static boolean isDecimal(Kind kind) {
        return List.of("decimal", "numeric", "money", "smallmoney").contains(kind.base());
    }

    private static int scale(Kind kind) {
        return switch (kind.base()) {
            case "money", "smallmoney" -> 4;
            case "decimal" -> 2;
            default -> 10;
        };
    }

    private static String given(CallableStatement call, int index, Kind kind) throws SQLException {
        Object value = switch (kind.base()) {
            case "bit" -> call.getBoolean(index) ? "1" : "0";
            case "tinyint", "smallint", "int", "bigint" -> call.getLong(index);
            case "decimal", "numeric", "money", "smallmoney" -> shown(call.getBigDecimal(index));
            case "real" -> call.getFloat(index);
            case "float" -> call.getDouble(index);
            case "binary", "varbinary" -> hex(call.getBytes(index));
            case "smalldatetime" -> shown(call.getTimestamp(index), SECONDS);
            case "datetime" -> shown(call.getTimestamp(index), MILLIS);
            default -> call.getString(index);
        };
        return call.wasNull() ? null : String.valueOf(value);
    }

    private static final String TEXT = "wörd € ".repeat(150_000);
    private static final String WIDE = "日本 😀 ".repeat(180_000);

    private static byte[] bytes() {
        var bytes = new byte[1_280_000];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (i ^ (i >> 8));
        }
        return bytes;
    }

    private static void large(String text, String wide, String binary) throws SQLException {
        try (var connection = Dialled.connect()) {
            Dialled.run(connection, "CREATE TABLE #large (t " + text + ", w " + wide + ", b " + binary + ")");
            try (var insert = connection.prepareStatement("INSERT #large VALUES (CAST(? AS varchar(max)), ?, ?)")) {
                insert.setString(1, TEXT);
                insert.setString(2, WIDE);
                insert.setBytes(3, bytes());
                Judge.same(insert.executeUpdate(), 1);
            }
            try (var statement = connection.createStatement()) {
                var results = statement.executeQuery("SELECT t, w, b, DATALENGTH(t), DATALENGTH(w), DATALENGTH(b) FROM #large");
                Judge.same(results.next(), true);
                Judge.same(results.getString(1).equals(TEXT), true);
                Judge.same(results.getString(2).equals(WIDE), true);
                Judge.same(Arrays.equals(results.getBytes(3), bytes()), true);
                Judge.same(List.of(results.getInt(4), results.getInt(5), results.getInt(6)),
                        List.of(TEXT.length(), WIDE.length() * 2, bytes().length));
            }
        }
    }

    private static void narrow() throws SQLException {
        try (var connection = Dialled.connect("sendStringParametersAsUnicode", "false")) {
            Dialled.run(connection, "CREATE TABLE #narrow (t text, v varchar(max))");
            try (var insert = connection.prepareStatement("INSERT #narrow VALUES (?, ?)")) {
                insert.setString(1, TEXT);
                insert.setString(2, TEXT);
                Judge.same(insert.executeUpdate(), 1);
            }
            try (var statement = connection.createStatement()) {
                var results = statement.executeQuery("SELECT t, v FROM #narrow");
                Judge.same(results.next(), true);
                Judge.same(List.of(results.getString(1).equals(TEXT), results.getString(2).equals(TEXT)), List.of(true, true));
            }
        }
    }

    private static void streams() throws Exception {
        try (var connection = Dialled.connect()) {
            Dialled.run(connection, "CREATE TABLE #large (t ntext, m nvarchar(max), b varbinary(max))");
            try (var insert = connection.prepareStatement("INSERT #large VALUES (?, ?, ?)")) {
                insert.setCharacterStream(1, new StringReader(WIDE), WIDE.length());
                insert.setCharacterStream(2, new StringReader(WIDE), WIDE.length());
                insert.setBinaryStream(3, new ByteArrayInputStream(bytes()), bytes().length);
                Judge.same(insert.executeUpdate(), 1);
            }
            try (var statement = connection.createStatement()) {
                var results = statement.executeQuery("SELECT t, m, b, t, b FROM #large");
                Judge.same(results.next(), true);
                try (var reader = results.getCharacterStream(1)) {
                    var text = new StringBuilder();
                    reader.transferTo(new java.io.Writer() {
                        @Override
                        public void write(char[] chars, int from, int count) {
                            text.append(chars, from, count);
                        }

                        @Override
                        public void flush() {}

                        @Override
                        public void close() {}
                    });
                    Judge.same(text.toString().equals(WIDE), true);
                }
                var clob = results.getClob(2);
                Judge.same(clob.length(), (long) WIDE.length());
                Judge.same(clob.getSubString(WIDE.length() - 4, 5), WIDE.substring(WIDE.length() - 5));
                try (var stream = results.getBlob(3).getBinaryStream()) {
                    Judge.same(Arrays.equals(stream.readAllBytes(), bytes()), true);
                }
                try (var reader = results.getClob(4).getCharacterStream()) {
                    Judge.same(reader.read(), (int) '日');
                }
                try (var stream = results.getBinaryStream(5)) {
                    Judge.same(stream.readNBytes(300), Arrays.copyOf(bytes(), 300));
                }
            }
            Dialled.isGood(connection);
        }
    }

    /** 10,000 rows of 5,000 letters that follow from the number of the row. */
    private static void huge(List<String> settings) throws SQLException {
        try (var connection = Dialled.connect(settings); var statement = connection.createStatement()) {
            var sql = "SELECT n, REPLICATE(CHAR(65 + n % 26), 5000) FROM dbo.numbers ORDER BY n";
            var results = statement.executeQuery(sql);
            var wanted = new CRC32();
            var got = new CRC32();
            int rows = 0;
            while (results.next()) {
                Judge.same(results.getInt(1), rows);
                got.update(results.getString(2).getBytes(StandardCharsets.US_ASCII));
                wanted.update(String.valueOf((char) ('A' + rows % 26)).repeat(5000).getBytes(StandardCharsets.US_ASCII));
                rows++;
            }
            Judge.same(List.of(rows, got.getValue()), List.of(10_000, wanted.getValue()));
        }
    }
}
