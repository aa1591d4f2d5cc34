"""What a campaign is: numbered cases, each made from its number alone, so that any of them can be played again."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

FAILURES_KEPT = 20


@dataclass
class Figures:
    """What a range of cases came to. `counts` add up over ranges; `failures` say how to play each failing case again."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    digest: str = ""
    """A hash of all that was seen, where the campaign is deterministic; empty otherwise."""

    def fail(self, what: str) -> None:
        """Counts a failure and keeps the first ones."""
        self.counts["failures"] += 1
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append(what)


@dataclass(frozen=True)
class Sizes:
    """How many cases: for the published figure, in CI, and on a laptop."""

    full: int
    ci: int
    laptop: int


@dataclass(frozen=True)
class Campaign:
    """One way of trying. `run(first, last)` plays the cases first, ..., last - 1; it must not assert, but count failures."""

    name: str
    claim: str
    """What 0 failures say, as one sentence."""
    unit: str
    """What one case is, in the plural: `seeds`, `power losses`."""
    sizes: Sizes
    run: Callable[[int, int], Figures]
    controls: Mapping[str, Callable[[], int]] = field(default_factory=dict)
    """Broken on purpose: each gives in how many of its cases the same harness caught the defect. 0 is a failure."""
    per_chunk: int = 1000
    """So many cases are played between two notes of progress; a run that is cut off goes on after the last note."""
    alone: bool = False
    """Whether no other worker may run beside it."""
    missing: Callable[[], str | None] = lambda: None
    """Why it cannot run here and how to install what it lacks, or nothing."""
