"""The stores as fixtures."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from counterfoil.ports.store import Store
from tests.contract.engines import ENGINES, Engine, available
from tests.support.clock import Clock


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Engine:
    return available(request.param)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def store(engine: Engine, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    """A fresh store with the broom off, so that expiry alone is at work."""
    opened = engine.opened(tmp_path, clock, 3600, False)
    yield opened
    await opened.close()
