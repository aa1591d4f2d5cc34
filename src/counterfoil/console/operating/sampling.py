"""Looks at `/metrics` while somebody looks at the console: a bounded ring of samples, one for all visitors, and nothing else.

Nobody looking means no work. A sample is taken when a visitor asks and the last one is not fresh any more.
"""

from asyncio import Lock
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from counterfoil.console.api_calls import Answer
from counterfoil.console.operating.exposition import Totals, totals_of
from counterfoil.console.operating.figures import Figures, figures_between
from counterfoil.console.pages import Visit

EVERY_S = 2
"""How often a page asks again."""
FRESH_S = 1.5
"""A sample is shared for so long: less than a page waits, so that every one of its looks sees something new."""
SAMPLES_MAX = 300
"""Ten minutes."""
GAP_S = 30.0
"""After so long without a look, nothing is said of the time between."""
RECENT_S = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What was counted by then."""

    at_s: float
    totals: Totals


@dataclass(frozen=True, slots=True)
class Interval:
    """What happened between a sample and the one before; None of it after a gap."""

    at_s: float
    figures: Figures | None


class Sampling:
    """The ring. `problem` is the API's last answer where that was none to count by."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)
        self._asking = Lock()
        self._asked_at_s = -FRESH_S
        self.intervals: deque[Interval] = deque(maxlen=SAMPLES_MAX)
        self.problem: Answer | None = None

    async def look(self, visit: Visit) -> None:
        """Sees to it that the newest sample is fresh."""
        async with self._asking:
            now_s = self._monotonic_s()
            if now_s - self._asked_at_s < FRESH_S:
                return
            self._asked_at_s = now_s
            answer = await visit.ask("GET", "/metrics")
            totals = totals_of(answer.body.decode()) if answer.status == 200 else None
            self.problem = answer if answer.status != 200 else None
            if totals is not None:
                self._add(Sample(now_s, totals))

    @property
    def newest(self) -> Sample | None:
        """The last sample; None where nothing is counted."""
        return self._samples[-1] if self._samples else None

    def recent(self) -> Figures | None:
        """The figures of the last seconds, which jump less than those of one interval. None before there are two samples."""
        newest = self.newest
        if newest is None:
            return None
        # The oldest of the last seconds, going back no further than to the last gap.
        before = newest
        for sample in reversed(self._samples):
            if before.at_s - sample.at_s > GAP_S:
                break
            before = sample
            if newest.at_s - before.at_s >= RECENT_S:
                break
        return None if before is newest else figures_between(before.totals, newest.totals, newest.at_s - before.at_s)

    def _add(self, sample: Sample) -> None:
        before = self.newest
        if before is not None:
            seconds = sample.at_s - before.at_s
            figures = figures_between(before.totals, sample.totals, seconds) if seconds <= GAP_S else None
            self.intervals.append(Interval(sample.at_s, figures))
        self._samples.append(sample)
