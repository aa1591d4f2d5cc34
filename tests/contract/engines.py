"""The stores that the contract is held against, each as a way to open one for a clock."""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest
from infra.emulation import dynamodb_local, emulator
from infra.emulation.emulator import Emulator

from counterfoil.aws.client import AwsClient
from counterfoil.ports.ambient import NowUs
from counterfoil.ports.store import Store
from counterfoil.settings import Settings
from counterfoil.stores.dynamodb import DynamoDbStore
from counterfoil.stores.memory import MemoryStore
from counterfoil.stores.sqlite import SqliteStore
from tests.support.broken_stores import (
    DropsTheCondition,
    DynamoDbDropsTheCondition,
    DynamoDbReadsThenWrites,
    ReadsThenWrites,
    SqliteDropsTheCondition,
    SqliteReadsThenWrites,
)
from tests.support.journal import JOURNAL_KEY
from tests.support.tracing import recorder

PATIENCE_S = 240
"""How long a thousand calls at once may take: an emulator on a busy machine answers less than a hundred a second."""


Opened: TypeAlias = Callable[[Path, NowUs, int, bool], Store]
"""`opened(folder, clock, retention_s, broom)` gives a store; a fresh one in a fresh folder."""


@dataclass(frozen=True)
class Engine:
    """One way to keep counterfoils. `missing` says why it cannot be used here, or nothing."""

    name: str
    opened: Opened
    missing: Callable[[], str | None] = lambda: None
    started: Callable[[], AbstractContextManager[None]] = nullcontext
    """Runs what the engine needs beside this process, as long as the block lasts."""
    broken: Mapping[str, Opened] = field(default_factory=dict)
    """The same engine under stores that are broken on purpose, which races must catch."""
    keeps_limits: bool = True
    """Whether it keeps limits per client; one that does not refuses them."""
    sweeps: bool = True
    """Whether removing what is past retention is the store's own work, and not its engine's."""


def memory(kind: type[MemoryStore] = MemoryStore) -> Opened:
    """Opens stores of that kind in this process's memory."""
    return lambda _, now_us, retention_s, broom: kind(now_us, retention_s, broom=broom)


def sqlite(kind: type[SqliteStore] = SqliteStore) -> Opened:
    """Opens stores of that kind on one file in the folder."""
    return lambda folder, now_us, retention_s, broom: kind(
        folder / "counterfoil.db", now_us, retention_s=retention_s, broom=broom, journal_key=JOURNAL_KEY
    )


class DynamoDb:
    """Fresh tables on one emulator: the session's fixture's, or one of its own while `started` lasts."""

    def __init__(self, emulated: Callable[[], AbstractContextManager[Emulator]]) -> None:
        self.running: Emulator | None = None
        self._emulated = emulated
        self._numbers = itertools.count()

    def opening(self, kind: type[DynamoDbStore] = DynamoDbStore) -> Opened:
        """Opens stores of that kind on a fresh table."""

        def opened(_: Path, now_us: NowUs, retention_s: int, __: bool) -> Store:
            client, table = self.fresh_table()
            return kind(client, table, now_us, retention_s=retention_s, deadline_s=PATIENCE_S)

        return opened

    def fresh_table(self, url: str | None = None) -> tuple[AwsClient, str]:
        """A patient client, straight or through a proxy at `url`, and a table that nobody else has."""
        assert self.running is not None
        table = f"counterfoils-{os.getpid()}-{next(self._numbers)}"
        self.running.create_table(table)
        return self.running.product_client("dynamodb", url, connect_s=PATIENCE_S, answer_s=PATIENCE_S), table

    @contextmanager
    def started(self) -> Iterator[None]:
        """An emulator of its own, in place of the session's."""
        before = self.running
        try:
            with self._emulated() as self.running:
                yield
        finally:
            self.running = before


ON_THE_EMULATOR, ON_DYNAMODB_LOCAL = DynamoDb(emulator.emulated), DynamoDb(dynamodb_local.local_dynamodb)


def _dynamodb(name: str, tables: DynamoDb, missing: Callable[[], str | None]) -> Engine:
    broken = {
        "reads, then writes": tables.opening(DynamoDbReadsThenWrites),
        "drops the condition": tables.opening(DynamoDbDropsTheCondition),
    }
    return Engine(name, tables.opening(), missing, tables.started, broken, keeps_limits=False, sweeps=False)


ENGINES = (
    Engine(
        "memory",
        memory(),
        broken={"reads, then writes": memory(ReadsThenWrites), "drops the condition": memory(DropsTheCondition)},
    ),
    Engine(
        "sqlite",
        sqlite(),
        broken={"reads, then writes": sqlite(SqliteReadsThenWrites), "drops the condition": sqlite(SqliteDropsTheCondition)},
    ),
    _dynamodb("dynamodb", ON_THE_EMULATOR, emulator.missing),
    *([_dynamodb("dynamodb-local", ON_DYNAMODB_LOCAL, dynamodb_local.missing)] if dynamodb_local.is_wanted() else []),
)


def _traced(folder: Path, now_us: NowUs, retention_s: int, broom: bool) -> Store:
    recorded = recorder()
    url = f"sqlite:{folder / 'counterfoil.db'}"
    store = SqliteStore(
        folder / "counterfoil.db",
        now_us,
        retention_s=retention_s,
        broom=broom,
        journal_key=JOURNAL_KEY,
        commit_watch=recorded.tracing.commits(),
    )
    return recorded.tracing.store(store, Settings(store=url))


TRACED = Engine("sqlite, traced", _traced)
"""The same contract through spans around each verb; no campaign has a use for it."""


def available(engine: Engine) -> Engine:
    """The engine; otherwise a skip with its reason on a laptop, and a failure in CI."""
    unless_missing(engine.name, engine.missing())
    return engine


def unless_missing(name: str, reason: str | None) -> None:
    """Skips with the reason on a laptop, and fails in CI."""
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name}: {reason}")
    pytest.skip(f"{name}: {reason}")
