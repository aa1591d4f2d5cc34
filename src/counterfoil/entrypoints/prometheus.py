"""Counts for `/metrics`, by prometheus-client. Its labels are routes, statuses and reasons; never a client id."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest

from counterfoil.model.verdict import Reason

_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class PrometheusObserver:
    """One process's counts, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("counterfoil_requests", "Requests answered.", ("route", "status"), registry=self._registry)
        self._durations = Histogram(
            "counterfoil_request_duration_seconds",
            "Time from request read to answer made.",
            ("route",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._refusals = Counter("counterfoil_refusals", "Passcodes refused.", ("reason",), registry=self._registry)
        for reason in Reason:
            self._refusals.labels(reason.value)
        self._by_answer: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def answered(self, route: str, status: int, duration_s: float) -> None:
        series = self._by_answer.get((route, status))
        if series is None:
            series = (self._requests.labels(route, str(status)), self._durations.labels(route))
            self._by_answer[route, status] = series
        series[0].inc()
        series[1].observe(duration_s)

    def refused(self, reason: Reason) -> None:
        self._refusals.labels(reason.value).inc()

    def exposition(self) -> tuple[bytes, bytes]:
        return CONTENT_TYPE_LATEST.encode(), generate_latest(self._registry)
