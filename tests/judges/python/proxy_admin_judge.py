"""Three drivers use the proxy's admin database: FreeTDS by pymssql, Microsoft's ODBC driver by
pyodbc, and python-tds."""

import json
import os

import odbc_driver
import pymssql
import pyodbc
import pytds
from judge import feature, raises, run, same

PORT = json.loads(os.environ["ADMIN"])["port"]
odbc_driver.register()
pyodbc.pooling = False


def by_pymssql(database, application, autocommit):
    return pymssql.connect(
        server="127.0.0.1", port=str(PORT), user="me", password="x", database=database,
        appname=application, tds_version="7.4", encryption="off", login_timeout=20, autocommit=autocommit,
    )


def by_pyodbc(database, application, autocommit):
    return pyodbc.connect(
        f"Driver={{{odbc_driver.NAME}}};Server=tcp:127.0.0.1,{PORT};Database={database};"
        f"UID=me;PWD=x;Encrypt=no;APP={application}",
        autocommit=autocommit,
    )


def by_pytds(database, application, autocommit):
    return pytds.connect(
        dsn="127.0.0.1", port=PORT, user="me", password="x", database=database,
        appname=application, login_timeout=20, autocommit=autocommit, use_mars=False,
    )


def rows(connection, sql, *parameters):
    cursor = connection.cursor()
    cursor.execute(sql, parameters) if parameters else cursor.execute(sql)
    return [tuple(row) for row in cursor.fetchall()]


def register(name, connect, error, mark):
    @feature(f"{name}: tables")
    def tables():
        admin = connect("entrada", "admin", True)
        [(login, database, seconds)] = rows(
            admin, "select suser_sname(), db_name(), seconds from sessions where id = @@spid"
        )
        same((login != "", database, seconds < 60), (True, "entrada", True))
        listed = [row[0] for row in rows(admin, "select TABLE_NAME from INFORMATION_SCHEMA.TABLES order by 1")]
        same({"pools", "sessions", "tokens"} <= set(listed), True)
        [(when,)] = rows(admin, "select connected_at from sessions where id = @@spid")
        same(when.year > 2000, True)
        admin.close()

    @feature(f"{name}: parameters, more than once")
    def parameters():
        admin = connect("entrada", "admin", True)
        for wanted in ["sessions", "pools", "sessions"]:
            sql = f"select command from help where command like {mark} and {mark} < 5"
            same(rows(admin, sql, f"%{wanted}", 3), [(f"SELECT ... FROM {wanted}",)])
        admin.close()

    @feature(f"{name}: autocommit off")
    def transaction():
        admin = connect("entrada", "admin", False)
        same(len(rows(admin, "select * from version")), 1)
        admin.commit()
        same(len(rows(admin, "show listeners")), 1)
        admin.rollback()
        raises(error, lambda: rows(admin, "delete from sessions"))
        admin.close()

    @feature(f"{name}: KILL")
    def kill():
        victim = connect("shop", f"victim of {name}", True)
        same(rows(victim, "select 1"), [(1,)])
        admin = connect("entrada", "admin", True)
        [(number,)] = rows(admin, "select max(id) from sessions where state = 'relaying'")
        admin.cursor().execute(f"KILL {number}")
        raises(Exception, lambda: rows(victim, "select 1"))
        same(rows(admin, f"select count(*) from sessions where id = {number}"), [(0,)])
        admin.close()


register("pymssql", by_pymssql, pymssql.Error, "%s")
register("pyodbc", by_pyodbc, pyodbc.Error, "?")
register("python-tds", by_pytds, pytds.Error, "%s")
run("1")
