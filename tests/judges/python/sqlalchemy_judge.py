"""SQLAlchemy creates a schema, reflects it, and maps objects, over the driver named first."""

import datetime as dt
import os
import sys
import uuid
from decimal import Decimal

import odbc_driver
import sqlalchemy as sa
from judge import EMULATOR, feature, raises, run, same
from sqlalchemy import orm
from sqlalchemy.dialects import mssql

OVER = sys.argv.pop(1)
os.environ.update(EMULATOR["app_service_environment"])
MSI = {
    "Authentication": "ActiveDirectoryMSI",
    "Encrypt": "strict",
    "ServerCertificate": EMULATOR["server_certificate"],
}


def url():
    where = {"host": EMULATOR["host"], "port": EMULATOR["port"], "database": "demo"}
    password = {"username": EMULATOR["user"], "password": EMULATOR["password"]}
    match OVER:
        case "mssqlpython":
            return sa.URL.create("mssql+mssqlpython", query=MSI, **where)
        case "pyodbc":
            odbc_driver.register()
            server = {"Driver": odbc_driver.NAME, "Server": "tcp:{host},{port}".format(**where), "Database": "demo"}
            string = ";".join(f"{key}={value}" for key, value in (server | MSI).items())
            return sa.URL.create("mssql+pyodbc", query={"odbc_connect": string})
        case _:
            return sa.URL.create("mssql+pymssql", query={"encryption": "require"}, **where, **password)


ENGINE = sa.create_engine(url(), poolclass=sa.NullPool)


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    __table_args__ = (
        sa.UniqueConstraint("email", name="uq_customer_email"),
        sa.CheckConstraint("credit >= 0", name="ck_customer_credit"),
        sa.Index("ix_customer_name", "name", "born"),
    )
    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(start=100, increment=10), primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.Unicode(60))
    email: orm.Mapped[str | None] = orm.mapped_column(sa.String(80))
    born: orm.Mapped[dt.date | None]
    credit: orm.Mapped[Decimal] = orm.mapped_column(sa.Numeric(10, 2), server_default="0")
    orders: orm.Mapped[list["Order"]] = orm.relationship(back_populates="customer", order_by="Order.number")


class Order(Base):
    __tablename__ = "order"
    customer_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("customer.id", name="fk_order_customer", ondelete="CASCADE"), primary_key=True
    )
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    at: orm.Mapped[dt.datetime] = orm.mapped_column(mssql.DATETIME2(3), server_default=sa.text("sysutcdatetime()"))
    note: orm.Mapped[str | None] = orm.mapped_column(sa.UnicodeText)
    customer: orm.Mapped[Customer] = orm.relationship(back_populates="orders")


class Everything(Base):
    __tablename__ = "everything"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    small = sa.Column(sa.SmallInteger)
    tiny = sa.Column(mssql.TINYINT)
    big = sa.Column(sa.BigInteger)
    flag = sa.Column(sa.Boolean)
    number = sa.Column(sa.Numeric(28, 8))
    money = sa.Column(mssql.MONEY)
    single = sa.Column(sa.REAL)
    double = sa.Column(sa.Float(53))
    fixed = sa.Column(sa.NCHAR(5))
    text = sa.Column(sa.Unicode(100))
    long = sa.Column(sa.UnicodeText)
    ansi = sa.Column(sa.String(30))
    ansi_max = sa.Column(sa.Text)
    bytes = sa.Column(sa.LargeBinary)
    short_bytes = sa.Column(mssql.VARBINARY(16))
    day = sa.Column(sa.Date)
    clock = sa.Column(mssql.TIME(6))
    old = sa.Column(sa.DateTime)
    new = sa.Column(mssql.DATETIME2(6))
    zoned = sa.Column(mssql.DATETIMEOFFSET(6))
    guid = sa.Column(sa.Uuid)


VALUES = {
    "small": -32768,
    "tiny": 255,
    "big": 2**63 - 1,
    "flag": True,
    "number": Decimal("12345678901234567890.12345678"),
    "money": Decimal("-922337203685477.5808"),
    "single": 1.5,
    "double": 0.1,
    "fixed": "äb   ",
    "text": "日本 😀",
    "long": "lang " * 5000,
    "ansi": "wörd",
    "ansi_max": "alt " * 5000,
    "bytes": bytes(range(256)) * 30,
    "short_bytes": b"\x00\x01",
    "day": dt.date(2026, 11, 22),
    "clock": dt.time(23, 59, 59, 123456),
    # Datetimes of hundredths are equal to the datetime2 that drivers send.
    "old": dt.datetime(2026, 11, 22, 1, 2, 3, 990000),
    "new": dt.datetime(2026, 11, 22, 1, 2, 3, 456000),
    "zoned": dt.datetime(2026, 11, 22, 1, 2, 3, 456000, dt.timezone(dt.timedelta(hours=2))),
    "guid": uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
}


