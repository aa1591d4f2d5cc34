"""SIGKILL at every write, sync and unlink system call of one issue, one validation, a start, a stop and a checkpoint.

A first run of a scene, under strace, says which calls it makes of the store's files, the shared-memory file among them;
then the scene is played once for each of them, and dies as it enters that call.
"""

import asyncio
import sys
from collections import Counter
from contextlib import nullcontext
from random import Random

from tests.adversity.broken_commits import AnswersFirst, committing_by
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.deeds import quietly
from tests.adversity.scenes import SCENES, Found, Scene, found, lived
from tests.adversity.traced_store import played_under_strace
from tests.adversity.warm_process import played_apart, print_figures
from tests.support import strace

# Calls are counted by thread, and a start and a deed are made by two: scenes that have both cannot be told apart.
WATCHED = tuple(scene for scene in SCENES if not (scene.opens and scene.deeds))
# An issue and a validation.
CONTROL_CASES = (3, 5)


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
    calls = _played(scene, files, None, figures)
    if len({call.thread for call in calls}) > 1:
        figures.fail(f"case {case}, {scene.name}: two threads touch the files, so not every call was died at")
    for name, number in sorted(Counter(call.name for call in calls).items()):
        for at in range(1, number + 1):
            figures.counts[f"kills at {name}"] += 1
            _played(
                scene, files, f"{name}:signal=SIGKILL:when={at}", figures, f"case {case}, {scene.name}, {name} {at} of {number}"
            )


def _played(scene: Scene, files: Found, injected: str | None, figures: Figures, what: str = "") -> list[strace.Call]:
    traced = played_under_strace(scene, files, injected, lived)
    if traced.ended != (injected is None):
        figures.fail(f"{what}: it was {'not killed' if traced.ended else 'killed or failed'}")
    for objection in traced.objections[:1]:
        figures.counts["stores that forgot"] += 1
        figures.fail(f"{what}: {objection}")
    figures.counts.update(traced.ledger.counts)
    return traced.calls


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
)

if __name__ == "__main__":
    print_figures(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
