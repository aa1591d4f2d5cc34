"""`make mutants`: tries every mutant of core, model and the SQLite store, and writes docs/mutants.md.

It goes on where it was cut off, and leaves alone a module that has not changed since docs/mutants.json tells of it. It ends
with status 1 when fewer than 95 % are killed, and when a survivor has no reason in survivors.toml.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.adversity.mutants import inside, outside, trial, twin
from tests.adversity.mutants.mutant import Fate, Mutant
from tests.adversity.mutants.outside import Change
from tests.adversity.mutants.page import KILLED_MIN, doubted, killed_share, page
from tests.adversity.mutants.reasons import Reasons
from tests.adversity.mutants.twin import Tried
from tests.adversity.progress import NOTES, ROOT, git

_PAGE = ROOT / "docs" / "mutants.md"
_OF_MUTMUT = ROOT / "mutants"
_NOTE = NOTES / "mutants.json"


def main(words: Sequence[str]) -> int:
    """Tries them, inside and outside functions at once; 0 when enough are killed and every survivor has a reason."""
    parser = argparse.ArgumentParser(prog="python -m tests.adversity.mutants", description=__doc__)
    parser.add_argument("--anew", action="store_true", help="try everything, whatever is known of it")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="inside functions, and as many outside")
    asked = parser.parse_args(words)
    if asked.anew:
        for path in (_OF_MUTMUT, NOTES / "mutants"):
            shutil.rmtree(path, ignore_errors=True)
        for path in (_NOTE, twin.TWIN):
            path.unlink(missing_ok=True)
    NOTES.mkdir(exist_ok=True)
    reasons, paths = Reasons.written(), twin.modules()
    known = twin.read(twin.TWIN.read_text()) if twin.TWIN.exists() else {}
    kept = {module: entry for module, entry in known.items() if module in paths and entry.holds(paths[module], reasons)}
    left = {module: path for module, path in paths.items() if module not in kept}
    if left:
        with suppress(KeyboardInterrupt):
            _try(left, asked.workers, reasons)
        _say("do the tests still pass without a mutant? ...")
        trial.confirm_whole()
    entries = sorted([*kept.values(), *_whole(left)], key=lambda entry: entry.module)
    untried = paths.keys() - {entry.module for entry in entries}
    twin.TWIN.write_text(twin.written(entries))
    _PAGE.write_text(page(entries, untried, reasons))
    return _judged(entries, untried, reasons)


def _try(left: Mapping[str, Path], workers: int, reasons: Reasons) -> None:
    changes = [change for path in left.values() for change in outside.changes(path)]
    with ThreadPoolExecutor(1) as beside:
        ended = beside.submit(_try_outside, changes, workers, reasons)
        inside.run(workers, left)
        inside.run_again(workers, left, reasons)
        ended.result()


def _try_outside(changes: Sequence[Change], workers: int, reasons: Reasons) -> None:
    noted = _noted()
    untried = [change for change in changes if _is_open(noted.get(_digest(change)), reasons)]
    if not untried:
        return
    for change, mutant in zip(untried, trial.tried(untried, workers, _say), strict=True):
        noted[_digest(change)] = mutant
        _NOTE.write_text(json.dumps({digest: asdict(told) for digest, told in noted.items()}))


def _whole(left: Mapping[str, Path]) -> Iterator[Tried]:
    """The entries of those modules whose mutants have all been tried, inside functions and outside."""
    noted, of_inside, commit = _noted(), inside.found(), git("rev-parse", "HEAD")
    # mutmut makes all before it tries the first.
    for module, path in left.items() if of_inside else ():
        of_outside = [noted.get(_digest(change)) for change in outside.changes(path)]
        mutants = [*of_inside.get(module, []), *of_outside]
        if None not in mutants:
            yield twin.tried(module, path, commit, [mutant for mutant in mutants if mutant])


def _judged(entries: Collection[Tried], untried: Collection[str], reasons: Reasons) -> int:
    for name in doubted(entries, reasons):
        _say(f"a reason is given for what does not survive: {name}")
    unexplained = [mutant for entry in entries for mutant in entry.survivors if reasons.is_missing(mutant)]
    total = sum(entry.total for entry in entries)
    _say(f"{total} mutants, {killed_share(entries):.1%} killed, {len(unexplained)} survive without a reason")
    return int(bool(untried) or bool(unexplained) or killed_share(entries) < KILLED_MIN)


def _noted() -> dict[str, Mutant]:
    notes: dict[str, dict[str, Any]] = json.loads(_NOTE.read_text()) if _NOTE.exists() else {}
    return {digest: Mutant(**{**told, "fate": Fate(told["fate"])}) for digest, told in notes.items()}


def _is_open(mutant: Mutant | None, reasons: Reasons) -> bool:
    return mutant is None or reasons.is_missing(mutant)


def _digest(change: Change) -> str:
    return sha256(f"{change.path.name}\0{change.code}".encode()).hexdigest()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