@feature("connect: server version and default schema")
def connect():
    with ENGINE.connect() as connection:
        same(str(connection.dialect.default_schema_name), "dbo")
        same(connection.dialect.server_version_info[0], 12)
        same(connection.scalar(sa.text("select db_name()")), "demo")


@feature("create_all")
def create_all():
    Base.metadata.create_all(ENGINE)
    with ENGINE.begin() as connection:
        connection.execute(sa.text("create view grown as select id, name from customer where credit > 10"))
    # Nothing is left to do.
    Base.metadata.create_all(ENGINE)


def inspector():
    return sa.inspect(ENGINE)


@feature("Inspector: schemas, tables, views")
def names():
    found = inspector()
    same("dbo" in found.get_schema_names(), True)
    same(sorted(found.get_table_names()), ["customer", "everything", "order"])
    same(found.get_view_names(), ["grown"])
    same([found.has_table("customer"), found.has_table("nobody"), found.has_table("grown")], [True, False, True])
    same("where credit > 10" in found.get_view_definition("grown"), True)


@feature("Inspector: columns")
def columns():
    found = {column["name"]: column for column in inspector().get_columns("customer")}
    same(list(found), ["id", "name", "email", "born", "credit"])
    same([found[name]["nullable"] for name in found], [False, False, True, True, False])
    same([found["id"]["identity"]["start"], found["id"]["identity"]["increment"]], [100, 10])
    same(str(found["name"]["type"]), 'NVARCHAR(60) COLLATE "SQL_Latin1_General_CP1_CI_AS"')
    same(str(found["credit"]["type"]), "NUMERIC(10, 2)")
    same(found["credit"]["default"], "('0')")


@feature("Inspector: primary key, foreign keys, unique and check constraints, indexes")
def constraints():
    found = inspector()
    same(found.get_pk_constraint("order")["constrained_columns"], ["customer_id", "number"])
    key = found.get_foreign_keys("order")[0]
    same(
        [key["name"], key["constrained_columns"], key["referred_table"], key["referred_columns"], key["options"]],
        ["fk_order_customer", ["customer_id"], "customer", ["id"], {"ondelete": "CASCADE"}],
    )
    indexes = {index["name"]: index for index in found.get_indexes("customer")}
    same(indexes["ix_customer_name"]["column_names"], ["name", "born"])
    same(indexes["ix_customer_name"]["unique"], False)
    same(indexes["uq_customer_email"]["unique"], True)


@feature("Inspector: table comments and temporary tables")
def comments():
    same(inspector().get_table_comment("customer"), {"text": None})
    with ENGINE.begin() as connection:
        connection.execute(sa.text("create table #temporary (id int primary key, name nvarchar(10))"))
        same([c["name"] for c in sa.inspect(connection).get_columns("#temporary")], ["id", "name"])


@feature("MetaData.reflect gives back what was created")
def reflect():
    reflected = sa.MetaData()
    reflected.reflect(ENGINE)
    same(sorted(reflected.tables), ["customer", "everything", "order"])
    for name, table in reflected.tables.items():
        wanted = Base.metadata.tables[name]
        # Reflected names are of a subclass of str.
        same([str(c.name) for c in table.columns], [c.name for c in wanted.columns])
        same([str(c.name) for c in table.primary_key], [c.name for c in wanted.primary_key])
        for column in table.columns:
            want = wanted.columns[column.name]
            same([column.name, column.nullable], [column.name, want.nullable])
            compiled = want.type.compile(ENGINE.dialect)
            seen = column.type.compile(ENGINE.dialect).split(" COLLATE")[0]
            # The catalogue tells the precision of every float.
            spelled = {"FLOAT": "FLOAT(53)"}
            # SQLAlchemy does not ask for the digits of seconds.
            if compiled.startswith(("TIME", "DATETIME2", "DATETIMEOFFSET")):
                compiled = compiled.split("(")[0]
            same([column.name, seen], [column.name, spelled.get(compiled, compiled)])
    same(next(iter(reflected.tables["order"].foreign_keys)).target_fullname, "customer.id")


@feature("reflected tables can be created again")
def recreate():
    reflected = sa.MetaData()
    reflected.reflect(ENGINE, only=["customer", "order"])
    copy = sa.MetaData(schema="copied")
    for table in reflected.sorted_tables:
        table.to_metadata(copy, schema="copied")
    with ENGINE.begin() as connection:
        connection.execute(sa.schema.CreateSchema("copied"))
    for table in copy.tables.values():
        for constraint in list(table.constraints):
            constraint.name = None
    copy.create_all(ENGINE)
    same(sorted(inspector().get_table_names(schema="copied")), ["customer", "order"])
    copy.drop_all(ENGINE)
    with ENGINE.begin() as connection:
        connection.execute(sa.schema.DropSchema("copied"))


