"""Tries changes of files: in copies of the project, against the tests that guard their room."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.adversity.mutants.mutant import Fate, Mutant
from tests.adversity.mutants.outside import Change
from tests.adversity.progress import NOTES, ROOT

Say = Callable[[str], None]
Outcome = Callable[[Sequence[str]], int | None]
"""Runs tests in the copy: the exit status of pytest, or None when they did not end."""

_TREES = NOTES / "mutants"
_FORKS = Path(__file__).with_name("forks.py")
# The nearest first, by themselves: most mutants end there.
_TESTS = {
    "core": (
        ("tests/unit/test_values.py", "tests/unit/test_judgement.py", "tests/vectors"),
        ("tests/contract", "tests/journeys/test_seed_defects.py"),
        ("tests/unit",),
    ),
    "model": (
        ("tests/unit/test_values.py", "tests/unit/test_passcode.py", "tests/unit/test_journal.py", "tests/vectors"),
        ("tests/contract", "tests/journeys/test_journal.py"),
        ("tests/unit",),
    ),
    "stores": (
        (
            "tests/unit/test_schema.py",
            "tests/contract/test_store.py",
            "tests/contract/test_journal.py",
            "tests/unit/test_broom.py",
        ),
        ("tests/unit/test_group_commit.py", "tests/journeys/test_store_faults.py", "tests/journeys/test_journal.py"),
        ("tests/journeys/test_races.py", "tests/unit"),
    ),
}
# mutmut's own settings: what a copy needs, and with which arguments tests run.
_SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
_ARGUMENTS = _SETTINGS["pytest_add_cli_args"]
_TESTS_OF_ALL = _SETTINGS["pytest_add_cli_args_test_selection"]
_ALL_PASSED = 0
_TIMEOUT_S = 300
_LOT = 20


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy of the project, and a process that runs tests in it."""

    tree: Path
    outcome: Outcome


def tried(changes: Sequence[Change], workers: int, say: Say) -> Iterator[Mutant]:
    """The mutants that the changes make, each with its fate. Raises RuntimeError when tests fail without a change.

    They are told in small lots, each once the whole code has passed after it: when a disk is full, or a library gone, every
    mutant would be taken for killed.
    """
    with ExitStack() as stack, ThreadPoolExecutor(workers) as pool:
        copies = [stack.enter_context(_copy(_TREES / str(number))) for number in range(workers)]
        _confirm({_room(change): _TESTS[_room(change)] for change in changes}, copies[0].outcome)
        free: SimpleQueue[_Copy] = SimpleQueue()
        for copy in copies:
            free.put(copy)

        def told(lot: Sequence[Change]) -> list[Mutant]:
            copy = free.get()
            try:
                return _lot(lot, copy)
            finally:
                free.put(copy)

        number = 0
        for mutants in pool.map(told, _lots(changes)):
            for mutant in mutants:
                number += 1
                say(f"{number}/{len(changes)} {mutant.fate}: {mutant.module} {mutant.after}")
                yield mutant


def confirm_whole() -> None:
    """Raises RuntimeError when the tests fail, now, on the code as it is."""
    with _copy(_TREES / "whole") as copy:
        _confirm(_TESTS, copy.outcome)


def _lots(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    for start in range(0, len(changes), _LOT):
        yield changes[start : start + _LOT]


def _lot(lot: Sequence[Change], copy: _Copy) -> list[Mutant]:
    mutants = [_fate(change, copy) for change in lot]
    _confirm({_room(change): _TESTS[_room(change)][:1] for change in lot}, copy.outcome)
    return mutants


def _confirm(tests: Mapping[str, Sequence[Sequence[str]]], outcome: Outcome) -> None:
    for room, stages in tests.items():
        if any(outcome(stage) != _ALL_PASSED for stage in stages):
            raise RuntimeError(f"the tests of {room} fail without a mutant")


def _fate(change: Change, copy: _Copy) -> Mutant:
    file = copy.tree / change.path.relative_to(ROOT)
    whole = file.read_text()
    file.write_text(change.code)
    statuses = (copy.outcome(stage) for stage in (*_own_tests(change), *_TESTS[_room(change)]))
    status = next((status for status in statuses if status != _ALL_PASSED), _ALL_PASSED)
    file.write_text(whole)
    fate = Fate.TIMED_OUT if status is None else Fate.SURVIVED if status == _ALL_PASSED else Fate.KILLED
    return Mutant(change.module, change.where, change.before, change.after, fate)


def _own_tests(change: Change) -> list[list[str]]:
    """The file of tests that has its module's name, if there is one."""
    stem = change.path.stem
    names = (f"tests/unit/test_{name}.py" for name in (stem, stem.removeprefix("sqlite_")))
    return [[name] for name in dict.fromkeys(names) if (ROOT / name).exists()]


def _room(change: Change) -> str:
    return change.path.parent.name


@contextmanager
def _copy(tree: Path) -> Iterator[_Copy]:
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("src", "tests", "pyproject.toml", *_SETTINGS["also_copy"]):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy2(ROOT / name, tree / name)
    _compile(tree)
    with subprocess.Popen(
        [sys.executable, str(_FORKS)], cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def outcome(tests: Sequence[str]) -> int | None:
            assert process.stdin is not None
            assert process.stdout is not None
            trial = {"tests": tests, "arguments": _ARGUMENTS, "timeout_s": _TIMEOUT_S}
            process.stdin.write(json.dumps(trial) + "\n")
            process.stdin.flush()
            status: int | None = json.loads(process.stdout.readline())
            return status

        try:
            yield _Copy(tree, outcome)
        finally:
            process.stdin.close()


def _compile(tree: Path) -> None:
    """Leaves compiled forms of code and tests, which trials read and never write: a changed file is newer than its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for command in (["compileall", "-q", "src"], ["pytest", "--collect-only", "-q", *_ARGUMENTS, *_TESTS_OF_ALL]):
        subprocess.run([sys.executable, "-m", *command], cwd=tree, env=environment, check=True, stdout=subprocess.DEVNULL)
