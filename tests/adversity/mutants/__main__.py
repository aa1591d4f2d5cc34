"""`make mutants`: tries every mutant of core, model and the SQLite store, and writes docs/mutants.md.

It ends with status 1 when fewer than 95 % are killed, and when a survivor has no reason in survivors.toml.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from mutmut.utils.file_utils import walk_mutatable_files

from tests.adversity.mutants import inside, outside, trial
from tests.adversity.mutants.mutant import Fate, Mutant
from tests.adversity.mutants.outside import Change
from tests.adversity.mutants.page import KILLED_MIN, killed_share, page
from tests.adversity.mutants.reasons import Reasons
from tests.adversity.progress import NOTES, ROOT, git

_PAGE = ROOT / "docs" / "mutants.md"
_OF_MUTMUT = ROOT / "mutants"
_NOTE = NOTES / "mutants.json"


def main(words: Sequence[str]) -> int:
    """Tries them, inside and outside functions at once; 0 when enough are killed and every survivor has a reason."""
    parser = argparse.ArgumentParser(prog="python -m tests.adversity.mutants", description=__doc__)
    parser.add_argument(
        "--go-on", action="store_true", help="keep what an earlier run killed, and what has a reason; try the rest"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="inside functions, and as many outside")
    asked = parser.parse_args(words)
    if not asked.go_on:
        shutil.rmtree(_OF_MUTMUT, ignore_errors=True)
        _NOTE.unlink(missing_ok=True)
    NOTES.mkdir(exist_ok=True)
    reasons = Reasons.written()
    changes = [change for path in walk_mutatable_files() for change in outside.changes(ROOT / path)]
    with ThreadPoolExecutor(1) as beside:
        tried_outside = beside.submit(lambda: list(_outside(changes, asked.workers, reasons)))
        inside.run(asked.workers)
        if asked.go_on:
            inside.run_again(asked.workers, reasons)
    mutants = [*inside.found(), *tried_outside.result()]
    # mutmut looks before it begins, and not again.
    trial.confirm_whole()
    _PAGE.write_text(page(mutants, reasons, git("rev-parse", "HEAD"), datetime.now(UTC).date().isoformat()))
    for name in reasons.unused(mutants):
        _say(f"a reason is given for what does not survive: {name}")
    unexplained = [mutant for mutant in mutants if reasons.is_missing(mutant)]
    _say(f"{len(mutants)} mutants, {killed_share(mutants):.1%} killed, {len(unexplained)} survive without a reason")
    return int(bool(unexplained) or killed_share(mutants) < KILLED_MIN)


def _outside(changes: Sequence[Change], workers: int, reasons: Reasons) -> Iterator[Mutant]:
    """The mutants that those changes make; what was noted as killed, or has a reason to live, stays so."""
    notes: dict[str, dict[str, Any]] = json.loads(_NOTE.read_text()) if _NOTE.exists() else {}
    noted = {digest: Mutant(**{**told, "fate": Fate(told["fate"])}) for digest, told in notes.items()}
    untried = [change for change in changes if _is_open(noted.get(_digest(change)), reasons)]
    for change, mutant in zip(untried, trial.tried(untried, workers, _say), strict=True):
        noted[_digest(change)] = mutant
        _NOTE.write_text(json.dumps({digest: asdict(told) for digest, told in noted.items()}))
    for change in changes:
        yield noted[_digest(change)]


def _is_open(mutant: Mutant | None, reasons: Reasons) -> bool:
    return mutant is None or reasons.is_missing(mutant)


def _digest(change: Change) -> str:
    return sha256(f"{change.path.name}\0{change.code}".encode()).hexdigest()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
