"""The stores as fixtures."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from counterfoil.ports.store import Store
from tests.contract.engines import ENGINES, ON_DYNAMODB_LOCAL, ON_THE_EMULATOR, TRACED, Engine, available
from tests.support.clock import Clock


@pytest.fixture(params=(*ENGINES, TRACED), ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Engine:
    engine = available(request.param)
    if engine.name == "dynamodb":
        ON_THE_EMULATOR.running = request.getfixturevalue("aws")
    elif engine.name == "dynamodb-local":
        ON_DYNAMODB_LOCAL.running = request.getfixturevalue("local_dynamodb")
    return engine


@pytest.fixture
def limited_engine(engine: Engine) -> Engine:
    """An engine that keeps limits per client; the others are held to refusing them."""
    if not engine.keeps_limits:
        pytest.skip(f"{engine.name} keeps no limits per client, by decision 4")
    return engine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def store(engine: Engine, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    """A fresh store with the broom off, so that expiry alone is at work."""
    opened = engine.opened(tmp_path, clock, 3600, False)
    yield opened
    await opened.close()


@pytest.fixture
def limiting_store(limited_engine: Engine, store: Store) -> Store:
    """A fresh store that keeps limits per client."""
    return store
