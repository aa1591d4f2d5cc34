"""Shared transactions: how many share one, what the log says when one is rolled back, and how a process ends."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

import apsw
import pytest

from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores import group_commit
from counterfoil.stores.sqlite import SqliteStore
from counterfoil.stores.sqlite_file import open_reader
from tests.contract.claims import kept, made
from tests.support.clock import START_US, Clock
from tests.support.journal import JOURNAL_KEY
from tests.support.service import clean_environment


def _opened(folder: Path) -> SqliteStore:
    return SqliteStore(folder / "counterfoil.db", Clock(), broom=False, journal_key=JOURNAL_KEY)


def _batches(store: SqliteStore) -> list[int]:
    """How many steps there are in each transaction from now on, without those of nobody."""
    sizes: list[int] = []
    before_commit: Callable[[apsw.Connection, int], bool] = store._writer._before_commit

    def counting(connection: apsw.Connection, writes: int) -> bool:
        if writes:
            sizes.append(writes)
        return before_commit(connection, writes)

    store._writer._before_commit = counting
    return sizes


async def test_all_who_ask_at_once_share_a_transaction_up_to_512(tmp_path: Path) -> None:
    store = _opened(tmp_path)
    sizes = _batches(store)
    refs = await asyncio.gather(*(kept(store, made(timestamp_us=START_US + number)) for number in range(1300)))
    assert sizes == [512, 512, 276]
    assert None not in [await store.find(ref) for ref in refs]
    await store.close()


@pytest.mark.parametrize(("gathering_s", "is_one"), [(3600, True), (0, False)])
async def test_who_keeps_coming_round_after_round_shares_a_transaction_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gathering_s: float, is_one: bool
) -> None:
    monkeypatch.setattr(group_commit, "_GATHERING_S", gathering_s)
    # The thread takes nothing over, however slow this machine is.
    monkeypatch.setattr(group_commit, "_IDLE_S", 3600)
    store = _opened(tmp_path)
    sizes = _batches(store)

    async def keep_in_round(number: int) -> None:
        for _ in range(number // 2):
            await asyncio.sleep(0)
        await kept(store, made(timestamp_us=START_US + number))

    await asyncio.gather(*(keep_in_round(number) for number in range(20)))
    assert sum(sizes) == 20
    assert (len(sizes) == 1) is is_one
    await store.close()


async def test_a_lone_caller_does_not_wait_for_company(tmp_path: Path) -> None:
    store = _opened(tmp_path)
    handed_over = store._writer._to_commit
    store._writer._to_commit = SimpleQueue()
    asked = asyncio.ensure_future(kept(store))
    for _ in range(2):
        # It asks in one round of the loop, and in the next its transaction is made.
        assert store._writer._to_commit.empty()
        await asyncio.sleep(0)
    handed_over.put(store._writer._to_commit.get_nowait())
    store._writer._to_commit = handed_over
    await asked
    await store.close()


async def test_a_store_without_a_broom_has_nothing_more_to_do_after_a_write(tmp_path: Path) -> None:
    store = _opened(tmp_path)
    await kept(store)
    await store.close()
    assert not store._writer._more_to_do


async def test_steps_are_made_in_the_order_in_which_they_were_asked(tmp_path: Path) -> None:
    store = _opened(tmp_path)
    made_in: list[int] = []

    def numbered(number: int) -> Callable[[apsw.Connection], int]:
        def step(_: apsw.Connection) -> int:
            made_in.append(number)
            return number

        return step

    answers = await asyncio.gather(*(store._writer.run(numbered(number)) for number in range(1300)))
    assert made_in == answers == list(range(1300))
    await store.close()


async def test_a_rollback_is_told_with_its_size_and_cause(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = _opened(tmp_path)

    def full(_: apsw.Connection) -> None:
        raise apsw.FullError("full")

    answers = await asyncio.gather(*(store._writer.run(full) for _ in range(3)), return_exceptions=True)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == ["a transaction of 3 was rolled back: FullError"]
    for answer in answers:
        assert isinstance(answer, StoreUnavailable)
        assert str(answer) == "the store is busy or its disk is full"
        assert isinstance(answer.__cause__, apsw.FullError)
    await kept(store)
    await store.close()


FORGETS_TO_CLOSE = """
import asyncio, sys
from pathlib import Path
from tests.unit.test_group_commit import _opened
from tests.contract.claims import kept

async def main():
    await kept(_opened(Path(sys.argv[1])))

asyncio.run(main())
"""


async def test_a_process_that_forgets_to_close_its_store_ends_all_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORGETS_TO_CLOSE, str(tmp_path)], env=clean_environment(), timeout=60, check=False
    )
    assert done.returncode == 0
    store = _opened(tmp_path)
    assert await store.find(made().ref) == made()
    await store.close()


@pytest.mark.parametrize(("factor", "put_off"), [(360, 1), (0, 3)])
async def test_a_wal_that_a_reader_keeps_long_is_insisted_on_and_not_at_every_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, factor: int, put_off: int
) -> None:
    store = _opened(tmp_path)
    await kept(store)
    caplog.set_level("INFO")
    waits_s: list[float] = []
    wait_for_lock_s = store._writer._wait_for_lock_s

    def noted(wait_s: float) -> None:
        waits_s.append(wait_s)
        wait_for_lock_s(wait_s)

    store._writer._wait_for_lock_s = noted
    monkeypatch.setattr(group_commit, "_INSISTING_EVERY_S", factor * group_commit._INSISTING_EVERY_S)
    monkeypatch.setattr(group_commit, "_CHECKPOINT_PAGES", 1)
    with closing(open_reader(tmp_path / "counterfoil.db")) as reader:
        reader.execute("BEGIN; SELECT * FROM counterfoils").fetchall()
        for number in range(1, 4):
            # A checkpoint that does not insist takes what it can, and is not put off.
            await kept(store, made(timestamp_us=START_US + number))
        await store.check_ready()
        assert [record.getMessage() for record in caplog.records] == []
        monkeypatch.setattr(group_commit, "_INSISTENT_CHECKPOINT_PAGES", 1)
        for number in range(4, 7):
            await kept(store, made(timestamp_us=START_US + number))
        await store.close()
    assert [record.getMessage() for record in caplog.records] == ["a checkpoint is put off"] * put_off
    assert [wait_s for wait_s in waits_s if wait_s] == [group_commit._INSISTING_S] * put_off
