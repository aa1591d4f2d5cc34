"""Has all that a server says on stderr go through its log: its own lines, its libraries', and what Python says by itself."""

import logging
import sys
import threading
import warnings
from typing import Any, Literal, TextIO

from counterfoil.entrypoints.json_lines import JsonLogLines
from counterfoil.entrypoints.log_lines import LogLines

_log = logging.getLogger(__name__)
_warnings_log = logging.getLogger("py.warnings")
# uvicorn tells its life at INFO, and that it serves is said once, by us. The others would show what is sent, and to where.
_SILENCED = {
    "uvicorn.error": logging.WARNING,
    "botocore": logging.WARNING,
    "urllib3": logging.ERROR,
    "opentelemetry.exporter": logging.CRITICAL,
    "opentelemetry.util": logging.CRITICAL,
}


_AGAIN_S = 10.0
"""How long a line of uvicorn's that a stranger can bring about (no HTTP was sent) is not repeated."""


class NotAgainSoon(logging.Filter):
    """Leaves out a warning that is as the last one of its words, made less than `_AGAIN_S` before it was told."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is told. What is worse than a warning always is."""
        if record.levelno > logging.WARNING:
            return True
        # uvicorn's warnings are fixed texts, so there are few.
        is_told = abs(record.created - self._told_at_s.get(str(record.msg), 0.0)) >= _AGAIN_S
        if is_told:
            self._told_at_s[str(record.msg)] = record.created
        return is_told


_strangers_warnings = NotAgainSoon()


def log_to_stderr(level: str, form: str) -> Literal["json", "text"]:
    """Has this process log so, from this level on, and gives the form: `auto` is text on a terminal and JSON elsewhere."""
    chosen: Literal["json", "text"] = "json" if form == "json" or (form == "auto" and not sys.stderr.isatty()) else "text"
    handler = _Stderr()
    handler.setFormatter(JsonLogLines() if chosen == "json" else LogLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in _SILENCED.items():
        logging.getLogger(name).setLevel(max(least, logging.getLogger().level))
    logging.getLogger("uvicorn.error").addFilter(_strangers_warnings)
    warnings.showwarning = _warned
    threading.excepthook = _thread_failed
    sys.unraisablehook = _could_not_raise
    return chosen


class _Stderr(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Nothing: where lines go is gone, and Python would show the record there, with its values."""


def _warned(
    message: Warning | str,  # noqa: ARG001 - a warning may quote a value as well as an exception may
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    _warnings_log.warning("%s at %s:%d", category.__name__, filename.rpartition("/")[2], lineno)


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and failed.exc_type is not SystemExit:
        _log.error("a thread ended by an error", exc_info=failed.exc_value)


def _could_not_raise(failed: "sys.UnraisableHookArgs") -> None:
    _log.error("an error arose where nobody could be told", exc_info=failed.exc_value)
