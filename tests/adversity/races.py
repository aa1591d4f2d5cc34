"""Races: 256 redeemers at once for each passcode, on every store. One wins, and every other one is shown who it was."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple

from infra.emulation.emulator import ROOT

from counterfoil.model.counterfoil import CounterfoilRef, Redemption
from counterfoil.model.limits import ATTEMPTS_MAX, RETENTION_S_DEFAULT
from counterfoil.ports.store import Outcome, Store
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.contract.claims import kept, made
from tests.contract.engines import ENGINES, Engine, Opened
from tests.support.clock import START_US, Clock
from tests.support.service import unmeasured_environment

REDEEMERS = 256
THREADS = 8
PROCESSES = 4
_CONTROL_CASES = 5
_CLAIM = "Of 256 redeemers at once exactly one is applied, and everybody is shown its redemption"
# An emulator on a busy machine answers some 150 calls a second: a passcode takes two seconds there.
_SIZES = {
    "memory": Sizes(full=1000, ci=1000, laptop=200),
    "sqlite": Sizes(full=1000, ci=500, laptop=50),
    "dynamodb": Sizes(full=1000, ci=60, laptop=3),
    "dynamodb-local": Sizes(full=1000, ci=60, laptop=3),
}


class Heard(NamedTuple):
    """What one redeemer was told."""

    mine: str
    applied: bool
    shown: str | None
    """The redemption that the store showed."""


def opened_for_races(opened: Opened, folder: Path) -> Store:
    """A store in that folder under a clock that stands still, so that no race ends by expiry."""
    return opened(folder, Clock(), RETENTION_S_DEFAULT, False)


async def redeemed_at_once(store: Store, ref: CounterfoilRef, names: list[str]) -> list[Heard]:
    """Every name redeems, all at once."""
    outcomes = await asyncio.gather(*(store.redeem(ref, Redemption(name, "backend"), ATTEMPTS_MAX) for name in names))
    return [Heard(name, outcome.applied, _shown_by(outcome)) for name, outcome in zip(names, outcomes, strict=True)]


def _shown_by(outcome: Outcome) -> str | None:
    redemption = None if outcome.counterfoil is None else outcome.counterfoil.redemption
    return None if redemption is None else redemption.redemption_id


def _judged(figures: Figures, case: int, heard: list[Heard]) -> None:
    winners = [each.mine for each in heard if each.applied]
    figures.counts["redeemers"] += len(heard)
    figures.counts["accepted"] += len(winners)
    figures.counts["shown another's redemption"] += sum(not each.applied and each.shown is not None for each in heard)
    if len(winners) != 1 or {each.shown for each in heard} != set(winners):
        figures.fail(f"passcode {case}: {len(winners)} of {len(heard)} redeemers were applied")


def _in_threads(engine: Engine, opened: Opened, first: int, last: int) -> Figures:
    figures = Figures()

    async def race(store: Store, threads: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        for case in range(first, last):
            ref = await kept(store, made(timestamp_us=START_US + case))
            names = [f"{case}-{number}" for number in range(REDEEMERS)]
            shares = [redeemed_at_once(store, ref, names[thread::THREADS]) for thread in range(THREADS)]
            heard = await asyncio.gather(*(loop.run_in_executor(threads, asyncio.run, share) for share in shares))
            _judged(figures, case, [each for share in heard for each in share])
        await store.close()

    with engine.started(), TemporaryDirectory() as folder, ThreadPoolExecutor(THREADS) as threads:
        asyncio.run(race(opened_for_races(opened, Path(folder)), threads))
    return figures


# -- several processes on one file --


def _in_processes(engine: Engine, kind: str, first: int, last: int) -> Figures:
    figures = Figures()
    opened = engine.broken.get(kind, engine.opened)

    async def keep(store: Store) -> None:
        for case in range(first, last):
            await kept(store, made(timestamp_us=START_US + case))
        await store.close()

    with TemporaryDirectory() as folder, ExitStack() as ending:
        asyncio.run(keep(opened_for_races(opened, Path(folder))))
        processes = [ending.enter_context(_redeemer(engine.name, kind, folder)) for _ in range(PROCESSES)]
        for case in range(first, last):
            names = [f"{case}-{number}" for number in range(REDEEMERS)]
            for number, (given, _) in enumerate(processes):
                given.write(json.dumps([START_US + case, names[number::PROCESSES]]) + "\n")
                given.flush()
            heard = [json.loads(told.readline()) for _, told in processes]
            _judged(figures, case, [Heard(*each) for share in heard for each in share])
    return figures


@contextmanager
def _redeemer(engine: str, kind: str, folder: str) -> Iterator[tuple[IO[str], IO[str]]]:
    """A process that redeems what it is given; it is ready when the block begins, and ends with it."""
    command = [sys.executable, "-m", __name__, engine, kind, folder]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=unmeasured_environment()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.stdin, process.stdout
        process.stdin.close()
        assert process.wait(timeout=60) == 0


async def _redeem_what_is_given(engine: str, kind: str, folder: str) -> None:
    opened = next(each for each in ENGINES if each.name == engine)
    store = opened_for_races(opened.broken.get(kind, opened.opened), Path(folder))
    print("ready", flush=True)
    for line in sys.stdin:
        timestamp_us, names = json.loads(line)
        print(json.dumps(await redeemed_at_once(store, CounterfoilRef("1234", timestamp_us), names)), flush=True)
    await store.close()


# -- one campaign for each way --


def _caught(run: Callable[..., Figures], engine: Engine, how: Any) -> Callable[[], int]:
    return lambda: run(engine, how, 0, _CONTROL_CASES).counts["failures"]


def _campaign(name: str, engine: Engine, run: Callable[..., Figures], sound: Any, broken: dict[str, Any]) -> Campaign:
    return Campaign(
        name=name,
        claim=_CLAIM,
        unit="passcodes",
        sizes=_SIZES[engine.name],
        run=lambda first, last: run(engine, sound, first, last),
        controls={says: _caught(run, engine, how) for says, how in broken.items()},
        per_chunk=100,
        alone=not engine.sweeps,
        missing=engine.missing,
    )


def _campaigns() -> Iterator[Campaign]:
    for engine in ENGINES:
        yield _campaign(f"races-{engine.name}", engine, _in_threads, engine.opened, dict(engine.broken))
        if engine.name == "sqlite":
            yield _campaign("races-sqlite-processes", engine, _in_processes, "", {each: each for each in engine.broken})


RACES = tuple(_campaigns())

if __name__ == "__main__":
    asyncio.run(_redeem_what_is_given(*sys.argv[1:]))
