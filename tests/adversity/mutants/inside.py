"""Mutants of what functions do: mutmut makes them, and runs for each the tests that enter its function."""

import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import libcst as cst
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import read_functions_from_index
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

from tests.adversity.mutants.mutant import Fate, Mutant, changed_line
from tests.adversity.mutants.reasons import Reasons
from tests.adversity.mutants.twin import module_name

_FATES = {
    "killed": Fate.KILLED,
    "timeout": Fate.TIMED_OUT,
    "survived": Fate.SURVIVED,
    # No test enters its function.
    "no tests": Fate.SURVIVED,
    # The process of its tests died, of a crash or by its own hand.
    "segfault": Fate.KILLED,
    "suspicious": Fate.KILLED,
}


def run(workers: int, modules: Collection[str]) -> None:
    """Tries every mutant of them that has not been tried since its function changed.

    Raises CalledProcessError when tests fail without a mutant.
    """
    # mutmut tries again what it is given by name, and has names of what changed only once it has begun.
    before: list[str] = []
    while (names := _untried(modules)) and names != before:
        subprocess.run([*_command(workers), *names], check=True)
        before = names


def run_again(workers: int, modules: Collection[str], reasons: Reasons) -> None:
    """Tries once more, by name, those that survived and have no reason to."""
    names = [
        name
        for path, name, fate in _fates()
        if module_name(path) in modules and fate is not None and reasons.is_missing(_mutant(path, name, fate))
    ]
    if names:
        subprocess.run([*_command(workers), *names], check=True)


def found() -> dict[str, list[Mutant | None]]:
    """The mutants of each module with their fates; None for one that has not been tried. Empty before any are made."""
    mutants: dict[str, list[Mutant | None]] = {}
    for path, name, fate in _fates():
        of_it = mutants.setdefault(module_name(path), [])
        of_it.append(_mutant(path, name, fate) if fate is not None else None)
    return mutants


def _untried(modules: Collection[str]) -> list[str]:
    """The names of mutants that have not been tried; before any are made, the patterns of all."""
    fates = list(_fates())
    if not fates:
        return [f"counterfoil.{module}.*" for module in modules]
    return [name for path, name, fate in fates if fate is None and module_name(path) in modules]


def _command(workers: int) -> list[str]:
    return [sys.executable, "-m", "mutmut", "run", "--max-children", str(workers)]


def _fates() -> Iterator[tuple[Path, str, Fate | None]]:
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, exit_code in data.exit_code_by_key.items():
            yield path, name, None if exit_code is None else _FATES[status_by_exit_code[exit_code]]


def _mutant(path: Path, name: str, fate: Fate) -> Mutant:
    functions = read_functions_from_index(name, path)
    assert functions is not None
    function, class_name = orig_function_and_class_names_from_key(name)
    before, after = changed_line(*(cst.Module([each]).code for each in functions))
    where = function if class_name is None else f"{class_name}.{function}"
    return Mutant(module_name(path), where, before, after, fate)
