"""mssql-python with Microsoft's ODBC Driver 18 logs in as a managed identity and works."""

import datetime as dt
import os
import struct
import uuid
from decimal import Decimal

import mssql_python
from dbapi import Driver, one, rows, shared
from judge import EMULATOR, ENCRYPTION, PROXY, feature, raises, run, same

os.environ.update(EMULATOR["app_service_environment"])
SYSTEM = next(i for i in EMULATOR["identities"] if i["assignment"] == "system")
USER = next(i for i in EMULATOR["identities"] if i["assignment"] == "user")
SERVER = f"Server=tcp:{EMULATOR['host']},{EMULATOR['port']};Database=demo"
# In strict mode the driver compares the server's certificate with this file; otherwise it asks the
# authorities of OpenSSL, which the test gives by SSL_CERT_FILE.
STRICT = f"Encrypt=strict;ServerCertificate={EMULATOR['server_certificate']}"
MANDATORY = "Encrypt=Mandatory;TrustServerCertificate=no;HostNameInCertificate=localhost"
MSI = "Authentication=ActiveDirectoryMSI"
PASSWORD = f"UID={EMULATOR['user']};PWD={EMULATOR['password']}"
# By OpenSSL's authorities, too, and for the name of the server.
ENCRYPT = {"off": "Encrypt=no", "on": "Encrypt=Mandatory", "strict": "Encrypt=strict"}[ENCRYPTION]
LOGIN = f"{PASSWORD};{ENCRYPT}" if PROXY else f"{MSI};{STRICT}"
ACCESS_TOKEN = 1256  # SQL_COPT_SS_ACCESS_TOKEN


def connect(autocommit=True, string=f"{SERVER};{LOGIN}", **options):
    return mssql_python.connect(string, autocommit=autocommit, **options)


def packed(token):
    text = token.encode("utf-16-le")
    return struct.pack("<I", len(text)) + text


def who(string, **options):
    connection = connect(string=string, **options)
    try:
        return one(connection.cursor(), "select user_name(), db_name()")
    finally:
        connection.close()


# Its parameters for dates begin with 1753.
driver = Driver(
    mssql_python,
    connect,
    parameters={"date": str},
    without=["errors without numbers"],
    who=EMULATOR["user_name"] if PROXY else SYSTEM["name"],
    application="MSSQL-Python",
)
shared(driver)

for name, encrypt in [("strict TLS", STRICT), ("TLS in PRELOGIN", MANDATORY)]:

    @feature(f"ActiveDirectoryMSI: system-assigned identity, {name}")
    def system(encrypt=encrypt):
        same(who(f"{SERVER};{MSI};{encrypt}"), [SYSTEM["name"], "demo"])

    @feature(f"ActiveDirectoryMSI: user-assigned identity, {name}")
    def user(encrypt=encrypt):
        same(who(f"{SERVER};{MSI};{encrypt};UID={USER['client_id']}"), [USER["name"], "demo"])

    @feature(f"access token as SQL_COPT_SS_ACCESS_TOKEN, {name}")
    def token(encrypt=encrypt):
        attributes = {ACCESS_TOKEN: packed(EMULATOR["token"])}
        same(who(f"{SERVER};{encrypt}", attrs_before=attributes), [SYSTEM["name"], "demo"])

    @feature(f"login by password, {name}")
    def password(encrypt=encrypt):
        string = f"{SERVER};{encrypt};UID={EMULATOR['user']};PWD={EMULATOR['password']}"
        same(who(string), ["dbo", "demo"])


@feature("ActiveDirectoryDefault")
def default():
    same(who(f"{SERVER};Authentication=ActiveDirectoryDefault;{STRICT}"), [SYSTEM["name"], "demo"])


@feature("an identity that is not assigned")
def unassigned():
    string = f"{SERVER};{MSI};{STRICT};UID={uuid.UUID(int=57005)}"
    raises(Exception, lambda: connect(string=string))


@feature("a token that was tampered with")
def tampered():
    attributes = {ACCESS_TOKEN: packed(EMULATOR["token"][:-8] + "AAAAAAAA")}
    raises(
        mssql_python.Error,
        lambda: connect(string=f"{SERVER};{STRICT}", attrs_before=attributes),
        "Login failed for user '<token-identified principal>'",
    )


@feature("a wrong password")
def wrong_password():
    string = f"{SERVER};{STRICT};UID={EMULATOR['user']};PWD=wrong"
    raises(mssql_python.Error, lambda: connect(string=string), "Login failed for user 'sa'")


@feature("a database that does not exist")
def no_database():
    string = f"{SERVER.replace('demo', 'nowhere')};{LOGIN}"
    raises(mssql_python.Error, lambda: connect(string=string), 'Cannot open database "nowhere"')


@feature("a certificate of another authority, strict TLS")
def other_certificate():
    string = f"{SERVER};{MSI};Encrypt=strict;ServerCertificate={EMULATOR['other_ca']}"
    raises(mssql_python.Error, lambda: connect(string=string), "certificate")


