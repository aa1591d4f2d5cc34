"""Counts what is asked of AWS, by service, operation and outcome, where it is sent: a second try is a call of its own."""

from collections import defaultdict
from threading import Lock
from typing import NamedTuple

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
CONDITION_FAILED = "ConditionalCheckFailedException"
_DURATIONS_S = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class AwsCall(NamedTuple):
    """One kind of call, with one of the outcomes."""

    service: str
    operation: str
    outcome: str


class AwsCallCounts:
    """The calls that clients tell it of. They come from many threads, and each takes milliseconds: a lock is nothing."""

    def __init__(self) -> None:
        self.calls: defaultdict[AwsCall, int] = defaultdict(int)
        self.durations_s: dict[tuple[str, str], Distribution] = {}
        self._lock = Lock()

    def add(self, call: AwsCall, duration_s: float) -> None:
        """One more such call, which took so long."""
        with self._lock:
            self.calls[call] += 1
            durations_s = self.durations_s.get((call.service, call.operation))
            if durations_s is None:
                durations_s = self.durations_s[call.service, call.operation] = Distribution(_DURATIONS_S)
            durations_s.add(duration_s)


AWS_CALLS = AwsCallCounts()
"""This process's: its clients are the process's too."""


def outcome_of_refusal(status: int, code: str) -> str:
    """The outcome of a call that AWS did not do as it was asked."""
    if code in THROTTLING:
        return "throttled"
    if code == CONDITION_FAILED:
        # An answer like any other: somebody else was first.
        return "condition_failed"
    return "failed" if status >= 500 else "refused"
