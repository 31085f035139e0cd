"""python-tds, told to speak an old version of TDS."""

import importlib.metadata

import pytds
from pytds import extensions, tds_base, tds_types
import dbapi
import old_versions
from dbapi import one, rows
from judge import EMULATOR, ENCRYPTION, feature, raises, run, same
from old_versions import TDS, WITHOUT_DATES, WITHOUT_MAX, OldDriver

VERSIONS = {
    "7.0": tds_base.TDS70,
    "7.1": tds_base.TDS71,
    "7.1r1": tds_base.TDS71rev1,
    "7.2": tds_base.TDS72,
    "7.3A": tds_base.TDS73A,
    "7.3B": tds_base.TDS73B,
    "7.4": tds_base.TDS74,
}


def connect(autocommit=True, tds=TDS, **options):
    settings = {
        "dsn": "localhost",
        "port": EMULATOR["port"],
        "user": EMULATOR["user"],
        "password": EMULATOR["password"],
        "database": "demo",
        "appname": "judge",
        "login_timeout": 20,
        "autocommit": autocommit,
        "tds_version": VERSIONS[tds],
        "disable_connect_retry": True,
    }
    if ENCRYPTION != "off":
        settings |= {"cafile": EMULATOR["ca"], "validate_host": True}
    return pytds.connect(**settings | options)


class PyTds(OldDriver):
    def version_of(self, connection):
        version = connection.tds_version
        return next(name for name, number in VERSIONS.items() if number == version)

    def drain(self, cursor, text):
        cursor.execute(text)
        while cursor.nextset():
            pass

    def error(self, function):
        error = raises(pytds.Error, function)
        return [error.number, error.state, error.severity, error.line, error.text]

    def messages(self, text):
        with self.cursor() as cursor:
            self.drain(cursor, text)
            told = [error for _, error in cursor.messages]
            return [(error.severity, error.state, error.text) for error in told]


# Plain bytes are text to it.
BINARY = {name: pytds.Binary for name in ["binary", "varbinary", "image"]}


def as_text(name):
    kind = tds_types.NVarCharType(size=50)
    return lambda value: tds_base.Param(type=kind, value=old_versions.written(name, 6, value))


# At 7.1 it has no way to send what only newer versions have a type for, and sends texts as ntext.
OLD = {name: as_text(name) for name in ["date", "time", "datetime2", "datetimeoffset"]}
OLD["text"] = lambda value: tds_base.Param(type=tds_types.TextType(), value=value)
# It counts an ntext's length in characters, not in the units that it sends.
FACE = "☺" if WITHOUT_MAX else dbapi.FACE

driver = PyTds(
    pytds, connect, mark="%s", parameters=BINARY, as_old_parameter=OLD if WITHOUT_MAX else {}, face=FACE)
dbapi.shared(driver)
old_versions.shared(driver)

# Declared type -> a value that goes there and back.
OUTPUTS = {
    "bit": True,
    "tinyint": 255,
    "smallint": -32768,
    "int": 2147483647,
    "bigint": -9223372036854775808,
    "decimal(38,10)": old_versions.Decimal("-1234567890123456789012345678.0123456789"),
    "real": -1.5,
    "float": 1.7976931348623157e308,
    "money": old_versions.Decimal("-922337203685477.5808"),
    "smallmoney": old_versions.Decimal("214748.3647"),
    "uniqueidentifier": dbapi.GUID,
    "datetime": dbapi.dt.datetime(1753, 1, 1, 0, 0, 0, 3000),
    "smalldatetime": dbapi.dt.datetime(2079, 6, 6, 23, 59),
    "varchar(50)": "wörd",
    "nvarchar(50)": f"日本 {dbapi.FACE}",
    "nchar(5)": "ab   ",
    "varbinary(50)": b"\x00\xff",
}
NEWER_OUTPUTS = {
    "nvarchar(max)": dbapi.LONG[:20_000],
    "varbinary(max)": b"\x01\x02" * 10_000,
    "varchar(max)": "x" * 10_000,
}
DATE_OUTPUTS = {
    "date": dbapi.dt.date(9999, 12, 31),
    "time(6)": dbapi.dt.time(23, 59, 59, 999999),
    "datetime2(6)": dbapi.dt.datetime(1, 1, 1, 0, 0, 0, 1),
    "datetimeoffset(6)": dbapi.dt.datetime(2026, 11, 22, 1, 2, 3, 4, dbapi.PLUS_TWO),
}


