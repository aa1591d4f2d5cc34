"""The stores that the contract is held against, each as a way to open one for a clock."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from counterfoil.ports.ambient import NowUs
from counterfoil.ports.store import Store
from counterfoil.stores.memory import MemoryStore
from counterfoil.stores.sqlite import SqliteStore


@dataclass(frozen=True)
class Engine:
    """`opened(folder, clock, retention_s, broom)` gives a fresh store; `missing` says why it cannot, or nothing."""

    name: str
    opened: Callable[[Path, NowUs, int, bool], Store]
    missing: Callable[[], str | None] = lambda: None


def _memory(_: Path, now_us: NowUs, retention_s: int, broom: bool) -> Store:
    return MemoryStore(now_us, retention_s, broom=broom)


def _sqlite(folder: Path, now_us: NowUs, retention_s: int, broom: bool) -> Store:
    return SqliteStore(folder / "counterfoil.db", now_us, retention_s=retention_s, broom=broom)


ENGINES = (Engine("memory", _memory), Engine("sqlite", _sqlite))


def available(engine: Engine) -> Engine:
    """The engine; otherwise a skip with its reason on a laptop, and a failure in CI."""
    reason = engine.missing()
    if reason is None:
        return engine
    if os.environ.get("CI") == "true":
        pytest.fail(f"{engine.name}: {reason}")
    pytest.skip(f"{engine.name}: {reason}")
