"""SIGKILL of the real HTTP server under load: what it told its callers, the next one keeps, and a retry hears the truth.

The kills of a range follow one another on one data folder: the server that is asked about the last kill is the next to be
killed. When a kill is due follows from its number; at which instruction it falls does not.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.warm_process import ROOT
from tests.support.promises import Promises, broken_promises, under_load
from tests.support.service import COUNTERFOIL, Deployment, Running, made_deployment

UNLIMITED = {"COUNTERFOIL_OUTSTANDING_MAX": "0", "COUNTERFOIL_ISSUE_RATE_PER_S": "0"}
SHORTEST_S, LONGEST_S = 0.05, 0.6


CONTROL_CASES = 3
ANSWERS_FIRST = """
from counterfoil.entrypoints.cli import main
from tests.adversity.broken_commits import AnswersFirst, committing_by

with committing_by(AnswersFirst):
    main()
"""


def run(first: int, last: int, command: Sequence[str] = COUNTERFOIL) -> Figures:
    """Plays the kills of the server that the command starts."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_kills(made_deployment(Path(folder) / "data"), first, last, command))


async def _kills(deployment: Deployment, first: int, last: int, command: Sequence[str]) -> Figures:
    figures = Figures()
    promises = Promises()
    for case in range(first, last):
        with deployment.serving(command=command, PYTHONPATH=str(ROOT), **UNLIMITED) as running:
            await _hold(running, deployment, promises, case - 1, figures)
            promises = Promises()
            seconds = Random(f"crash server {case}").uniform(SHORTEST_S, LONGEST_S)
            await under_load(running, deployment, promises, seconds, signal.SIGKILL)
            running.process.wait(timeout=30)
            figures.counts["kills"] += 1
    with deployment.serving() as running:
        await _hold(running, deployment, promises, last - 1, figures)
    return figures


async def _hold(running: Running, deployment: Deployment, promises: Promises, case: int, figures: Figures) -> None:
    for broken in (await broken_promises(running, deployment, promises))[:1]:
        figures.fail(f"case {case} (by chance): {broken}")
    figures.counts["acknowledged redemptions"] += len(promises.redeemed)
    figures.counts["validations without an answer"] += len(promises.unknown)
    figures.counts["acknowledged mismatches"] += sum(sum(asked) for asked in promises.mismatches.values())
    figures.counts["acknowledged revocations"] += sum(promises.revoked.values())
    figures.counts["issued and left alone"] += len(promises.issued)


CAMPAIGN = Campaign(
    name="crash of the server",
    claim="What the HTTP server has answered outlives SIGKILL under load, and a retry with the same id hears the truth.",
    unit="kills",
    sizes=Sizes(full=500, ci=15, laptop=3),
    run=run,
    controls={
        "answers before the commit": lambda: run(0, CONTROL_CASES, (sys.executable, "-c", ANSWERS_FIRST)).counts["failures"],
    },
    per_chunk=50,
)
