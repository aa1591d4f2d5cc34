"""One mutant and what became of it; and the one line that says what it changes."""

from dataclasses import dataclass
from difflib import ndiff
from enum import StrEnum


class Fate(StrEnum):
    """What the tests made of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    """Killed too: its tests ended in time before it."""
    SURVIVED = "survived"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one place in one module."""

    module: str
    where: str
    """The function, class or constant that is changed, as `Class.method` or `name`."""
    before: str
    after: str
    fate: Fate

    @property
    def name(self) -> tuple[str, str, str]:
        """What it is known by, whatever stands above it in its file."""
        return self.module, self.where, self.after


def changed_line(before: str, after: str) -> tuple[str, str]:
    """The lines in which two texts differ, each side as one line."""
    gone, come = [], []
    for line in ndiff(before.splitlines(), after.splitlines()):
        if line.startswith("- "):
            gone.append(line[2:].strip())
        elif line.startswith("+ "):
            come.append(line[2:].strip())
    return " ".join(gone), " ".join(come)