@feature("every type through the ORM and back")
def types():
    nothing = dict.fromkeys(VALUES)
    with orm.Session(ENGINE) as session:
        session.execute(sa.delete(Everything))
        session.add_all([Everything(id=1, **VALUES), Everything(id=2, **nothing)])
        session.commit()
    with orm.Session(ENGINE) as session:
        full, empty = session.scalars(sa.select(Everything).order_by(Everything.id)).all()
        faults = []
        for name, want in VALUES.items():
            try:
                same(getattr(full, name), want)
                same(getattr(empty, name), None)
                # A value finds itself, but for those that SQL Server cannot compare.
                found = session.scalar(sa.select(Everything.id).where(getattr(Everything, name) == want))
                same(found, 1)
            except Exception as error:  # noqa: BLE001 - told below, with the others
                faults.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
                session.rollback()
        if faults:
            raise AssertionError("\n".join(faults))


BORN = dt.date(1990, 2, 28)


def fill(session):
    session.execute(sa.delete(Order))
    session.execute(sa.delete(Customer))
    people = [Customer(name=f"näme {n:02}", email=f"{n}@example.org", born=BORN, credit=Decimal(n)) for n in range(25)]
    session.add_all(people)
    session.flush()
    for person in people[:5]:
        person.orders = [Order(number=n, note=f"note {n}") for n in range(1, 4)]
    session.commit()


@feature("objects and relations: insert with server defaults, load, change, delete")
def objects():
    with orm.Session(ENGINE) as session:
        fill(session)
        first = session.scalars(sa.select(Customer).order_by(Customer.id)).first()
        same([first.id % 10, first.name, len(first.orders), first.orders[0].at.year >= 2020], [0, "näme 00", 3, True])
        joined = sa.select(Customer.name, sa.func.count(Order.number)).join(Customer.orders).group_by(Customer.name)
        same(len(session.execute(joined.order_by(Customer.name)).all()), 5)
        eager = sa.select(Customer).options(orm.selectinload(Customer.orders)).where(Customer.orders.any())
        same(sum(len(person.orders) for person in session.scalars(eager)), 15)
        first.name = "geändert"
        session.delete(first.orders[0])
        session.commit()
        same(session.scalar(sa.select(sa.func.count()).select_from(Order)), 14)
        session.delete(session.get(Customer, first.id))
        session.rollback()
        same(session.get(Customer, first.id).name, "geändert")


@feature("INSERT … OUTPUT and returning()")
def returning():
    with ENGINE.begin() as connection:
        insert = sa.insert(Customer).returning(Customer.id, Customer.credit)
        new = connection.execute(insert, {"name": "neu", "email": "neu@example.org"}).one()
        same([new.id % 10, new.credit], [0, Decimal("0.00")])
        many = sa.insert(Customer).returning(Customer.id, Customer.name, sort_by_parameter_order=True)
        found = connection.execute(many, [{"name": f"m{n}", "email": f"m{n}@x"} for n in range(5)]).all()
        same([row.name for row in found], [f"m{n}" for n in range(5)])
        changed = sa.update(Customer).where(Customer.id == new.id).values(credit=5).returning(Customer.credit)
        same(connection.scalar(changed), Decimal("5.00"))
        gone = sa.delete(Customer).where(Customer.name.like("m%")).returning(Customer.name)
        same(len(connection.execute(gone).all()), 5)


@feature("limit and offset")
def pages():
    with orm.Session(ENGINE) as session:
        fill(session)
        query = sa.select(Customer.name).order_by(Customer.name)
        same(session.scalars(query.limit(2)).all(), ["näme 00", "näme 01"])
        same(session.scalars(query.limit(3).offset(10)).all(), ["näme 10", "näme 11", "näme 12"])
        same(session.scalars(query.offset(23)).all(), ["näme 23", "näme 24"])


@feature("common table expressions, recursive ones too")
def ctes():
    with orm.Session(ENGINE) as session:
        fill(session)
        rich = sa.select(Customer.id, Customer.credit).where(Customer.credit > 20).cte("rich")
        same(session.scalar(sa.select(sa.func.count()).select_from(rich)), 4)
        numbers = sa.select(sa.literal(1).label("n")).cte("numbers", recursive=True)
        numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < 10))
        same(session.scalar(sa.select(sa.func.sum(numbers.c.n))), 55)


