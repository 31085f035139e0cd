"""pyodbc with Microsoft's ODBC Driver 18, which gets managed identities' tokens by itself."""

import datetime as dt
import os
import struct
import threading
import uuid

import odbc_driver
import pyodbc
from dbapi import Driver, one, rows, shared
from judge import EMULATOR, ENCRYPTION, PROXY, feature, raises, run, same

os.environ.update(EMULATOR["app_service_environment"])
odbc_driver.register()
pyodbc.pooling = False
SYSTEM = next(i for i in EMULATOR["identities"] if i["assignment"] == "system")
USER = next(i for i in EMULATOR["identities"] if i["assignment"] == "user")
SERVER = (
    f"Driver={{{odbc_driver.NAME}}};"
    f"Server=tcp:{EMULATOR['host']},{EMULATOR['port']};Database=demo"
)
STRICT = f"Encrypt=strict;ServerCertificate={EMULATOR['server_certificate']}"
# OpenSSL's authorities are asked, which the test gives by SSL_CERT_FILE.
MANDATORY = "Encrypt=Mandatory;TrustServerCertificate=no;HostNameInCertificate=localhost"
MSI = "Authentication=ActiveDirectoryMsi"
PASSWORD = f"UID={EMULATOR['user']};PWD={EMULATOR['password']}"
ENCRYPT = {"off": "Encrypt=no", "on": "Encrypt=Mandatory", "strict": "Encrypt=strict"}[ENCRYPTION]
LOGIN = f"{PASSWORD};{ENCRYPT}" if PROXY else f"{MSI};{STRICT}"
ACCESS_TOKEN = 1256  # SQL_COPT_SS_ACCESS_TOKEN


def connect(autocommit=True, string=f"{SERVER};{LOGIN};APP=judge", **options):
    connection = pyodbc.connect(string, autocommit=autocommit, **options)
    connection.add_output_converter(odbc_driver.DATETIMEOFFSET, odbc_driver.offset)
    return connection


def who(string, **options):
    connection = connect(string=string, **options)
    try:
        return one(connection.cursor(), "select user_name(), db_name()")
    finally:
        connection.close()


def packed(token):
    text = token.encode("utf-16-le")
    return struct.pack("<I", len(text)) + text


driver = Driver(
    pyodbc,
    connect,
    values={"uniqueidentifier": lambda value: str(value).upper()},
    # It sends times without fractions, and an aware datetime without its offset.
    parameters={"time": str, "datetimeoffset": str},
    without=["errors without numbers"],
    who=EMULATOR["user_name"] if PROXY else SYSTEM["name"],
)
shared(driver)

for name, encrypt in [("strict TLS", STRICT), ("TLS in PRELOGIN", MANDATORY)]:

    @feature(f"ActiveDirectoryMsi by the driver itself: system-assigned identity, {name}")
    def system(encrypt=encrypt):
        same(who(f"{SERVER};{MSI};{encrypt}"), [SYSTEM["name"], "demo"])

    @feature(f"ActiveDirectoryMsi by the driver itself: user-assigned identity, {name}")
    def user(encrypt=encrypt):
        same(who(f"{SERVER};{MSI};{encrypt};UID={USER['client_id']}"), [USER["name"], "demo"])

    @feature(f"access token as SQL_COPT_SS_ACCESS_TOKEN, {name}")
    def token(encrypt=encrypt):
        attributes = {ACCESS_TOKEN: packed(EMULATOR["token"])}
        same(who(f"{SERVER};{encrypt}", attrs_before=attributes), [SYSTEM["name"], "demo"])


@feature("an identity that is not assigned")
def unassigned():
    string = f"{SERVER};{MSI};{STRICT};UID={uuid.UUID(int=57005)}"
    # It asks again until its time is over.
    raises(pyodbc.Error, lambda: connect(string=string, timeout=2))


@feature("a certificate of another authority, TLS in PRELOGIN")
def other_authority():
    string = f"{SERVER};{MSI};{MANDATORY.replace('=localhost', '=elsewhere.example')}"
    raises(pyodbc.Error, lambda: connect(string=string), "certificate verify failed")


if PROXY:

    @feature("a certificate of an unknown authority")
    def stranger():
        os.environ["SSL_CERT_FILE"] = EMULATOR["other_ca"]
        try:
            raises(pyodbc.Error, connect, "certificate verify failed")
        finally:
            os.environ["SSL_CERT_FILE"] = EMULATOR["ca"]

    @feature("an identity without a user")
    def no_user():
        says = ["28000", "Login failed for user", "refused the proxy's identity", "CREATE USER", "(18456)"]
        raises(pyodbc.InterfaceError, connect, *says)

    @feature("a database that does not exist")
    def no_database():
        string = f"{SERVER.replace('demo', 'nowhere')};{LOGIN};APP=judge"
        raises(pyodbc.Error, lambda: connect(string=string), 'Cannot open database "nowhere"', "(4060)")


@feature("the driver manager's pool resets sessions")
def pooled():
    with driver.connection() as connection:
        cursor = connection.cursor()
        cursor.execute("create table #left (id int)")
        same(one(cursor, "select object_id('tempdb..#left') - object_id('tempdb..#left')"), [0])
    with driver.cursor() as cursor:
        same(one(cursor, "select object_id('tempdb..#left')"), [None])


