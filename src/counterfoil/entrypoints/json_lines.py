"""A server's log for machines: one JSON object a line, with fields from a fixed set. Of an exception it has no words."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from counterfoil.entrypoints.log_lines import and_its_causes, frames, message_of

FIELDS = ("request_id", "trace_id", "span_id", "method", "route", "status", "duration_ms", "code", "reason")
"""What a record may bring beside its message; whatever else a library hangs on its records stays out."""


class JsonLogLines(logging.Formatter):
    """A record as a JSON object. An exception's causes follow it, each told as discreetly."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            # RFC 3339, in UTC.
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": message_of(record),
        }
        line |= {name: value for name in FIELDS if (value := record.__dict__.get(name)) is not None}
        error = record.exc_info[1] if record.exc_info else None
        exceptions = [{"type": type(each).__name__, "frames": frames(each.__traceback__)} for each in and_its_causes(error)]
        if exceptions:
            line["exception"], *causes = exceptions
            line |= {"causes": causes} if causes else {}
        return json.dumps(line)
