"""A look into an SQLite store for whoever watches it: what is outstanding, and what the broom has left. It decides nothing.

It reads on a connection of its own, and only what is at an end of a table, so that it costs those who write nothing.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from counterfoil.model.limits import LIFETIME_S_MAX, MICROSECONDS_PER_S
from counterfoil.ports.measured import Contents
from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores.sqlite_file import open_reader

ROWS_MAX = 1_000_000
"""As many of the newest counterfoils are looked at for what is outstanding: half a second's work."""

# Whatever was issued earlier has expired. The newest come first: of too many, those that are left out are the likeliest gone.
_OUTSTANDING = f"""
    SELECT count(*) FROM (
        SELECT state, expires_at_us FROM counterfoils
        WHERE timestamp_us > ?1 - {LIFETIME_S_MAX * MICROSECONDS_PER_S} ORDER BY timestamp_us DESC LIMIT ?2)
    WHERE state = 'issued' AND expires_at_us > ?1"""
_OLDEST_COUNTERFOIL = "SELECT min(timestamp_us) FROM counterfoils"
_OLDEST_ENTRY = "SELECT at_us FROM journal ORDER BY seq LIMIT 1"


def looked_into(path: Path, now_us: int, *, counterfoils_kept_us: int, journal_kept_us: int) -> Contents:
    """What is there now. `…_kept_us` say how long after its time a row is to be gone. Raises StoreUnavailable."""
    try:
        with closing(open_reader(path)) as connection:
            outstanding: Any = connection.execute(_OUTSTANDING, (now_us, ROWS_MAX)).get
            return Contents(
                outstanding,
                _overdue_us(connection, _OLDEST_COUNTERFOIL, now_us - counterfoils_kept_us),
                _overdue_us(connection, _OLDEST_ENTRY, now_us - journal_kept_us),
            )
    except apsw.Error as cause:
        # Whether the file is sound is for those to say who need it.
        raise StoreUnavailable("the store cannot be looked into now") from cause


def _overdue_us(connection: apsw.Connection, oldest: str, past_us: int) -> int:
    oldest_us: Any = connection.execute(oldest).get
    return 0 if oldest_us is None else max(0, past_us - oldest_us)