@feature("window functions, CASE, subqueries, EXISTS, UNION")
def queries():
    with orm.Session(ENGINE) as session:
        fill(session)
        rank = sa.func.row_number().over(order_by=Customer.credit.desc())
        ranked = sa.select(Customer.name, rank.label("rank")).subquery()
        same(session.scalar(sa.select(ranked.c.name).where(ranked.c.rank == 2)), "näme 23")
        kind = sa.case((Customer.credit > 20, "rich"), else_="poor")
        kinds = sa.select(kind.label("kind")).subquery()
        counted = sa.select(kinds.c.kind, sa.func.count()).group_by(kinds.c.kind)
        same(sorted(map(tuple, session.execute(counted))), [("poor", 21), ("rich", 4)])
        ordered = sa.select(Order).where(Order.customer_id == Customer.id).exists()
        same(session.scalar(sa.select(sa.func.count()).select_from(Customer).where(~ordered)), 20)
        both = sa.union(sa.select(Customer.name).where(Customer.credit < 2), sa.select(sa.literal("andere")))
        same(sorted(session.scalars(both)), ["andere", "näme 00", "näme 01"])


@feature("string, date and aggregate functions")
def functions():
    with ENGINE.connect() as connection:
        text = sa.literal("Größe")
        same(
            list(connection.execute(sa.select(sa.func.len(text), sa.func.upper(text), sa.func.substring(text, 1, 2), text + "!")).one()),
            [5, "GRÖßE", "Gr", "Größe!"],
        )
        same(connection.scalar(sa.select(sa.extract("month", sa.literal(dt.date(2026, 11, 22))))), 11)
        same(connection.scalar(sa.select(sa.cast(sa.literal("12.5"), sa.Numeric(9, 2)))), Decimal("12.50"))
        now = connection.scalar(sa.select(sa.func.current_timestamp()))
        same(isinstance(now, dt.datetime), True)


@feature("isolation levels")
def isolation():
    for level in ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"]:
        with ENGINE.connect().execution_options(isolation_level=level) as connection:
            same(connection.get_isolation_level(), level)
            same(connection.scalar(sa.text("select 1")), 1)
    with ENGINE.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        same(connection.scalar(sa.text("select @@trancount")), 0)


@feature("transactions and savepoints")
def savepoints():
    with orm.Session(ENGINE) as session:
        fill(session)
        session.add(Customer(name="außen", email="außen"))
        session.flush()
        nested = session.begin_nested()
        session.add(Customer(name="innen"))
        session.flush()
        nested.rollback()
        session.commit()
        names = session.scalars(sa.select(Customer.name).where(Customer.name.in_(["außen", "innen"]))).all()
        same(names, ["außen"])


@feature("constraint errors as IntegrityError")
def integrity():
    def add(**values):
        with ENGINE.begin() as connection:
            connection.execute(sa.insert(Customer), values)

    with orm.Session(ENGINE) as session:
        fill(session)
    raises(sa.exc.IntegrityError, lambda: add(name="x", email="1@example.org"), "uq_customer_email")
    raises(sa.exc.IntegrityError, lambda: add(name="x", credit=-1), "ck_customer_credit")
    raises(sa.exc.DBAPIError, lambda: add(email="x"), "name")


@feature("streaming and fetching in parts")
def streaming():
    with ENGINE.connect() as connection:
        query = sa.select(Customer.id).order_by(Customer.id)
        parts = connection.execution_options(yield_per=10).execute(query).partitions()
        same([len(part) for part in parts][:2], [10, 10])


@feature("ALTER TABLE as migrations write it")
def alter():
    with ENGINE.begin() as connection:
        for statement in [
            "alter table customer add nick nvarchar(20) null",
            "alter table customer add rank int not null constraint df_rank default 3",
            "alter table customer drop constraint df_rank",
            "alter table customer drop column rank",
            "alter table customer drop column nick",
        ]:
            connection.execute(sa.text(statement))
    same(len(inspector().get_columns("customer")), 5)


@feature("a pooled engine: rollback on return, pre-ping")
def pooled():
    engine = sa.create_engine(url(), pool_size=1, max_overflow=0, pool_pre_ping=True)
    try:
        with engine.connect() as connection:
            connection.execute(sa.insert(Customer), {"name": "verloren"})
        with engine.connect() as connection:
            lost = sa.select(sa.func.count()).select_from(Customer).where(Customer.name == "verloren")
            same(connection.scalar(lost), 0)
    finally:
        engine.dispose()


@feature("drop_all")
def drop_all():
    with ENGINE.begin() as connection:
        connection.execute(sa.text("drop view grown"))
    Base.metadata.drop_all(ENGINE)
    same(inspector().get_table_names(), [])


run(sa.__version__)
