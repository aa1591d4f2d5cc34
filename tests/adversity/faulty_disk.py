"""The disk fails at every call that the real SQLite store makes of it, once or from then on, with every error it may give.

A full disk is a StoreUnavailable, and the store lives; any other error ends it, for good. Neither makes an answer untrue:
each point is looked at twice, as a restart finds the files, and as it finds them when the power failed as well.
"""

import asyncio
from random import Random

import apsw

from counterfoil.stores.group_commit import GroupCommit
from tests.adversity.broken_commits import AnswersFirst, GoesOn, TakesItForDone, committing_by
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.deeds import quietly
from tests.adversity.scenes import SCENES, found
from tests.adversity.struck_store import Point, StruckStore

# What SQLite's unix layer makes of errno: ENOSPC and a short write are "full" in a write alone, and an I/O error elsewhere.
FAULTS: dict[str, tuple[tuple[str, type[apsw.Error], float], ...]] = {
    "xWrite": (
        ("EIO", apsw.IOError, 0),
        ("EIO after a half", apsw.IOError, 0.5),
        ("ENOSPC", apsw.FullError, 0),
        ("short write", apsw.FullError, 0.5),
    ),
    # Too many open files, most often, and closed again soon: a reader may take it for passing, or end.
    "xOpen": (("EMFILE", apsw.CantOpenError, 0),),
    **dict.fromkeys(("xRead", "xSync", "xTruncate", "xFileSize", "xDelete", "xAccess"), (("EIO", apsw.IOError, 0),)),
}
# The four verbs.
CONTROL_CASES = (3, 7)


def run(first: int, last: int) -> Figures:
    """Plays the cases: a scene and a seed each, with all of the scene's points."""
    figures = Figures()
    with quietly():
        for case in range(first, last):
            asyncio.run(_case(case, figures))
    return figures


async def _case(case: int, figures: Figures) -> None:
    scene, draw = SCENES[case % len(SCENES)], Random(f"faulty disk {case}")
    files = await found(scene, draw)
    calls = (await StruckStore(scene, files, None).played(draw)).calls
    for call, faults in FAULTS.items():
        for number in range(1, calls[call] + 1):
            for fault in faults:
                point = Point(call, number, *fault, draw.random() < 0.5)
                play = await StruckStore(scene, files, point).played(draw)
                figures.counts["injection points"] += 1
                figures.counts[play.ended] += 1
                figures.counts["answers untrue after it"] += bool(play.untrue)
                figures.counts["did not behave"] += bool(play.misbehaved)
                for objection in (*play.untrue, *play.misbehaved)[:1]:
                    figures.fail(f"case {case}, {scene.name}, {point}: {objection}")


def _caught(broken: type[GroupCommit], by: str) -> int:
    with committing_by(broken):
        return run(*CONTROL_CASES).counts[by]


CAMPAIGN = Campaign(
    name="faulty disk",
    claim="Whatever call of the disk fails, no answer is untrue; a full disk is lived through, any other error ends the store.",
    unit="scenes, each with a fault at every call",
    sizes=Sizes(full=50 * len(SCENES), ci=2 * len(SCENES), laptop=len(SCENES)),
    run=run,
    controls={
        "goes on after an I/O error": lambda: _caught(GoesOn, "did not behave"),
        "takes a failed commit for done": lambda: _caught(TakesItForDone, "answers untrue after it"),
        "answers before the commit": lambda: _caught(AnswersFirst, "answers untrue after it"),
    },
    per_chunk=len(SCENES),
)
