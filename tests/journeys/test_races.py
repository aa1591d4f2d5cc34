"""Many validations of one passcode at once: one is accepted, on every way in. Strangers lock nothing.

The full size (1,000 passcodes) is CI's; a laptop plays 50.
"""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption
from counterfoil.stores.memory import MemoryStore
from tests.contract.test_broken_stores import ReadsThenWrites
from tests.support.clock import Clock
from tests.support.load import Caller, connections, shared_out
from tests.support.parts import made_parts, reason
from tests.support.service import Deployment, clean_environment, made_deployment

PASSCODES = 1000 if os.environ.get("CI") == "true" else 50
REDEEMERS = 256
PROCESSES = 4


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


REDEEM_IN_A_PROCESS = """
import asyncio, sys
from pathlib import Path
from counterfoil.model.counterfoil import CounterfoilRef, Redemption
from counterfoil.stores.sqlite import SqliteStore
from counterfoil.wiring import system_now_us
from tests.support.journal import JOURNAL_KEY

async def main():
    path, mine, redeemers, stamps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), map(int, sys.argv[4].split(","))
    store = SqliteStore(path, system_now_us, journal_key=JOURNAL_KEY)
    print("ready", flush=True)
    sys.stdin.readline()
    for stamp in stamps:
        ref = CounterfoilRef("1234", stamp)
        ids = (Redemption(f"{mine}-{number}", "backend") for number in range(redeemers))
        outcomes = await asyncio.gather(*(store.redeem(ref, redemption, 5) for redemption in ids))
        assert all(outcome.counterfoil.redemption for outcome in outcomes)
        print(sum(outcome.applied for outcome in outcomes), flush=True)
    await store.close()

asyncio.run(main())
"""


@pytest.mark.slow
async def test_256_redeemers_in_4_processes_on_one_file_are_one_acceptance(tmp_path: Path) -> None:
    from counterfoil.stores.sqlite import SqliteStore
    from counterfoil.wiring import system_now_us
    from tests.contract.claims import kept, made
    from tests.support.journal import JOURNAL_KEY

    path = tmp_path / "counterfoil.db"
    store = SqliteStore(path, system_now_us, journal_key=JOURNAL_KEY)
    start_us = system_now_us() + 500_000_000
    stamps = [str((await kept(store, made(timestamp_us=start_us + number))).timestamp_us) for number in range(PASSCODES)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", REDEEM_IN_A_PROCESS, str(path), f"p{number}", str(REDEEMERS // PROCESSES), ",".join(stamps)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    wins = [[int(line) for line in process.communicate(timeout=600)[0].split()] for process in processes]
    await store.close()
    assert [process.returncode for process in processes] == [0] * PROCESSES
    per_passcode = [sum(column) for column in zip(*wins, strict=True)]
    assert per_passcode == [1] * PASSCODES
    # The processes did race: no single one won everything.
    assert sum(1 for column in wins if any(column)) > 1


async def test_a_store_that_reads_and_then_writes_is_caught_by_the_same_count(tmp_path: Path) -> None:
    async def acceptances(store: MemoryStore) -> int:
        clock = Clock()
        parts = made_parts(tmp_path / type(store).__name__, store=store, clock=clock)
        passcode = (await parts.issue())["passcode"]
        answers = await asyncio.gather(*(parts.validate(passcode, key=f"id-{number}") for number in range(REDEEMERS)))
        return sum(answer.status == 200 for answer in answers)

    for kind in (MemoryStore, ReadsThenWrites):
        (tmp_path / kind.__name__).mkdir()
    assert await acceptances(MemoryStore(Clock())) == 1
    assert await acceptances(ReadsThenWrites(Clock())) > 1


class RedeemsBeforeItLooks(MemoryStore):
    """Burns the passcode for whoever names it, before anything is compared."""

    async def find(self, ref: CounterfoilRef) -> Counterfoil | None:
        found = await super().find(ref)
        if found is not None:
            await self.redeem(ref, Redemption("burnt", "nobody"), 5)
        return await super().find(ref)


async def test_a_store_that_redeems_before_it_verifies_is_caught(tmp_path: Path) -> None:
    clock = Clock()
    parts = made_parts(tmp_path, store=RedeemsBeforeItLooks(clock), clock=clock)
    issued = await parts.issue(context={"device_id": "d-9"})
    assert reason(await parts.validate(issued["passcode"], context={})) == "already_redeemed"


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
