"""The stores that the contract is held against, each as a way to open one for a clock."""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from infra.emulation import dynamodb_local, emulator
from infra.emulation.emulator import Emulator

from counterfoil.ports.ambient import NowUs
from counterfoil.ports.store import Store
from counterfoil.stores.dynamodb import DynamoDbStore
from counterfoil.stores.memory import MemoryStore
from counterfoil.stores.sqlite import SqliteStore
from tests.support.journal import JOURNAL_KEY

PATIENCE_S = 240
"""How long a thousand calls at once may take: an emulator on a busy machine answers less than a hundred a second."""


@dataclass(frozen=True)
class Engine:
    """`opened(folder, clock, retention_s, broom)` gives a fresh store; `missing` says why it cannot, or nothing."""

    name: str
    opened: Callable[[Path, NowUs, int, bool], Store]
    missing: Callable[[], str | None] = lambda: None
    keeps_limits: bool = True
    """Whether it keeps limits per client; one that does not refuses them."""
    sweeps: bool = True
    """Whether removing what is past retention is the store's own work, and not its engine's."""


def _memory(_: Path, now_us: NowUs, retention_s: int, broom: bool) -> Store:
    return MemoryStore(now_us, retention_s, broom=broom)


def _sqlite(folder: Path, now_us: NowUs, retention_s: int, broom: bool) -> Store:
    return SqliteStore(folder / "counterfoil.db", now_us, retention_s=retention_s, broom=broom, journal_key=JOURNAL_KEY)


class DynamoDb:
    """Fresh tables on one emulator, which the session's fixture starts and ends."""

    def __init__(self) -> None:
        self.running: Emulator | None = None
        self._numbers = itertools.count()

    def opened(self, _: Path, now_us: NowUs, retention_s: int, __: bool) -> Store:
        assert self.running is not None
        table = f"counterfoils-{os.getpid()}-{next(self._numbers)}"
        self.running.create_table(table)
        once = {"mode": "standard", "total_max_attempts": 1}
        client = self.running.client("dynamodb", retries=once, read_timeout=PATIENCE_S)
        return DynamoDbStore(client, table, now_us, retention_s=retention_s, deadline_s=PATIENCE_S)


ON_THE_EMULATOR, ON_DYNAMODB_LOCAL = DynamoDb(), DynamoDb()


ENGINES = (
    Engine("memory", _memory),
    Engine("sqlite", _sqlite),
    Engine("dynamodb", ON_THE_EMULATOR.opened, emulator.missing, keeps_limits=False, sweeps=False),
    *(
        [Engine("dynamodb-local", ON_DYNAMODB_LOCAL.opened, dynamodb_local.missing, keeps_limits=False, sweeps=False)]
        if dynamodb_local.is_wanted()
        else []
    ),
)


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
