"""python-tds logs in by password and by access token, over TLS that it verifies, and works."""

import importlib.metadata
import io
import logging

import pytds
from pytds import extensions
from dbapi import Driver, one, rows, shared
from judge import EMULATOR, ENCRYPTION, feature, raises, run, same


def connect(autocommit=True, **options):
    settings = {
        "dsn": "localhost",  # it looks for DNS names in the certificate only
        "port": EMULATOR["port"],
        "user": EMULATOR["user"],
        "password": EMULATOR["password"],
        "database": "demo",
        "appname": "judge",
        "login_timeout": 20,
        "autocommit": autocommit,
        "use_mars": False,
    }
    if ENCRYPTION != "off":
        settings |= {"cafile": EMULATOR["ca"], "validate_host": True}
    return pytds.connect(**settings | options)


def is_refused(says, **options):
    """It tries again until its time is over, and tells why in its log only."""
    told = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(str(record.exc_info and record.exc_info[1]))
    logger = logging.getLogger("pytds")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        raises((TimeoutError, pytds.Error), lambda: connect(login_timeout=2, **options))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    if not any(says in text for text in told):
        raise AssertionError(f"{told} does not say {says}")


def by_token(token):
    return connect(user=None, password=None, access_token_callable=lambda: token)


# Plain bytes are text to it.
BINARY = {name: pytds.Binary for name in ["binary", "varbinary", "image"]}
driver = Driver(pytds, connect, mark="%s", parameters=BINARY)
shared(driver)


@feature("login by password over verified TLS")
def login():
    with driver.cursor() as cursor:
        same(one(cursor, "select suser_sname(), db_name()"), [EMULATOR["login_name"], "demo"])


@feature("login with TDS 7.3")
def old():
    is_refused("TDS 7.4", tds_version=pytds.tds_base.TDS73)


@feature("login by access token")
def token_login():
    connection = by_token(EMULATOR["token"])
    try:
        system = next(i for i in EMULATOR["identities"] if i["assignment"] == "system")
        same(one(connection.cursor(), "select user_name(), db_name()"), [system["name"], "demo"])
    finally:
        connection.close()


@feature("login by a token that was tampered with")
def bad_token():
    raises(pytds.Error, lambda: by_token(EMULATOR["token"][:-8] + "AAAAAAAA"), "Login failed")


@feature("TLS login with another authority's certificate expected")
def other_authority():
    raises(Exception, lambda: connect(cafile=EMULATOR["other_ca"]), "certificate verify failed")


@feature("login with a wrong password")
def wrong_password():
    raises(pytds.Error, lambda: connect(password="wrong"), "Login failed for user 'sa'")


@feature("login to a database that does not exist")
def wrong_database():
    is_refused("Cannot open database \"nowhere\"", database="nowhere")


@feature("as_dict rows")
def as_dict():
    with driver.connection(as_dict=True) as connection:
        cursor = connection.cursor()
        cursor.execute("select 1 as a, N'x' as b")
        same(cursor.fetchall(), [{"a": 1, "b": "x"}])


@feature("copy_to (bulk load)")
def copy_to():
    with driver.cursor() as cursor:
        cursor.execute("drop table if exists bulk; create table bulk (id int not null, name nvarchar(50), price float)")
        data = [(n, f"name {n}", n / 4) for n in range(1000)] + [(1000, None, None)]
        columns = [
            pytds.tds_base.Column("id", type=pytds.tds_types.IntType(), flags=0),
            pytds.tds_base.Column("name", type=pytds.tds_types.NVarCharType(size=50)),
            pytds.tds_base.Column("price", type=pytds.tds_types.FloatType()),
        ]
        cursor.copy_to(data=data, table_or_view="bulk", columns=columns)
        cursor.execute("select id, name, price from bulk order by id")
        same(rows(cursor), [list(row) for row in data])


@feature("copy_to from text")
def copy_text():
    with driver.cursor() as cursor:
        cursor.execute("drop table if exists bulk_text; create table bulk_text (id nvarchar(10), name nvarchar(50))")
        cursor.copy_to(io.StringIO("1\tAda\n2\tGrace\n"), "bulk_text", columns=["id", "name"])
        cursor.execute("select id, name from bulk_text order by id")
        same(rows(cursor), [["1", "Ada"], ["2", "Grace"]])


@feature("callproc of a procedure that is not there")
def callproc():
    with driver.cursor() as cursor:
        raises(pytds.Error, lambda: cursor.callproc("no_such_procedure", (1, "x")), "no_such_procedure")
        same(one(cursor, "select 1"), [1])


@feature("callproc of sp_executesql with an output parameter")
def output_parameter():
    with driver.cursor() as cursor:
        out = pytds.output(param_type=int)
        values = cursor.callproc("sp_executesql", ("set @twice = @n * 2", "@n int, @twice int output", 21, out))
        same(values[-1], 42)


@feature("isolation levels")
def isolation():
    for level in [extensions.ISOLATION_LEVEL_SERIALIZABLE, extensions.ISOLATION_LEVEL_READ_COMMITTED]:
        with driver.connection(autocommit=False) as connection:
            connection.isolation_level = level
            same(one(connection.cursor(), "select 1"), [1])


@feature("a cancelled request, and the session goes on")
def cancel():
    with driver.cursor() as cursor:
        cursor.execute("select 1 union all select 2")
        cursor.cancel()
        same(one(cursor, "select 3"), [3])


run(importlib.metadata.version("python-tds"))
