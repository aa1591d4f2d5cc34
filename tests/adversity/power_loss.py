"""The power fails under the real SQLite store: un-synced writes are dropped, torn and reordered, at any instant of its life.

Workloads are recorded once a block of cases and played many times: a case is an instant of the log, and what the disk
made of the rest. Whatever was told before that instant must be there after it.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeAlias
from unittest.mock import patch

import apsw

from counterfoil.ports.store import StoreUnavailable, StoreUnfit
from counterfoil.stores.sqlite import SqliteStore
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.deeds import all_done, checkpoints_from, opened, plan, quietly
from tests.adversity.disk_log import Cut, Event, Heard, Named, Wrote
from tests.adversity.ledger import Ledger, aftermath
from tests.adversity.losing import surviving
from tests.adversity.lossy_vfs import SCRATCH, DiskVfs, disk

BLOCK = 50
CONTROL_CASES = 200
# It takes a name that comes back, twice: one case in 25 is caught.
NAMES_CONTROL_CASES = 600
FILE = "counterfoil.db"
AGAIN_PART = 0.2
SECOND_FROM = 10_000
# Events by which the log tells of a file that was there.
_ADOPTING = 4
Weaken: TypeAlias = Callable[[SqliteStore, DiskVfs], None]
Draw: TypeAlias = Callable[[list[Event], Random], int]
"""The instant of a log at which the power first fails."""


def run(first: int, last: int) -> Figures:
    """Plays the losses."""
    return asyncio.run(_losses(first, last))


def _anywhere(log: list[Event], draw: Random) -> int:
    return _instant(log, draw)


async def _losses(
    first: int, last: int, weaken: Weaken = lambda *_: None, *, instant: Draw = _anywhere, again_part: float = AGAIN_PART
) -> Figures:
    figures = Figures()
    log: list[Event] = []
    recorded = None
    for case in range(first, last):
        if case // BLOCK != recorded:
            recorded = case // BLOCK
            with TemporaryDirectory(dir=SCRATCH) as folder:
                log = await _life(Random(f"workload {recorded}"), Path(folder).resolve() / FILE, weaken)
        figures.counts["workloads"] += case % BLOCK == 0
        with TemporaryDirectory(dir=SCRATCH) as folder:
            draw = Random(f"power loss {case}")
            first_instant = instant(log, draw)
            await _lose(case, log, first_instant, draw, again_part, Path(folder).resolve(), weaken, figures)
    return figures


async def _life(draw: Random, path: Path, weaken: Weaken, groups_max: int = 40, first: int = 0) -> list[Event]:
    """A store's life from its opening on: deeds, checkpoints, and sometimes a stop and a start in the middle."""
    stops = set(draw.sample(range(groups_max), draw.choice((0, 0, 1, 2))))
    there = sorted(path.parent.iterdir())
    with checkpoints_from(draw.choice((2, 10, 40, 1000)), draw.choice((3, 10**9))), disk(*there) as vfs:

        def heard(*note: object) -> None:
            vfs.log.append(Heard(note))

        store = opened(path)
        try:
            weaken(store, vfs)
            for turn, group in enumerate(plan(draw, draw.randint(groups_max // 5, groups_max), first)):
                await all_done(store, group, heard, heard)
                if turn in stops:
                    await store.close()
                    store = opened(path)
                    weaken(store, vfs)
        finally:
            # An instant like any other: a last checkpoint, and the end of the WAL.
            await store.close()
        return vfs.log


async def _lose(
    case: int,
    log: list[Event],
    instant: int,
    draw: Random,
    again_part: float,
    folder: Path,
    weaken: Weaken,
    figures: Figures,
) -> None:
    ledger = Ledger()
    instants = [instant]
    _left(log, instants[0], draw, folder, ledger, figures)
    if draw.random() < again_part and (folder / FILE).exists():
        # While it recovers, or soon after.
        there = len(list(folder.iterdir()))
        try:
            again = await _life(draw, folder / FILE, weaken, 5, SECOND_FROM)
        except (StoreUnfit, StoreUnavailable, apsw.Error) as cause:
            figures.fail(f"case {case}, lost at event {instants} of {len(log)}: does not live on: {cause!r}")
            return
        instants.append(_instant(again, draw, _ADOPTING * there))
        for file in folder.iterdir():
            file.unlink()
        _left(again, instants[1], draw, folder, ledger, figures)
    for objection in (await aftermath(folder / FILE, ledger))[:1]:
        figures.fail(f"case {case}, lost at event {instants} of {len(log)}: {objection}")
    figures.counts.update(ledger.counts)


def _instant(log: list[Event], draw: Random, first: int = 0) -> int:
    """Anywhere; half of the time moved on to where a change is under way."""
    instant = draw.randint(first, len(log))
    if draw.random() < 0.5:
        while first < instant < len(log) and not isinstance(log[instant - 1], Wrote | Cut | Named):
            instant += 1
    return instant


def _left(log: list[Event], instant: int, draw: Random, folder: Path, ledger: Ledger, figures: Figures) -> None:
    """Writes down what the loss leaves, and takes down what callers had heard by then."""
    for name, content in surviving(log, instant, draw).items():
        (folder / Path(name).name).write_bytes(content)
    disk_events = [event for event in log[:instant] if not isinstance(event, Heard)]
    for event in log[:instant]:
        if isinstance(event, Heard):
            ledger.hear(*event.note)
    figures.counts["power losses"] += 1
    figures.counts[f"power losses after {type(disk_events[-1]).__name__ if disk_events else 'nothing'}"] += 1


def _caught(weaken: Weaken) -> int:
    with quietly():
        return asyncio.run(_losses(0, CONTROL_CASES, weaken)).counts["failures"]


def _caught_with_unsynced_names() -> int:
    """While the WAL is made the power fails for the first time, and once there is one, SQLite syncs no name any more."""
    with quietly(), patch.object(DiskVfs, "sync_names", lambda _: None):
        return asyncio.run(_losses(0, NAMES_CONTROL_CASES, instant=_as_the_wal_is_made, again_part=1)).counts["failures"]


def _as_the_wal_is_made(log: list[Event], _: Random) -> int:
    return next(at for at, event in enumerate(log, 1) if isinstance(event, Named) and event.name.endswith("-wal"))


def _synchronous_normal(store: SqliteStore, _: DiskVfs) -> None:
    store._writer_connection.pragma("synchronous", "normal")


def _syncs_lie(_: SqliteStore, vfs: DiskVfs) -> None:
    vfs.syncs_lie = True


CAMPAIGN = Campaign(
    name="power loss",
    claim="What the SQLite store has acknowledged outlives the loss of power, whatever the disk makes of un-synced writes.",
    unit="power losses",
    sizes=Sizes(full=100_000, ci=5_000, laptop=300),
    run=run,
    controls={
        "synchronous=NORMAL": lambda: _caught(_synchronous_normal),
        "a disk whose syncs lie": lambda: _caught(_syncs_lie),
        "leaves its names to SQLite": _caught_with_unsynced_names,
    },
)
