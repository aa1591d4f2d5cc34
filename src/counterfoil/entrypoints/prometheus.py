"""Counts for `/metrics`, shown by prometheus-client. Its labels are routes, statuses, reasons and codes; never a client id."""

import asyncio
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from counterfoil.entrypoints.prometheus_parts import Parts
from counterfoil.model.verdict import Reason
from counterfoil.ports.ambient import NowUs
from counterfoil.ports.keys import KeyProvider
from counterfoil.ports.store import Store
from counterfoil.wire import problems as kinds
from counterfoil.wire.problems import ProblemKind

# A text is not made again before so many times as long as it took: it costs a twentieth of a core at most, whoever asks.
_REST = 20
_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_FAULTS = (
    kinds.INTERNAL_ERROR,
    kinds.STORE_UNAVAILABLE,
    kinds.KEYS_UNAVAILABLE,
    kinds.CREDENTIALS_UNAVAILABLE,
    kinds.CLOCK_DISAGREES,
)
_BUCKET_NAMES = (*map(str, _BUCKETS_S), "+Inf")


class _Answers:
    """The answers of one route with one status: how many took how long, the last number being of the slower ones."""

    __slots__ = ("counts", "since_s", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * len(_BUCKET_NAMES)
        self.sum_s = 0.0
        self.since_s = time.time()


class PrometheusObserver:
    """One process's counts. Plain numbers, which every request adds to; the library sees them when it is asked for them."""

    def __init__(self) -> None:
        self._answers: defaultdict[tuple[str, int], _Answers] = defaultdict(_Answers)
        self._refusals = {reason.value: 0 for reason in Reason}
        # From the start, like the refusals: the first one of a kind would be no increase of a series that was not there.
        self._faults = {kind.code: 0 for kind in _FAULTS}
        self._since_s = time.time()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._parts: Parts | None = None
        self._next: asyncio.Task[bytes] | None = None
        self._again_at_s = 0.0

    def watch(self, store: Store, keys: KeyProvider, now_us: NowUs) -> None:
        """Has `/metrics` tell of this process, its store and its keys too, as far as they tell of themselves. Once."""
        self._parts = Parts(store, keys, now_us)
        self._registry.register(self._parts)

    def answered(self, route: str, status: int, duration_s: float) -> None:
        answers = self._answers[route, status]
        answers.counts[bisect_left(_BUCKETS_S, duration_s)] += 1
        answers.sum_s += duration_s

    def refused(self, reason: Reason) -> None:
        self._refusals[reason.value] += 1

    def faulted(self, kind: ProblemKind) -> None:
        self._faults[kind.code] += 1

    async def exposition(self) -> tuple[bytes, bytes]:
        """What has been counted by now, or a moment later: who asks while somebody waits for a text gets the same one."""
        if self._next is None or self._next.done():
            self._next = asyncio.create_task(self._told())
        # Shielded: a scraper that gives up takes no other's answer along.
        return CONTENT_TYPE_LATEST.encode(), await asyncio.shield(self._next)

    async def _told(self) -> bytes:
        await asyncio.sleep(self._again_at_s - time.monotonic())
        if self._parts is not None:
            await self._parts.look()
        # Everything that has been counted by whoever waits for this text is in it: nothing else runs until it is made.
        started_s = time.monotonic()
        text = generate_latest(self._registry)
        ended_s = time.monotonic()
        self._again_at_s = ended_s + _REST * (ended_s - started_s)
        return text

    def collect(self) -> Iterator[Metric]:
        """The counts as metrics: what the library asks of a collector."""
        requests = CounterMetricFamily("counterfoil_requests", "Requests answered.", labels=("route", "status"))
        by_route: dict[str, list[_Answers]] = {}
        for (route, status), answers in list(self._answers.items()):
            requests.add_metric((route, str(status)), float(sum(answers.counts)), answers.since_s)
            by_route.setdefault(route, []).append(answers)
        yield requests
        yield _durations(by_route)
        refusals = CounterMetricFamily("counterfoil_refusals", "Passcodes refused.", labels=("reason",))
        for reason, number in self._refusals.items():
            refusals.add_metric((reason,), float(number), self._since_s)
        yield refusals
        faults = CounterMetricFamily("counterfoil_faults", "Requests that a fault of the service ended.", labels=("code",))
        for code, number in self._faults.items():
            faults.add_metric((code,), float(number), self._since_s)
        yield faults


def _durations(by_route: dict[str, list[_Answers]]) -> Metric:
    """The histogram, in which a number is of all that took as long or less."""
    durations = HistogramMetricFamily(
        "counterfoil_request_duration_seconds", "Time from request read to answer made.", labels=("route",)
    )
    for route, each in by_route.items():
        totals = accumulate(map(float, map(sum, zip(*(answers.counts for answers in each), strict=True))))
        durations.add_metric((route,), list(zip(_BUCKET_NAMES, totals, strict=True)), sum(answers.sum_s for answers in each))
        # The family makes no such sample itself, and counters have one.
        since_s = min(answers.since_s for answers in each)
        durations.add_sample(f"{durations.name}_created", {"route": route}, since_s)
    return durations
