"""pyodbc with FreeTDS's ODBC driver, which the system has, logs in by password and works."""

import os
import platform
import threading
from pathlib import Path

import odbc_driver
import pyodbc
from dbapi import Driver, one, shared
from judge import EMULATOR, ENCRYPTION, feature, raises, run, same

FOLDER = Path(os.environ["HOME"])
CONF = FOLDER / "freetds.conf"
LIBRARY = f"/usr/lib/{platform.machine()}-linux-gnu/odbc/libtdsodbc.so"
# Both are read when the first connection is made.
(FOLDER / "odbcinst.ini").write_text(f"[FreeTDS]\nDriver={LIBRARY}\n")
os.environ |= {"ODBCSYSINI": str(FOLDER), "FREETDSCONF": str(CONF)}
pyodbc.pooling = False
ENCRYPT = {"off": "off", "on": "require"}[ENCRYPTION]
# It reads `freetds.conf` for servers that have a name there only.
STRING = f"Driver={{FreeTDS}};Servername=%s;Database=demo;UID={EMULATOR['user']};PWD={EMULATOR['password']};APP=judge"
TRUSTED = STRING % "trusted"
CONF.write_text(
    "\n".join(
        f"[{name}]\nhost = localhost\nport = {EMULATOR['port']}\ntds version = 7.4\nencryption = {ENCRYPT}\n"
        f"ca file = {EMULATOR[authority]}\ncheck certificate hostname = yes\nclient charset = UTF-8\n"
        for name, authority in [("trusted", "ca"), ("stranger", "other_ca")]
    )
)


def connect(autocommit=True, string=TRUSTED, **options):
    connection = pyodbc.connect(string, autocommit=autocommit, **options)
    connection.add_output_converter(odbc_driver.DATETIMEOFFSET, odbc_driver.offset)
    return connection


driver = Driver(
    pyodbc,
    connect,
    values={"uniqueidentifier": lambda value: str(value).upper()},
    # It is a day off in the year 1, and cuts fractions of times.
    parameters={"date": str, "time": str, "datetimeoffset": str},
    without=["errors without numbers"],
    who=EMULATOR["user_name"],
)
shared(driver)


@feature("a certificate of an unknown authority")
def stranger():
    raises(pyodbc.Error, lambda: connect(string=STRING % "stranger"), "08001")


@feature("a database that does not exist")
def no_database():
    string = TRUSTED.replace("=demo", "=nowhere")
    raises(pyodbc.Error, lambda: connect(string=string), 'Cannot open database "nowhere"', "(4060)")


@feature("cancel in the middle of a result, and the session goes on")
def cancel_result():
    with driver.connection() as connection:
        cursor = connection.cursor()
        cursor.execute("create table #n (n int)")
        cursor.execute("insert #n values (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)")
        cursor.execute(
            "select a.n, replicate('x', 100) from #n a cross join #n b cross join #n c "
            "cross join #n d cross join #n e cross join #n f"
        )
        same(len(cursor.fetchmany(1000)), 1000)
        cursor.cancel()
        same(one(connection.cursor(), "select count(*), @@trancount from #n"), [10, 0])


@feature("cancel from another thread, and the session goes on")
def cancel():
    with driver.connection() as watcher, driver.connection() as connection:
        watcher.cursor().execute("create table dbo.started (n int)")
        cursor = connection.cursor()

        def stop():
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


@feature("query timeout")
def timeout():
    with driver.connection() as connection:
        connection.timeout = 1
        cursor = connection.cursor()
        raises(pyodbc.Error, lambda: cursor.execute("waitfor delay '00:00:30'"), "HYT00")
        same(one(connection.cursor(), "select 1"), [1])


run(pyodbc.version)
