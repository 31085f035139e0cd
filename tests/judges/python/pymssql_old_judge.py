"""pymssql, whose FreeTDS is told to speak an old version of TDS."""

import os
from pathlib import Path

import pymssql
from pymssql import _mssql
import dbapi
import old_versions
from dbapi import Decimal, dt, one, rows
from judge import EMULATOR, ENCRYPTION, feature, raises, run, same
from old_versions import TDS, WITHOUT_DATES, OldDriver

# What FreeTDS reads before a connection.
CONF = Path(os.environ["HOME"], "freetds.conf")
os.environ["FREETDSCONF"] = str(CONF)


def configure(*lines):
    trust = [] if ENCRYPTION == "off" else [f"ca file = {EMULATOR['ca']}", "check certificate hostname = yes"]
    CONF.write_text("\n".join(["[global]", *trust, *lines, ""]))


configure()


def connect(autocommit=True, tds=TDS, **options):
    settings = {
        "server": "localhost",
        "port": str(EMULATOR["port"]),
        "user": EMULATOR["user"],
        "password": EMULATOR["password"],
        "database": "demo",
        "tds_version": tds,
        "encryption": "off" if ENCRYPTION == "off" else "require",
        "appname": "judge",
        "login_timeout": 20,
        "autocommit": autocommit,
    }
    return pymssql.connect(**settings | options)


class PyMssql(OldDriver):
    def version_of(self, connection):
        return str(connection._conn.tds_version)

    def drain(self, cursor, text):
        cursor._source._conn.execute_non_query(text)

    def error(self, function):
        error = raises(_mssql.MSSQLDatabaseException, function)
        # It adds to the text what its library says of it.
        text = error.text.decode().split("DB-Lib")[0].strip()
        return [error.number, error.state, error.severity, error.line, text]

    def messages(self, text):
        told = []
        with self.connection() as connection:
            low = connection._conn
            low.set_msghandler(
                lambda state, severity, server, procedure, line, says: told.append((severity, state, says.decode())))
            low.execute_query(text)
            list(low)
        return [message for message in told if not message[2].startswith("Changed ")]


driver = PyMssql(
    pymssql,
    connect,
    mark="%s",
    # It sends values as literals: datetimes cut to milliseconds, an empty binary as ''.
    parameters={"datetime2": str, "datetimeoffset": str},
    without=["empty binary parameters"],
)
dbapi.shared(driver)
old_versions.shared(driver)

# Declared type -> the library's type, a value that goes there and back, and another.
OUTPUTS = {
    "bit": (_mssql.SQLBITN, True, False),
    "tinyint": (_mssql.SQLINT1, 255, 1),
    "smallint": (_mssql.SQLINT2, -32768, 1),
    "int": (_mssql.SQLINTN, 2147483647, 1),
    "bigint": (_mssql.SQLINT8, -9223372036854775808, 1),
    "real": (_mssql.SQLREAL, -1.5, 1.0),
    "float": (_mssql.SQLFLT8, 1.7976931348623157e308, 1.0),
    "varchar(50)": (_mssql.SQLVARCHAR, "word", "longer than that"),
    "nvarchar(50)": (_mssql.SQLVARCHAR, "hello", "x"),
}
# Others it does not send as NULL, or only as outputs.
NULLABLE = (_mssql.SQLVARCHAR,)


def execute(connection, text, declared, *values):
    """sp_executesql with these (value, type, output)s; gives the outputs and the status."""
    procedure = connection._conn.init_procedure("sp_executesql")
    procedure.bind(text, _mssql.SQLVARCHAR, max_length=4000)
    procedure.bind(declared, _mssql.SQLVARCHAR, max_length=4000)
    for value, kind, output in values:
        procedure.bind(value, kind, output=output)
    status = procedure.execute()
    return list(procedure.parameters.values())[2:], status


@feature("parameters of every type, in and out, and NULL")
def outputs():
    def check(kind, case):
        low, value, other = case
        with driver.connection() as connection:
            for given in [value, None] if low in NULLABLE else [value]:
                got, status = execute(
                    connection, "set @o = @i", f"@i {kind}, @o {kind} output", (given, low, False), (other, low, True))
                got = got[-1].decode() if isinstance(got[-1], bytes) else got[-1]
                same((got, status), (given, 0))

    old_versions.every(OUTPUTS, check)


