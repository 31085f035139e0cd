"""What a DB-API driver must be able to do that is told to speak an old version of TDS.

Values are compared with what is written here, and with what the same driver gets in a session of
TDS 7.4, where a type that the version lacks may be presented otherwise.
"""

import hashlib
import threading
import uuid
from contextlib import contextmanager
from decimal import Decimal

from dbapi import FACE, Driver, one, rows
from judge import EMULATOR, feature, same

TDS = EMULATOR.get("tds", "7.4")
# Versions whose sessions have no types for dates and times but datetime and smalldatetime.
WITHOUT_DATES = TDS in ("7.1", "7.1r1", "7.2")
# Versions without (max) types and xml.
WITHOUT_MAX = TDS in ("7.1", "7.1r1")

DATES = ("date", "time", "datetime2", "datetimeoffset")
LONG = f"wörd {FACE} "
NINES = "9" * 38

# Family -> type -> (literal, value) of what is smallest, largest, empty or odd.
EXTREMES = {
    "integers and bit": {
        "bit": [("0", False), ("1", True)],
        "tinyint": [("0", 0), ("255", 255)],
        "smallint": [("-32768", -32768), ("32767", 32767)],
        "int": [("-2147483648", -2147483648), ("2147483647", 2147483647)],
        "bigint": [("-9223372036854775808", -9223372036854775808), ("9223372036854775807", 9223372036854775807)],
    },
    "decimal, numeric and money": {
        "decimal(1,0)": [("-9", Decimal(-9)), ("0", Decimal(0))],
        "decimal(9,9)": [("0.999999999", Decimal("0.999999999"))],
        "numeric(19,4)": [("-922337203685477.5808", Decimal("-922337203685477.5808"))],
        "decimal(28,0)": [("9" * 28, Decimal("9" * 28))],
        "decimal(38,0)": [(NINES, Decimal(NINES)), ("-" + NINES, Decimal("-" + NINES))],
        "numeric(38,38)": [("0." + NINES, Decimal("0." + NINES)), ("-0." + NINES, Decimal("-0." + NINES))],
        "money": [
            ("-922337203685477.5808", Decimal("-922337203685477.5808")),
            ("922337203685477.5807", Decimal("922337203685477.5807")),
            ("0.0001", Decimal("0.0001")),
        ],
        "smallmoney": [("-214748.3648", Decimal("-214748.3648")), ("214748.3647", Decimal("214748.3647"))],
    },
    "real and float": {
        "real": [("3.4028234663852886e38", 3.4028234663852886e38), ("-1.1754943508222875e-38", -1.1754943508222875e-38)],
        "float": [
            ("1.7976931348623157e308", 1.7976931348623157e308),
            ("-2.2250738585072014e-308", -2.2250738585072014e-308),
            ("0e0", 0.0),
        ],
    },
    "char, varchar and text": {
        "char(3)": [("''", "   "), ("'é€'", "é€ ")],
        "varchar(8000)": [("''", ""), ("replicate('y', 8000)", "y" * 8000)],
        "varchar(max)": [("''", ""), ("replicate(cast('y' as varchar(max)), 9001)", "y" * 9001)],
        "text": [("''", ""), ("'Ärger'", "Ärger"), ("replicate(cast('z' as varchar(max)), 70000)", "z" * 70000)],
    },
    "nchar, nvarchar and ntext": {
        "nchar(3)": [("N''", "   "), ("N'日本'", "日本 ")],
        "nvarchar(4000)": [("N''", ""), ("replicate(N'ж', 4000)", "ж" * 4000)],
        "nvarchar(max)": [("N''", ""), (f"replicate(cast(N'{LONG}' as nvarchar(max)), 4001)", LONG * 4001)],
        "ntext": [("N''", ""), ("N'😀'", "😀"), (f"replicate(cast(N'{LONG}' as nvarchar(max)), 9000)", LONG * 9000)],
    },
    "binary, varbinary and image": {
        "binary(4)": [("0x", b"\0\0\0\0"), ("0xFFFEFDFC", b"\xff\xfe\xfd\xfc")],
        "varbinary(8000)": [("0x", b""), ("0x00FF", b"\0\xff")],
        "varbinary(max)": [
            ("0x", b""),
            ("cast(replicate(cast('AB' as varchar(max)), 30000) as varbinary(max))", b"AB" * 30000),
        ],
        "image": [("0x", b""), ("0x00", b"\0"), ("0xFEFF00", b"\xfe\xff\0")],
    },
    "uniqueidentifier": {
        "uniqueidentifier": [
            ("'00000000-0000-0000-0000-000000000000'", uuid.UUID(int=0)),
            ("'6f9619ff-8b86-d011-b42d-00c04fc964ff'", uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")),
        ],
    },
}

# Type -> what such a server writes; a newer session has a type for it.
MOMENTS = {
    "date": ["0001-01-01", "9999-12-31", "2026-11-22"],
    "time(0)": ["00:00:00", "23:59:59"],
    "time(1)": ["12:34:56.7"],
    "time(3)": ["00:00:00.001", "23:59:59.999"],
    "time(6)": ["23:59:59.999999"],
    "time(7)": ["00:00:00.0000000", "23:59:59.9999990"],
    "datetime2(0)": ["0001-01-01 00:00:00", "9999-12-31 23:59:59"],
    "datetime2(2)": ["2026-11-22 01:02:03.04"],
    "datetime2(4)": ["1752-09-14 01:02:03.0405"],
    "datetime2(5)": ["2026-02-28 01:02:03.04056"],
    "datetime2(7)": ["0001-01-01 00:00:00.0000000", "9999-12-31 23:59:59.9999990"],
    "datetimeoffset(0)": ["2026-11-22 01:02:03 +14:00", "2026-11-22 01:02:03 -14:00"],
    "datetimeoffset(3)": ["2026-03-01 00:30:00.500 +02:00"],
    "datetimeoffset(7)": [
        "0001-01-01 14:00:00.0000000 +14:00",
        "9999-12-31 09:59:59.9999990 -14:00",
        "2026-11-22 01:02:03.0000010 -00:30",
    ],
}

# Only these have no other form in any version.
MOMENTS_OF_OLD = {
    "smalldatetime": ["1900-01-01T00:00:00", "2079-06-06T23:59:00"],
    "datetime": ["1753-01-01T00:00:00.000", "9999-12-31T23:59:59.997"],
}


class OldDriver(Driver):
    """A driver at an old version, which also can make a session of TDS 7.4."""

    def __init__(self, module, connect, *, as_old_parameter=None, **options):
        super().__init__(module, connect, **options)
        # What a type's values must be to be a parameter at this version, by its first word.
        self.as_old_parameter = as_old_parameter or {}

    @contextmanager
    def new(self):
        with self.cursor(tds="7.4") as cursor:
            yield cursor

    def value(self, name, value):
        kind, _, scale = name.rstrip(")").partition("(")
        if kind in DATES and WITHOUT_DATES:
            return written(kind, int(scale or 0), value)
        return super().value(name, value)

    def parameter(self, name, value):
        convert = self.as_old_parameter.get(name.split("(")[0])
        return convert(value) if convert else super().parameter(name, value)


def written(kind, scale, value):
    """A date or time as the server writes it for a version that has no type for it."""
    if kind == "date":
        return value.isoformat()
    text = value.isoformat(" ") if hasattr(value, "date") else value.isoformat()
    text, offset = (text[:-6], " " + text[-6:]) if kind == "datetimeoffset" else (text, "")
    whole, _, fraction = text.partition(".")
    fraction = fraction.ljust(7, "0")[:scale]
    return whole + ("." + fraction if scale else "") + offset


def shared(driver):
    """Registers what every driver does at every version."""
    values(driver)
    answers(driver)
    large(driver)
    sessions(driver)


def values(driver):
    for family, members in EXTREMES.items():

        @feature(f"extremes: {family}")
        def family_of_types(members=members):
            every(members, lambda kind, cases: extremes(driver, kind, cases))

    @feature("extremes: date, time, datetime2 and datetimeoffset")
    def moments():
        every(MOMENTS, lambda kind, cases: moment(driver, kind, cases))

    @feature("extremes: datetime and smalldatetime")
    def old_moments():
        for kind, cases in MOMENTS_OF_OLD.items():
            literals = [f"'{case}'" for case in cases]
            with driver.cursor() as cursor, driver.new() as new:
                got = stored(cursor, kind, literals)
                same([str(value)[:23] for value in got[0][:-1]], [case.replace("T", " ").replace(".000", "")
                      if case.endswith(".000") else case.replace("T", " ") for case in cases])
                same(got, stored(new, kind, literals))

    @feature("rows of every type, with NULL here and there")
    def wide():
        kinds, literals, expected = [], [], []
        for members in EXTREMES.values():
            for kind, cases in members.items():
                kinds.append(kind)
                literals.append(cases[-1][0])
                expected.append(cases[-1][1])
        for kind, cases in MOMENTS.items():
            kinds.append(kind)
            literals.append(f"'{cases[-1]}'")
            expected.append(cases[-1] if WITHOUT_DATES else None)
        names = [f"c{n}" for n in range(len(kinds))]
        columns = ", ".join(f"{name} {kind} null" for name, kind in zip(names, kinds))
        with driver.cursor() as cursor:
            cursor.execute(f"create table #wide (id int not null, {columns})")
            for step in range(4):
                given = [text if step == 0 or n % step == 0 else "null" for n, text in enumerate(literals)]
                cursor.execute(f"insert #wide values ({step}, {', '.join(given)})")
            cursor.execute(f"insert #wide values (4, {', '.join('null' for _ in names)})")
            cursor.execute("select * from #wide order by id")
            got = rows(cursor)
            same([row[0] for row in got], [0, 1, 2, 3, 4])
            for step, row in enumerate(got):
                for n, value in enumerate(row[1:]):
                    there = step < 4 and (step == 0 or n % step == 0)
                    if not there:
                        same((step, kinds[n], value), (step, kinds[n], None))
                    elif expected[n] is not None:
                        same((step, kinds[n], value), (step, kinds[n], expected[n]))
                    else:
                        same((step, kinds[n], value), (step, kinds[n], got[0][n + 1]))


def every(members, check):
    faults = []
    for kind, cases in members.items():
        try:
            check(kind, cases)
        except Exception as error:  # noqa: BLE001 - told below, with the others
            faults.append(f"{kind}: {type(error).__name__}: {str(error)[:600]}")
    if faults:
        raise AssertionError("\n".join(faults))


def stored(cursor, kind, literals):
    """The values as of a table's columns, as expressions, and in columns that are never NULL."""
    columns = ", ".join(f"v{n} {kind} null" for n in range(len(literals)))
    cursor.execute(f"create table #v (id int, {columns}, nothing {kind} null)")
    cursor.execute(f"insert #v values (1, {', '.join(literals)}, null)")
    cursor.execute("select * from #v")
    first = rows(cursor)[0][1:]
    casts = ", ".join(f"cast({literal} as {kind})" for literal in [*literals, "null"])
    second = one(cursor, f"select {casts}")
    columns = ", ".join(f"v{n} {kind} not null" for n in range(len(literals)))
    cursor.execute(f"create table #n ({columns})")
    cursor.execute(f"insert #n values ({', '.join(literals)})")
    cursor.execute("select * from #n")
    third = [*rows(cursor)[0], None]
    cursor.execute("drop table #v; drop table #n")
    return [first, second, third]


def extremes(driver, kind, cases):
    expected = [value for _, value in cases] + [None]
    literals = [literal for literal, _ in cases]
    with driver.cursor() as cursor, driver.new() as new:
        same(stored(cursor, kind, literals), [expected] * 3)
        same(stored(new, kind, literals), [expected] * 3)


def moment(driver, kind, cases):
    literals = [f"'{case}'" for case in cases]
    with driver.cursor() as cursor, driver.new() as new:
        got = stored(cursor, kind, literals)
        if WITHOUT_DATES:
            same(got, [[*cases, None]] * 3)
        else:
            same(got, stored(new, kind, literals))


def answers(driver):
    @feature("results with rows, without rows and with counts, one after another")
    def several():
        with driver.cursor() as cursor:
            cursor.execute("create table #s (id int, name nvarchar(max), at date)")
            cursor.execute("insert #s values (1, N'a', '2026-01-01'), (2, null, null), (3, N'c', '2026-01-03')")
            same(cursor.rowcount, 3)
            cursor.execute(
                "select id, name from #s order by id; update #s set id = id + 1 where id > 1; "
                "select at from #s where 1 = 0; select count(*) as n from #s; delete #s; select 7 as last"
            )
            got = [(names(cursor), rows(cursor))]
            while cursor.nextset():
                if cursor.description and (names(cursor), []) != (got[-1][0], rows_left := rows(cursor)):
                    got.append((names(cursor), rows_left))
            same(got, [
                (["id", "name"], [[1, "a"], [2, None], [3, "c"]]), (["at"], []), (["n"], [[3]]), (["last"], [[7]]),
            ])
            same(one(cursor, "select count(*), @@rowcount from #s"), [0, 1])

    @feature("names of columns")
    def columns():
        with driver.cursor() as cursor:
            long = "n" * 128
            cursor.execute(f"select 1 as [ü], cast(null as varchar(max)) as [{long}], cast('' as text) as t")
            same(names(cursor), ["ü", long, "t"])

    @feature("errors: number, state, class, line and text, and the session goes on")
    def errors():
        cases = [
            ("select 1 / 0", (8134, 1, 16, 1, "Divide by zero error encountered.")),
            ("\n\n\nselect * from nowhere", (208, 1, 16, 4, "Invalid object name 'nowhere'.")),
            ("\nraiserror(N'töld %d', 14, 77, 5)", (50000, 77, 14, 2, "töld 5")),
            ("throw 51234, N'thrown', 9", (51234, 9, 16, 1, "thrown")),
            # More lines than 16 bits count.
            ("\n" * 70_000 + "raiserror(N'far down', 16, 1)",
             (50000, 1, 16, 65535 if WITHOUT_MAX else 70_001, "far down")),
        ]
        with driver.cursor() as cursor:
            for text, (number, state, severity, line, says) in cases:
                got = driver.error(lambda text=text: driver.drain(cursor, text))
                lines = [line, line - 65536] if line == 65535 else [line]  # some read it as signed
                same(got[:3] + got[4:], [number, state, severity, says])
                same(got[3] in lines or (line == 65535 and got[3] == -1), True)
                same(one(cursor, "select 1"), [1])

    @feature("a statement that fails among others that do not")
    def goes_on():
        with driver.cursor() as cursor:
            cursor.execute("create table #g (id int primary key)")
            number = driver.error(
                lambda: driver.drain(cursor, "insert #g values (1); insert #g values (1); insert #g values (2)")
            )[0]
            same(number in (2627, 3621), True)
            cursor.execute("select id from #g order by id")
            same(rows(cursor), [[1], [2]])

    @feature("messages of PRINT, and of RAISERROR with a low severity")
    def printed():
        got = driver.messages("print N'grüß 😀'; raiserror('low %d', 5, 2, 7) with nowait; select 1 as one")
        same(got, [(0, 1, "grüß 😀"), (5, 2, "low 7")])


def names(cursor):
    return [column[0] for column in cursor.description]


def large(driver):
    @feature("50 MB, in rows and in large values")
    def fifty():
        digest, expected = hashlib.sha256(), hashlib.sha256()
        with driver.cursor() as cursor:
            cursor.execute(
                "with d as (select n from (values (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) as d(n)) "
                "select a.n + 10 * b.n + 100 * c.n + 1000 * e.n as n, "
                "replicate(char(97 + (a.n + 3 * b.n) % 26), 8000) as s "
                "from d a cross join d b cross join d c cross join d e where e.n < 3 order by n"
            )
            count = 0
            while (row := cursor.fetchone()) is not None:
                digest.update(b"%d" % row[0] + row[1].encode())
                count += 1
            same(count, 3000)
            for n in range(3000):
                expected.update(b"%d" % n + bytes([97 + (n % 10 + 3 * (n // 10 % 10)) % 26]) * 8000)
            same(digest.hexdigest(), expected.hexdigest())
            cursor.execute(
                "select n, replicate(cast(char(65 + n) as varchar(max)), 1048576 + n) as s "
                "from (values (0),(1),(2),(3),(4),(5),(6),(7),(8),(9),(10),(11),(12),(13),(14),(15),(16),(17),(18),(19),"
                "(20),(21),(22),(23),(24),(25)) as v(n) order by n"
            )
            count = 0
            while (row := cursor.fetchone()) is not None:
                same((row[0], len(row[1])), (count, 1048576 + count))
                same(row[1] == chr(65 + count) * len(row[1]), True)
                count += 1
            same(count, 26)

    @feature("1 MB both ways as text, ntext and image")
    def old_types():
        text, binary = "Grüße, " * 150_000, bytes(range(256)) * 4200
        wide = f"wörd {driver.face} " * 150_000
        with driver.cursor() as cursor:
            cursor.execute("create table #old (t text, n ntext, i image)")
            values = (driver.parameter("text", text), wide, driver.parameter("varbinary", binary))
            cursor.execute(driver.sql("insert #old values (?, ?, ?)"), values)
            got = one(cursor, "select t, n, i, datalength(t), datalength(n), datalength(i) from #old")
            same([got[0] == text, got[1] == wide, bytes(got[2]) == binary], [True] * 3)
            same(got[3:], [len(text), len(wide.encode("utf-16-le")), len(binary)])


def sessions(driver):
    @feature("the version that was asked for")
    def version():
        with driver.connection() as connection:
            same(driver.version_of(connection), TDS)

    @feature("sessions side by side")
    def parallel():
        faults = []

        def work(number):
            try:
                with driver.connection(autocommit=False) as connection:
                    cursor = connection.cursor()
                    cursor.execute("create table #mine (id int, text nvarchar(max))")
                    for n in range(5):
                        cursor.execute(driver.sql("insert #mine values (?, ?)"), (n, f"{number} {'x' * n * 2000}"))
                    connection.commit()
                    cursor.execute("insert #mine values (99, N'gone')")
                    connection.rollback()
                    cursor.execute("select id, text from #mine order by id")
                    same(rows(cursor), [[n, f"{number} {'x' * n * 2000}"] for n in range(5)])
            except Exception as error:  # noqa: BLE001 - told below, with the others
                faults.append(f"{number}: {type(error).__name__}: {error}")

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        same(faults, [])

    @feature("a transaction that a session left open is not another's")
    def left_open():
        with driver.cursor() as cursor:
            cursor.execute("drop table if exists left_open; create table left_open (id int)")
        for _ in range(5):
            with driver.connection() as connection:
                cursor = connection.cursor()
                same(one(cursor, "select @@trancount"), [0])
                cursor.execute("begin transaction")
                cursor.execute("insert left_open values (1)")
                same(one(cursor, "select @@trancount"), [1])
        with driver.cursor() as cursor:
            same(one(cursor, "select count(*) from left_open"), [0])


def cancel(cursor, how):
    """A million rows are given up at once, after the first and further on; the session goes on."""
    for read in [0, 1, 5000]:
        cursor.execute(
            "with d as (select n from (values (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) as d(n)) "
            "select a.n, replicate('x', 200) as s, cast(null as nvarchar(max)) as m "
            "from d a cross join d b cross join d c cross join d e cross join d f"
        )
        for _ in range(read):
            same(cursor.fetchone()[1], "x" * 200)
        how()
        same(one(cursor, "select 3, @@trancount"), [3, 0])


def bulk_many(cursor, load):
    """20,000 rows in a bulk load, which the server then counts."""
    cursor.execute("drop table if exists bulk_many; create table bulk_many (id int not null, name nvarchar(50), price float)")
    data = [(n, None if n % 7 == 0 else f"näme {n}", n / 4) for n in range(20_000)]
    load(data)
    same(one(cursor, "select count(*), count(name), sum(price), max(name) from bulk_many"),
         [20_000, sum(1 for row in data if row[1]), sum(row[2] for row in data), max(row[1] for row in data if row[1])])