if PROXY:

    @feature("a certificate of an unknown authority")
    def stranger():
        os.environ["SSL_CERT_FILE"] = EMULATOR["other_ca"]
        try:
            # A string of its own is a pool of its own.
            string = f"{SERVER};{LOGIN};ConnectRetryCount=1"
            raises(mssql_python.Error, lambda: connect(string=string), "certificate verify failed")
        finally:
            os.environ["SSL_CERT_FILE"] = EMULATOR["ca"]


@feature("permissions: 229 as an exception")
def permissions():
    with driver.cursor() as cursor:
        cursor.execute("drop table if exists guarded; create table guarded (id int)")
    # The user-assigned identity may only read.
    with driver.cursor(string=f"{SERVER};{MSI};{STRICT};UID={USER['client_id']}") as cursor:
        same(one(cursor, "select count(*) from guarded"), [0])
        raises(mssql_python.Error, lambda: cursor.execute("insert guarded values (1)"), "INSERT permission was denied")
        raises(mssql_python.Error, lambda: cursor.execute("create table mine (id int)"), "CREATE TABLE permission denied")


def schema():
    cursor = connect().cursor()
    cursor.execute("drop table if exists child; drop table if exists parent; drop view if exists both")
    cursor.execute("create table parent (id int not null constraint pk_parent primary key, name nvarchar(40) null, price decimal(9,2) not null constraint df_price default 1.5)")
    cursor.execute("create table child (id bigint identity not null primary key, parent_id int not null constraint fk_child foreign key references parent (id) on delete cascade, code char(3) constraint uq_code unique)")
    cursor.execute("create index ix_parent_name on parent (name, price)")
    cursor.execute("create view both as select p.name, c.code from parent p join child c on c.parent_id = p.id")
    return cursor


@feature("catalogue: tables")
def tables():
    cursor = schema()
    cursor.tables(schema="dbo", tableType="TABLE")
    names = [row.table_name for row in cursor.fetchall()]
    same([name for name in names if name in ("child", "parent", "both")], ["child", "parent"])
    cursor.tables(table="both")
    same([[row.table_cat, row.table_schem, row.table_name, row.table_type] for row in cursor.fetchall()], [["demo", "dbo", "both", "VIEW"]])


@feature("catalogue: columns")
def columns():
    cursor = schema()
    cursor.columns(table="parent")
    same(
        [[r.column_name, r.data_type, r.type_name, r.column_size, r.nullable, r.column_def, r.ordinal_position] for r in cursor.fetchall()],
        [
            ["id", 4, "int", 10, 0, None, 1],
            ["name", -9, "nvarchar", 40, 1, None, 2],
            ["price", 3, "decimal", 9, 0, "((1.5))", 3],
        ],
    )
    cursor.columns(table="child", column="id")
    same([[r.column_name, r.type_name] for r in cursor.fetchall()], [["id", "bigint identity"]])


@feature("catalogue: primary keys")
def primary_keys():
    cursor = schema()
    cursor.primaryKeys("parent")
    same([[r.table_name, r.column_name, r.key_seq, r.pk_name] for r in cursor.fetchall()], [["parent", "id", 1, "pk_parent"]])


@feature("catalogue: foreign keys")
def foreign_keys():
    cursor = schema()
    # The table that has the keys, in spite of the names of its other parameters.
    cursor.foreignKeys("child")
    same(
        [[r.pktable_name, r.pkcolumn_name, r.fktable_name, r.fkcolumn_name, r.update_rule, r.delete_rule, r.fk_name, r.pk_name] for r in cursor.fetchall()],
        [["parent", "id", "child", "parent_id", 1, 0, "fk_child", "pk_parent"]],
    )


@feature("catalogue: statistics")
def statistics():
    cursor = schema()
    cursor.statistics("parent")
    found = [[r.non_unique, r.index_name, r.type, r.ordinal_position, r.column_name] for r in cursor.fetchall()]
    same(found, [[None, None, 0, None, None], [0, "pk_parent", 1, 1, "id"], [1, "ix_parent_name", 3, 1, "name"], [1, "ix_parent_name", 3, 2, "price"]])


@feature("catalogue: rowIdColumns, rowVerColumns and procedures")
def special():
    cursor = schema()
    cursor.rowIdColumns("parent")
    same([r.column_name for r in cursor.fetchall()], ["id"])
    cursor.rowVerColumns("parent")
    same(cursor.fetchall(), [])
    cursor.procedures()
    cursor.fetchall()


@feature("catalogue: getTypeInfo")
def type_info():
    cursor = schema()
    cursor.getTypeInfo()
    names = {r.type_name for r in cursor.fetchall()}
    for name in ["int", "nvarchar", "datetime2", "uniqueidentifier", "varbinary", "decimal", "bit", "int identity"]:
        if name not in names:
            raise AssertionError(f"{name} is not in {sorted(names)}")


