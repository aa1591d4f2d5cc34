"""The real server killed under load: what it acknowledged is not forgotten. And stopped gently: everybody hears an answer."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.promises import Promises, broken_promises, under_load
from tests.support.service import made_deployment

ROUNDS = 30 if os.environ.get("CI") == "true" else 3
REDEEMED_MIN = 11


@pytest.mark.slow
async def test_nothing_acknowledged_is_forgotten_by_kill_9(tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    redeemed = 0
    for turn in range(ROUNDS):
        promises = Promises()
        with deployment.serving(COUNTERFOIL_OUTSTANDING_MAX="0") as running:
            await under_load(running, deployment, promises, 0.2 + 0.05 * (turn % 7), signal.SIGKILL, REDEEMED_MIN)
            running.process.wait(timeout=30)
        with deployment.serving() as running:
            assert await broken_promises(running, deployment, promises) == []
        redeemed += len(promises.redeemed)
    assert redeemed >= REDEEMED_MIN * ROUNDS


@pytest.mark.slow
async def test_a_gentle_stop_answers_what_is_in_flight_and_loses_nothing(tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    promises = Promises()
    with deployment.serving() as running:
        await under_load(running, deployment, promises, 0.5, signal.SIGTERM, REDEEMED_MIN)
        assert running.process.wait(timeout=30) == 0
    assert len(promises.redeemed) >= REDEEMED_MIN
    with deployment.serving() as running:
        assert await broken_promises(running, deployment, promises) == []