@feature("parameters of every type, in and out, and NULL")
def outputs():
    cases = OUTPUTS | ({} if WITHOUT_MAX else NEWER_OUTPUTS) | ({} if WITHOUT_DATES else DATE_OUTPUTS)

    def check(kind, value):
        with driver.cursor() as cursor:
            for given in [value, None]:
                sent = driver.parameter(kind, given) if given is not None else None
                out = pytds.output(param_type=kind, value=None)
                got = cursor.callproc(tds_base.SP_EXECUTESQL, (
                    "set @o = @i",
                    f"@i {kind}, @o {kind} output",
                    tds_base.Param(type=tds_types.sql_type_by_declaration(kind), value=sent),
                    out,
                ))
                same(got[-1], given)

    old_versions.every(cases, check)


@feature("an output parameter and a return status")
def status():
    with driver.cursor() as cursor:
        got = cursor.callproc("sp_getapplock", ("r", "Exclusive", "Session", 0))
        same((len(got), cursor.get_proc_return_status()), (4, 0))
        with driver.cursor() as other:
            other.callproc("sp_getapplock", ("r", "Exclusive", "Session", 0))
            same(other.get_proc_return_status(), -1)
        cursor.callproc("sp_releaseapplock", ("r", "Session"))
        same(cursor.get_proc_return_status(), 0)
        got = cursor.callproc("sp_executesql", (
            "set @twice = @n * 2", "@n int, @twice int output", 21, pytds.output(param_type=int)))
        same(got[-1], 42)


@feature("prepared once, run with other values")
def prepared():
    with driver.cursor() as cursor:
        cursor.callproc(
            tds_base.SP_PREPARE,
            (pytds.output(param_type=int), "@a int, @s nvarchar(40)", "select @a + 1 as a, @s as s", 1),
        )
        while cursor.nextset():
            pass
        [handle] = cursor.get_proc_outputs()
        same(handle > 0, True)
        for number, text in [(1, "eins"), (41, f"zwölf {FACE}"), (-7, "")]:
            cursor.callproc(tds_base.SP_EXECUTE, (handle, number, text))
            same(rows(cursor), [[number + 1, text]])
        cursor.callproc("sp_unprepare", (handle,))
        raises(pytds.Error, lambda: cursor.callproc(tds_base.SP_EXECUTE, (handle, 1, "x")), "prepared")
        same(one(cursor, "select 5"), [5])


@feature("isolation levels")
def isolation():
    numbers = {
        extensions.ISOLATION_LEVEL_READ_UNCOMMITTED: 1, extensions.ISOLATION_LEVEL_READ_COMMITTED: 2,
        extensions.ISOLATION_LEVEL_REPEATABLE_READ: 3, extensions.ISOLATION_LEVEL_SERIALIZABLE: 4,
        extensions.ISOLATION_LEVEL_SNAPSHOT: 5,
    }
    for level, number in numbers.items():
        with driver.connection(autocommit=False, isolation_level=level) as connection:
            got = one(connection.cursor(), "select transaction_isolation_level, @@trancount "
                      "from sys.dm_exec_sessions where session_id = @@spid")
            same(got, [number, 1])


@feature("cancel in the middle of a result, and the session goes on")
def cancel():
    with driver.cursor() as cursor:
        old_versions.cancel(cursor, cursor.cancel)


@feature("query timeout, after which another session works")
def timeout():
    with driver.connection(timeout=1) as connection:
        cursor = connection.cursor()
        same(one(cursor, "select 1"), [1])
        raises((TimeoutError, pytds.Error), lambda: one(cursor, "waitfor delay '00:00:20'; select 1"))
    with driver.cursor() as cursor:
        same(one(cursor, "select 2"), [2])


@feature("packet sizes 512, 8192 and 32767")
def packets():
    text = f"äöü {FACE}" * 30_000
    for size in [512, 8192, 32767]:
        with driver.cursor(blocksize=size) as cursor:
            same(one(cursor, "select %s, datalength(%s)", text, "x" * 40_000), [text, 80_000])
            same(one(cursor, f"select '{'y' * 50_000}'"), ["y" * 50_000])


