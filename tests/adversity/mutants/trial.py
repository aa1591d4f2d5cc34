"""Tries changes of files: in a copy of the project, one after the other, against the tests that guard their room."""

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.adversity.mutants.mutant import Fate, Mutant
from tests.adversity.mutants.outside import Change
from tests.adversity.progress import NOTES, ROOT

Say = Callable[[str], None]

_TREE = NOTES / "mutants"
_FORKS = Path(__file__).with_name("forks.py")
# The nearest first, by themselves: most mutants end there.
_TESTS = {
    "core": (
        ("tests/vectors", "tests/unit/test_values.py", "tests/unit/test_judgement.py"),
        ("tests/unit", "tests/contract", "tests/journeys/test_seed_defects.py"),
    ),
    "model": (
        ("tests/vectors", "tests/unit/test_values.py", "tests/unit/test_passcode.py", "tests/unit/test_journal.py"),
        ("tests/unit", "tests/contract", "tests/journeys/test_journal.py"),
    ),
    "stores": (
        (
            "tests/contract/test_store.py",
            "tests/contract/test_journal.py",
            "tests/unit/test_schema.py",
            "tests/unit/test_broom.py",
        ),
        ("tests/unit/test_group_commit.py", "tests/journeys/test_store_faults.py", "tests/journeys/test_journal.py"),
        ("tests/journeys/test_races.py", "tests/unit"),
    ),
}
# mutmut's own settings: what a copy needs, and with which arguments tests run.
_SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
_ALL_PASSED = 0
_TIMEOUT_S = 300


def tried(changes: Sequence[Change], say: Say) -> Iterator[Mutant]:
    """The mutants that the changes make, each with its fate. Raises RuntimeError when tests fail without a change."""
    _copy()
    with _forks() as outcome:
        for room in sorted({_room(change) for change in changes}):
            if any(outcome(tests) != _ALL_PASSED for tests in _TESTS[room]):
                raise RuntimeError(f"the tests of {room} fail without a mutant")
        for number, change in enumerate(changes, 1):
            file = _TREE / change.path.relative_to(ROOT)
            whole = file.read_text()
            file.write_text(change.code)
            statuses = (outcome(tests) for tests in _TESTS[_room(change)])
            status = next((status for status in statuses if status != _ALL_PASSED), _ALL_PASSED)
            file.write_text(whole)
            fate = Fate.TIMED_OUT if status is None else Fate.SURVIVED if status == _ALL_PASSED else Fate.KILLED
            say(f"{number}/{len(changes)} {fate}: {change.module} {change.after}")
            yield Mutant(change.module, change.where, change.before, change.after, fate)


def _room(change: Change) -> str:
    return change.path.parent.name


def _copy() -> None:
    shutil.rmtree(_TREE, ignore_errors=True)
    for name in ("src", "tests", "pyproject.toml", *_SETTINGS["also_copy"]):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, _TREE / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy2(ROOT / name, _TREE / name)


@contextmanager
def _forks() -> Iterator[Callable[[Sequence[str]], int | None]]:
    """Gives a way to run tests in the copy: the exit status of pytest, or None when they did not end."""
    with subprocess.Popen(
        [sys.executable, str(_FORKS)], cwd=_TREE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def outcome(tests: Sequence[str]) -> int | None:
            assert process.stdin is not None
            assert process.stdout is not None
            trial = {"tests": tests, "arguments": _SETTINGS["pytest_add_cli_args"], "timeout_s": _TIMEOUT_S}
            process.stdin.write(json.dumps(trial) + "\n")
            process.stdin.flush()
            status: int | None = json.loads(process.stdout.readline())
            return status

        try:
            yield outcome
        finally:
            process.stdin.close()
