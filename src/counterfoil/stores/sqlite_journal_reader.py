"""What an operator may ask of an SQLite store's journal. It writes nothing, and shares no connection with the store."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from counterfoil.model.journal import JournalBroken
from counterfoil.model.journal_check import checked_record
from counterfoil.model.limits import MICROSECONDS_PER_S
from counterfoil.model.verdict import Reason
from counterfoil.ports.journal_reader import BINS_MAX, JournalPage, JournalQuery, LastUses, RefusalCounts, RefusalGroup
from counterfoil.stores.sqlite_journal_walk import LOOKED_AT_MAX, JournalWalk, Stretch, journal_walk

GROUPS_MAX = 200
# Of groups that are not among the largest, so many are remembered: whoever makes up client ids does not fill the memory.
_GROUPS_COUNTED_MAX = 5_000
_WIDTHS_S = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600)
_DAY_US = 24 * 3600 * MICROSECONDS_PER_S

_COLUMNS = 'seq, at_us, event, client_id, timestamp_us, "by", reason, redemption_id, mac'
_IN_STEP = "FROM journal WHERE seq BETWEEN ?1 AND ?2"
_MATCHING = """
    AND (?3 IS NULL OR client_id = ?3) AND (?4 IS NULL OR at_us >= ?4) AND (?5 IS NULL OR at_us < ?5)
    AND (?6 IS NULL OR timestamp_us = ?6) AND (?7 IS NULL OR event = ?7) AND (?8 IS NULL OR reason = ?8)"""
_PAGE = f"SELECT {_COLUMNS} {_IN_STEP} {_MATCHING} ORDER BY seq"
_REFUSALS = f"""
    SELECT client_id, "by", reason, min(at_us, ?6 - 1) / ?7, count(*), min(at_us), max(at_us) {_IN_STEP}
    AND event = 'refused' AND (?3 IS NULL OR client_id = ?3) AND at_us >= ?4 AND (?5 IS NULL OR at_us < ?5)
    GROUP BY 1, 2, 3, 4"""
_LAST_USES = f"""SELECT event = 'issued', "by", max(at_us) {_IN_STEP} GROUP BY 1, 2"""


class SqliteJournalReader:
    """The reader of one file. `clock_s` is the clock by which a look ends in time."""

    def __init__(self, path: Path, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock_s = clock_s

    def page(self, query: JournalQuery, limit: int, from_seq: int | None) -> JournalPage:
        with journal_walk(self._path, self._clock_s) as walk:
            since_us = query.timestamp_us if query.since_us is None else query.since_us
            first, last = walk.between(since_us, query.until_us)
            if from_seq is not None:
                first, last = (first, min(last, from_seq)) if query.is_newest_first else (max(first, from_seq), last)
            return _page(walk, query, limit, Stretch(first, last))

    def refusals(self, query: JournalQuery, now_us: int, from_seq: int | None) -> RefusalCounts:
        with journal_walk(self._path, self._clock_s) as walk:
            since_us, end_us = query.since_us or 0, now_us if query.until_us is None else query.until_us
            asked = walk.between(since_us, query.until_us)
            if from_seq is not None:
                asked = Stretch(asked.first, min(asked.last, from_seq))
                end_us = min(end_us, (walk.at_us(asked.last) or 0) + 1)
            end_us = max(end_us, since_us + 1)
            likely_us = _begin_us(walk, asked, asked.newest(LOOKED_AT_MAX).first, since_us)
            counts = _Counts(_bin_width_us(end_us - min(likely_us, end_us - 1)))
            left = asked
            for step in walk.steps(asked, backwards=True):
                values = (*step, query.client_id, since_us, query.until_us, end_us, counts.width_us)
                counts.add(walk.connection.execute(_REFUSALS, values).fetchall())
                left = Stretch(asked.first, step.first - 1)
            begin_us = min(_begin_us(walk, asked, left.last + 1, since_us), end_us)
            return counts.result(begin_us, end_us, None if left.is_empty else left.last)

    def last_uses(self) -> LastUses:
        with journal_walk(self._path, self._clock_s) as walk:
            uses: tuple[dict[str, int], dict[str, int]] = ({}, {})
            since_us = None
            for step in walk.steps(walk.between(None, None), backwards=True):
                rows: list[Any] = walk.connection.execute(_LAST_USES, step).fetchall()
                for is_issue, by, at_us in rows:
                    used = uses[not is_issue]
                    used[by] = max(at_us, used.get(by, at_us))
                since_us = walk.at_us(step.first)
            by_id, by_name = uses
            return LastUses(by_id, by_name, since_us)


def _page(walk: JournalWalk, query: JournalQuery, limit: int, asked: Stretch) -> JournalPage:
    backwards = query.is_newest_first
    statement = f"{_PAGE} {'DESC' if backwards else 'ASC'} LIMIT ?9"
    values = (query.client_id, query.since_us, query.until_us, query.timestamp_us, query.event, query.reason)
    found: list[Any] = []
    first, last = asked
    for step in walk.steps(asked, backwards=backwards):
        found += walk.connection.execute(statement, (*step, *values, limit - len(found))).fetchall()
        # Where the limit is reached, what lies behind the last entry found has not been looked at.
        end = found[-1][0] if len(found) == limit else step.first if backwards else step.last
        first, last = (first, end - 1) if backwards else (end + 1, last)
        if len(found) == limit:
            break
    left = Stretch(first, last)
    seen = Stretch(left.last + 1, asked.last) if backwards else Stretch(asked.first, left.first - 1)
    next_seq = None if left.is_empty else left.last if backwards else left.first
    return JournalPage(tuple(map(checked_record, found)), next_seq, walk.span(seen))


def _begin_us(walk: JournalWalk, asked: Stretch, first: int, since_us: int) -> int:
    """How far back a look comes that ends with that entry, and was to come back to `since_us`."""
    return since_us if first <= asked.first else max(since_us, walk.at_us(first) or since_us)


def _bin_width_us(span_us: int) -> int:
    """The shortest width of which no more than `BINS_MAX` make up the span, wherever in a bin it begins."""
    for width_s in _WIDTHS_S:
        if span_us <= (BINS_MAX - 1) * width_s * MICROSECONDS_PER_S:
            return width_s * MICROSECONDS_PER_S
    return -(-span_us // ((BINS_MAX - 1) * _DAY_US)) * _DAY_US


class _Counts:
    """Refusals, counted by group and by time."""

    def __init__(self, width_us: int) -> None:
        self.width_us = width_us
        self._groups: dict[tuple[str, str, Reason], RefusalGroup] = {}
        self._bins: Counter[tuple[Reason, int]] = Counter()
        self._left_off = 0

    def add(self, rows: list[Any]) -> None:
        """Raises JournalBroken for a reason that there is not."""
        for client_id, by, name, bin_number, count, first_at_us, last_at_us in rows:
            try:
                reason = Reason(name)
            except ValueError:
                raise JournalBroken("a refusal has no reason") from None
            self._bins[reason, bin_number * self.width_us] += count
            key = (client_id, by, reason)
            known = self._groups.get(key)
            if known is not None:
                count += known.number
                first_at_us, last_at_us = min(first_at_us, known.first_at_us), max(last_at_us, known.last_at_us)
            elif len(self._groups) >= _GROUPS_COUNTED_MAX:
                self._left_off += count
                continue
            self._groups[key] = RefusalGroup(*key, count, first_at_us, last_at_us)

    def result(self, since_us: int, end_us: int, next_seq: int | None) -> RefusalCounts:
        """What was counted, the largest groups first."""
        groups = sorted(self._groups.values(), key=lambda group: (-group.number, group))
        left_off = self._left_off + sum(group.number for group in groups[GROUPS_MAX:])
        return RefusalCounts(since_us, end_us, next_seq, tuple(groups[:GROUPS_MAX]), left_off, self.width_us, self._bins)