@feature("cursor.description: types, sizes and NULL")
def description():
    with driver.cursor() as cursor:
        cursor.execute("create table #d (a int not null, b nvarchar(30) null, c decimal(9,3) null, d datetime2(3) not null)")
        cursor.execute("select a, b, c, d from #d")
        same(
            [[c[0], c[4], c[5], bool(c[6])] for c in cursor.description],
            [["a", 10, 0, False], ["b", 30, 0, True], ["c", 9, 3, True], ["d", 23, 3, False]],
        )


@feature("prepared once, run with other values and types")
def prepared():
    with driver.cursor() as cursor:
        cursor.execute("create table #p (id int, name nvarchar(max))")
        for n, name in enumerate(["a", "ö" * 5000, None, "😀"]):
            cursor.execute("insert #p values (?, ?)", (n, name))
        cursor.execute("select name from #p order by id")
        same(rows(cursor), [["a"], ["ö" * 5000], [None], ["😀"]])


@feature("executemany in one array of parameters")
def array():
    with driver.cursor() as cursor:
        cursor.execute("create table #a (id int, price decimal(12,4), at datetime2(6), data varbinary(max), who uniqueidentifier)")
        at = dt.datetime(2026, 11, 22, 1, 2, 3, 456789)
        who = uuid.UUID(int=7)
        data = [(n, Decimal(n) / 8, at, bytes([n % 256]) * n, who) for n in range(300)]
        cursor.executemany("insert #a values (?, ?, ?, ?, ?)", data)
        cursor.execute("select id, price, at, data, who from #a order by id")
        got = rows(cursor)
        same(len(got), 300)
        same(got[299], [299, Decimal("37.3750"), at, bytes([43]) * 299, who])


@feature("bulkcopy")
def bulkcopy():
    with driver.connection() as connection:
        cursor = connection.cursor()
        cursor.execute("drop table if exists bulk; create table bulk (id int not null, name nvarchar(50), price decimal(9,2), at datetime2(3))")
        at = dt.datetime(2026, 11, 22, 1, 2, 3, 4000)
        data = [(n, f"näme {n}", Decimal(n) / 4, at) for n in range(2000)] + [(2000, None, None, None)]
        cursor.bulkcopy("bulk", data)
        cursor.execute("select id, name, price, at from bulk order by id")
        got = rows(cursor)
        same(len(got), 2001)
        same(got[1999], [1999, "näme 1999", Decimal("499.75"), at])
        same(got[2000], [2000, None, None, None])


@feature("sql_variant")
def variant():
    with driver.cursor() as cursor:
        same(one(cursor, "select cast(42 as sql_variant), cast(N'x' as sql_variant), cast(null as sql_variant)"), [42, "x", None])


@feature("pooled connections are reset")
def pooling():
    mssql_python.pooling(max_size=2, idle_timeout=60)
    # A string of its own is a pool of its own.
    string = f"{SERVER};{LOGIN};ConnectRetryCount=2"
    try:
        with driver.cursor(string=string) as cursor:
            cursor.execute("create table #left (id int); set lock_timeout 1234; set nocount on")
            spid = one(cursor, "select @@spid")
        with driver.cursor(string=string) as cursor:
            same(one(cursor, "select @@spid"), spid)
            same(one(cursor, "select object_id('tempdb..#left'), @@lock_timeout"), [None, -1])
    finally:
        mssql_python.pooling(enabled=False)


@feature("query timeout")
def timeout():
    with driver.connection() as connection:
        connection.timeout = 1
        cursor = connection.cursor()
        raises(mssql_python.Error, lambda: cursor.execute("waitfor delay '00:00:20'"), "imeout")
        same(one(connection.cursor(), "select 1"), [1])


@feature("isolation levels by connection attribute")
def isolation():
    with driver.connection(autocommit=False) as connection:
        for level in [
            mssql_python.SQL_TXN_READ_UNCOMMITTED, mssql_python.SQL_TXN_REPEATABLE_READ,
            mssql_python.SQL_TXN_SERIALIZABLE, mssql_python.SQL_TXN_READ_COMMITTED,
        ]:
            connection.set_attr(mssql_python.SQL_ATTR_TXN_ISOLATION, level)
            same(one(connection.cursor(), "select 1"), [1])
            connection.rollback()


@feature("getinfo")
def getinfo():
    with driver.connection() as connection:
        same(connection.getinfo(17), "Microsoft SQL Server")  # SQL_DBMS_NAME
        same(connection.getinfo(16), "demo")  # SQL_DATABASE_NAME
        same(connection.getinfo(47), driver.who)  # SQL_USER_NAME
        same(connection.getinfo(18).split(".")[0], "12")  # SQL_DBMS_VER


@feature("PRINT and warnings as messages")
def messages():
    with driver.cursor() as cursor:
        cursor.execute("print N'said so'")
        told = "\n".join(str(message) for message in cursor.messages)
        if "said so" not in told:
            raise AssertionError(f"messages: {cursor.messages}")


run(mssql_python.__version__)
