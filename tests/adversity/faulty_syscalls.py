"""Errors as the kernel gives them, at every write, sync, cut and unlink of the store's files, shared memory among them.

Beside `faulty_disk`, which speaks for SQLite's unix layer: here that layer itself hears EIO and ENOSPC, under strace.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from random import Random

import apsw

from counterfoil.ports.store import StoreUnavailable, StoreUnfit
from tests.adversity.broken_commits import GoesOn, committing_by
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.crash_syscalls import WATCHED
from tests.adversity.deeds import all_done, checkpoints_from, opened, quietly
from tests.adversity.scenes import FILE, Scene, found
from tests.adversity.traced_store import played_under_strace
from tests.adversity.warm_process import played_apart, print_figures
from tests.support import strace

SCENES = tuple(scene for scene in WATCHED if not scene.closes)
# An issue and a validation.
CONTROL_CASES = (3, 5)
REFUSED_TO_START, ENDED, LIVED_ON = "refused to start", "ended", "lived on"


def run(first: int, last: int) -> Figures:
    """Plays the cases: a scene and a seed each, with each error at each of its calls."""
    return played_apart(__name__, first, last, "")


def main(first: int, last: int, broken: str) -> Figures:
    """The same in this process, which has no thread; with commits that are broken, when it is asked for."""
    figures = Figures()
    with quietly(), committing_by(GoesOn) if broken else nullcontext():
        for case in range(first, last):
            _case(case, figures)
    return figures


def _case(case: int, figures: Figures) -> None:
    scene, draw = SCENES[case % len(SCENES)], Random(f"faulty system calls {case}")
    files = asyncio.run(found(scene, draw))
    seen: Counter[str] = Counter()
    for call in played_under_strace(scene, files, None, _play).calls:
        seen[call.name] += 1
        for error in ("EIO", "ENOSPC"):
            # From then on: what is only once is `faulty_disk`'s.
            injected = f"{call.name}:error={error}:when={seen[call.name]}+"
            traced = played_under_strace(scene, files, injected, _play)
            end = traced.words[-1] if traced.words else "killed or failed"
            figures.counts["injection points"] += 1
            figures.counts[end] += 1
            what = f"case {case}, {scene.name}, {injected} on {Path(call.path).name}"
            if end not in _allowed(call, error):
                figures.counts["did not behave"] += 1
                figures.fail(f"{what}: it {end}")
            for objection in traced.objections[:1]:
                figures.fail(f"{what}: {objection}")


def _allowed(call: strace.Call, error: str) -> tuple[str, ...]:
    syncs_folder_late = call.name == "fdatasync" and FILE not in Path(call.path).name
    if call.name == "unlink" or syncs_folder_late:
        # A journal that stays: SQLite knows what to make of it. And the folder was synced when the store was opened, by an
        # fsync whose error is heard; SQLite does it once more, and takes no notice of an error.
        return (REFUSED_TO_START, ENDED, LIVED_ON)
    if error == "ENOSPC" and call.name in ("write", "pwrite64"):
        return (REFUSED_TO_START, LIVED_ON)
    return (REFUSED_TO_START, ENDED)


async def _play(scene: Scene, path: Path, say: Callable[..., None], begin: Callable[[], None]) -> None:
    """In the process whose calls fail: how it ends is its last word."""
    told_to_end: list[bool] = []
    with checkpoints_from(scene.checkpoint_pages):
        if scene.opens:
            begin()
        try:
            store = opened(path, lambda: told_to_end.append(True))
        except (StoreUnfit, apsw.Error, OSError):
            say(REFUSED_TO_START)
            return
        if not scene.opens:
            begin()
        for deed in scene.deeds:
            try:
                await all_done(store, [deed], say, say)
            except StoreUnavailable:
                continue
        serves = True
        try:
            await store.check_ready()
        except StoreUnavailable:
            serves = False
        if told_to_end:
            say(ENDED if not serves else "serves although it was told to end")
        else:
            say(LIVED_ON)


CAMPAIGN = Campaign(
    name="faulty disk at system calls",
    claim="Whatever system call on its files fails with EIO or ENOSPC, no answer is untrue; the store lives or ends by rule.",
    unit="scenes, each with errors at every call",
    sizes=Sizes(full=10 * len(SCENES), ci=len(SCENES), laptop=1),
    run=run,
    controls={"goes on after an I/O error": lambda: played_apart(__name__, *CONTROL_CASES, "broken").counts["did not behave"]},
    per_chunk=len(SCENES),
    missing=strace.missing,
)

if __name__ == "__main__":
    print_figures(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
