"""What an SQLite store tells of itself: commits that waited for the disk, writes that wait, and what a look into it finds."""

import asyncio
import time
from pathlib import Path
from queue import SimpleQueue

import pytest
from msgspec.structs import replace

from counterfoil.model.distribution import Distribution
from counterfoil.model.limits import ATTEMPTS_MAX, LIFETIME_S_MAX
from counterfoil.ports.measured import Commits, Contents
from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores import group_commit, sqlite_contents
from counterfoil.stores.sqlite import SqliteStore
from tests.contract.claims import LIFETIME_US, MINE, kept, made
from tests.support.clock import START_US, Clock
from tests.support.journal import JOURNAL_KEY, mismatch, revocation

RETENTION_S = 100
JOURNAL_RETENTION_S = 1000


def _opened(folder: Path, clock: Clock | None = None, *, broom: bool = False) -> SqliteStore:
    return SqliteStore(
        folder / "counterfoil.db",
        clock or Clock(),
        journal_key=JOURNAL_KEY,
        retention_s=RETENTION_S,
        journal_retention_s=JOURNAL_RETENTION_S,
        broom=broom,
    )


def _commits(store: SqliteStore) -> Commits:
    commits = store.measures().commits
    assert commits is not None
    return commits


def _look(store: SqliteStore) -> Contents:
    look = store.measures().look
    assert look is not None
    return look()


@pytest.mark.parametrize(
    ("value", "counts"), [(0.9, [1, 0, 0]), (1, [1, 0, 0]), (1.1, [0, 1, 0]), (2, [0, 1, 0]), (3, [0, 0, 1])]
)
def test_a_value_is_counted_below_the_bound_that_it_equals(value: float, counts: list[int]) -> None:
    distribution = Distribution((1, 2))
    distribution.add(value)
    assert (distribution.counts, distribution.total) == (counts, value)


# -- commits --


async def test_what_is_counted_falls_into_these_buckets(tmp_path: Path) -> None:
    # Dashboards and alert rules name them.
    store = _opened(tmp_path)
    sizes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    durations_s = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]
    commits = _commits(store)
    assert list(commits.writes.bounds) == sizes
    assert list(commits.duration_s.bounds) == list(commits.checkpoint_duration_s.bounds) == durations_s
    await store.close()


async def test_a_commit_is_counted_with_the_writes_that_share_it_and_with_its_time(tmp_path: Path) -> None:
    since_s = time.perf_counter()
    store = _opened(tmp_path)
    await asyncio.gather(*(kept(store, made(timestamp_us=START_US + number)) for number in range(1300)))
    commits = _commits(store)
    sizes = dict(zip(commits.writes.bounds, commits.writes.counts, strict=False))
    # 512, 512 and the other 276.
    assert {size: count for size, count in sizes.items() if count} == {512: 3}
    assert commits.writes.total == 1300
    assert sum(commits.duration_s.counts) == 3
    # The time that passed, and no other: they are one after the other, each between the test's own two looks at the clock.
    assert 0 < commits.duration_s.total < time.perf_counter() - since_s
    await store.close()


async def test_a_commit_that_had_nothing_to_sync_is_not_counted(tmp_path: Path) -> None:
    store = _opened(tmp_path)
    await store.check_ready()
    assert sum(_commits(store).writes.counts) == 0
    await kept(store)
    await store.check_ready()
    assert sum(_commits(store).writes.counts) == sum(_commits(store).duration_s.counts) == 1
    await store.close()


async def test_housekeeping_that_nobody_waits_for_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_IDLE_S", 0.01)
    clock = Clock()
    store = _opened(tmp_path, clock, broom=True)
    await kept(store)
    clock.advance_s(3600)
    while _rows(store):
        await asyncio.sleep(0.01)
    assert sum(_commits(store).writes.counts) == sum(_commits(store).duration_s.counts) == 1
    await store.close()


@pytest.mark.parametrize(("from_pages", "counted"), [(1, 1), (10**6, 0)])
async def test_a_checkpoint_is_counted_with_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_pages: int, counted: int
) -> None:
    monkeypatch.setattr(group_commit, "_CHECKPOINT_PAGES", from_pages)
    since_s = time.perf_counter()
    store = _opened(tmp_path)
    await kept(store)
    # It comes after the answer.
    await store.close()
    duration_s = _commits(store).checkpoint_duration_s
    assert sum(duration_s.counts) == counted
    assert duration_s.total < time.perf_counter() - since_s


