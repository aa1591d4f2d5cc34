"""The real server killed under load: what it acknowledged is not forgotten. And stopped gently: everybody hears an answer."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.support.load import Caller, Got, connections
from tests.support.service import Deployment, Running, made_deployment

ROUNDS = 30 if os.environ.get("CI") == "true" else 3
CALLERS = 24


class Ledger:
    """What callers were told, and what they were about to be told when the server went away."""

    def __init__(self) -> None:
        self.issued: dict[str, None] = {}
        self.redeemed: dict[str, str] = {}
        self.unknown: dict[str, str] = {}
        self.odd: list[Got] = []

    async def fill(self, number: int, issuer: Caller, validator: Caller) -> None:
        """Issues and validates until the server goes away; validates every other passcode only."""
        turn = 0
        while True:
            turn += 1
            got = await issuer.issue(lifetime_s=600)
            if got.status != 201:
                self.odd.append(got)
                continue
            passcode = got.json["passcode"]
            self.issued[passcode] = None
            if turn % 2:
                redemption_id = f"{number}-{turn}"
                self.unknown[passcode] = redemption_id
                answer = await validator.validate(passcode, redemption_id)
                if answer.status == 200:
                    self.redeemed[passcode] = redemption_id
                    del self.unknown[passcode]
                else:
                    self.odd.append(answer)


async def _under_load(running: Running, deployment: Deployment, ledger: Ledger, seconds: float, end: signal.Signals) -> None:
    async with connections(running.url, 2 * CALLERS) as opened:
        fills = [
            asyncio.create_task(
                ledger.fill(
                    number, Caller(opened[2 * number], deployment.issuer), Caller(opened[2 * number + 1], deployment.validator)
                )
            )
            for number in range(CALLERS)
        ]
        await asyncio.sleep(seconds)
        running.process.send_signal(end)
        results = await asyncio.gather(*fills, return_exceptions=True)
    assert all(isinstance(result, ConnectionError | asyncio.IncompleteReadError) for result in results), results


async def _held_to(running: Running, deployment: Deployment, ledger: Ledger) -> None:
    """Asks the restarted server about everything that was acknowledged."""
    async with connections(running.url, 1) as (connection,):
        validator = Caller(connection, deployment.validator)
        for passcode, redemption_id in ledger.redeemed.items():
            assert (await validator.validate(passcode, "another")).reason == "already_redeemed"
            again = await validator.validate(passcode, redemption_id)
            assert (again.status, again.json["replayed"]) == (200, True)
        for passcode, redemption_id in ledger.unknown.items():
            assert (await validator.validate(passcode, redemption_id)).status == 200
            assert (await validator.validate(passcode, "another")).reason == "already_redeemed"
        for passcode in ledger.issued:
            if passcode not in ledger.redeemed and passcode not in ledger.unknown:
                assert (await validator.validate(passcode, "late")).status == 200


@pytest.mark.slow
async def test_nothing_acknowledged_is_forgotten_by_kill_9(tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    redeemed = 0
    for turn in range(ROUNDS):
        ledger = Ledger()
        with deployment.serving(COUNTERFOIL_OUTSTANDING_MAX="0") as running:
            await _under_load(running, deployment, ledger, 0.2 + 0.05 * (turn % 7), signal.SIGKILL)
            running.process.wait(timeout=30)
        with deployment.serving() as running:
            await _held_to(running, deployment, ledger)
        redeemed += len(ledger.redeemed)
        assert ledger.odd == []
    assert redeemed > 10 * ROUNDS


@pytest.mark.slow
async def test_a_gentle_stop_answers_what_is_in_flight_and_loses_nothing(tmp_path: Path) -> None:
    deployment = made_deployment(tmp_path / "data")
    ledger = Ledger()
    with deployment.serving() as running:
        await _under_load(running, deployment, ledger, 0.5, signal.SIGTERM)
        assert running.process.wait(timeout=30) == 0
    assert ledger.odd == []
    assert len(ledger.redeemed) > 10
    with deployment.serving() as running:
        await _held_to(running, deployment, ledger)
