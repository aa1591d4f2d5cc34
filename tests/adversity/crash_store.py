"""SIGKILL at random instants of a process that works on the real SQLite store: what it had acknowledged is there.

A case is one store, killed up to three times: while it opens, works, makes checkpoints or stops. What is done and when the
kill is due follow from the case's number; at which instruction it falls does not, so a case that failed may pass again.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.adversity.broken_commits import AnswersFirst, committing_by
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.deeds import Group, all_done, checkpoints_from, opened, plan, quietly
from tests.adversity.ledger import Ledger, aftermath
from tests.adversity.warm_process import Victim, forked, played_apart, print_figures

CONTROL_CASES = 40
KILLS_MAX = 3
LIVES_GROUPS = 12
# Opening, with all migrations, takes some milliseconds; a commit less than one.
OPENING_S = 0.02
AFTER_AN_ANSWER_S = 0.003
FILE = "counterfoil.db"


def run(first: int, last: int) -> Figures:
    """Plays the kills."""
    return played_apart(__name__, first, last, "")


def main(first: int, last: int, broken: str) -> Figures:
    """The same in this process, which has no thread; with commits that are broken, when it is asked for."""
    figures = Figures()
    with quietly(), committing_by(AnswersFirst) if broken else nullcontext():
        for case in range(first, last):
            with TemporaryDirectory() as folder:
                _case(case, Path(folder) / FILE, figures)
    return figures


def _case(case: int, path: Path, figures: Figures) -> None:
    draw = Random(f"crash store {case}")
    ledger = Ledger()
    with checkpoints_from(draw.choice((2, 10, 1000))):
        for life in range(draw.randint(1, KILLS_MAX)):
            groups = list(plan(draw, LIVES_GROUPS, first=1000 * life))
            victim = forked(partial(_work, path, groups))
            _kill(victim, draw, ledger, answers=sum(map(len, groups)))
            figures.counts["stopped before the kill" if victim.ended else "kills"] += 1
    for objection in asyncio.run(aftermath(path, ledger))[:1]:
        figures.fail(f"case {case} (by chance): {objection}")
    figures.counts.update(ledger.counts)


def _work(path: Path, groups: list[Group], notes: Connection) -> None:
    asyncio.run(_live(path, groups, lambda *note: notes.send(note)))


async def _live(path: Path, groups: list[Group], say: Callable[..., None]) -> None:
    """In the process that is to be killed."""
    store = opened(path)
    for group in groups:
        await all_done(store, group, say, say)
    await store.close()


def _kill(victim: Victim, draw: Random, ledger: Ledger, answers: int) -> None:
    """Waits for a number of answers, and a little longer."""
    wait_for = draw.choice((0, draw.randint(0, answers), draw.randint(0, answers), answers))
    heard = 0
    while heard < wait_for:
        note = victim.notes.recv()
        ledger.hear(*note)
        heard += len(note) > 1
    time.sleep(draw.random() * (AFTER_AN_ANSWER_S if wait_for else OPENING_S))
    victim.kill()
    for note in victim.rest():
        ledger.hear(*note)


CAMPAIGN = Campaign(
    name="crash of the store",
    claim="What the SQLite store has acknowledged outlives SIGKILL at any instant, and nothing is accepted twice after it.",
    unit="stores, each killed up to three times",
    sizes=Sizes(full=10_000, ci=300, laptop=60),
    run=run,
    controls={"answers before the commit": lambda: played_apart(__name__, 0, CONTROL_CASES, "broken").counts["failures"]},
)

if __name__ == "__main__":
    print_figures(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
