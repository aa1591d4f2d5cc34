"""What a log says of an exception: where it arose, and nothing that it said."""

import io
import logging
import re

import pytest

from counterfoil.entrypoints.log_lines import LogLines, told

CANARY = "canary-7f3a91"


def _raised() -> Exception:
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as cause:
            raise RuntimeError(f"could not read {CANARY}") from cause
    except RuntimeError as error:
        return error


def test_an_exception_and_its_cause_are_told_without_their_words() -> None:
    lines = "\n".join(told(_raised()))
    assert CANARY not in lines
    assert [lines.index(kind) for kind in ("RuntimeError", "KeyError")] == sorted(
        lines.index(kind) for kind in ("RuntimeError", "KeyError")
    )
    assert "test_log_lines.py:" in lines
    assert " _raised" in lines


def test_what_led_to_an_exception_is_told_unless_it_was_set_aside() -> None:
    aside = ValueError(CANARY)
    aside.__context__ = KeyError(CANARY)
    assert "KeyError" in "".join(told(aside))
    aside.__suppress_context__ = True
    assert "KeyError" not in "".join(told(aside))


@pytest.mark.parametrize("formatted_before", [False, True])
def test_a_record_with_an_exception_is_logged_without_its_words(formatted_before: bool) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(LogLines())
    record = logging.LogRecord("name", logging.ERROR, "path", 1, "it failed", (), None)
    error = _raised()
    record.exc_info = (type(error), error, error.__traceback__)
    if formatted_before:
        assert CANARY in logging.Formatter().format(record)
    handler.emit(record)
    assert "ERROR name: it failed" in log.getvalue()
    assert "RuntimeError" in log.getvalue()
    assert CANARY not in log.getvalue()


def test_a_message_of_several_lines_is_one_and_asyncios_words_of_an_error_are_left_out() -> None:
    lines = LogLines()
    ours = logging.LogRecord("counterfoil", logging.INFO, "", 0, "one\ntwo", None, None)
    assert lines.format(ours).endswith("counterfoil: one | two")
    theirs = logging.LogRecord("asyncio", logging.ERROR, "", 0, "never retrieved\nfuture: KeyError('canary')", None, None)
    assert lines.format(theirs).endswith("asyncio: never retrieved")


def test_a_line_has_its_time_with_the_zone_and_the_span_that_it_belongs_to() -> None:
    record = logging.LogRecord("counterfoil", logging.INFO, "", 0, "done", None, None)
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d INFO counterfoil: done$", LogLines().format(record))
    record.trace_id, record.span_id = "0af7", "b7ad"
    assert LogLines().format(record).endswith("counterfoil: done trace_id=0af7 span_id=b7ad")


def test_a_message_that_does_not_fit_its_values_is_said_without_them() -> None:
    record = logging.LogRecord("counterfoil", logging.INFO, "", 0, "%d", (CANARY,), None)
    assert LogLines().format(record).endswith("counterfoil: a message that could not be put together")


def test_an_error_that_is_its_own_cause_is_told_once() -> None:
    error = KeyError("canary")
    error.__cause__ = error
    assert told(error) == ["KeyError, from"]
