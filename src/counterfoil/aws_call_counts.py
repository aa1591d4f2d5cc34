"""Counts what is asked of AWS, by service, operation and outcome, where the SDK sends it: a second try is a call of its own."""

import time
from collections import defaultdict
from threading import Lock
from typing import Any, NamedTuple

from counterfoil.model.distribution import Distribution

THROTTLING = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
OUTCOMES = ("ok", "condition_failed", "refused", "throttled", "failed", "no_answer")
_CONDITION_FAILED = "ConditionalCheckFailedException"
_DURATIONS_S = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
# Under this name, what the SDK hands from a call's beginning to its end has the operation, and when it began.
_BEGUN = "counterfoil_begun"


class AwsCall(NamedTuple):
    """One kind of call, with one of the outcomes."""

    service: str
    operation: str
    outcome: str


class AwsCallCounts:
    """The calls of the clients that it counts. Calls come from many threads, and each takes milliseconds: a lock is nothing."""

    def __init__(self) -> None:
        self.calls: defaultdict[AwsCall, int] = defaultdict(int)
        self.durations_s: dict[tuple[str, str], Distribution] = {}
        self._lock = Lock()

    def count(self, client: Any) -> None:
        """From now on this SDK client's calls are counted, each once, however often this is said."""
        service = client.meta.service_model.service_name

        def on_begun(model: Any, context: dict[str, Any], **_: Any) -> None:
            context[_BEGUN] = (model.name, time.perf_counter())

        def on_answered(http_response: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
            self._add(service, context, _outcome(http_response.status_code, parsed.get("Error", {}).get("Code", "")))

        def on_lost(context: dict[str, Any], **_: Any) -> None:
            self._add(service, context, "no_answer")

        events = client.meta.events
        for event, handler in (
            ("before-parameter-build", on_begun),
            ("after-call", on_answered),
            ("after-call-error", on_lost),
        ):
            events.register(event, handler, unique_id=f"counterfoil-count-{event}")

    def _add(self, service: str, context: dict[str, Any], outcome: str) -> None:
        operation, since_s = context[_BEGUN]
        duration_s = time.perf_counter() - since_s
        with self._lock:
            self.calls[AwsCall(service, operation, outcome)] += 1
            durations_s = self.durations_s.get((service, operation))
            if durations_s is None:
                durations_s = self.durations_s[service, operation] = Distribution(_DURATIONS_S)
            durations_s.add(duration_s)


AWS_CALLS = AwsCallCounts()
"""This process's: its clients are the process's too."""


def _outcome(status: int, code: str) -> str:
    if status < 300:
        return "ok"
    if code in THROTTLING:
        return "throttled"
    if code == _CONDITION_FAILED:
        # An answer like any other: somebody else was first.
        return "condition_failed"
    return "failed" if status >= 500 else "refused"
