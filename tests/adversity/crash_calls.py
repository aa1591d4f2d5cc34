"""SIGKILL at every call that SQLite makes of its disk, and amid every write: `crash_syscalls` where nothing may be traced.

A first run of a scene counts its calls; then the scene is played once for each of them, and dies there.
"""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from contextlib import nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple, NoReturn

from tests.adversity.broken_commits import AnswersFirst, committing_by
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.deeds import quietly
from tests.adversity.ledger import aftermath
from tests.adversity.lossy_vfs import SCRATCH, Fault, disk
from tests.adversity.scenes import SCENES, Found, Scene, found, lived
from tests.adversity.warm_process import forked, played_apart, print_figures

PARTS = {"xWrite": (0.0, 0.5), "xSync": (0.0,), "xTruncate": (0.0,), "xDelete": (0.0,), "xOpen": (0.0,)}
# An issue and a validation.
CONTROL_CASES = (3, 5)
ANSWER_S = 0.005
COUNTED = "counted"


class Death(NamedTuple):
    """At the `number`th call of this kind, when this part of what it writes is written."""

    call: str
    number: int
    part: float


def run(first: int, last: int) -> Figures:
    """Plays the cases: a scene and a seed each, with a kill at each of its calls."""
    return played_apart(__name__, first, last, "")


def main(first: int, last: int, broken: str) -> Figures:
    """The same in this process, which has no thread; with commits that are broken, when it is asked for."""
    figures = Figures()
    with quietly(), committing_by(AnswersFirst) if broken else nullcontext():
        for case in range(first, last):
            scene, draw = SCENES[case % len(SCENES)], Random(f"crash at calls {case}")
            files = asyncio.run(found(scene, draw))
            for call, number in sorted(_played(scene, files, None, figures, f"case {case}, {scene.name}").items()):
                for death in (Death(call, at, part) for at in range(1, number + 1) for part in PARTS[call]):
                    figures.counts[f"kills {'amid' if death.part else 'at'} {call}"] += 1
                    _played(scene, files, death, figures, f"case {case}, {scene.name}, {death}")
    return figures


def _played(scene: Scene, files: Found, death: Death | None, figures: Figures, what: str) -> Counter[str]:
    calls: Counter[str] = Counter()
    with TemporaryDirectory(dir=SCRATCH) as folder:
        path, ledger = files.put(Path(folder)), files.ledger()
        victim = forked(partial(_work, scene, path, death))
        victim.wait()
        for note in victim.rest():
            if note[0] == COUNTED:
                calls = note[1]
            else:
                ledger.hear(*note)
        if victim.ended != (death is None):
            figures.fail(f"{what}: it was {'not killed' if victim.ended else 'killed or failed'}")
        for objection in asyncio.run(aftermath(path, ledger))[:1]:
            figures.counts["stores that forgot"] += 1
            figures.fail(f"{what}: {objection}")
    figures.counts.update(ledger.counts)
    return calls


def _work(scene: Scene, path: Path, death: Death | None, notes: Connection) -> None:
    """In the process that is to be killed."""
    calls: Counter[str] = Counter()

    def fault_at(call: str, _path: str) -> Fault | None:
        calls[call] += 1
        dies = death is not None and (call, calls[call]) == death[:2]
        return Fault(_die, death.part) if dies and death is not None else None

    with disk() as vfs:
        asyncio.run(lived(scene, path, lambda *note: notes.send(note), lambda: setattr(vfs, "fault_at", fault_at)))
        notes.send((COUNTED, Counter({call: calls[call] for call in PARTS})))
        # Nothing is let go of: the process ends as if it were killed here.
        os._exit(0)


def _die() -> NoReturn:
    # What is on its way to a caller by now gets there: whether it may is what is asked.
    time.sleep(ANSWER_S)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL has no return")


CAMPAIGN = Campaign(
    name="crash at disk calls",
    claim="What the SQLite store has acknowledged outlives SIGKILL at every call that it makes of its disk.",
    unit="scenes, each killed at every call",
    sizes=Sizes(full=50 * len(SCENES), ci=3 * len(SCENES), laptop=len(SCENES)),
    run=run,
    controls={
        "answers before the commit": lambda: played_apart(__name__, *CONTROL_CASES, "broken").counts["stores that forgot"]
    },
    per_chunk=len(SCENES),
)

if __name__ == "__main__":
    print_figures(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
