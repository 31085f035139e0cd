"""What every DB-API driver must be able to do here, whatever its own features are."""

import datetime as dt
import uuid
from contextlib import contextmanager
from decimal import Decimal

from judge import EMULATOR, feature, raises, same

GUID = uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")
PLUS_TWO = dt.timezone(dt.timedelta(hours=2))
FACE = "😀"
LONG = f"wörd {FACE} " * 150_000  # more than 1 MB of UTF-16

# Family -> (T-SQL type, T-SQL literal, what Python gets).
TYPES = {
    "integers and bit": [
        ("bit", "1", True),
        ("tinyint", "255", 255),
        ("smallint", "-32768", -32768),
        ("int", "-2147483648", -2147483648),
        ("bigint", "9223372036854775807", 9223372036854775807),
    ],
    "decimal, numeric and money": [
        ("decimal(9,4)", "12345.6789", Decimal("12345.6789")),
        ("decimal(18,0)", "-123456789012345678", Decimal("-123456789012345678")),
        ("decimal(28,10)", "-123456789012345678.0123456789", Decimal("-123456789012345678.0123456789")),
        ("numeric(38,2)", "123456789012345678901234567890123456.78",
         Decimal("123456789012345678901234567890123456.78")),
        ("money", "-922337203685477.5808", Decimal("-922337203685477.5808")),
        ("smallmoney", "214748.3647", Decimal("214748.3647")),
    ],
    "real and float": [
        ("real", "-1.5", -1.5),
        ("float", "1.7976931348623157e308", 1.7976931348623157e308),
        ("float(53)", "0.1", 0.1),
    ],
    "char, varchar and text": [
        ("char(5)", "'ab'", "ab   "),
        ("varchar(20)", "'wörd'", "wörd"),
        ("varchar(max)", "'long enough'", "long enough"),
        ("text", "'old'", "old"),
    ],
    "nchar, nvarchar and ntext": [
        ("nchar(4)", "N'ü'", "ü   "),
        ("nvarchar(20)", "N'日本 😀'", "日本 😀"),
        ("nvarchar(max)", "N'Ωmega'", "Ωmega"),
        ("ntext", "N'älter'", "älter"),
    ],
    "binary, varbinary and image": [
        ("binary(4)", "0x01FF", b"\x01\xff\0\0"),
        ("varbinary(8)", "0x00", b"\0"),
        ("varbinary(max)", "0xDEADBEEF", b"\xde\xad\xbe\xef"),
        ("image", "0x0102", b"\x01\x02"),
    ],
    "uniqueidentifier": [("uniqueidentifier", f"'{GUID}'", GUID)],
    "date and time": [
        ("date", "'0001-02-28'", dt.date(1, 2, 28)),
        ("time(6)", "'23:59:59.123456'", dt.time(23, 59, 59, 123456)),
        ("time(0)", "'00:00:01'", dt.time(0, 0, 1)),
        ("smalldatetime", "'2079-06-06T23:59:00'", dt.datetime(2079, 6, 6, 23, 59)),
        ("datetime", "'1753-01-01T00:00:00.997'", dt.datetime(1753, 1, 1, 0, 0, 0, 997000)),
        ("datetime2(6)", "'9999-12-31T23:59:59.999999'", dt.datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("datetime2(3)", "'2026-11-22T01:02:03.004'", dt.datetime(2026, 11, 22, 1, 2, 3, 4000)),
    ],
    "datetimeoffset": [
        ("datetimeoffset(6)", "'2026-11-22T01:02:03.000456+02:00'",
         dt.datetime(2026, 11, 22, 1, 2, 3, 456, PLUS_TWO)),
    ],
}


class Driver:
    """A driver and where it differs from the others."""

    def __init__(
        self, module, connect, mark="?", values=None, parameters=None, without=(), who=None, application="judge", face=FACE
    ):
        self.module = module
        self._connect = connect
        self.mark = mark
        # What this driver makes of a type, by its first word: a value or a function of the usual one.
        self.values = values or {}
        self.parameters = parameters or {}
        self.without = set(without)
        # The user in the database that the connections are, and the program's name that they tell.
        self.who = who or EMULATOR.get("user_name")
        self.application = application
        # What it can send in a parameter in place of a character beyond U+FFFF.
        self.face = face

    @contextmanager
    def connection(self, **options):
        connection = self._connect(**options)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def cursor(self, **options):
        with self.connection(**options) as connection:
            yield connection.cursor()

    def sql(self, text):
        return text.replace("?", self.mark)

    def value(self, name, value):
        convert = self.values.get(name.split("(")[0])
        return convert(value) if convert else value

    def parameter(self, name, value):
        """The value as this driver takes it for a parameter of the type."""
        convert = self.parameters.get(name.split("(")[0])
        return convert(value) if convert else value


def rows(cursor):
    return [list(row) for row in cursor.fetchall()]


def one(cursor, text, *parameters):
    cursor.execute(text, parameters) if parameters else cursor.execute(text)
    row = cursor.fetchone()
    return None if row is None else list(row)


def shared(driver):
    """Registers the features that all drivers share."""
    if "bridge" in EMULATOR:
        bridge(driver)
        return
    sessions(driver)
    types(driver)
    results(driver)
    statements(driver)
    transactions(driver)
    errors(driver)


def bridge(driver):
    """What pysqlbridge can do, a server of a part of T-SQL over a table of two people."""

    @feature("bridge: a query")
    def query():
        with driver.cursor() as cursor:
            cursor.execute("select id, name, score from people order by id")
            same(rows(cursor), [[1, "Ada", 99.5], [2, "Grace", 87.25]])

    @feature("bridge: parameters")
    def parameters():
        with driver.cursor() as cursor:
            cursor.execute(driver.sql("select name from people where id = ?"), (2,))
            same(rows(cursor), [["Grace"]])

    @feature("bridge: temporary tables, and a transaction that is rolled back")
    def rollback():
        with driver.cursor() as cursor:
            cursor.execute("begin tran")
            cursor.execute("select * into #t from people")
            cursor.execute("insert into #t values (3, 'Barbara', 1)")
            same(one(cursor, "select count(*), @@trancount from #t"), [3, 1])
            # It counts transactions, and takes nothing back.
            cursor.execute("rollback")
            same(one(cursor, "select @@trancount"), [0])
            cursor.execute("drop table #t")

    @feature("bridge: an error, after which the connection lives on")
    def error():
        with driver.cursor() as cursor:
            raises(driver.module.Error, lambda: cursor.execute("select * from nowhere"), "nowhere")
            same(one(cursor, "select count(*) from people"), [2])

    @feature("bridge: a new connection again and again")
    def again():
        for _ in range(5):
            with driver.cursor() as cursor:
                same(one(cursor, "select count(*) from people"), [2])


def sessions(driver):
    @feature("names of user, database and application")
    def names():
        with driver.cursor() as cursor:
            same(one(cursor, "select user_name(), db_name(), app_name()"), [driver.who, "demo", driver.application])

    @feature("a new connection again and again")
    def again():
        for _ in range(10):
            with driver.cursor() as cursor:
                same(one(cursor, "select object_id('tempdb..#mine'), @@lock_timeout, @@trancount"), [None, -1, 0])
                cursor.execute("create table #mine (id int); set lock_timeout 4321")
                same(one(cursor, "select @@lock_timeout"), [4321])


def types(driver):
    for family, members in TYPES.items():

        @feature(f"types: {family}")
        def family_of_types(members=members):
            faults = []
            for name, literal, value in members:
                try:
                    type_both_ways(driver, name, literal, value)
                except Exception as error:  # noqa: BLE001 - told below, with the others
                    faults.append(f"{name}: {type(error).__name__}: {error}")
            if faults:
                raise AssertionError("\n".join(faults))


def type_both_ways(driver, name, literal, value):
    if isinstance(value, str):
        literal, value = (text.replace(FACE, driver.face) for text in (literal, value))
    expected = driver.value(name, value)
    with driver.cursor() as cursor:
        same(one(cursor, f"select cast({literal} as {name}), cast(null as {name})"), [expected, None])
        cursor.execute(f"create table #t (id int primary key, v {name} null)")
        cursor.execute(f"insert #t values (1, {literal}), (2, null)")
        cursor.execute(driver.sql("insert #t values (3, ?)"), (driver.parameter(name, value),))
        cursor.execute("select v from #t order by id")
        same(rows(cursor), [[expected], [None], [expected]])


def results(driver):
    @feature("cursor.description")
    def description():
        with driver.cursor() as cursor:
            cursor.execute("select 1 as a, N'x' as [b c], cast(1 as decimal(9,2)) as d")
            same([column[0] for column in cursor.description], ["a", "b c", "d"])
            cursor.execute("declare @x int = 1")
            same(cursor.description, None)

    @feature("fetchone, fetchmany, fetchall and iteration")
    def fetching():
        with driver.cursor() as cursor:
            cursor.execute("create table #n (n int)")
            cursor.execute("insert #n values (1), (2), (3), (4), (5), (6), (7)")
            cursor.execute("select n from #n order by n")
            same(list(cursor.fetchone()), [1])
            same([list(row) for row in cursor.fetchmany(2)], [[2], [3]])
            same([row[0] for row in cursor], [4, 5, 6, 7])
            same(cursor.fetchone(), None)
            cursor.execute("select n from #n where n > 5 order by n desc")
            same(rows(cursor), [[7], [6]])

    @feature("10,000 rows")
    def many_rows():
        with driver.cursor() as cursor:
            cursor.execute(
                "with digit as (select * from (values (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) as d(n)) "
                "select a.n + 10 * b.n + 100 * c.n + 1000 * d.n as n, replicate(N'ä', 50) as text "
                "from digit a cross join digit b cross join digit c cross join digit d order by n"
            )
            got = rows(cursor)
            same([row[0] for row in got], list(range(10_000)))
            same({row[1] for row in got} == {"ä" * 50}, True)

    @feature("several result sets")
    def several():
        with driver.cursor() as cursor:
            cursor.execute("select 1 as a; select N'x' as b, N'y' as c where 1 = 0; select 2 as d union all select 3")
            same(rows(cursor), [[1]])
            same(bool(cursor.nextset()), True)
            same([column[0] for column in cursor.description], ["b", "c"])
            same(rows(cursor), [])
            same(bool(cursor.nextset()), True)
            same(rows(cursor), [[2], [3]])
            same(bool(cursor.nextset()), False)

    @feature("values of more than 1 MB")
    def large():
        binary = bytes(range(256)) * 5000
        with driver.cursor() as cursor:
            cursor.execute("create table #large (text nvarchar(max), data varbinary(max), old varchar(max))")
            long = LONG.replace(FACE, driver.face)
            values = (long, driver.parameter("varbinary", binary), "x" * 1_200_000)
            cursor.execute(driver.sql("insert #large values (?, ?, ?)"), values)
            got = one(cursor, "select text, data, old, len(old), datalength(data) from #large")
            same(got[0] == long, True)
            same(bytes(got[1]) == binary, True)
            same(got[2] == "x" * 1_200_000, True)
            same(got[3:], [1_200_000, 1_280_000])

    @feature("empty strings and binaries are not NULL")
    def empty():
        with driver.cursor() as cursor:
            cursor.execute("create table #e (a nvarchar(10), b varchar(10), c varbinary(10), d nvarchar(max))")
            if "empty binary parameters" in driver.without:
                cursor.execute(driver.sql("insert #e values (?, ?, 0x, ?)"), ("", "", ""))
            else:
                binary = driver.parameter("varbinary", b"")
                cursor.execute(driver.sql("insert #e values (?, ?, ?, ?)"), ("", "", binary, ""))
            cursor.execute("select a, b, c, d from #e where a = '' and b = N'' and c = 0x and d is not null")
            same(rows(cursor), [["", "", b"", ""]])


def statements(driver):
    @feature("parameters in queries")
    def parameters():
        with driver.cursor() as cursor:
            cursor.execute("create table #p (id int, name nvarchar(50), at datetime2(3))")
            cursor.execute("insert #p values (1, N'Ada', '2026-01-02'), (2, N'Grace', '2026-02-03'), (3, null, null)")
            at = dt.datetime(2026, 1, 15)
            cursor.execute(driver.sql("select id from #p where name = ? or at > ? order by id"), ("ada", at))
            same(rows(cursor), [[1], [2]])
            cursor.execute(driver.sql("select id, ? from #p where id in (?, ?) order by id desc"), ("x", 1, 3))
            same(rows(cursor), [[3, "x"], [1, "x"]])
            cursor.execute(driver.sql("select name from #p where name like ?"), ("%a%",))
            same(rows(cursor), [["Ada"], ["Grace"]])
            cursor.execute(driver.sql("select count(*) from #p where name = ?"), (None,))
            same(rows(cursor), [[0]])
            quoted = f"a 'quote' {driver.face} %"
            cursor.execute(driver.sql("select N'it''s ' + ?"), (quoted,))
            same(rows(cursor), [[f"it's {quoted}"]])

    @feature("executemany")
    def executemany():
        with driver.cursor() as cursor:
            cursor.execute("create table #m (id int, name nvarchar(50), price decimal(9,2), at date)")
            data = [(n, f"näme {n}", Decimal(n) / 4, dt.date(2026, 1, 1 + n % 28)) for n in range(200)]
            data.append((200, None, None, None))
            given = [(*row[:3], row[3] and driver.parameter("date", row[3])) for row in data]
            cursor.executemany(driver.sql("insert #m values (?, ?, ?, ?)"), given)
            cursor.execute("select id, name, price, at from #m order by id")
            got = rows(cursor)
            same([row[:2] for row in got], [list(row[:2]) for row in data])
            same([row[2] for row in got[:3]], [Decimal("0.00"), Decimal("0.25"), Decimal("0.50")])
            same(got[200], [200, None, None, None])
            same(got[27][3], driver.value("date", dt.date(2026, 1, 28)))

    @feature("rowcount of INSERT, UPDATE and DELETE")
    def rowcount():
        with driver.cursor() as cursor:
            cursor.execute("create table #c (id int)")
            cursor.execute("insert #c values (1), (2), (3)")
            same(cursor.rowcount, 3)
            cursor.execute("update #c set id = id + 1 where id > 1")
            same(cursor.rowcount, 2)
            cursor.execute("delete #c where id > 100")
            same(cursor.rowcount, 0)

    @feature("the same statement again and again")
    def again():
        with driver.cursor() as cursor:
            text = driver.sql("select ? + 1 as next, ? as name")
            for n in range(50):
                cursor.execute(text, (n, f"n{n}"))
                same(rows(cursor), [[n + 1, f"n{n}"]])

    @feature("temporary tables live as long as the session")
    def temporary():
        with driver.connection() as connection, driver.connection() as other:
            cursor = connection.cursor()
            cursor.execute("create table #own (id int identity, name varchar(10))")
            cursor.execute("insert #own (name) values ('a'), ('b')")
            cursor.execute("select id, name into #copy from #own")
            cursor.execute("select name from #copy order by id")
            same(rows(cursor), [["a"], ["b"]])
            raises(driver.module.Error, lambda: other.cursor().execute("select * from #own"), "#own")
            cursor.execute("drop table #own")
            raises(driver.module.Error, lambda: cursor.execute("select * from #own"), "#own")

    @feature("IDENTITY, SCOPE_IDENTITY and OUTPUT")
    def identity():
        with driver.cursor() as cursor:
            cursor.execute("create table #i (id int identity(10, 5) primary key, name nvarchar(20))")
            cursor.execute(driver.sql("insert #i (name) output inserted.id, inserted.name values (?)"), ("first",))
            same(rows(cursor), [[10, "first"]])
            cursor.execute("insert #i (name) values (N'second')")
            same(one(cursor, "select cast(@@identity as int)"), [15])
            cursor.execute("delete #i output deleted.name where id = 10")
            same(rows(cursor), [["first"]])

    @feature("SCOPE_IDENTITY in the batch of the INSERT")
    def scope_identity():
        with driver.cursor() as cursor:
            cursor.execute("create table #s (id int identity primary key, name nvarchar(20))")
            cursor.execute("set nocount on; insert #s (name) values (N'x'); select cast(scope_identity() as int)")
            same(rows(cursor), [[1]])

    @feature("variables, IF and WHILE in a batch")
    def batch():
        with driver.cursor() as cursor:
            cursor.execute(
                "set nocount on; declare @n int = 0, @text nvarchar(100) = N''; "
                "while @n < 5 begin set @n = @n + 1; if @n = 3 continue; set @text += cast(@n as nvarchar(10)); end; "
                "if @text = N'1245' select @text as text, @n as n else select N'no'"
            )
            same(rows(cursor), [["1245", 5]])


def transactions(driver):
    def table(name):
        with driver.cursor(autocommit=True) as cursor:
            cursor.execute(f"drop table if exists {name}")
            cursor.execute(f"create table {name} (id int primary key, name nvarchar(20))")

    def ids(name):
        with driver.cursor(autocommit=True) as cursor:
            cursor.execute(f"select id from {name} order by id")
            return [row[0] for row in rows(cursor)]

    @feature("commit and rollback")
    def commit():
        table("committed")
        with driver.connection(autocommit=False) as connection:
            cursor = connection.cursor()
            cursor.execute("insert committed values (1, N'kept')")
            same(one(cursor, "select @@trancount"), [1])
            connection.commit()
            cursor.execute("insert committed values (2, N'gone')")
            cursor.execute("update committed set name = N'gone' where id = 1")
            connection.rollback()
            cursor.execute("select id, name from committed")
            same(rows(cursor), [[1, "kept"]])
            cursor.execute("insert committed values (3, N'lost')")
        same(ids("committed"), [1])

    @feature("autocommit")
    def autocommit():
        table("autocommitted")
        with driver.connection(autocommit=True) as connection:
            cursor = connection.cursor()
            cursor.execute("insert autocommitted values (1, null)")
            same(one(cursor, "select @@trancount"), [0])
        same(ids("autocommitted"), [1])

    @feature("DDL in a transaction is rolled back")
    def ddl():
        with driver.connection(autocommit=False) as connection:
            cursor = connection.cursor()
            cursor.execute("create table never (id int)")
            connection.rollback()
            same(one(cursor, "select object_id(N'dbo.never')"), [None])

    @feature("transactions and savepoints in T-SQL")
    def tsql():
        table("saved")
        with driver.cursor(autocommit=True) as cursor:
            cursor.execute("begin transaction")
            cursor.execute("insert saved values (1, null)")
            cursor.execute("save transaction here")
            cursor.execute("insert saved values (2, null)")
            cursor.execute("rollback transaction here")
            cursor.execute("insert saved values (3, null)")
            cursor.execute("commit")
        same(ids("saved"), [1, 3])

    @feature("a failed statement leaves the transaction open")
    def failed():
        table("failing")
        with driver.connection(autocommit=False) as connection:
            cursor = connection.cursor()
            cursor.execute("insert failing values (1, null)")
            raises(driver.module.Error, lambda: cursor.execute("insert failing values (1, null)"), "PRIMARY KEY")
            cursor = connection.cursor()
            cursor.execute("insert failing values (2, null)")
            connection.commit()
        same(ids("failing"), [1, 2])


def errors(driver):
    cases = [
        ("2627", "insert faulty values (1, 1, 1, 'a')", "PRIMARY KEY"),
        ("547", "insert faulty values (3, 99, 1, 'a')", "FOREIGN KEY"),
        ("547", "insert faulty values (3, 1, -1, 'a')", "CHECK"),
        ("515", "insert faulty values (3, 1, null, 'a')", "NULL"),
        ("2628", "insert faulty values (3, 1, 1, 'too long')", "truncated"),
        ("208", "select * from nowhere", "nowhere"),
        ("207", "select nothing from faulty", "nothing"),
        ("102", "selekt 1 1", "syntax"),
        ("8134", "select 1 / 0", "zero"),
        ("245", "select cast('x' as int)", "x"),
        ("220", "select cast(300 as tinyint)", "overflow"),
        ("50000", "raiserror(N'told so', 16, 1)", "told so"),
        ("51234", "throw 51234, N'thrown', 1", "thrown"),
        ("2812", "exec no_such_procedure", "no_such_procedure"),
    ]

    @feature("errors are exceptions, and the session goes on")
    def exceptions():
        with driver.cursor(autocommit=True) as cursor:
            cursor.execute("drop table if exists faulty; drop table if exists faultless")
            cursor.execute("create table faultless (id int primary key)")
            cursor.execute("insert faultless values (1)")
            cursor.execute(
                "create table faulty (id int primary key, other int references faultless (id), "
                "amount int not null check (amount > 0), name varchar(5))"
            )
            cursor.execute("insert faulty values (1, 1, 1, 'a')")
            faults = []
            for number, text, says in cases:
                try:
                    def run(text=text):
                        cursor.execute(text)
                        cursor.fetchall()

                    wants = [says] if "errors without numbers" in driver.without else [number, says]
                    raises(driver.module.Error, run, *wants)
                    same(one(cursor, "select count(*) from faulty"), [1])
                except Exception as error:  # noqa: BLE001 - told below, with the others
                    faults.append(f"{number}: {type(error).__name__}: {error}")
            if faults:
                raise AssertionError("\n".join(faults))
