"""A store that already holds millions of rows, each with its journal entry, as it would after that much service."""

import asyncio
import secrets
import shutil
import time
from contextlib import closing
from pathlib import Path

import apsw

from bench.peers.counterfoil import Deployment, made_deployment, with_credentials
from counterfoil.keys.keyset_file import KeysetFile
from counterfoil.model.journal import MAC_BYTES, JournalKey, Link
from counterfoil.model.limits import LIFETIME_S_MAX, MICROSECONDS_PER_S
from counterfoil.stores.sqlite import SqliteStore
from counterfoil.wiring import system_now_us

SPAN_S = 500
"""All rows were issued within that time, evenly: so fast do they fall due, and the broom has that much to do."""
_AGE_S = 3600
_LIFETIME_US = 60 * MICROSECONDS_PER_S
_CHUNK = 200_000
_ROWS = """
    WITH RECURSIVE counted (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < :last)
    INSERT INTO counterfoils SELECT :begun_us + n * :step_us, printf('f%04d', n % 1000), :begun_us + n * :step_us + :lifetime_us,
    randomblob(4), randomblob(16), randomblob(16), randomblob(16), 'filler', NULL, NULL, 'issued', 0, NULL, NULL, NULL FROM counted"""
_ENTRIES = """
    WITH RECURSIVE counted (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < :last)
    INSERT INTO journal SELECT n + 1, :begun_us + n * :step_us, 'issued', printf('f%04d', n % 1000),
    :begun_us + n * :step_us, 'filler', NULL, NULL, randomblob(32) FROM counted"""
_HEAD = "UPDATE journal_ends SET seq = ?, mac = ?, seal = ? WHERE which = 'head'"


def opened_or_filled(folder: Path, rows: int) -> Deployment:
    """A deployment whose store holds that many expired rows in retention; the one that is there already, with new credentials."""
    ready = folder / "ready"
    if ready.exists():
        return with_credentials(folder)
    shutil.rmtree(folder, ignore_errors=True)
    deployment = made_deployment(folder)
    _fill(folder, rows)
    ready.touch()
    return deployment


def _fill(folder: Path, rows: int) -> None:
    """The journal's filler is no chain: nobody verifies it, and its head is what appending needs."""
    path = folder / "counterfoil.db"
    journal_key = KeysetFile(folder / "keyset.json").keyset().journal_key
    _made_empty(path, journal_key)
    step_us = max(1, SPAN_S * MICROSECONDS_PER_S // rows)
    values = {"begun_us": system_now_us() - _AGE_S * MICROSECONDS_PER_S, "step_us": step_us, "lifetime_us": _LIFETIME_US}
    with closing(apsw.Connection(str(path))) as connection:
        # A store that is being made need not survive a power loss.
        connection.execute("PRAGMA journal_mode = off; PRAGMA synchronous = off; PRAGMA cache_size = -200000")
        for first in range(0, rows, _CHUNK):
            bounds = {**values, "first": first, "last": min(rows, first + _CHUNK)}
            connection.execute(_ROWS, {name: bounds[name] for name in ("first", "last", "begun_us", "step_us", "lifetime_us")})
            connection.execute(_ENTRIES, {name: bounds[name] for name in ("first", "last", "begun_us", "step_us")})
        head = journal_key.head(Link(rows, secrets.token_bytes(MAC_BYTES)))
        connection.execute(_HEAD, (*head.link, head.seal))
        connection.execute("PRAGMA journal_mode = wal")


def oldest_us(folder: Path) -> int:
    """When the oldest row was issued."""
    return int(_asked(folder, "SELECT coalesce(min(timestamp_us), 0) FROM counterfoils"))


def retention_s(oldest: int) -> int:
    """The retention with which the oldest row is due now, and the others one after the other."""
    return max(0, int(time.time()) - oldest // MICROSECONDS_PER_S - LIFETIME_S_MAX)


def filler_rows_before(oldest: int, folder: Path) -> float:
    """How many rows of the filling were taken since `oldest` was the oldest: their spacing is even."""
    step_us = int(_asked(folder, "SELECT max(at_us) - min(at_us) FROM journal WHERE seq IN (1, 2)"))
    filler_left = "SELECT coalesce(min(timestamp_us), 0) FROM counterfoils WHERE issuer_id = 'filler'"
    return max(0.0, (int(_asked(folder, filler_left)) - oldest) / step_us)


def _asked(folder: Path, query: str) -> int:
    with closing(apsw.Connection(str(folder / "counterfoil.db"), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        found = connection.execute(query).get
        assert isinstance(found, int)
        return found


def _made_empty(path: Path, journal_key: JournalKey) -> None:
    asyncio.run(SqliteStore(path, system_now_us, journal_key=journal_key).close())
