"""docs/mutants.json: what became of the mutants, module by module. A later run goes on from it, on any machine.

A module's entry holds as long as its source does: tests that are added only kill more.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from mutmut.utils.file_utils import walk_mutatable_files

from tests.adversity.mutants.mutant import Fate, Mutant
from tests.adversity.mutants.reasons import Reasons
from tests.adversity.progress import ROOT

TWIN = ROOT / "docs" / "mutants.json"


@dataclass(frozen=True, slots=True)
class Tried:
    """One module's mutants: how many there were, and those that live."""

    module: str
    source: str
    """The beginning of its file's SHA-256, in hex."""
    commit: str
    killed: int
    timed_out: int
    survivors: tuple[Mutant, ...]

    @property
    def total(self) -> int:
        """All of them."""
        return self.killed + self.timed_out + len(self.survivors)

    def holds(self, path: Path, reasons: Reasons) -> bool:
        """Whether nothing is left to try: the source is the same, and every survivor has a reason."""
        return self.source == source_of(path) and not any(map(reasons.is_missing, self.survivors))


def modules() -> dict[str, Path]:
    """The modules whose mutants are made, by their names as mutants have them."""
    return {module_name(path): ROOT / path for path in walk_mutatable_files()}


def module_name(path: Path) -> str:
    """`core.issue`, of its path."""
    return ".".join(path.with_suffix("").parts[-2:])


def source_of(path: Path) -> str:
    """What is noted of a module's source."""
    return sha256(path.read_bytes()).hexdigest()[:16]


def tried(module: str, path: Path, commit: str, mutants: Sequence[Mutant]) -> Tried:
    """The entry of a module, whose mutants have all been tried; `commit` is where that is noted, with the source as it is."""
    fates = Counter(mutant.fate for mutant in mutants)
    survivors = tuple(mutant for mutant in mutants if mutant.fate is Fate.SURVIVED)
    return Tried(module, source_of(path), commit, fates[Fate.KILLED], fates[Fate.TIMED_OUT], survivors)


def read(text: str) -> dict[str, Tried]:
    """The entries of a twin's text, by module."""
    found = {}
    for module, entry in json.loads(text).items():
        survivors = tuple(Mutant(module, fate=Fate.SURVIVED, **told) for told in entry.pop("survivors"))
        found[module] = Tried(module, survivors=survivors, **entry)
    return found


def written(entries: Iterable[Tried]) -> str:
    """The twin's text."""
    return json.dumps({entry.module: _entry(entry) for entry in entries}, indent=1, sort_keys=True) + "\n"


def _entry(entry: Tried) -> dict[str, Any]:
    told = asdict(entry)
    del told["module"]
    told["survivors"] = [{name: mutant[name] for name in ("where", "before", "after")} for mutant in told["survivors"]]
    return told
