"""Many validations of one passcode at once, over HTTP: one is accepted. Strangers lock nothing.

The full size (1,000 passcodes) is CI's; a laptop plays 50. The stores' own races are campaigns: tests/adversity/races.py.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.load import Caller, connections, shared_out
from tests.support.service import Deployment, made_deployment

PASSCODES = 1000 if os.environ.get("CI") == "true" else 50
REDEEMERS = 256


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return made_deployment(tmp_path / "data")


async def _issued(url: str, credential: str, many: int) -> list[str]:
    passcodes: list[str] = []

    async with connections(url, 16) as opened:

        def issuer(caller: Caller) -> Callable[[int], Awaitable[None]]:
            async def issue(_: int) -> None:
                got = await caller.issue(context={"device_id": "d-9"}, lifetime_s=600)
                assert got.status == 201, got.body
                passcodes.append(got.json["passcode"])

            return issue

        await shared_out(range(many), [issuer(Caller(each, credential)) for each in opened])
    return passcodes


@pytest.mark.slow
async def test_256_parallel_validations_over_http_are_one_acceptance(deployment: Deployment) -> None:
    with deployment.serving() as running:
        passcodes = await _issued(running.url, deployment.issuer, PASSCODES)
        async with connections(running.url, REDEEMERS) as opened:
            callers = [Caller(each, deployment.validator) for each in opened]
            for passcode in passcodes:
                got = await asyncio.gather(
                    *(
                        caller.validate(passcode, f"id-{number}", context={"device_id": "d-9"})
                        for number, caller in enumerate(callers)
                    )
                )
                assert Counter(each.reason for each in got) == {"200": 1, "already_redeemed": REDEEMERS - 1}


async def test_a_holder_locks_it_with_five_wrong_contexts_and_a_stranger_with_1000_forgeries_does_not(
    deployment: Deployment,
) -> None:
    with deployment.serving() as running:
        locked, spared = await _issued(running.url, deployment.issuer, 2)
        async with connections(running.url, 16) as opened:
            callers = [Caller(each, deployment.validator) for each in opened]
            for number in range(5):
                got = await callers[0].validate(locked, f"wrong-{number}", context={})
                assert got.reason == "context_mismatch"
            assert (await callers[0].validate(locked, "right", context={"device_id": "d-9"})).reason == "locked"

            reasons: Counter[str] = Counter()

            def forger(caller: Caller) -> Callable[[int], Awaitable[None]]:
                async def forge(number: int) -> None:
                    at = 24 + number % 60
                    forged = spared[:at] + ("A" if spared[at] != "A" else "B") + spared[at + 1 :]
                    reasons[(await caller.validate(forged, f"f-{number}", context={})).reason] += 1

                return forge

            await shared_out(range(1000), [forger(caller) for caller in callers])
            assert reasons == {"unknown_passcode": 1000}
            assert (await callers[0].validate(spared, "right", context={"device_id": "d-9"})).status == 200