@feature("bulk load of every type")
def bulk():
    kinds = [
        ("int", tds_types.IntType(), -2147483648), ("bigint", tds_types.BigIntType(), 9223372036854775807),
        ("smallint", tds_types.SmallIntType(), -1), ("tinyint", tds_types.TinyIntType(), 200),
        ("bit", tds_types.BitType(), True), ("float", tds_types.FloatType(), 0.1),
        ("real", tds_types.RealType(), 0.5),
        ("decimal(20,4)", tds_types.DecimalType(20, 4), old_versions.Decimal("-1234567890123456.7891")),
        ("money", tds_types.MoneyType(), old_versions.Decimal("922337203685477.5807")),
        ("datetime", tds_types.DateTimeType(), dbapi.dt.datetime(2026, 11, 22, 1, 2, 3)),
        ("uniqueidentifier", tds_types.UniqueIdentifierType(), dbapi.GUID),
        ("varchar(50)", tds_types.VarCharType(50), "wörd"), ("nvarchar(50)", tds_types.NVarCharType(50), "日本 😀"),
        ("nchar(5)", tds_types.NCharType(5), "ab   "), ("varbinary(50)", tds_types.VarBinaryType(50), b"\0\xff"),
    ]
    # Its text, ntext and image are not those of a bulk load: they lack the table's name and pointers.
    if not WITHOUT_MAX:
        kinds += [("nvarchar(max)", tds_types.NVarCharMaxType(), "n" * 9000),
                  ("varchar(max)", tds_types.VarCharMaxType(), "t" * 9000),
                  ("varbinary(max)", tds_types.VarBinaryMaxType(), b"\x01" * 9000)]
    if not WITHOUT_DATES:
        kinds += [("date", tds_types.DateType(), dbapi.dt.date(1, 1, 1)),
                  ("time(6)", tds_types.TimeType(6), dbapi.dt.time(23, 59, 59, 999999)),
                  ("datetime2(6)", tds_types.DateTime2Type(6), dbapi.dt.datetime(9999, 12, 31, 23, 59, 59, 999999))]
    names = [f"c{n}" for n in range(len(kinds))]
    flags = tds_base.Column.fNullable
    columns = [tds_base.Column(name, type=kind, flags=flags) for name, (_, kind, _) in zip(names, kinds)]
    columns.insert(0, tds_base.Column("id", type=tds_types.IntType(), flags=0))
    with driver.cursor() as cursor:
        cursor.execute("drop table if exists bulk_all; create table bulk_all (id int not null, " +
                       ", ".join(f"{name} {kind} null" for name, (kind, _, _) in zip(names, kinds)) + ")")
        full = [value for _, _, value in kinds]
        data = [[n, *(full if n % 3 else [None] * len(full))] for n in range(100)]
        cursor.copy_to(data=data, table_or_view="bulk_all", columns=columns)
        cursor.execute("select * from bulk_all order by id")
        same(rows(cursor), data)
        same(one(cursor, "select count(*) from bulk_all"), [100])


@feature("bulk load of 20,000 rows")
def bulk_many():
    columns = [
        tds_base.Column("id", type=tds_types.IntType(), flags=0),
        tds_base.Column("name", type=tds_types.NVarCharType(size=50), flags=tds_base.Column.fNullable),
        tds_base.Column("price", type=tds_types.FloatType(), flags=tds_base.Column.fNullable),
    ]
    with driver.cursor() as cursor:
        old_versions.bulk_many(
            cursor, lambda data: cursor.copy_to(data=data, table_or_view="bulk_many", columns=columns))


@feature("bulk load with a row that breaks a key: no row stays, and the session goes on")
def bulk_error():
    with driver.cursor() as cursor:
        cursor.execute("drop table if exists bulk_key; create table bulk_key (id int not null primary key)")
        column = tds_base.Column("id", type=tds_types.IntType(), flags=0)
        error = raises(pytds.Error, lambda: cursor.copy_to(
            data=[(1,), (2,), (2,)], table_or_view="bulk_key", columns=[column]))
        same(error.number, 2627)
        same(one(cursor, "select count(*) from bulk_key"), [0])


if TDS == "7.0":

    @feature("a login with TDS 7.0")
    def too_old():
        raises(Exception, connect, "TDS 7.0", "7.1")


run(importlib.metadata.version("python-tds"))
