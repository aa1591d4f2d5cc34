"""SIGKILL at every write, sync and unlink system call of one issue, one validation, a start, a stop and a checkpoint.

A first run of a scene, under strace, says which calls it makes of the store's files, the shared-memory file among them;
then the scene is played once for each of them, and dies as it enters that call.
"""

import asyncio
import ctypes
import sys
from collections import Counter
from contextlib import nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.adversity.broken_commits import AnswersFirst, committing_by
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.deeds import quietly
from tests.adversity.ledger import aftermath
from tests.adversity.scenes import SCENES, Found, Scene, found, lived
from tests.adversity.warm_process import forked, played_apart, print_figures
from tests.support import strace

# Calls are counted by thread, and a start and a deed are made by two: scenes that have both cannot be told apart.
WATCHED = tuple(scene for scene in SCENES if not (scene.opens and scene.deeds))
SOURCES = ("broken_commits", "deeds", "ledger", "scenes", "warm_process")
# An issue and a validation.
CONTROL_CASES = (3, 5)
READY, GO = ("ready",), ("go",)
BESIDE = ("", "-wal", "-shm", "-journal")
_PR_SET_PTRACER, _ANYBODY = 0x59616D61, -1


def run(first: int, last: int) -> Figures:
    """Plays the cases: a scene and a seed each, with a kill at each of its calls."""
    return played_apart(__name__, first, last, "")


def main(first: int, last: int, broken: str) -> Figures:
    """The same in this process, which has no thread; with commits that are broken, when it is asked for."""
    figures = Figures()
    with quietly(), committing_by(AnswersFirst) if broken else nullcontext():
        for case in range(first, last):
            _case(case, figures)
    return figures


def _case(case: int, figures: Figures) -> None:
    scene, draw = WATCHED[case % len(WATCHED)], Random(f"crash at system calls {case}")
    files = asyncio.run(found(scene, draw))
    by_thread = _played(scene, files, None, figures)
    if len(by_thread) > 1:
        figures.fail(f"case {case}, {scene.name}: {len(by_thread)} threads touch the files, so not every call was died at")
    for call, number in sorted((call, number) for calls in by_thread.values() for call, number in calls.items()):
        for at in range(1, number + 1):
            figures.counts[f"kills at {call}"] += 1
            _played(scene, files, (call, at), figures, f"case {case}, {scene.name}, {call} {at} of {number}")


def _played(
    scene: Scene, files: Found, dies_at: tuple[str, int] | None, figures: Figures, what: str = ""
) -> dict[str, Counter[str]]:
    with TemporaryDirectory() as folder, TemporaryDirectory() as other:
        path, record = files.put(Path(folder)), Path(other) / "calls"
        ledger = files.ledger()
        victim = forked(partial(_work, scene, path))
        while (note := victim.notes.recv()) != READY:
            ledger.hear(*note)
        beside = [path.with_name(path.name + suffix) for suffix in BESIDE]
        with strace.watched(victim.pid, [path.parent, *beside], record, dies_at=dies_at):
            victim.notes.send(GO)
            victim.wait()
        for note in victim.rest():
            ledger.hear(*note)
        if victim.ended != (dies_at is None):
            figures.fail(f"{what}: it was {'not killed' if victim.ended else 'killed or failed'}")
        for objection in asyncio.run(aftermath(path, ledger))[:1]:
            figures.counts["stores that forgot"] += 1
            figures.fail(f"{what}: {objection}")
        figures.counts.update(ledger.counts)
        return strace.calls_by_thread(record)


def _work(scene: Scene, path: Path, notes: Connection) -> None:
    # Where only ancestors may trace: strace is a sibling.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)

    def wait_for_strace() -> None:
        notes.send(READY)
        notes.recv()

    asyncio.run(lived(scene, path, lambda *note: notes.send(note), wait_for_strace))


CAMPAIGN = Campaign(
    name="crash at system calls",
    claim="What the SQLite store has acknowledged outlives SIGKILL at every write, sync and unlink that it makes.",
    unit="scenes, each killed at every call",
    sizes=Sizes(full=20 * len(WATCHED), ci=len(WATCHED), laptop=2),
    run=run,
    controls={
        "answers before the commit": lambda: played_apart(__name__, *CONTROL_CASES, "broken").counts["stores that forgot"]
    },
    per_chunk=len(WATCHED),
    missing=strace.missing,
    sources=("support/strace.py", *(f"adversity/{name}.py" for name in SOURCES)),
)

if __name__ == "__main__":
    print_figures(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
