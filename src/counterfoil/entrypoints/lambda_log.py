"""What a function prints: one JSON line per record, and one per request, which CloudWatch turns into metrics.

Metrics in the log need no call and no library (embedded metric format, AWS's own JSON schema). Dimensions are routes, statuses
and reasons: fixed sets, never a client id.
"""

import json
import logging
import sys
import time
from typing import Any, TextIO

from counterfoil.entrypoints.log_lines import frames
from counterfoil.model.verdict import Reason
from counterfoil.wire.problems import ProblemKind

NAMESPACE = "Counterfoil"


class JsonLines(logging.Formatter):
    """A log record on one line; an exception by its type and where it arose, never by what it said."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["where"] = frames(record.exc_info[2])
        return json.dumps(line)


class MetricLines:
    """The observer of a function: one line for each request answered."""

    def __init__(self, stage: str, out: TextIO | None = None) -> None:
        self._stage = stage
        self._out = out
        self._reason: Reason | None = None

    def answered(self, route: str, status: int, duration_s: float) -> None:
        line: dict[str, Any] = {
            "stage": self._stage,
            "route": route,
            "status": str(status),
            "requests": 1,
            "duration": round(duration_s * 1000, 3),
        }
        # Each combination of a metric and its dimensions is billed: the status is in the line, and in no metric.
        directives = [_directive(["stage", "route"], {"requests": "Count", "duration": "Milliseconds"})]
        if self._reason is not None:
            line["reason"] = self._reason.value
            directives.append(_directive(["stage", "reason"], {"requests": "Count"}))
            self._reason = None
        line["_aws"] = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": directives}
        print(json.dumps(line), file=self._out or sys.stdout, flush=True)

    def refused(self, reason: Reason) -> None:
        self._reason = reason

    def faulted(self, kind: ProblemKind) -> None:
        """Nothing: a fault is in the log, and its status in the line of its request."""

    async def exposition(self) -> tuple[bytes, bytes]:
        return b"text/plain; charset=utf-8", b""


def log_json_lines(level: str) -> None:
    """Has every logger print JSON lines. The SDK's own stay at WARNING: at DEBUG they print what it finds."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _directive(dimensions: list[str], metrics: dict[str, str]) -> dict[str, Any]:
    units = [{"Name": name, "Unit": unit} for name, unit in metrics.items()]
    return {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": units}
