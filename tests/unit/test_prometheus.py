"""The metrics are prometheus-client's own, to the letter, although the service counts by itself."""

import asyncio
import re
import time

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from counterfoil.entrypoints import prometheus
from counterfoil.entrypoints.prometheus import PrometheusObserver
from counterfoil.model.verdict import Reason
from counterfoil.wire import problems
from counterfoil.wire.problems import ProblemKind

# Sums of these are exact, in whatever order they are added.
EXACT_S = [number / 4096 for number in (0, 1, 2, 3, 5, 11, 40, 300, 4096, 30_000)]
FAULTS = (
    problems.INTERNAL_ERROR,
    problems.STORE_UNAVAILABLE,
    problems.KEYS_UNAVAILABLE,
    problems.CREDENTIALS_UNAVAILABLE,
    problems.CLOCK_DISAGREES,
)


class _LibrarysOwn:
    """What the library itself counts and shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("counterfoil_requests", "Requests answered.", ("route", "status"), registry=self.registry)
        self._durations = Histogram(
            "counterfoil_request_duration_seconds",
            "Time from request read to answer made.",
            ("route",),
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
            registry=self.registry,
        )
        self._refusals = Counter("counterfoil_refusals", "Passcodes refused.", ("reason",), registry=self.registry)
        for reason in Reason:
            self._refusals.labels(reason.value)
        says = "Requests that a fault of the service ended."
        self._faults = Counter("counterfoil_faults", says, ("code",), registry=self.registry)
        for kind in FAULTS:
            self._faults.labels(kind.code)

    def answered(self, route: str, status: int, duration_s: float) -> None:
        self._requests.labels(route, str(status)).inc()
        self._durations.labels(route).observe(duration_s)

    def refused(self, reason: Reason) -> None:
        self._refusals.labels(reason.value).inc()

    def faulted(self, kind: ProblemKind) -> None:
        self._faults.labels(kind.code).inc()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1795410340.5)


async def test_the_exposition_is_the_librarys_to_the_letter() -> None:
    ours, librarys = PrometheusObserver(), _LibrarysOwn()
    assert (await ours.exposition())[1] == generate_latest(librarys.registry)
    for observer in (ours, librarys):
        for number, duration_s in enumerate(EXACT_S * 3):
            observer.answered("/v1/passcodes", (201, 429)[number % 2], duration_s)
        for bound_s in prometheus._BUCKETS_S:
            observer.answered("other", 404, bound_s)
        for reason in list(Reason)[:3]:
            observer.refused(reason)
        observer.faulted(problems.STORE_UNAVAILABLE)
    assert (await ours.exposition())[1] == generate_latest(librarys.registry)


async def test_those_who_scrape_together_share_a_text_that_has_what_each_has_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making one takes some milliseconds in which nobody else is answered, and a stranger may ask for it."""
    made, observer = [0], PrometheusObserver()

    def making(registry: CollectorRegistry) -> bytes:
        made[0] += 1
        return generate_latest(registry)

    async def scraped(number: int) -> bool:
        for _ in range(number):
            observer.refused(Reason.EXPIRED)
        at_least = observer._refusals["expired"]
        text = (await observer.exposition())[1].decode()
        (found,) = re.findall(r'refusals_total\{reason="expired"\} (\S+)', text)
        return float(found) >= at_least

    monkeypatch.setattr(prometheus, "generate_latest", making)
    assert await asyncio.gather(*map(scraped, range(50))) == [True] * 50
    assert made == [1]


@pytest.mark.parametrize(("rest", "least_s"), [(0, 0.0), (20, 0.2)])
async def test_a_text_is_not_made_again_at_once(monkeypatch: pytest.MonkeyPatch, rest: int, least_s: float) -> None:
    def slow(_: CollectorRegistry) -> bytes:
        time.sleep(0.01)
        return b""

    monkeypatch.setattr(prometheus, "generate_latest", slow)
    monkeypatch.setattr(prometheus, "_REST", rest)
    observer, started_s = PrometheusObserver(), time.monotonic()
    await observer.exposition()
    alone_s = time.monotonic() - started_s
    await observer.exposition()
    assert alone_s < 0.2
    assert time.monotonic() - started_s >= least_s


@pytest.mark.parametrize("more_s", [-1e-9, 0.0, 1e-9])
async def test_a_bound_belongs_to_its_bucket(more_s: float) -> None:
    ours, librarys = PrometheusObserver(), _LibrarysOwn()
    for observer in (ours, librarys):
        for bound_s in prometheus._BUCKETS_S:
            observer.answered("other", 404, bound_s + more_s)
    assert (await ours.exposition())[1] == generate_latest(librarys.registry)


def test_every_fault_that_the_interface_answers_with_is_counted() -> None:
    """One that is not known here would raise in the request, instead of its answer."""
    kinds = [kind for kind in vars(problems).values() if isinstance(kind, ProblemKind) and kind.status >= 500]
    # That something is not to be had here is no fault: it is so tomorrow too.
    answered = [kind for kind in kinds if kind is not problems.NOT_TOLD_HERE]
    assert sorted(kind.code for kind in answered) == sorted(kind.code for kind in FAULTS)
    observer = PrometheusObserver()
    for kind in answered:
        observer.faulted(kind)
    assert set(observer._faults.values()) == {1}
