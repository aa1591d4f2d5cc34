"""The accounts that an SQLite store keeps in memory are those of the file, whoever writes there and whatever is rolled back."""

import asyncio
from pathlib import Path

import apsw
import pytest

from counterfoil.model.limits import ATTEMPTS_MAX
from counterfoil.model.usage import IssueLimits, LimitReached
from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores import sqlite_accounts
from counterfoil.stores.sqlite import SqliteStore
from counterfoil.stores.sqlite_accounts import SqliteAccounts
from counterfoil.stores.sqlite_file import MIGRATIONS
from tests.contract.claims import MINE, made
from tests.support.clock import START_US, Clock
from tests.support.journal import JOURNAL_KEY

CAP = IssueLimits(rate_per_s=0, burst=1, outstanding_max=2)
RATE = IssueLimits(rate_per_s=1, burst=2, outstanding_max=0)


def _opened(folder: Path) -> SqliteStore:
    return SqliteStore(folder / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY)


async def _is_issued(store: SqliteStore, number: int, limits: IssueLimits, client_id: str = "1234") -> bool:
    return not isinstance(await store.insert(made(client_id, START_US + number), limits), LimitReached)


async def _by_turns(one: SqliteStore, other: SqliteStore) -> list[bool]:
    """Whether each of some issues is let through, by two stores on one file."""
    issued = [await _is_issued(store, number, RATE, "another") for number, store in enumerate((one, other, one, other))]
    issued += [await _is_issued(store, number, CAP) for number, store in enumerate((one, other, one, other))]
    await other.redeem(made(timestamp_us=START_US).ref, MINE, ATTEMPTS_MAX)
    return issued + [await _is_issued(store, 9 + number, CAP) for number, store in enumerate((one, other, one))]


EXACT = [True, True, False, False] * 2 + [True, False, False]


async def test_the_limits_are_exact_when_two_write_by_turns(tmp_path: Path) -> None:
    one, other = _opened(tmp_path), _opened(tmp_path)
    assert await _by_turns(one, other) == EXACT
    await one.close()
    await other.close()


async def test_control_accounts_kept_while_others_write_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteAccounts, "forget", lambda _: None)
    one, other = _opened(tmp_path), _opened(tmp_path)
    assert await _by_turns(one, other) != EXACT
    await one.close()
    await other.close()


async def test_what_was_rolled_back_was_not_counted(tmp_path: Path) -> None:
    store = _opened(tmp_path)
    assert await _is_issued(store, 0, CAP)

    def full(_: apsw.Connection) -> None:
        raise apsw.FullError("full")

    rolled_back = asyncio.ensure_future(store.insert(made(timestamp_us=START_US + 1), CAP))
    await asyncio.sleep(0)
    other = store._writer.run(full)
    for asked in (rolled_back, other):
        with pytest.raises(StoreUnavailable):
            await asked
    assert [await _is_issued(store, number, CAP) for number in (2, 3)] == [True, False]
    await store.close()


async def test_the_limits_are_exact_after_a_restart(tmp_path: Path) -> None:
    store = _opened(tmp_path)
    assert await _is_issued(store, 0, CAP)
    await store.close()
    store = _opened(tmp_path)
    assert [await _is_issued(store, number, CAP) for number in (1, 2)] == [True, False]
    await store.close()


async def test_more_clients_than_are_kept_have_exact_limits_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_accounts, "_KEPT_MAX", 3)
    store = _opened(tmp_path)
    issued = [await _is_issued(store, number, CAP, f"client-{number % 7}") for number in range(21)]
    assert issued == [True] * 14 + [False] * 7
    assert len(store._accounts._kept) <= 3 + 1
    await store.close()


def _file_of_accounts(idle_at_us: dict[str, int]) -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    for migration in MIGRATIONS:
        connection.execute(migration)
    rows = [(client_id, 0, b"", at_us) for client_id, at_us in idle_at_us.items()]
    connection.executemany("INSERT INTO client_usage VALUES (?, ?, ?, ?)", rows)
    return connection


def _clients(connection: apsw.Connection) -> list[str]:
    return [client_id for (client_id,) in connection.execute("SELECT client_id FROM client_usage ORDER BY client_id")]


def test_an_idle_account_is_removed_that_nobody_has_asked_for() -> None:
    connection = _file_of_accounts({"1234": START_US})
    SqliteAccounts().forget_idle(connection, START_US)
    assert _clients(connection) == []


def test_idle_accounts_are_found_behind_any_number_that_are_not() -> None:
    busy = {f"a{number:03}": START_US + 1 for number in range(100)}
    connection = _file_of_accounts({**busy, "b": START_US})
    accounts = SqliteAccounts()
    for _ in range(4):
        accounts.forget_idle(connection, START_US)
    assert _clients(connection) == list(busy)
