"""What the SQLite store removes: what is past its retention, to the microsecond, the oldest first, and nothing else."""

from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from counterfoil.model.limits import LIFETIME_S_MAX
from counterfoil.model.usage import IssueLimits
from counterfoil.stores import group_commit
from counterfoil.stores.sqlite import SqliteStore
from tests.contract.claims import kept, made
from tests.support.clock import START_US, Clock
from tests.support.journal import JOURNAL_KEY, verified_entries

RETENTION_S = 100
KEPT_US = (RETENTION_S + LIFETIME_S_MAX) * 1_000_000


@pytest.fixture(autouse=True)
def only_with_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broom does not work when nothing is written, however slow this machine is."""
    monkeypatch.setattr(group_commit, "_IDLE_S", 3600)
    monkeypatch.setattr(group_commit, "_BUSY_S", 3600)


def _opened(folder: Path, clock: Clock, journal_retention_s: int = 10**6, *, broom: bool = True) -> SqliteStore:
    return SqliteStore(
        folder / "counterfoil.db",
        clock,
        retention_s=RETENTION_S,
        broom=broom,
        journal_retention_s=journal_retention_s,
        journal_key=JOURNAL_KEY,
    )


def _numbers(store: SqliteStore) -> list[int]:
    rows: list[Any] = store._reader().execute("SELECT timestamp_us FROM counterfoils ORDER BY 1").fetchall()
    return [timestamp_us - START_US for (timestamp_us,) in rows]


async def test_a_row_goes_when_its_retention_is_over_and_not_a_microsecond_before(tmp_path: Path) -> None:
    clock = Clock()
    store = _opened(tmp_path, clock)
    await kept(store)
    clock.now_us = START_US + KEPT_US - 1
    await store.check_ready()
    assert _numbers(store) == [0]
    clock.now_us += 1
    await store.check_ready()
    assert _numbers(store) == []
    await store.close()


async def test_the_oldest_go_first_and_two_with_every_write(tmp_path: Path) -> None:
    clock = Clock()
    store = _opened(tmp_path, clock)
    for number in (3, 1, 5, 0, 4, 2):
        await kept(store, made(timestamp_us=START_US + number))
    clock.now_us = START_US + KEPT_US + 4
    left = []
    for _ in range(4):
        await store.check_ready()
        left.append(_numbers(store))
    assert left == [[2, 3, 4, 5], [4, 5], [5], [5]]
    await store.close()


@pytest.mark.parametrize("by", ["this store", "another one"])
async def test_a_row_that_is_older_than_all_that_were_there_goes_in_its_time(tmp_path: Path, by: str) -> None:
    clock = Clock()
    store, other = _opened(tmp_path, clock), _opened(tmp_path, clock, broom=False)
    await kept(store, made(timestamp_us=START_US + 9))
    clock.now_us = START_US + KEPT_US
    await store.check_ready()
    await kept(store if by == "this store" else other)
    await store.check_ready()
    assert _numbers(store) == [9]
    await store.close()
    await other.close()


async def test_an_entry_of_the_journal_goes_when_its_retention_is_over_and_not_a_microsecond_before(tmp_path: Path) -> None:
    clock = Clock()
    store = _opened(tmp_path, clock, journal_retention_s=50)
    for number in range(3):
        await kept(store, made(timestamp_us=START_US + number))
        clock.now_us += 1
    left = []
    for late_us in (0, 1, 2, 3):
        clock.now_us = START_US + 50_000_000 + late_us
        await store.check_ready()
        left.append([entry.timestamp_us for entry in verified_entries(tmp_path / "counterfoil.db")])
    assert left == [[START_US, START_US + 1, START_US + 2], [START_US + 1, START_US + 2], [START_US + 2], []]
    await store.close()


@pytest.mark.parametrize("sweeps", ["rows", "entries"])
async def test_the_broom_says_whether_more_is_left(tmp_path: Path, sweeps: str) -> None:
    clock = Clock()
    store = _opened(tmp_path, clock, journal_retention_s=50 if sweeps == "entries" else 10**6)
    for number in range(5):
        await kept(store, made(timestamp_us=START_US + number))
    clock.now_us = START_US + (51_000_000 if sweeps == "entries" else KEPT_US + 10)
    # Twice in a transaction, two at a time: here, and at its end as ever.
    told = [await store._writer.run(lambda connection: store._end_transaction(connection, 1)) for _ in range(3)]
    assert told == [True, False, False]
    await store.close()


async def test_an_account_goes_when_it_is_idle_and_not_a_microsecond_before(tmp_path: Path) -> None:
    clock = Clock()
    store = _opened(tmp_path, clock)
    limits = IssueLimits(rate_per_s=1, burst=10, outstanding_max=10)
    # The first forty live on: whoever comes behind them must be looked at too, and again after the last.
    for number in range(50):
        lives_s = 600 if number < 40 else 60
        counterfoil = replace(made(f"{number:02}"), expires_at_us=START_US + lives_s * 1_000_000)
        assert await store.insert(counterfoil, limits) == "stored"
    idle_at_us = int(store._reader().execute("SELECT min(idle_at_us) FROM client_usage").get)

    def idle(connection: apsw.Connection) -> None:
        store._end_transaction(connection, 0)

    async def left_after_idling() -> int:
        for _ in range(4):
            await store._writer.run(idle)
        return int(store._reader().execute("SELECT count(*) FROM client_usage").get)

    clock.now_us = idle_at_us - 1
    assert await left_after_idling() == 50
    clock.now_us = idle_at_us
    assert await left_after_idling() == 40
    await store.close()
