"""What a server's log shows: one line per record, and of an exception its type and where it arose, never what it said.

An error that nobody foresaw may quote what was sent: a key that was missed, a text that could not be read.
"""

import logging
from types import TracebackType

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to_stderr(level: str) -> None:
    """Has this process log so, from this level on."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # uvicorn tells its life at INFO; that it serves is said once, by us.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


class LogLines(logging.Formatter):
    """A record as text. An exception's causes follow it, each told as discreetly."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's own name
        """The exception under way, without its words."""
        assert isinstance(ei, tuple)
        return "\n".join(told(ei[1]))

    def format(self, record: logging.LogRecord) -> str:
        # Another handler may have left its own text of the exception in the record.
        record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The message on one line; asyncio's second one shows an error with its words."""
        first, *more = record.message.splitlines() or [""]
        record.message = first if record.name == "asyncio" else " | ".join([first, *more])
        return super().formatMessage(record)


def told(error: BaseException | None) -> list[str]:
    """Lines for an exception and what led to it."""
    lines: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        lines.append(f"{type(error).__name__}, from")
        lines += [f"  {frame}" for frame in frames(error.__traceback__)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines


def frames(trace: TracebackType | None) -> list[str]:
    """Where it arose: `file:line function`, the outermost first."""
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return found
