"""Ways through the journal of an SQLite file: a time is found by halving, and entries are gone through in short steps.

The journal has no index but its numbers, which have no gaps. Each step is one statement, read to its end: no snapshot is held
from one to the next, so a checkpoint never waits for a walk.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from counterfoil.model.journal import JournalBroken
from counterfoil.ports.journal_reader import CLOCK_STEP_US_MAX, Span
from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores.sqlite_file import open_reader

LOOKED_AT_MAX = 200_000
STEP_ROWS = 10_000
LOOK_S = 1.0

_ENDS = "SELECT (SELECT min(seq) FROM journal), (SELECT max(seq) FROM journal)"
_AT = "SELECT at_us FROM journal WHERE seq >= ? ORDER BY seq LIMIT 1"


class Stretch(NamedTuple):
    """Entries from one number to another, both among them; none when the first is the greater."""

    first: int
    last: int

    @property
    def is_empty(self) -> bool:
        """Whether there is no entry in it."""
        return self.first > self.last

    def newest(self, most: int) -> "Stretch":
        """Its last entries."""
        return Stretch(max(self.first, self.last - most + 1), self.last)


class JournalWalk:
    """One look at one file, which ends after so many entries or so much time, by `clock_s`."""

    def __init__(self, connection: apsw.Connection, clock_s: Callable[[], float]) -> None:
        self.connection = connection
        self._clock_s = clock_s
        self._ends_at_s = clock_s() + LOOK_S

    def between(self, since_us: int | None, until_us: int | None) -> Stretch:
        """Where entries of that time can be, if no clock went back by more than `CLOCK_STEP_US_MAX`.

        Whatever lies before the first and behind the last of these entries is of another time.
        """
        ends: Any = self.connection.execute(_ENDS).get
        first, last = ends
        if first is None:
            return Stretch(1, 0)
        if since_us is not None:
            # An entry of that time or later lets all behind it be this much earlier, and no more.
            first = self._halved(first, last + 1, since_us - CLOCK_STEP_US_MAX)
        if until_us is not None:
            last = self._halved(first, last + 1, until_us + CLOCK_STEP_US_MAX) - 1
        return Stretch(first, last)

    def steps(self, stretch: Stretch, *, backwards: bool) -> Iterator[Stretch]:
        """The stretch in pieces, from one of its ends on: one at least, and as many as one look may take."""
        first, last = stretch
        left = LOOKED_AT_MAX
        while first <= last and left > 0:
            rows = min(STEP_ROWS, left, last - first + 1)
            if backwards:
                yield Stretch(last - rows + 1, last)
                last -= rows
            else:
                yield Stretch(first, first + rows - 1)
                first += rows
            left -= rows
            if self._clock_s() >= self._ends_at_s:
                return

    def span(self, stretch: Stretch) -> Span | None:
        """The times at the ends of the stretch; None when it is empty, or was removed meanwhile."""
        if stretch.is_empty:
            return None
        times = [self.at_us(seq) for seq in stretch]
        found = [at_us for at_us in times if at_us is not None]
        return Span(min(found), max(found)) if found else None

    def at_us(self, seq: int) -> int | None:
        """The time of that entry, or of the next one when it was removed meanwhile; None when there is none either."""
        at_us: int | None = self.connection.execute(_AT, (seq,)).get
        return at_us

    def _halved(self, first: int, end: int, at_us: int) -> int:
        """A number before which the time is earlier than `at_us`, and at which it is not; `end` when it nowhere is."""
        while first < end:
            middle = (first + end) // 2
            found_us = self.at_us(middle)
            if found_us is not None and found_us < at_us:
                first = middle + 1
            else:
                end = middle
        return first


@contextmanager
def journal_walk(path: Path, clock_s: Callable[[], float] = time.monotonic) -> Iterator[JournalWalk]:
    """A walk on a connection of its own. Raises StoreUnavailable, which says nothing of the store's own connections."""
    try:
        with closing(open_reader(path)) as connection:
            yield JournalWalk(connection, clock_s)
    except (JournalBroken, UnicodeDecodeError) as cause:
        raise StoreUnavailable("the journal is not what was written; run `counterfoil journal verify`") from cause
    except apsw.Error as cause:
        raise StoreUnavailable(f"the journal cannot be read: {type(cause).__name__}") from cause