@feature("an output parameter and a return status")
def status():
    with driver.connection() as connection, driver.connection() as other:
        cursor = connection.cursor()
        cursor.callproc("sp_getapplock", ("r", "Exclusive", "Session", 0))
        same(cursor.returnvalue, 0)
        contender = other.cursor()
        contender.callproc("sp_getapplock", ("r", "Exclusive", "Session", 0))
        same(contender.returnvalue, -1)
        cursor.callproc("sp_releaseapplock", ("r", "Session"))
        same(cursor.returnvalue, 0)
        got = cursor.callproc(
            "sp_executesql", ("set @twice = @n * 2", "@n int, @twice int output", 21, pymssql.output(int)))
        same(got[-1], 42)


@feature("prepared once, run with other values")
def prepared():
    with driver.connection() as connection:
        low = connection._conn
        procedure = low.init_procedure("sp_prepare")
        procedure.bind(None, _mssql.SQLINT4, "@handle", output=True)
        procedure.bind("@a int, @s nvarchar(40)", _mssql.SQLVARCHAR, "@params")
        procedure.bind("select @a + 1 as a, @s as s", _mssql.SQLVARCHAR, "@stmt")
        procedure.bind(1, _mssql.SQLINT4, "@options")
        procedure.execute()
        handle = procedure.parameters["@handle"]
        same(handle > 0, True)
        for number, text in [(1, "eins"), (41, "zwei"), (-7, "")]:
            cursor = connection.cursor()
            cursor.callproc("sp_execute", (handle, number, text))
            same(rows(cursor), [[number + 1, text or None]])


@feature("query timeout, after which another session works")
def timeout():
    with driver.connection(timeout=1) as connection:
        cursor = connection.cursor()
        same(one(cursor, "select 1"), [1])
        raises(pymssql.Error, lambda: one(cursor, "waitfor delay '00:00:20'; select 1"), "20003")
    with driver.cursor() as cursor:
        same(one(cursor, "select 2"), [2])


@feature("a result that is left before its end, and the session goes on")
def left():
    with driver.connection() as connection:
        old_versions.cancel(connection.cursor(), connection._conn.cancel)


@feature("packet sizes 512, 8192 and 32767")
def packets():
    text = f"äöü {dbapi.FACE}" * 30_000
    try:
        for size in [512, 8192, 32767]:
            configure(f"initial block size = {size}")
            with driver.cursor() as cursor:
                same(one(cursor, "select %s, len(%s)", text, "x" * 40_000), [text, 40_000])
                same(one(cursor, f"select '{'y' * 50_000}'"), ["y" * 50_000])
    finally:
        configure()


@feature("bulk load of every type")
def bulk():
    # Without money: a Decimal for it makes the library write beyond its memory.
    kinds = {
        "int": -2147483648, "bigint": 9223372036854775807, "smallint": -1, "tinyint": 200, "bit": True,
        "float": 0.1, "real": 0.5, "decimal(20,4)": Decimal("-1234567890123456.7891"),
        "datetime": dt.datetime(2026, 11, 22, 1, 2, 3), "smalldatetime": dt.datetime(2079, 6, 6, 23, 59),
        "varchar(50)": "word", "char(5)": "ab   ", "nvarchar(50)": "日本",
        "nchar(5)": "äb   ", "varbinary(50)": b"\0\xff", "binary(3)": b"\1\2\3",
        "text": "t" * 9000, "ntext": "n" * 9000, "image": b"\x01" * 9000,
        "varchar(max)": "v" * 9000, "nvarchar(max)": "ж" * 9000, "varbinary(max)": b"\x02" * 9000,
    }
    # Shown as nvarchar, it gets the bytes of a varchar from the library.
    if not WITHOUT_DATES:
        kinds["datetime2(3)"] = dt.datetime(9999, 12, 31, 23, 59, 59, 999000)

    def check(kind, value):
        with driver.connection() as connection:
            cursor = connection.cursor()
            cursor.execute(f"drop table if exists bulk_one; create table bulk_one (id int not null, v {kind} null)")
            data = [(n, value if n % 3 else None) for n in range(10)]
            connection.bulk_copy("bulk_one", data)
            cursor.execute("select id, v from bulk_one order by id")
            shown = driver.value(kind, value)
            same(rows(cursor), [[n, shown if n % 3 else None] for n in range(10)])

    old_versions.every(kinds, check)


@feature("bulk load of 20,000 rows")
def bulk_many():
    with driver.connection() as connection:
        old_versions.bulk_many(
            connection.cursor(), lambda data: connection.bulk_copy("bulk_many", data, batch_size=5000))


if TDS == "7.0":

    @feature("a login with TDS 7.0")
    def too_old():
        raises(pymssql.OperationalError, connect, "TDS 7.0", "7.1")


run(pymssql.__version__)
