"""The statistics of a run: medians over rounds, ratios within a round, and percentiles that hide nothing. Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A median with the least and the most that were seen."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(statistics.median(values), min(values), max(values), len(values))


def ratios(upper: Sequence[float], lower: Sequence[float]) -> Spread:
    """Of figures of the same rounds: what slows the machine for one round slows both."""
    return spread([one / other for one, other in zip(upper, lower, strict=True)])


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least `share` of all do not exceed (nearest rank): one that was really seen."""
    assert 0 < share <= 1
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]
