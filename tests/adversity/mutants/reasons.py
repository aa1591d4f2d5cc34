"""Why a mutant may live: what a person wrote about it in survivors.toml, found by its place and its changed line."""

import tomllib
from collections.abc import Iterable
from pathlib import Path

from tests.adversity.mutants.mutant import Fate, Mutant

_FILE = Path(__file__).with_name("survivors.toml")

Name = tuple[str, str, str]


class Reasons:
    """What is written in the file: tables `[["module:where"]]`, each a `why` and the `lines` that it holds for."""

    def __init__(self, text: str) -> None:
        self._why: dict[Name, str] = {}
        for place, groups in tomllib.loads(text).items():
            module, _, where = place.partition(":")
            for group in groups:
                for line in group["lines"]:
                    assert (module, where, line) not in self._why, f"{place} has two reasons for {line}"
                    self._why[module, where, line] = group["why"]

    @classmethod
    def written(cls) -> "Reasons":
        """Those in the file."""
        return cls(_FILE.read_text())

    def why(self, mutant: Mutant) -> str | None:
        """The reason given for that mutant."""
        return self._why.get(mutant.name)

    def is_missing(self, mutant: Mutant) -> bool:
        """Whether it lives, and nobody said why it may."""
        return mutant.fate is Fate.SURVIVED and mutant.name not in self._why

    def sentences(self) -> set[str]:
        """All reasons given."""
        return set(self._why.values())

    def unused(self, survivors: Iterable[Mutant]) -> list[Name]:
        """Reasons for what does not survive any more, to be taken out."""
        names = {mutant.name for mutant in survivors}
        return [name for name in self._why if name not in names]
