"""The broom of an SQLite store: removes counterfoils whose retention is over, the oldest first. Nothing is decided by it."""

from typing import Any

import apsw

from counterfoil.model.limits import LIFETIME_S_MAX, MICROSECONDS_PER_S

_BOUND = """
    SELECT max(timestamp_us), count(*) FROM
    (SELECT timestamp_us FROM counterfoils WHERE timestamp_us <= ? ORDER BY timestamp_us LIMIT ?)"""
_SWEEP = "DELETE FROM counterfoils WHERE timestamp_us <= ?"
_OLDEST = "SELECT min(timestamp_us) FROM counterfoils"
# Before every time there is, so that it is looked for.
_UNKNOWN = -1


def kept_us(retention_s: int) -> int:
    """How long after its timestamp a row is removed.

    Rows go by their timestamp alone; the longest lifetime is added so that none goes before its retention ends.
    """
    return (retention_s + LIFETIME_S_MAX) * MICROSECONDS_PER_S


class SqliteBroom:
    """Sweeps one file, within the transactions of the connection that writes it.

    It knows the oldest row, as long as nobody else writes, and does not look for what cannot be there.
    """

    def __init__(self, retention_s: int) -> None:
        self._kept_us = kept_us(retention_s)
        self._oldest_us = _UNKNOWN

    def look_again(self) -> None:
        """Somebody else may have written, so that nothing is known of what stands there."""
        self._oldest_us = _UNKNOWN

    def row_added(self, timestamp_us: int) -> None:
        """There is a row of that time now."""
        self._oldest_us = min(self._oldest_us, timestamp_us)

    def sweep(self, connection: apsw.Connection, now_us: int, most: int) -> bool:
        """Removes about as many rows as `most`, if their retention is over; says if more may be left."""
        past_us = now_us - self._kept_us
        if past_us < self._oldest_us:
            return False
        found: Any = connection.execute(_BOUND, (past_us, most)).get
        bound, count = found
        if count:
            connection.execute(_SWEEP, (bound,))
        oldest_us: Any = connection.execute(_OLDEST).get
        self._oldest_us = _UNKNOWN if oldest_us is None else oldest_us
        return bool(count == most)
