"""One campaign for each target."""

import importlib.util
from functools import partial

from tests.adversity.campaign import Campaign, Sizes
from tests.adversity.fuzzing import runs
from tests.adversity.fuzzing.target import Target
from tests.adversity.fuzzing.targets import TARGETS

_SIZES = Sizes(full=10_000_000, ci=30_000, laptop=3_000)


def _campaign(target: Target) -> Campaign:
    return Campaign(
        name=f"fuzzing-{target.name}",
        claim=f"Whatever is read as {target.what} is taken in one spelling or refused by a rule that repeats nothing of it.",
        unit="inputs",
        sizes=_SIZES,
        run=partial(runs.run, target),
        controls={defect: partial(runs.caught, target, defect) for defect in target.broken},
        # Starting takes some seconds, and a run gets better at it.
        per_chunk=500_000,
        missing=_missing,
    )


def _missing() -> str | None:
    if importlib.util.find_spec("atheris") is None:
        return "atheris is not installed; it is among the locked tools on Linux (x86_64)"
    return None


FUZZING = tuple(_campaign(target) for target in TARGETS)
