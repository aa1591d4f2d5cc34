"""Looking a set-up over: what was found, and what mends it. Whatever a finding says may be read by every operator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    level: Level
    says: str
    mend: str = ""


Examination: TypeAlias = Callable[[], Sequence[Finding]]
"""Looks over the set-up of a running service, in bounded time. It blocks."""
