"""Looks at an SQLite store without changing it: what `doctor` wants to know. It neither creates nor migrates."""

import os
import stat
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from counterfoil.stores.sqlite_file import APPLICATION_ID, MIGRATIONS, open_reader

_OTHERS_FILE = "name the right file in the setting `store`"
_DAMAGED = "stop the service and run `counterfoil restore COPY`"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found. `schema_version` is None where there is no store yet; `fault` is a sentence when it is unfit."""

    path: Path
    fault: str = ""
    mend: str = ""
    mode: int = 0
    schema_version: int | None = None
    journal_mode: str = ""
    epoch: int | None = None
    rows: int | None = None
    """How many counterfoils there are; None where they were not counted."""
    newest_us: int | None = None


def inspected(path: Path, *, is_thorough: bool = True) -> Inspection:
    """The store in that file. A thorough look reads all of it: it takes long, and holds up checkpoints as long."""
    if not path.exists():
        return Inspection(path)
    if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
        return Inspection(path, f"{path} cannot be read and written", f"chown it to the service's user, chmod 600 {path}")
    mode = stat.S_IMODE(path.stat().st_mode)
    if path.stat().st_size == 0:
        return Inspection(path, mode=mode)
    try:
        with closing(open_reader(path)) as connection:
            return _of(connection, path, mode, is_thorough)
    except apsw.NotADBError:
        return Inspection(path, f"{path} is not an SQLite file", _OTHERS_FILE)
    except apsw.Error as error:
        return Inspection(path, f"{path} cannot be read: {type(error).__name__}", _DAMAGED)


def _of(connection: apsw.Connection, path: Path, mode: int, is_thorough: bool) -> Inspection:
    if connection.pragma("application_id") != APPLICATION_ID:
        return Inspection(path, f"{path} is not a Counterfoil store", _OTHERS_FILE)
    version = int(connection.pragma("user_version"))
    if version > len(MIGRATIONS):
        return Inspection(path, f"{path} has schema {version}, newer than this version knows", "upgrade counterfoil")
    if is_thorough and _only(connection, "PRAGMA quick_check") != "ok":
        return Inspection(path, f"{path} is damaged", _DAMAGED)
    return Inspection(
        path,
        mode=mode,
        schema_version=version,
        journal_mode=connection.pragma("journal_mode"),
        epoch=_only(connection, "SELECT value FROM deployment WHERE name = 'epoch'"),
        rows=_only(connection, "SELECT count(*) FROM counterfoils") if is_thorough else None,
        newest_us=_only(connection, "SELECT max(timestamp_us) FROM counterfoils"),
    )


def _only(connection: apsw.Connection, statement: str) -> Any:
    return connection.execute(statement).get
