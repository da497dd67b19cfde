"""psycopg 3: types both ways, prepared statements, pipelines, COPY, server-side cursors, notifications, transactions, errors."""

import datetime
import decimal
import sys
import uuid

import psycopg
from psycopg.rows import dict_row

address = sys.argv[1]


def types(connection):
    values = [
        (1, "int4"), (1 << 40, "int8"), (1.5, "float8"), (decimal.Decimal("12.340"), "numeric"), ("é", "text"),
        (True, "bool"), (b"\x00\xff", "bytea"), (datetime.date(2024, 2, 29), "date"),
        (datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc), "timestamptz"),
        (datetime.timedelta(days=3, seconds=5), "interval"), (uuid.UUID(int=7), "uuid"), ([1, 2, None], "int4[]"),
        (["a", "b,c"], "text[]"), (datetime.time(1, 2, 3), "time"), (None, "text"),
    ]
    for binary in (False, True):
        for value, name in values:
            cursor = connection.cursor(binary=binary)
            got = cursor.execute(f"SELECT %s::{name}", (value,)).fetchone()[0]
            assert got == value, (name, binary, value, got)
    got = connection.execute("SELECT %s::jsonb", (psycopg.types.json.Jsonb({"a": [1, None]}),)).fetchone()[0]
    assert got == {"a": [1, None]}, got


def rows(connection):
    connection.execute("CREATE TABLE t (id bigint PRIMARY KEY, name text, at timestamptz DEFAULT now())")
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO t (id, name) VALUES (%s, %s)", [(i, f"row {i}") for i in range(100)])
        assert cursor.rowcount == 100, cursor.rowcount
        cursor.executemany("UPDATE t SET name = name || %s WHERE id = %s RETURNING id", [("!", 1), ("!", 2)], returning=True)
        assert cursor.fetchall() == [(1,)]
        assert cursor.nextset() and cursor.fetchall() == [(2,)]
    connection.commit()
    with connection.cursor(row_factory=dict_row) as cursor:
        assert cursor.execute("SELECT id, name FROM t WHERE id = 2").fetchone() == {"id": 2, "name": "row 2!"}
    # The same statement often: the driver prepares it.
    for i in range(20):
        assert connection.execute("SELECT name FROM t WHERE id = %s", (i,)).fetchone()[0].startswith("row")
    connection.commit()


def cursors(connection):
    with connection.cursor(name="many") as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT id FROM t ORDER BY id")
        assert [row[0] for row in cursor] == list(range(100))
    with connection.cursor(name="back", scrollable=True) as cursor:
        cursor.execute("SELECT id FROM t ORDER BY id")
        cursor.scroll(10)
        assert cursor.fetchone() == (10,)
        cursor.scroll(-2)
        assert cursor.fetchone() == (9,)
    with connection.cursor() as cursor:
        assert sum(row[0] for row in cursor.stream("SELECT id FROM t")) == 4950
    connection.commit()


def copies(connection):
    with connection.cursor() as cursor:
        with cursor.copy("COPY t (id, name) FROM STDIN") as copy:
            for i in range(1000, 1100):
                copy.write_row((i, None if i % 2 else "c\td"))
        with cursor.copy("COPY (SELECT id, name FROM t WHERE id >= 1000 ORDER BY id) TO STDOUT") as copy:
            copy.set_types(["int8", "text"])
            got = list(copy.rows())
        assert len(got) == 100 and got[0] == (1000, "c\td") and got[1] == (1001, None)
        with cursor.copy("COPY t (id, name) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int8", "text"])
            copy.write_row((5000, "binary"))
    connection.commit()
    assert connection.execute("SELECT name FROM t WHERE id = 5000").fetchone() == ("binary",)
    connection.commit()


def pipelines(connection):
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", (i,)) for i in range(50)]
        assert [cursor.fetchone()[0] for cursor in cursors] == list(range(50))
    connection.commit()


def transactions(connection):
    with connection.transaction():
        connection.execute("INSERT INTO t (id) VALUES (7777)")
        with connection.transaction(savepoint_name="inner"):
            connection.execute("INSERT INTO t (id) VALUES (7778)")
            raise psycopg.Rollback()
    assert connection.execute("SELECT count(*) FROM t WHERE id IN (7777, 7778)").fetchone() == (1,)
    connection.commit()
    try:
        connection.execute("INSERT INTO t (id) VALUES (1)")
        raise AssertionError("1 is there already")
    except psycopg.errors.UniqueViolation as error:
        assert error.diag.constraint_name == "t_pkey", error.diag.constraint_name
        assert error.diag.table_name == "t"
    connection.rollback()


def notifications(connection):
    connection.autocommit = True
    connection.execute("LISTEN news")
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("NOTIFY news, 'hello'")
    got = next(connection.notifies(timeout=20, stop_after=1))
    assert (got.channel, got.payload) == ("news", "hello"), got
    notices = []
    connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    connection.execute("DO $$ BEGIN RAISE NOTICE 'said'; END $$")
    assert notices == ["said"], notices


with psycopg.connect(address) as connection:
    for step in (types, rows, cursors, copies, pipelines, transactions, notifications):
        step(connection)
