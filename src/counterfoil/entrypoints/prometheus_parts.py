"""What `/metrics` tells of the process, its store, its keys and its calls of AWS. It asks them; no request adds to it.

What tells of a store that several processes share is the same from each of them: such a gauge is read by its maximum, and not
by its sum.
"""

import asyncio
import logging
import platform
import time
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from counterfoil.aws.call_counts import AWS_CALLS
from counterfoil.model.distribution import Distribution
from counterfoil.model.limits import MICROSECONDS_PER_S
from counterfoil.ports.ambient import NowUs
from counterfoil.ports.keys import KeyProvider, KeysUnavailable
from counterfoil.ports.measured import Commits, Contents, MeasuredKeys, MeasuredStore
from counterfoil.ports.store import Store, StoreUnavailable
from counterfoil.version import __version__

_log = logging.getLogger(__name__)
# A look into the store is not repeated before so many times as long as it took: it costs a fiftieth of a core at most.
_REST = 50


class Parts:
    """The parts of one process as a collector. `look` brings what takes time; the rest is read when it is shown."""

    def __init__(self, store: Store, keys: KeyProvider, now_us: NowUs) -> None:
        self._store = store.measures() if isinstance(store, MeasuredStore) else None
        self._keys = keys if isinstance(keys, MeasuredKeys) else None
        self._now_us = now_us
        self._since_s = time.time()
        self._process = ProcessCollector(registry=None)
        self._seen_of_process: list[Metric] = []
        self._contents: Contents | None = None
        self._look_again_at_s = 0.0
        self._under_way: asyncio.Future[None] | None = None

    async def look(self) -> None:
        """Looks at process and store, on a thread. Who comes while that is under way waits for it too."""
        if self._under_way is None:
            self._under_way = asyncio.ensure_future(asyncio.to_thread(self._look))
            self._under_way.add_done_callback(self._end_look)
        # Shielded: a scraper that gives up takes no other's answer along.
        await asyncio.shield(self._under_way)

    def collect(self) -> Iterator[Metric]:
        """What the library asks of a collector."""
        yield from self._seen_of_process
        yield _build_info()
        yield from self._of_store()
        yield from self._of_contents()
        yield from self._of_keys()
        yield from _of_aws(self._since_s)

    def _look(self) -> None:
        # With many connections this is long too: it counts the files that are open.
        self._seen_of_process = list(self._process.collect())
        since_s = time.monotonic()
        if self._store is None or self._store.look is None or since_s < self._look_again_at_s:
            return
        try:
            self._contents = self._store.look()
        except StoreUnavailable as fault:
            # Not the last ones: what is not known now is not told.
            self._contents = None
            _log.warning("metrics of the store are left out: %s", fault)
        ended_s = time.monotonic()
        self._look_again_at_s = ended_s + _REST * (ended_s - since_s)

    def _end_look(self, _: "asyncio.Future[None]") -> None:
        self._under_way = None

    def _of_store(self) -> Iterator[Metric]:
        store = self._store
        if store is None:
            return
        waiting = "Writes that wait for this process's store now."
        yield _gauge("counterfoil_store_waiting_writes", waiting, store.writes_waiting())
        yield _gauge(
            "counterfoil_store_waiting_writes_max", "Writes that may wait; more are refused.", store.writes_waiting_max
        )
        if store.commits is not None:
            yield from _of_commits(store.commits, self._since_s)

    def _of_contents(self) -> Iterator[Metric]:
        contents = self._contents
        if contents is None:
            return
        yield _gauge(
            "counterfoil_outstanding_passcodes", "Passcodes issued, unexpired and unredeemed, at least.", contents.outstanding
        )
        lag = GaugeMetricFamily(
            "counterfoil_broom_lag_seconds", "How long the oldest row should have been gone.", labels=("table",)
        )
        lag.add_metric(("counterfoils",), contents.counterfoils_overdue_us / MICROSECONDS_PER_S)
        lag.add_metric(("journal",), contents.journal_overdue_us / MICROSECONDS_PER_S)
        yield lag

    def _of_keys(self) -> Iterator[Metric]:
        try:
            created_at_us = None if self._keys is None else self._keys.primary_created_at_us()
        except KeysUnavailable:
            # The requests say so, and the log.
            return
        if created_at_us is not None:
            age_s = (self._now_us() - created_at_us) / MICROSECONDS_PER_S
            yield _gauge("counterfoil_primary_key_age_seconds", "Age of the data key that seals.", age_s)


def _of_commits(commits: Commits, since_s: float) -> Iterator[Metric]:
    shown: tuple[tuple[str, str, Distribution], ...] = (
        ("counterfoil_commit_writes", "Writes that shared a commit.", commits.writes),
        (
            "counterfoil_commit_duration_seconds",
            "Time of a commit: writing the log and syncing it.",
            commits.duration_s,
        ),
        (
            "counterfoil_checkpoint_duration_seconds",
            "Time of a checkpoint: syncing the log, writing it into the file and syncing that.",
            commits.checkpoint_duration_s,
        ),
    )
    for name, says, distribution in shown:
        histogram = HistogramMetricFamily(name, says)
        _add(histogram, {}, distribution, since_s)
        yield histogram


def _of_aws(since_s: float) -> Iterator[Metric]:
    calls = CounterMetricFamily(
        "counterfoil_aws_calls", "Calls of AWS, each try of its own.", labels=("service", "operation", "outcome")
    )
    for call, number in list(AWS_CALLS.calls.items()):
        calls.add_metric(call, float(number), since_s)
    yield calls
    durations = HistogramMetricFamily(
        "counterfoil_aws_call_duration_seconds", "Time of a call of AWS.", labels=("service", "operation")
    )
    for (service, operation), distribution in list(AWS_CALLS.durations_s.items()):
        _add(durations, {"service": service, "operation": operation}, distribution, since_s)
    yield durations


def _add(histogram: HistogramMetricFamily, labels: dict[str, str], distribution: Distribution, since_s: float) -> None:
    names = (*map(str, map(float, distribution.bounds)), "+Inf")
    totals = accumulate(map(float, distribution.counts))
    histogram.add_metric(tuple(labels.values()), list(zip(names, totals, strict=True)), distribution.total)
    histogram.add_sample(f"{histogram.name}_created", labels, since_s)


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=value)


def _build_info() -> Metric:
    info = GaugeMetricFamily("counterfoil_build_info", "The version that runs; its value is 1.", labels=("version", "python"))
    info.add_metric((__version__, platform.python_version()), 1)
    return info