@feature("cancel from another thread, and the session goes on")
def cancel():
    with driver.connection() as watcher, driver.connection() as connection:
        watcher.cursor().execute("create table dbo.started (n int)")
        cursor = connection.cursor()

        def stop():
            # The driver crashes when it is told to cancel what it is only about to send.
            while one(watcher.cursor(), "select count(*) from dbo.started") == [0]:
                pass
            cursor.cancel()

        stopper = threading.Thread(target=stop)
        stopper.start()
        wait = "set nocount on; insert dbo.started values (1); waitfor delay '00:00:30'"
        raises(pyodbc.Error, lambda: cursor.execute(wait), "HY008")
        stopper.join()
        same(one(connection.cursor(), "select 1"), [1])
        watcher.cursor().execute("drop table dbo.started")


@feature("cancel in the middle of a result, and the session goes on")
def cancel_result():
    with driver.connection() as connection:
        cursor = connection.cursor()
        cursor.execute("set nocount on; create table #n (n int); insert #n values (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)")
        cursor.execute(
            "select a.n, replicate('x', 100) from #n a cross join #n b cross join #n c "
            "cross join #n d cross join #n e cross join #n f"
        )
        same(len(cursor.fetchmany(1000)), 1000)
        cursor.cancel()
        same(one(connection.cursor(), "select count(*), @@trancount from #n"), [10, 0])


@feature("query timeout")
def timeout():
    with driver.connection() as connection:
        connection.timeout = 1
        cursor = connection.cursor()
        raises(pyodbc.Error, lambda: cursor.execute("waitfor delay '00:00:30'"), "HYT00")
        same(one(connection.cursor(), "select 1"), [1])


@feature("fast_executemany")
def fast():
    with driver.cursor() as cursor:
        cursor.execute("create table #f (id int, name nvarchar(40), price float, at datetime2(3), data varbinary(100))")
        cursor.fast_executemany = True
        at = dt.datetime(2026, 11, 22, 1, 2, 3, 4000)
        data = [(n, f"näme {n}", n / 4, at, bytes([n % 256])) for n in range(500)]
        data.append((500, None, None, None, None))
        cursor.executemany("insert #f values (?, ?, ?, ?, ?)", data)
        cursor.execute("select * from #f order by id")
        same(rows(cursor), [list(row) for row in data])


@feature("SQLDescribeParam by sp_describe_undeclared_parameters")
def describe():
    with driver.cursor() as cursor:
        cursor.execute("create table #u (id int, data varbinary(20))")
        # A NULL has no type: the driver asks the server for the parameter's.
        cursor.execute("insert #u values (?, ?)", (1, None))
        same(one(cursor, "select id, data from #u"), [1, None])


@feature("server-side cursors by SQL_ATTR_CURSOR_TYPE are not asked for: a forward-only result")
def forward():
    with driver.cursor() as cursor:
        cursor.execute("select 1 union all select 2")
        same(cursor.skip(1), None)
        same(rows(cursor), [[2]])


@feature("catalogue functions")
def catalogue():
    with driver.cursor() as cursor:
        cursor.execute("drop table if exists kid; drop table if exists mum")
        cursor.execute("create table mum (id int not null constraint pk_mum primary key, name nvarchar(40))")
        cursor.execute("create table kid (id int identity primary key, mum int not null constraint fk_mum references mum (id))")
        same([r.table_name for r in cursor.tables(schema="dbo", tableType="TABLE") if r.table_name in ("kid", "mum")], ["kid", "mum"])
        same([[r.column_name, r.type_name, r.column_size] for r in cursor.columns(table="mum")], [["id", "int", 10], ["name", "nvarchar", 40]])
        same([[r.column_name, r.pk_name] for r in cursor.primaryKeys("mum")], [["id", "pk_mum"]])
        same([[r.fktable_name, r.fkcolumn_name, r.fk_name] for r in cursor.foreignKeys(table="mum")], [["kid", "mum", "fk_mum"]])
        same([r.index_name for r in cursor.statistics("mum") if r.index_name], ["pk_mum"])
        same([r.type_name for r in cursor.getTypeInfo(pyodbc.SQL_GUID)], ["uniqueidentifier"])


@feature("getinfo")
def getinfo():
    with driver.connection() as connection:
        same(connection.getinfo(pyodbc.SQL_DBMS_NAME), "Microsoft SQL Server")
        same(connection.getinfo(pyodbc.SQL_DATABASE_NAME), "demo")
        same(connection.getinfo(pyodbc.SQL_USER_NAME), driver.who)


@feature("isolation levels")
def isolation():
    with driver.connection(autocommit=False) as connection:
        for level in [pyodbc.SQL_TXN_SERIALIZABLE, pyodbc.SQL_TXN_READ_UNCOMMITTED, pyodbc.SQL_TXN_READ_COMMITTED]:
            connection.set_attr(pyodbc.SQL_ATTR_TXN_ISOLATION, level)
            same(one(connection.cursor(), "select 1"), [1])
            connection.commit()


@feature("PRINT as a message")
def messages():
    with driver.cursor() as cursor:
        cursor.execute("print N'said so'")
        if "said so" not in str(cursor.messages):
            raise AssertionError(f"messages: {cursor.messages}")


run(pyodbc.version)