async def test_the_writes_that_wait_are_told_with_how_many_may(tmp_path: Path) -> None:
    store = _opened(tmp_path)
    measures = store.measures()
    assert (measures.writes_waiting(), measures.writes_waiting_max) == (0, 4096)
    handed_over = store._writer._to_commit
    store._writer._to_commit = SimpleQueue()
    asked = [asyncio.ensure_future(kept(store, made(str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    assert measures.writes_waiting() == 3
    store._writer._to_commit = handed_over
    await asyncio.gather(*asked)
    assert measures.writes_waiting() == 0
    await store.close()


# -- a look into the file --


async def test_a_passcode_is_outstanding_until_it_is_redeemed_revoked_or_locked(tmp_path: Path) -> None:
    store = _opened(tmp_path)
    redeemed, revoked, locked, _ = [await kept(store, made(str(number))) for number in range(4)]
    assert _look(store).outstanding == 4
    await store.redeem(redeemed, MINE, ATTEMPTS_MAX)
    assert _look(store).outstanding == 3
    await store.revoke(revoked, revocation(revoked))
    assert _look(store).outstanding == 2
    for attempt in range(ATTEMPTS_MAX):
        assert _look(store).outstanding == 2, attempt
        await store.count_mismatch(locked, ATTEMPTS_MAX, mismatch(locked))
    assert _look(store).outstanding == 1
    await store.close()


@pytest.mark.parametrize(("late_us", "outstanding"), [(-1, 1), (0, 0), (1, 0)])
async def test_a_passcode_is_outstanding_until_it_expires(tmp_path: Path, late_us: int, outstanding: int) -> None:
    clock = Clock()
    store = _opened(tmp_path, clock)
    await kept(store)
    clock.now_us += LIFETIME_US + late_us
    assert _look(store).outstanding == outstanding
    await store.close()


async def test_one_that_lives_as_long_as_any_may_is_outstanding_to_its_end(tmp_path: Path) -> None:
    clock = Clock()
    store = _opened(tmp_path, clock)
    await kept(store, replace(made(), expires_at_us=START_US + LIFETIME_S_MAX * 1_000_000))
    clock.now_us += LIFETIME_S_MAX * 1_000_000 - 1
    assert _look(store).outstanding == 1
    await store.close()


async def test_of_very_many_the_newest_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_contents, "ROWS_MAX", 3)
    store = _opened(tmp_path)
    refs = [await kept(store, made(timestamp_us=START_US + number)) for number in range(5)]
    assert _look(store).outstanding == 3
    await store.redeem(refs[0], MINE, ATTEMPTS_MAX)
    assert _look(store).outstanding == 3
    await store.redeem(refs[4], MINE, ATTEMPTS_MAX)
    assert _look(store).outstanding == 2
    await store.close()


@pytest.mark.parametrize(("late_us", "overdue_us"), [(-1, 0), (0, 0), (1, 1), (5_000_000, 5_000_000)])
async def test_the_lag_is_how_long_the_oldest_row_should_have_been_gone(tmp_path: Path, late_us: int, overdue_us: int) -> None:
    clock = Clock()
    store = _opened(tmp_path, clock)
    await kept(store)
    clock.now_us = START_US + (RETENTION_S + LIFETIME_S_MAX) * 1_000_000 + late_us
    await kept(store, made("a later one", clock.now_us))
    assert _look(store).counterfoils_overdue_us == overdue_us
    clock.now_us = START_US + JOURNAL_RETENTION_S * 1_000_000 + late_us
    assert _look(store).journal_overdue_us == overdue_us
    await store.close()


async def test_an_empty_store_has_nothing_overdue(tmp_path: Path) -> None:
    store = _opened(tmp_path)
    assert _look(store) == Contents(0, 0, 0)
    await store.close()


async def test_a_broom_that_sweeps_leaves_nothing_overdue(tmp_path: Path) -> None:
    clock = Clock()
    store = _opened(tmp_path, clock, broom=True)
    await kept(store)
    clock.advance_s(JOURNAL_RETENTION_S + LIFETIME_S_MAX)
    assert _look(store).counterfoils_overdue_us > 0
    await kept(store, made("a later one", clock.now_us))
    assert _look(store) == Contents(1, 0, 0)
    await store.close()


async def test_a_file_that_cannot_be_looked_into_is_a_fault_and_ends_nothing(tmp_path: Path) -> None:
    store = _opened(tmp_path)
    (tmp_path / "counterfoil.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(StoreUnavailable):
        _look(store)
    (tmp_path / "elsewhere.db").rename(tmp_path / "counterfoil.db")
    await kept(store)
    await store.close()


def _rows(store: SqliteStore) -> int:
    return int(store._reader().execute("SELECT count(*) FROM counterfoils").get)
