"""Who holds a passcode locks it with five wrong contexts, however many at once, and SIGKILL in between gives none back."""

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.emulation.emulator import ROOT

from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.model.limits import ATTEMPTS_MAX, RETENTION_S_DEFAULT
from counterfoil.stores.sqlite import SqliteStore
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.contract.engines import sqlite
from tests.support.broken_stores import SqliteCountsInMemory, SqliteDropsTheCondition
from tests.support.clock import Clock
from tests.support.parts import Parts, heard, made_parts, reopened_parts
from tests.support.service import unmeasured_environment

VALIDATIONS = 1000
"""So many at once."""
RIGHT = {"device_id": "d-9"}
_MISMATCH = "context_mismatch"
_CONTROL_CASES = 4
_KINDS: Mapping[str, type[SqliteStore]] = {
    kind.__name__: kind for kind in (SqliteStore, SqliteCountsInMemory, SqliteDropsTheCondition)
}


@asynccontextmanager
async def sqlite_service(folder: Path, kind: type[SqliteStore], secrets: dict[str, str] | None = None) -> AsyncIterator[Parts]:
    """The real api room over the real SQLite store, in a fresh folder or, with `secrets`, in one that is there."""
    clock = Clock()
    store = sqlite(kind)(folder, clock, RETENTION_S_DEFAULT, False)
    if secrets is None:
        yield made_parts(folder, store=store, clock=clock)
    else:
        yield reopened_parts(folder, secrets, store=store, clock=clock)
    await store.close()


async def _validated_wrongly(parts: Parts, passcode: str, tell: Callable[[str], object]) -> None:
    """A thousand validations at once, each with a wrong context of its own; each answer is handed on as it comes."""

    async def ask(number: int) -> None:
        tell(heard(await parts.validate(passcode, key=f"wrong-{number}", context={"device_id": f"wrong-{number}"})))

    await asyncio.gather(*(ask(number) for number in range(VALIDATIONS)))


def _spend_attempts(kind: type[SqliteStore], first: int, last: int) -> Figures:
    figures = Figures()
    for case in range(first, last):
        with TemporaryDirectory() as folder:
            asyncio.run(_spent_and_killed(figures, case, Path(folder), kind))
    return figures


async def _spent_and_killed(figures: Figures, case: int, folder: Path, kind: type[SqliteStore]) -> None:
    async with sqlite_service(folder, kind) as parts:
        issued = await parts.issue(context=RIGHT)
    before = Counter(_told_until_killed(case, folder, kind, issued["passcode"], parts.secrets))
    async with sqlite_service(folder, kind, parts.secrets) as parts:
        kept = await parts.store.find(CounterfoilRef("1234", issued["timestamp"]))
        assert kept is not None
        after: Counter[str] = Counter()
        await _validated_wrongly(parts, issued["passcode"], lambda each: after.update([each]))
        last = heard(await parts.validate(issued["passcode"], context=RIGHT))
    told = before + after
    figures.counts["validations answered"] += told.total() + 1
    figures.counts["mismatches told"] += told[_MISMATCH]
    figures.counts[f"{kept.attempts} attempts kept at the kill"] += 1
    if (
        told[_MISMATCH] > ATTEMPTS_MAX
        or kept.attempts < before[_MISMATCH]
        or set(told) - {_MISMATCH, "locked"}
        or last != "locked"
    ):
        figures.fail(f"passcode {case}: {dict(before)}, {kept.attempts} kept at the kill, {dict(after)}, then {last}")


def _told_until_killed(case: int, folder: Path, kind: type[SqliteStore], passcode: str, secrets: dict[str, str]) -> list[str]:
    """What a process that validates says until SIGKILL, at an instant or after the answer that the case's number chooses."""
    chance = random.Random(case)
    last_answer = 0 if case % 2 else chance.randint(1, ATTEMPTS_MAX)
    with subprocess.Popen(
        [sys.executable, "-m", __name__, str(folder), kind.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=unmeasured_environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([passcode, secrets, last_answer]) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "begun\n"
        if not last_answer:
            time.sleep(chance.random() / 2)
            process.kill()
        told = process.stdout.readlines()
        assert process.wait(timeout=60) == -signal.SIGKILL
    return [line.strip() for line in told if line.endswith("\n")]


async def _validate_until_killed(folder: str, kind: str) -> None:
    passcode, secrets, last_answer = json.loads(sys.stdin.readline())
    told = itertools.count(1)

    def tell(answer: str) -> None:
        print(answer, flush=True)
        if next(told) == last_answer:
            os.kill(os.getpid(), signal.SIGKILL)

    async with sqlite_service(Path(folder), _KINDS[kind], secrets) as parts:
        print("begun", flush=True)
        await _validated_wrongly(parts, passcode, tell)
        # It is killed while it waits here, at the latest.
        sys.stdin.readline()


WRONG_CONTEXTS = Campaign(
    name="wrong-contexts",
    claim="Of 1,000 validations at once with wrong contexts, and 1,000 more after a SIGKILL, at most five are told a mismatch,"
    " and then the passcode is locked",
    unit="passcodes",
    sizes=Sizes(full=200, ci=20, laptop=4),
    run=partial(_spend_attempts, SqliteStore),
    controls={
        "counts in memory": lambda: _spend_attempts(SqliteCountsInMemory, 0, _CONTROL_CASES).counts["failures"],
        "drops the condition": lambda: _spend_attempts(SqliteDropsTheCondition, 0, _CONTROL_CASES).counts["failures"],
    },
    per_chunk=20,
)

if __name__ == "__main__":
    asyncio.run(_validate_until_killed(*sys.argv[1:]))
