import java.sql.*;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** The PostgreSQL JDBC driver: metadata, prepared statements in text and binary, batches, fetch sizes, generated keys, COPY. */
public class Jdbc {
    static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) found.add(rows.getString(name));
        return found;
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(arguments[0], "ada", "")) {
            try (Statement statement = connection.createStatement()) {
                statement.execute("CREATE TABLE j (id bigserial PRIMARY KEY, name varchar(20) NOT NULL, price numeric(8,2), at timestamptz, tags text[])");
                statement.execute("CREATE TABLE k (j bigint REFERENCES j, n int, PRIMARY KEY (j, n)); CREATE INDEX k_n ON k (n)");
            }
            metadata(connection);
            statements(connection);
            transactions(connection);
            copies(connection);
        }
    }

    static void metadata(Connection connection) throws SQLException {
        DatabaseMetaData data = connection.getMetaData();
        check(data.getDatabaseProductName().equals("PostgreSQL"), data.getDatabaseProductName());
        check(column(data.getTables(null, "public", "%", new String[] {"TABLE"}), "TABLE_NAME").containsAll(List.of("j", "k")), "tables");
        List<String> columns = column(data.getColumns(null, "public", "j", "%"), "TYPE_NAME");
        check(columns.equals(List.of("bigserial", "varchar", "numeric", "timestamptz", "_text")), columns.toString());
        check(column(data.getPrimaryKeys(null, "public", "k"), "COLUMN_NAME").equals(List.of("j", "n")), "primary key");
        check(column(data.getImportedKeys(null, "public", "k"), "PKTABLE_NAME").equals(List.of("j")), "foreign keys");
        check(column(data.getExportedKeys(null, "public", "j"), "FKTABLE_NAME").equals(List.of("k")), "references");
        check(column(data.getIndexInfo(null, "public", "k", false, false), "INDEX_NAME").contains("k_n"), "indexes");
        check(column(data.getSchemas(), "TABLE_SCHEM").contains("public"), "schemas");
        check(!column(data.getTypeInfo(), "TYPE_NAME").isEmpty(), "types");
        check(!column(data.getFunctions(null, "os", "%"), "FUNCTION_NAME").isEmpty(), "functions");
    }

    static void statements(Connection connection) throws SQLException {
        Timestamp at = Timestamp.valueOf("2024-02-29 12:30:00");
        try (PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO j (name, price, at, tags) VALUES (?, ?, ?, ?)", Statement.RETURN_GENERATED_KEYS)) {
            for (int i = 0; i < 100; i++) {
                insert.setString(1, "row " + i);
                insert.setBigDecimal(2, new java.math.BigDecimal("1.50"));
                insert.setTimestamp(3, at);
                insert.setArray(4, connection.createArrayOf("text", new String[] {"a", "b,c"}));
                insert.addBatch();
            }
            check(insert.executeBatch().length == 100, "batch");
            check(column(insert.getGeneratedKeys(), "id").size() == 100, "generated keys");
        }
        try (PreparedStatement select = connection.prepareStatement("SELECT id, price, at, tags, true AS b, 1.5::float8 AS f FROM j WHERE id = ?")) {
            // From the fifth time on the driver uses a named statement and binary results.
            for (long i = 1; i <= 12; i++) {
                select.setLong(1, i);
                ResultSet row = select.executeQuery();
                check(row.next() && row.getLong(1) == i && row.getTimestamp(3).equals(at), "row " + i);
                check(row.getBigDecimal(2).toString().equals("1.50") && row.getBoolean(5) && row.getDouble(6) == 1.5, "values " + i);
                check(((String[]) row.getArray(4).getArray())[1].equals("b,c"), "array " + i);
            }
        }
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(7);
            check(column(statement.executeQuery("SELECT id FROM j ORDER BY id"), "id").size() == 100, "fetch size");
        }
        connection.commit();
        try (CallableStatement call = connection.prepareCall("{? = call abs(?)}")) {
            call.registerOutParameter(1, Types.INTEGER);
            call.setInt(2, -7);
            call.execute();
            check(call.getInt(1) == 7, "call");
        }
        connection.commit();
    }

    static void transactions(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            Savepoint savepoint = connection.setSavepoint("here");
            statement.executeUpdate("UPDATE j SET name = 'changed'");
            connection.rollback(savepoint);
            try {
                statement.executeUpdate("INSERT INTO k VALUES (0, 1)");
                check(false, "there is no such j");
            } catch (SQLException error) {
                check(error.getSQLState().equals("23503"), error.toString());
            }
            connection.rollback();
            ResultSet count = statement.executeQuery("SELECT count(*) FROM j WHERE name = 'changed'");
            check(count.next() && count.getInt(1) == 0, "rolled back");
            connection.commit();
            connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            check(statement.executeQuery("SELECT 1").next(), "serializable");
            connection.commit();
            connection.setAutoCommit(true);
            statement.setQueryTimeout(1);
            try {
                statement.execute("SELECT count(*) FROM generate_series(1, 10000000000)");
                check(false, "it has a second");
            } catch (SQLException error) {
                check(error.getSQLState().equals("57014"), error.toString());
            }
        }
    }

    static void copies(Connection connection) throws Exception {
        CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
        long rows = copy.copyIn("COPY k FROM STDIN", new java.io.StringReader("1\t1\n1\t2\n"));
        check(rows == 2, "copied " + rows);
        java.io.StringWriter out = new java.io.StringWriter();
        copy.copyOut("COPY (SELECT * FROM k ORDER BY n) TO STDOUT", out);
        check(out.toString().equals("1\t1\n1\t2\n"), out.toString());
    }
}
