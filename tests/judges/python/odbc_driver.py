"""What drivers below pyodbc share."""

import datetime as dt
import importlib.util
import os
import platform
import struct
from pathlib import Path

NAME = "ODBC Driver 18 for SQL Server"
DATETIMEOFFSET = -155


def offset(data):
    """pyodbc leaves SQL Server's own type to the application."""
    year, month, day, hour, minute, second, nanos, hours, minutes = struct.unpack("<6hI2h", data)
    zone = dt.timezone(dt.timedelta(hours=hours, minutes=minutes))
    return dt.datetime(year, month, day, hour, minute, second, nanos // 1000, zone)


def register():
    """Registers Microsoft's ODBC driver, as PyPI ships it, with the driver manager of this process."""
    package = Path(importlib.util.find_spec("mssql_python_odbc").origin).parent
    system = next(
        (name for name, mark in [("debian_ubuntu", "debian_version"), ("suse", "SUSE-brand")] if Path("/etc", mark).exists()),
        "rhel",
    )
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    [driver] = (package / "libs" / "linux" / system / machine / "lib").glob("libmsodbcsql-18*")
    folder = Path(os.environ["HOME"])
    (folder / "odbcinst.ini").write_text(f"[{NAME}]\nDriver={driver}\n")
    # Read by the driver manager when the first connection is made.
    os.environ["ODBCSYSINI"] = str(folder)
