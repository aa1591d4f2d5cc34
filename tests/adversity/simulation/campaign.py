"""The simulation as a campaign: one seed is one case, and its history's digest says whether it was the same again."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256

from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.simulation.broken import BROKEN
from tests.adversity.simulation.checker import violations
from tests.adversity.simulation.drawing import CALLS, drawn_plan
from tests.adversity.simulation.history import History
from tests.adversity.simulation.kinds import kinds_met
from tests.adversity.simulation.rules import Violation
from tests.adversity.simulation.shrinking import shrunk
from tests.adversity.simulation.trace import trace
from tests.adversity.simulation.variant import SOUND, Variant
from tests.adversity.simulation.world import played

CALLERS_MIN = 4
_CONTROL_SEEDS = 60


def run(first: int, last: int) -> Figures:
    """Plays the seeds. The digest is SHA-256 over those of the seeds, in their order."""
    figures = Figures()
    digests = sha256()
    for seed in range(first, last):
        history, broken = judged(seed)
        digests.update(history.digest().encode())
        _count(history, figures)
        again = f"python -m tests.adversity.simulation {seed}"
        for violation in broken:
            figures.fail(f"seed {seed}: {violation.rule}; again: {again} --shrink")
        if history.calls < CALLS or len(history.callers) < CALLERS_MIN:
            figures.fail(f"seed {seed}: {history.calls} calls by {len(history.callers)} callers; again: {again}")
    figures.digest = digests.hexdigest()
    return figures


def seed_digest(seed: int) -> str:
    """What stands for that seed in the digest of a run."""
    return judged(seed)[0].digest()


def judged(seed: int, variant: Variant = SOUND) -> tuple[History, list[Violation]]:
    """What happens under that seed, and which promises it breaks."""
    with _expected_faults_unlogged():
        history = played(drawn_plan(seed), variant)
    return history, violations(history)


def replay(seed: int, variant: Variant = SOUND, *, shrink: bool = False) -> str:
    """The seed's run to read; on demand the smallest one that was found to break the same promise."""
    with _expected_faults_unlogged():
        plan = drawn_plan(seed)
        history = played(shrunk(plan, variant) if shrink else plan, variant)
    return trace(history, violations(history))


def caught(variant: Variant) -> int:
    """In how many of the first seeds a broken variant breaks a promise."""
    return sum(bool(judged(seed, variant)[1]) for seed in range(_CONTROL_SEEDS))


def _count(history: History, figures: Figures) -> None:
    counts = figures.counts
    counts["seeds"] += 1
    counts["operations"] += history.calls
    counts["requests that reached a service"] += len(history.operations)
    for operation in history.operations:
        counts[f"verdict: {operation.told}"] += 1
    for kind in kinds_met(history):
        counts[f"fault: {kind}"] += 1


@contextmanager
def _expected_faults_unlogged() -> Iterator[None]:
    """Without a line for each 503; what the api room does not foresee is still logged, with its traceback."""
    log = logging.getLogger("counterfoil.api.app")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


_CONTROLS: dict[str, Callable[[], int]] = {name: partial(caught, variant) for name, variant in BROKEN.items()}

SIMULATION = Campaign(
    name="simulation",
    claim="Whatever is lost, late, doubled, crashed, stepped, swept, rotated, revoked or restored, in whatever order:"
    " no passcode is accepted twice, late or altered, and none that is valid is refused without a fault.",
    unit="seeds",
    sizes=Sizes(full=1_000_000, ci=10_000, laptop=500),
    run=run,
    controls=_CONTROLS,
    per_chunk=100,
)
