"""One run of one target: a child process, since libFuzzer takes a process over."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.adversity.campaign import Figures
from tests.adversity.fuzzing.target import Target
from tests.support.service import unmeasured_environment

_ROOT = Path(__file__).parents[3]
_CONTROL_INPUTS, _CONTROL_RUNS = 20_000, 5
_STDERR_CHARS = 500


def run(target: Target, first: int, last: int) -> Figures:
    """As many inputs as there are cases, from the seed that the first one gives: a range is one run."""
    return _fuzzed(target, last - first, first + 1)


def caught(target: Target, defect: str) -> int:
    # A run may pass a defect by, and which one does changes with every line of the code that guides it.
    runs = (_fuzzed(target, _CONTROL_INPUTS, seed + 1, "--broken", defect) for seed in range(_CONTROL_RUNS))
    return next((many for figures in runs if (many := figures.counts["failures"])), 0)


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
