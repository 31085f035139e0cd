"""pymssql (FreeTDS) logs in by password and works."""

import os
from pathlib import Path

import pymssql
from dbapi import Driver, one, rows, shared
from judge import EMULATOR, ENCRYPTION, PROXY, feature, raises, run, same

# What FreeTDS reads before the first connection.
CONF = Path(os.environ["HOME"], "freetds.conf")
os.environ["FREETDSCONF"] = str(CONF)


def trust(authority):
    CONF.write_text(f"[global]\nca file = {authority}\ncheck certificate hostname = yes\n")


trust(EMULATOR["ca"])


def connect(autocommit=True, **options):
    settings = {
        "server": "localhost",
        "port": str(EMULATOR["port"]),
        "user": EMULATOR["user"],
        "password": EMULATOR["password"],
        "database": "demo",
        "tds_version": "7.4",
        "encryption": "off" if ENCRYPTION == "off" else "require",
        "appname": "judge",
        "login_timeout": 20,
        "autocommit": autocommit,
    }
    return pymssql.connect(**settings | options)


driver = Driver(
    pymssql,
    connect,
    mark="%s",
    # It sends values as literals: datetimes cut to milliseconds, an empty binary as ''.
    parameters={"datetime2": str, "datetimeoffset": str},
    without=["empty binary parameters"],
)
shared(driver)


@feature("login by password, encrypted")
def login():
    with driver.cursor() as cursor:
        same(one(cursor, "select suser_sname(), db_name()"), [EMULATOR["login_name"], "demo"])


@feature("login without a wish for encryption")
def no_wish():
    with driver.cursor(encryption="request") as cursor:
        same(one(cursor, "select 1"), [1])


@feature("a certificate of an unknown authority")
def stranger():
    trust(EMULATOR["other_ca"])
    try:
        raises(pymssql.OperationalError, connect)
    finally:
        trust(EMULATOR["ca"])


@feature("login to a database that does not exist")
def wrong_database():
    raises(pymssql.OperationalError, lambda: connect(database="nowhere"), "4060", 'Cannot open database "nowhere"')


@feature("login with a wrong password")
def wrong_password():
    raises(pymssql.OperationalError, lambda: connect(password="wrong"), "18456", "Login failed for user 'sa'")


if PROXY:

    @feature("login as an identity without a user")
    def no_user():
        says = ["18456", "Login failed for user", "refused the proxy's identity", "CREATE USER"]
        raises(pymssql.OperationalError, connect, *says)


@feature("as_dict rows")
def as_dict():
    with driver.connection() as connection:
        cursor = connection.cursor(as_dict=True)
        cursor.execute("select 1 as a, N'x' as b")
        same(cursor.fetchall(), [{"a": 1, "b": "x"}])


@feature("bulk_copy")
def bulk_copy():
    with driver.connection() as connection:
        cursor = connection.cursor()
        cursor.execute("drop table if exists bulk; create table bulk (id int not null, name nvarchar(50), price float)")
        data = [(n, f"name {n}", n / 4) for n in range(1000)] + [(1000, None, None)]
        connection.bulk_copy("bulk", data)
        cursor.execute("select id, name, price from bulk order by id")
        same(rows(cursor), [list(row) for row in data])


@feature("types of columns in cursor.description")
def description_types():
    with driver.cursor() as cursor:
        cursor.execute("select 1, N'x', cast(1 as money), cast('2026-01-01' as datetime), 0x01")
        kinds = [column[1] for column in cursor.description]
        same(
            [kinds[0] == pymssql.NUMBER, kinds[1] == pymssql.STRING, kinds[2] == pymssql.DECIMAL,
             kinds[3] == pymssql.DATETIME, kinds[4] == pymssql.BINARY],
            [True] * 5,
        )


@feature("callproc of a procedure that is not there")
def callproc():
    with driver.cursor() as cursor:
        raises(pymssql.Error, lambda: cursor.callproc("no_such_procedure", (1, "x")), "no_such_procedure")
        same(one(cursor, "select 1"), [1])


@feature("SET options that FreeTDS sends")
def options():
    with driver.cursor() as cursor:
        cursor.execute("set arithabort on; set ansi_nulls on; set textsize 64512; set quoted_identifier on")
        same(one(cursor, "select @@textsize"), [64512])


# The last one: pymssql tells the worst error so far with every later refusal.
@feature("login with TDS 7.3")
def old():
    raises(pymssql.OperationalError, lambda: connect(tds_version="7.3"), "TDS 7.4")


run(pymssql.__version__)
