"""What an operator finds in an SQLite store's journal: every entry that was asked for, while nobody waits for the look."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterfoil.model.journal import Entry, Event, Record
from counterfoil.model.limits import MICROSECONDS_PER_S
from counterfoil.model.verdict import Reason
from counterfoil.ports.journal_reader import BINS_MAX, CLOCK_STEP_US_MAX, JournalQuery, RefusalCounts
from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores import sqlite_journal_reader, sqlite_journal_walk
from counterfoil.stores.sqlite import SqliteStore
from counterfoil.stores.sqlite_file import open_reader
from counterfoil.stores.sqlite_journal_reader import SqliteJournalReader
from counterfoil.stores.sqlite_journal_walk import LOOKED_AT_MAX, Stretch, journal_walk
from tests.contract.claims import MINE, kept, made
from tests.support.clock import START_US, Clock
from tests.support.journal import JOURNAL_KEY, wrote_journal

STEP_US = 2_000
MANY = 300_000
EVERYTHING = JournalQuery()
FOREVER = 10_000


def _entry(number: int) -> tuple[int, Entry]:
    """Entry `number` of a journal in which every tenth is a refusal, and client 7 has every hundredth."""
    at_us = START_US + number * STEP_US
    client_id = "7" if number % 100 == 7 else "1234"
    if number % 10 == 7:
        return at_us, Entry(Event.REFUSED, client_id, at_us, "backend", Reason.EXPIRED, "id")
    return at_us, Entry(Event.ISSUED, client_id, at_us, "0011223344556677")


@pytest.fixture(scope="module")
def long_journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with 300,000 entries, two milliseconds apart. It is only read."""
    path = tmp_path_factory.mktemp("long") / "counterfoil.db"
    assert wrote_journal(path, (_entry(number) for number in range(1, MANY + 1))) == MANY
    return path


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 3 entries and looks of 10, so that a few entries show what many would."""
    monkeypatch.setattr(sqlite_journal_walk, "STEP_ROWS", 3)
    monkeypatch.setattr(sqlite_journal_walk, "LOOKED_AT_MAX", 10)
    monkeypatch.setattr(sqlite_journal_reader, "LOOKED_AT_MAX", 10)


def _journal(folder: Path, entries: list[tuple[int, Entry]]) -> SqliteJournalReader:
    path = folder / "counterfoil.db"
    wrote_journal(path, entries)
    return SqliteJournalReader(path)


def _at(*times_us: int) -> list[tuple[int, Entry]]:
    """Refusals at these times."""
    return [
        (time_us, Entry(Event.REFUSED, "1234", START_US, "backend", Reason.EXPIRED, f"id-{number}"))
        for number, time_us in enumerate(times_us)
    ]


def _all(reader: SqliteJournalReader, query: JournalQuery, limit: int = 500) -> list[Record]:
    """Everything that the query finds, look by look."""
    found: list[Record] = []
    from_seq: int | None = None
    for _ in range(FOREVER):
        page = reader.page(query, limit, from_seq)
        assert len(page.records) <= limit
        found += page.records
        if page.next_seq is None:
            return found
        from_seq = page.next_seq
    raise AssertionError("there is always more to look at")


# -- what is found --


@pytest.mark.parametrize("is_newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 500])
def test_look_by_look_every_entry_is_found_once_and_in_order(
    tmp_path: Path, short_steps: None, is_newest_first: bool, limit: int
) -> None:
    reader = _journal(tmp_path, [_entry(number) for number in range(1, 26)])
    seqs = [record.seq for record in _all(reader, JournalQuery(is_newest_first=is_newest_first), limit)]
    assert seqs == sorted(range(1, 26), reverse=is_newest_first)


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        (JournalQuery(client_id="7"), lambda at_us, entry: entry.client_id == "7"),
        (JournalQuery(client_id="77"), lambda at_us, entry: False),
        (JournalQuery(event=Event.REFUSED), lambda at_us, entry: entry.event is Event.REFUSED),
        (JournalQuery(reason=Reason.EXPIRED), lambda at_us, entry: entry.reason is Reason.EXPIRED),
        (JournalQuery(reason=Reason.LOCKED), lambda at_us, entry: False),
        (JournalQuery(event=Event.ISSUED, reason=Reason.EXPIRED), lambda at_us, entry: False),
        (JournalQuery(client_id="7", event=Event.REFUSED), lambda at_us, entry: entry.client_id == "7"),
        (JournalQuery(timestamp_us=START_US + 7 * STEP_US), lambda at_us, entry: at_us == START_US + 7 * STEP_US),
        (JournalQuery(client_id="1234", timestamp_us=START_US + 7 * STEP_US), lambda at_us, entry: False),
        (JournalQuery(since_us=START_US + 9 * STEP_US), lambda at_us, entry: at_us >= START_US + 9 * STEP_US),
        (JournalQuery(since_us=START_US + 9 * STEP_US + 1), lambda at_us, entry: at_us > START_US + 9 * STEP_US),
        (JournalQuery(until_us=START_US + 9 * STEP_US), lambda at_us, entry: at_us < START_US + 9 * STEP_US),
        (JournalQuery(until_us=START_US + 9 * STEP_US + 1), lambda at_us, entry: at_us <= START_US + 9 * STEP_US),
        (JournalQuery(since_us=0, until_us=2**63 - 1), lambda at_us, entry: True),
        (JournalQuery(since_us=2**63 - 1), lambda at_us, entry: False),
        (JournalQuery(until_us=0), lambda at_us, entry: False),
    ],
)
def test_what_is_found_is_all_that_was_asked_for_and_nothing_else(
    tmp_path: Path, short_steps: None, query: JournalQuery, holds: Callable[[int, Entry], bool]
) -> None:
    entries = [_entry(number) for number in range(1, 41)]
    reader = _journal(tmp_path, entries)
    expected = [entry for at_us, entry in entries if holds(at_us, entry)]
    for is_newest_first in (True, False):
        found = [record.entry for record in _all(reader, query._replace(is_newest_first=is_newest_first), 2)]
        assert found == (expected[::-1] if is_newest_first else expected)


def test_an_empty_journal_has_nothing_to_look_at(tmp_path: Path) -> None:
    reader = _journal(tmp_path, [])
    for query in (EVERYTHING, JournalQuery(timestamp_us=1), JournalQuery(since_us=1, until_us=2)):
        assert reader.page(query, 1, None) == ((), None, None)
    assert reader.refusals(JournalQuery(since_us=START_US), START_US + 5, None).groups == ()
    assert reader.last_uses() == ({}, {}, None)


# -- how much one look passes --


def test_one_look_passes_a_bounded_number_of_entries_and_says_where_it_ended(long_journal: Path) -> None:
    reader = SqliteJournalReader(long_journal)
    page = reader.page(JournalQuery(client_id="nobody"), 100, None)
    assert (page.records, page.next_seq) == ((), MANY - LOOKED_AT_MAX)
    assert page.seen == (START_US + (MANY - LOOKED_AT_MAX + 1) * STEP_US, START_US + MANY * STEP_US)
    page = reader.page(JournalQuery(client_id="nobody"), 100, page.next_seq)
    assert (page.records, page.next_seq) == ((), None)
    assert page.seen == (START_US + STEP_US, START_US + (MANY - LOOKED_AT_MAX) * STEP_US)


def test_the_last_step_of_a_look_takes_no_more_than_is_left_of_it(tmp_path: Path, short_steps: None) -> None:
    reader = _journal(tmp_path, [_entry(number) for number in range(1, 26)])
    assert reader.page(JournalQuery(client_id="nobody"), 5, None).next_seq == 25 - 10


def test_what_lies_behind_the_last_entry_of_a_page_was_not_passed(long_journal: Path) -> None:
    page = SqliteJournalReader(long_journal).page(JournalQuery(client_id="7", is_newest_first=False), 2, None)
    assert [record.seq for record in page.records] == [7, 107]
    assert (page.next_seq, page.seen) == (108, (START_US + STEP_US, START_US + 107 * STEP_US))


def test_a_page_that_ends_with_the_last_entry_has_no_next(long_journal: Path) -> None:
    page = SqliteJournalReader(long_journal).page(JournalQuery(since_us=START_US + MANY * STEP_US), 1, None)
    assert [record.seq for record in page.records] == [MANY]
    newest = SqliteJournalReader(long_journal).page(JournalQuery(is_newest_first=False), 1, MANY)
    assert ([record.seq for record in newest.records], newest.next_seq) == ([MANY], None)


def test_a_time_in_a_long_journal_is_found_without_going_through_it(long_journal: Path) -> None:
    middle_us = START_US + MANY // 2 * STEP_US
    query = JournalQuery(timestamp_us=middle_us, until_us=middle_us + 1, is_newest_first=False)
    page = SqliteJournalReader(long_journal).page(query, 100, None)
    assert [record.at_us for record in page.records] == [middle_us]
    assert page.seen is not None
    assert page.next_seq is None or page.next_seq > MANY // 2
    assert page.seen.from_us == max(START_US + STEP_US, middle_us - CLOCK_STEP_US_MAX)


class _Stopping:
    """A clock by which the time of a look is over after so many questions; `meanwhile` happens at each."""

    def __init__(self, questions: int, meanwhile: Callable[[], object] = lambda: None) -> None:
        self._left = questions
        self._meanwhile = meanwhile

    def __call__(self) -> float:
        self._left -= 1
        self._meanwhile()
        return 0.0 if self._left >= 0 else sqlite_journal_walk.LOOK_S


def test_a_look_ends_in_time_after_one_step_at_least(tmp_path: Path, short_steps: None) -> None:
    path = tmp_path / "counterfoil.db"
    wrote_journal(path, [_entry(number) for number in range(1, 26)])
    late = SqliteJournalReader(path, clock_s=_Stopping(1))
    assert late.page(JournalQuery(client_id="nobody"), 5, None).next_seq == 22
    assert SqliteJournalReader(path, clock_s=_Stopping(2)).page(JournalQuery(client_id="nobody"), 5, None).next_seq == 19
    counts = SqliteJournalReader(path, clock_s=_Stopping(1)).refusals(
        JournalQuery(since_us=START_US), START_US + MICROSECONDS_PER_S, None
    )
    assert counts.since_us == START_US + 23 * STEP_US
    assert SqliteJournalReader(path, clock_s=_Stopping(1)).last_uses().since_us == START_US + 23 * STEP_US


def test_the_newest_of_a_stretch_are_its_last_entries_and_no_more_than_it_has() -> None:
    assert Stretch(1, 10).newest(3) == Stretch(8, 10)
    assert Stretch(9, 10).newest(3) == Stretch(9, 10)


def test_a_stretch_that_was_removed_meanwhile_has_no_time(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    wrote_journal(path, [_entry(1)])
    with journal_walk(path) as walk:
        assert walk.span(Stretch(1, 1)) is not None
        assert walk.span(Stretch(7, 9)) is None


def test_a_stretch_is_found_by_its_times_give_or_take_a_step_of_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    hours_us = [START_US + 2 * hour * CLOCK_STEP_US_MAX for hour in range(10)]
    wrote_journal(path, [])
    with journal_walk(path) as walk:
        assert walk.between(None, None) == walk.between(START_US, START_US) == Stretch(1, 0)
    path.unlink()
    wrote_journal(path, _at(*hours_us))
    with journal_walk(path) as walk:
        assert walk.between(None, None) == Stretch(1, 10)
        assert walk.between(hours_us[4], None) == Stretch(5, 10)
        assert walk.between(None, hours_us[4]) == Stretch(1, 5)
        assert walk.between(hours_us[-1] + 2 * CLOCK_STEP_US_MAX, None) == Stretch(11, 10)
        assert walk.between(None, START_US - 2 * CLOCK_STEP_US_MAX) == Stretch(1, 0)
        assert list(walk.steps(Stretch(2, 4), backwards=False)) == [Stretch(2, 4)]


def test_entries_of_another_time_are_not_gone_through(tmp_path: Path, short_steps: None) -> None:
    day_us = 24 * 3600 * MICROSECONDS_PER_S
    yesterday, today = ([START_US + day * day_us + number for number in range(3)] for day in range(2))
    reader = _journal(tmp_path, _at(*(START_US - day_us + number for number in range(20)), *yesterday, *today))
    of_yesterday = JournalQuery(since_us=START_US, until_us=START_US + 10)
    page = reader.page(of_yesterday, 100, None)
    assert (len(page.records), page.next_seq, page.seen) == (3, None, (yesterday[0], yesterday[-1]))
    counts = SqliteJournalReader(tmp_path / "counterfoil.db", clock_s=_Stopping(1)).refusals(
        of_yesterday, START_US + 2 * day_us, None
    )
    assert (_counted(counts), counts.next_seq) == (3, None)


# -- clocks that were set back --


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.integers(0, 300), st.integers(0, 300), st.integers(0, 60))
def test_an_entry_is_found_by_its_time_although_the_clock_was_set_back(
    tmp_path_factory: pytest.TempPathFactory, short_steps: None, steps: list[int], since: int, length: int, back: int
) -> None:
    second_us = MICROSECONDS_PER_S
    # Forward by the steps; and each entry up to a minute, the most there may be, behind that.
    times = [
        START_US + (total - (number * 7 + back) % 5 * 15) * second_us
        for number, total in enumerate(itertools.accumulate(steps))
    ]
    reader = _journal(tmp_path_factory.mktemp("clock"), _at(*times))
    since_us, until_us = START_US + since * second_us, START_US + (since + length) * second_us
    found = [record.seq for record in _all(reader, JournalQuery(since_us=since_us, until_us=until_us), 5)]
    assert found == [number for number in range(len(times), 0, -1) if since_us <= times[number - 1] < until_us]


def _set_back(by_us: int) -> tuple[list[int], int]:
    """Times of a journal in which the clock went back after 20 entries, and one that lies there and in the past again."""
    before = [START_US + number * MICROSECONDS_PER_S for number in range(20)]
    after = [before[-1] - by_us + number * MICROSECONDS_PER_S for number in range(1, 200)]
    return [*before, *after], before[-1]


def test_a_clock_that_went_back_as_far_as_it_may_hides_nothing(tmp_path: Path) -> None:
    times, newest_us = _set_back(CLOCK_STEP_US_MAX)
    reader = _journal(tmp_path, _at(*times))
    found = [record.seq for record in _all(reader, JournalQuery(since_us=newest_us))]
    assert found == [number for number in range(len(times), 0, -1) if times[number - 1] >= newest_us]
    assert 20 in found


def test_control_without_slack_a_clock_that_went_back_hides_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times, newest_us = _set_back(CLOCK_STEP_US_MAX)
    reader = _journal(tmp_path, _at(*times))
    monkeypatch.setattr(sqlite_journal_walk, "CLOCK_STEP_US_MAX", 0)
    assert 20 not in [record.seq for record in _all(reader, JournalQuery(since_us=newest_us))]


# -- while the service writes --


@pytest.mark.parametrize("is_newest_first", [True, False])
def test_what_is_removed_meanwhile_is_missing_and_nothing_else(
    tmp_path: Path, short_steps: None, is_newest_first: bool
) -> None:
    path = tmp_path / "counterfoil.db"
    wrote_journal(path, [_entry(number) for number in range(1, 10)])
    writer = apsw.Connection(str(path))
    removed = iter(range(1, 100))

    def prune() -> None:
        writer.execute("DELETE FROM journal WHERE seq = ?", (next(removed),))

    page = SqliteJournalReader(path, clock_s=_Stopping(FOREVER, prune)).page(
        JournalQuery(is_newest_first=is_newest_first), 100, None
    )
    # One is gone before the first step, one more before each of the others.
    assert sorted(record.seq for record in page.records) == (
        [4, 5, 6, 7, 8, 9] if is_newest_first else [2, 3, 4, 5, 6, 7, 8, 9]
    )
    assert page.next_seq is None
    writer.execute("DELETE FROM journal")
    assert SqliteJournalReader(path).page(EVERYTHING, 100, 5) == ((), None, None)
    writer.close()


def test_a_checkpoint_is_never_held_up_by_a_look(tmp_path: Path, short_steps: None) -> None:
    """Between two steps of a look the whole WAL can be written back and cut."""
    path = tmp_path / "counterfoil.db"
    wrote_journal(path, [_entry(number) for number in range(1, 26)])
    writer = apsw.Connection(str(path))
    checkpoints = []

    def commit_and_checkpoint() -> None:
        writer.execute("INSERT OR REPLACE INTO deployment VALUES ('x', 1)")
        checkpoints.append(writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE))

    reader = SqliteJournalReader(path, clock_s=_Stopping(FOREVER, commit_and_checkpoint))
    reader.page(JournalQuery(client_id="nobody"), 5, None)
    reader.refusals(JournalQuery(since_us=START_US), START_US + MICROSECONDS_PER_S, None)
    reader.last_uses()
    assert len(checkpoints) == 3 * (1 + 4)
    assert set(checkpoints) == {(0, 0)}
    writer.close()


def test_control_a_look_that_held_its_snapshot_would_hold_up_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "counterfoil.db"
    wrote_journal(path, [_entry(number) for number in range(1, 26)])
    writer, reader = apsw.Connection(str(path)), open_reader(path)
    held = reader.execute("SELECT seq FROM journal")
    next(held)
    writer.execute("INSERT OR REPLACE INTO deployment VALUES ('x', 1)")
    with pytest.raises(apsw.BusyError):
        writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    writer.close()
    reader.close()


async def test_a_look_uses_none_of_the_connections_that_the_store_serves_with(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)
    ref = await kept(store)
    statements: list[str] = []

    def heard(event: dict[str, Any]) -> None:
        statements.append(event["sql"])

    for connection in (store._writer_connection, *store._all_readers):
        connection.trace_v2(apsw.SQLITE_TRACE_STMT, heard)
    await store.find(ref)
    assert len(statements) == 1
    reader = store.journal_reader()
    assert len(reader.page(EVERYTHING, 5, None).records) == 1
    reader.refusals(JournalQuery(since_us=0), START_US, None)
    reader.last_uses()
    assert len(statements) == 1
    await store.close()


async def test_looks_during_commits_find_what_was_there_and_let_every_commit_through(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "counterfoil.db"
    wrote_journal(path, [_entry(number) for number in range(1, 50_001)])
    store = SqliteStore(path, clock, journal_key=JOURNAL_KEY)
    reader = store.journal_reader()
    seen = []
    for number in range(20):
        counterfoil = made(timestamp_us=START_US + number)
        await kept(store, counterfoil)
        await store.redeem(counterfoil.ref, MINE, 5)
        seen.append(reader.page(JournalQuery(event=Event.ACCEPTED), 100, None).records)
    assert [len(records) for records in seen] == list(range(1, 21))
    await store.close()


# -- refusals --


def _counted(counts: RefusalCounts) -> int:
    return sum(group.number for group in counts.groups) + counts.left_off


def test_refusals_are_counted_by_client_caller_and_reason_the_largest_first(tmp_path: Path) -> None:
    refusals = [
        *[("a", "backend", Reason.EXPIRED)] * 2,
        *[("b", "backend", Reason.EXPIRED)] * 3,
        ("a", "other", Reason.EXPIRED),
        ("a", "backend", Reason.LOCKED),
    ]
    entries = [
        (START_US + number, Entry(Event.REFUSED, client_id, None, by, reason))
        for number, (client_id, by, reason) in enumerate(refusals)
    ]
    entries.insert(3, (START_US + 2, Entry(Event.ACCEPTED, "a", START_US, "backend", None, "id")))
    counts = _journal(tmp_path, entries).refusals(JournalQuery(since_us=START_US), START_US + 10, None)
    assert [tuple(group) for group in counts.groups] == [
        ("b", "backend", Reason.EXPIRED, 3, START_US + 2, START_US + 4),
        ("a", "backend", Reason.EXPIRED, 2, START_US, START_US + 1),
        ("a", "backend", Reason.LOCKED, 1, START_US + 6, START_US + 6),
        ("a", "other", Reason.EXPIRED, 1, START_US + 5, START_US + 5),
    ]
    one = SqliteJournalReader(tmp_path / "counterfoil.db").refusals(JournalQuery("b", since_us=START_US), START_US + 10, None)
    assert [group.client_id for group in one.groups] == ["b"]


@pytest.mark.parametrize(("since", "until", "found"), [(0, 3, 3), (1, 3, 2), (1, 2, 1), (0, None, 4), (3, None, 1), (4, 9, 0)])
def test_refusals_are_of_the_time_asked_for(tmp_path: Path, since: int, until: int | None, found: int) -> None:
    reader = _journal(tmp_path, _at(*(START_US + number for number in range(4))))
    until_us = None if until is None else START_US + until
    counts = reader.refusals(JournalQuery(since_us=START_US + since, until_us=until_us), START_US + 10, None)
    assert (_counted(counts), sum(counts.bins.values())) == (found, found)
    assert (counts.since_us, counts.until_us) == (START_US + since, until_us or START_US + 10)


def test_what_a_clock_stamped_later_than_now_is_counted_with_the_latest(tmp_path: Path) -> None:
    counts = _journal(tmp_path, _at(START_US + 3600 * MICROSECONDS_PER_S)).refusals(
        JournalQuery(since_us=START_US), START_US + 5 * MICROSECONDS_PER_S, None
    )
    assert _counted(counts) == 1
    assert [start_us // counts.width_us for _, start_us in counts.bins] == [(counts.until_us - 1) // counts.width_us]


def test_of_too_many_entries_the_last_are_counted_and_the_answer_says_since_when(long_journal: Path) -> None:
    counts = SqliteJournalReader(long_journal).refusals(JournalQuery(since_us=START_US), START_US + (MANY + 1) * STEP_US, None)
    assert counts.since_us == START_US + (MANY - LOOKED_AT_MAX + 1) * STEP_US
    assert _counted(counts) == LOOKED_AT_MAX // 10
    earlier = SqliteJournalReader(long_journal).refusals(JournalQuery(since_us=START_US), counts.until_us, counts.next_seq)
    assert (earlier.since_us, earlier.until_us, earlier.next_seq) == (START_US, counts.since_us - STEP_US + 1, None)
    assert _counted(counts) + _counted(earlier) == MANY // 10


def test_refusals_are_found_look_by_look_also_where_the_slack_is_longer_than_a_look(tmp_path: Path, short_steps: None) -> None:
    entries = _at(*(START_US + number for number in range(40)))
    reader = _journal(tmp_path, entries)
    query, found, from_seq = JournalQuery(since_us=START_US, until_us=START_US + 5), 0, None
    for _ in range(FOREVER):
        counts = reader.refusals(query, START_US + 50, from_seq)
        assert START_US <= counts.since_us <= counts.until_us <= START_US + 5
        found += _counted(counts)
        from_seq = counts.next_seq
        if from_seq is None:
            break
    assert found == 5


def test_groups_beyond_the_largest_are_counted_and_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_journal_reader, "GROUPS_MAX", 2)
    monkeypatch.setattr(sqlite_journal_reader, "_GROUPS_COUNTED_MAX", 3)
    clients = Counter({"a": 5, "b": 4, "c": 3, "d": 2})
    entries = [
        (START_US + number, Entry(Event.REFUSED, client_id, None, "backend", Reason.EXPIRED))
        for number, client_id in enumerate(clients.elements())
    ]
    counts = _journal(tmp_path, entries).refusals(JournalQuery(since_us=START_US), START_US + 100, None)
    assert [(group.client_id, group.number) for group in counts.groups] == [("a", 5), ("b", 4)]
    assert counts.left_off == 5
    assert sum(counts.bins.values()) == 14


def test_of_groups_that_are_not_remembered_each_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_journal_reader, "_GROUPS_COUNTED_MAX", 2)
    clients = Counter({"a": 1, "b": 1, "c": 4, "d": 3, "e": 2})
    entries = [
        (START_US + number, Entry(Event.REFUSED, client_id, None, "backend", Reason.EXPIRED))
        for number, client_id in enumerate(clients.elements())
    ]
    counts = _journal(tmp_path, entries).refusals(JournalQuery(since_us=START_US), START_US + 100, None)
    assert [group.client_id for group in counts.groups] == ["a", "b"]
    assert (counts.left_off, sum(counts.bins.values())) == (9, 11)


@pytest.mark.parametrize(
    ("span_us", "width_s"),
    [
        (99 * MICROSECONDS_PER_S, 1),
        (99 * MICROSECONDS_PER_S + 1, 5),
        (99 * 4 * 3600 * MICROSECONDS_PER_S, 4 * 3600),
        (99 * 4 * 3600 * MICROSECONDS_PER_S + 1, 24 * 3600),
        (99 * 48 * 3600 * MICROSECONDS_PER_S, 48 * 3600),
        (99 * 48 * 3600 * MICROSECONDS_PER_S + 1, 72 * 3600),
    ],
)
def test_a_bin_is_as_wide_as_the_time_that_was_asked_for_needs(tmp_path: Path, span_us: int, width_s: int) -> None:
    reader = _journal(tmp_path, _at(START_US))
    counts = reader.refusals(JournalQuery(since_us=START_US, until_us=START_US + span_us), START_US, None)
    assert counts.width_us == width_s * MICROSECONDS_PER_S


def test_a_time_that_has_not_come_yet_is_a_moment_long(tmp_path: Path) -> None:
    counts = _journal(tmp_path, _at(START_US)).refusals(JournalQuery(since_us=START_US + 9), START_US, None)
    assert (counts.since_us, counts.until_us, counts.groups) == (START_US + 9, START_US + 10, ())


@given(st.integers(1, 2**62))
def test_bins_are_as_narrow_as_may_be_and_never_too_many(span_us: int) -> None:
    width_us = sqlite_journal_reader._bin_width_us(span_us)
    for since_us in (START_US, START_US + width_us - 1):
        assert (since_us + span_us - 1) // width_us - since_us // width_us + 1 <= BINS_MAX
    assert width_us == MICROSECONDS_PER_S or width_us < span_us


# -- last uses --


def test_the_last_use_is_told_by_id_for_issues_and_by_name_for_all_else(tmp_path: Path) -> None:
    both = "0011223344556677"
    entries = [
        (START_US, Entry(Event.ISSUED, "a", START_US, both)),
        (START_US + 1, Entry(Event.ACCEPTED, "a", START_US, both, None, "id")),
        (START_US + 3, Entry(Event.ISSUED, "a", START_US, "other")),
        # A clock that went back: the last is the latest, not the last written.
        (START_US + 2, Entry(Event.ISSUED, "a", START_US, "other")),
        (START_US + 4, Entry(Event.REFUSED, "a", START_US, "backend", Reason.LOCKED)),
    ]
    uses = _journal(tmp_path, entries).last_uses()
    assert uses.by_id == {both: START_US, "other": START_US + 3}
    assert uses.by_name == {both: START_US + 1, "backend": START_US + 4}
    assert uses.since_us == START_US


def test_last_uses_are_looked_for_in_the_newest_entries(long_journal: Path) -> None:
    uses = SqliteJournalReader(long_journal).last_uses()
    assert uses.by_name == {"backend": START_US + (MANY - 3) * STEP_US}
    assert uses.since_us == START_US + (MANY - LOOKED_AT_MAX + 1) * STEP_US


# -- what cannot be read --


def _looks(reader: SqliteJournalReader) -> Iterator[Callable[[], object]]:
    yield lambda: reader.page(EVERYTHING, 5, None)
    yield lambda: reader.refusals(JournalQuery(since_us=0), START_US, None)
    yield reader.last_uses


def _without_its_table(path: Path) -> None:
    with apsw.Connection(str(path)) as connection:
        connection.execute("DROP TABLE journal")
    connection.close()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.unlink(), id="gone"),
        pytest.param(lambda path: path.write_bytes(b"no database" * 1000), id="no database"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="a folder"),
        pytest.param(_without_its_table, id="without its table"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault_and_says_no_more(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    path = tmp_path / "counterfoil.db"
    reader = _journal(tmp_path, [_entry(7)])
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    spoil(path)
    is_there = path.exists()
    for look in _looks(reader):
        with pytest.raises(StoreUnavailable, match=r"the journal cannot be read: \w*Error"):
            look()
    # Nobody finds an empty store where there was none.
    assert path.exists() is is_there


@pytest.mark.parametrize(
    ("change", "spoils"),
    [
        ("UPDATE journal SET event = 'canary'", {0}),
        ("UPDATE journal SET reason = 'canary'", {0, 1}),
        ("UPDATE journal SET reason = NULL", {1}),
        ("UPDATE journal SET \"by\" = CAST(x'ff' AS TEXT)", {0, 1, 2}),
        ("UPDATE journal SET mac = x''", {0}),
    ],
)
def test_an_entry_that_nobody_wrote_is_a_fault(tmp_path: Path, change: str, spoils: set[int]) -> None:
    reader = _journal(tmp_path, [_entry(7)])
    connection = apsw.Connection(str(tmp_path / "counterfoil.db"))
    connection.execute(change)
    connection.close()
    for number, look in enumerate(_looks(reader)):
        if number in spoils:
            with pytest.raises(StoreUnavailable, match="the journal is not what was written") as caught:
                look()
            assert "canary" not in str(caught.value)
