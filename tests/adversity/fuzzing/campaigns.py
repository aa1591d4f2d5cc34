"""One campaign for each target: its runs are child processes, since libFuzzer takes a process over."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.fuzzing.target import Target
from tests.adversity.fuzzing.targets import TARGETS
from tests.support.service import unmeasured_environment

_ROOT = Path(__file__).parents[3]
_SIZES = Sizes(full=10_000_000, ci=30_000, laptop=3_000)
_CONTROL_INPUTS, _CONTROL_RUNS = 20_000, 5
_STDERR_CHARS = 500


def _campaign(target: Target) -> Campaign:
    return Campaign(
        name=f"fuzzing-{target.name}",
        claim=f"Whatever is read as {target.what} is taken in one spelling or refused by a rule that repeats nothing of it.",
        unit="inputs",
        sizes=_SIZES,
        run=partial(_run, target),
        controls={defect: partial(_caught, target, defect) for defect in target.broken},
        # Starting takes some seconds, and a run gets better at it.
        per_chunk=500_000,
        missing=_missing,
    )


def _missing() -> str | None:
    if importlib.util.find_spec("atheris") is None:
        return "atheris is not installed; it is among the locked tools on Linux (x86_64)"
    return None


def _run(target: Target, first: int, last: int) -> Figures:
    """As many inputs as there are cases, from the seed that the first one gives: a range is one run."""
    return _fuzzed(target, last - first, first + 1)


def _caught(target: Target, defect: str) -> int:
    # A run may pass a defect by, and which one does changes with every line of the code that guides it.
    runs = (_fuzzed(target, _CONTROL_INPUTS, seed + 1, "--broken", defect) for seed in range(_CONTROL_RUNS))
    return next((caught for figures in runs if (caught := figures.counts["failures"])), 0)


def _fuzzed(target: Target, runs: int, seed: int, *more: str) -> Figures:
    command = [sys.executable, "-m", "tests.adversity.fuzzing", target.name, "--runs", str(runs), "--seed", str(seed), *more]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**unmeasured_environment(), "PYTHONHASHSEED": "0", "TMPDIR": folder}
        done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    figures = Figures()
    if done.returncode or not done.stdout:
        figures.fail(f"the run ended with {done.returncode}: {done.stderr[-_STDERR_CHARS:]}; {' '.join(command[1:])}")
        return figures
    # What libFuzzer itself has to say goes before it.
    came_to = json.loads(done.stdout.splitlines()[-1])
    figures.counts = Counter({"inputs": runs, **came_to["counts"]})
    figures.failures = [
        f"{failure}; python -m tests.adversity.fuzzing {target.name} --input HEX" for failure in came_to["failures"]
    ]
    figures.digest = came_to["digest"]
    return figures


FUZZING = tuple(_campaign(target) for target in TARGETS)
