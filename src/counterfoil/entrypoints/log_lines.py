"""What a server's log shows: one line per record, and of an exception its type and where it arose, never what it said.

An error that nobody foresaw may quote what was sent: a key that was missed, a text that could not be read.
"""

import logging
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_SPAN_IDS = ("trace_id", "span_id")


class LogLines(logging.Formatter):
    """A record as text, for people. An exception's causes follow it, each told as discreetly."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's own name
        """The time as it is here, with its zone."""
        return datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        record.message = message_of(record)
        record.asctime = self.formatTime(record)
        error = record.exc_info[1] if record.exc_info else None
        return "\n".join([self.formatMessage(record) + _ids(record), *told(error)])


def message_of(record: logging.LogRecord) -> str:
    """The record's message on one line; asyncio's second one shows an error with its words."""
    try:
        first, *more = record.getMessage().splitlines() or [""]
    except Exception:
        # Its values do not fit its text. Python would show both, on several lines.
        return "a message that could not be put together"
    return first if record.name == "asyncio" else " | ".join([first, *more])


def told(error: BaseException | None) -> list[str]:
    """Lines for an exception and what led to it."""
    lines: list[str] = []
    for each in and_its_causes(error):
        lines.append(f"{type(each).__name__}, from")
        lines += [f"  {frame}" for frame in frames(each.__traceback__)]
    return lines


def and_its_causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and what led to it, the last first; each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def frames(trace: TracebackType | None) -> list[str]:
    """Where it arose: `file:line function`, the outermost first."""
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return found


def _ids(record: logging.LogRecord) -> str:
    """Which span it belongs to, where there is one."""
    return "".join(f" {name}={value}" for name in _SPAN_IDS if (value := getattr(record, name, None)))
