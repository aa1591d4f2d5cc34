"""A server's log for machines: each record one JSON object on one line, with what is meant to be in it and nothing else."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from counterfoil.entrypoints.json_lines import JsonLogLines

CANARY = "canary-7f3a91"


def _record(message: str = "it failed", *values: object, **more: Any) -> logging.LogRecord:
    record = logging.LogRecord("counterfoil.x", logging.ERROR, "path", 1, message, values or None, None)
    record.__dict__.update(more)
    return record


def _line(record: logging.LogRecord) -> dict[str, Any]:
    text = JsonLogLines().format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def _raised() -> Exception:
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as cause:
            raise RuntimeError(f"could not read {CANARY}") from cause
    except RuntimeError as error:
        return error


def test_a_record_is_one_object_with_its_time_in_utc() -> None:
    record = _record("%s of\n%d", "one", 2)
    record.created = 1_795_575_120.0254
    assert _line(record) == {
        "time": "2026-11-25T02:52:00.025Z",
        "level": "ERROR",
        "logger": "counterfoil.x",
        "message": "one of | 2",
    }
    assert datetime.fromisoformat(_line(_record())["time"]).tzinfo == UTC


def test_an_exception_is_its_type_and_its_frames_and_so_are_its_causes() -> None:
    error = _raised()
    line = _line(_record(exc_info=(type(error), error, error.__traceback__)))
    assert line["exception"]["type"] == "RuntimeError"
    assert [frame.partition(":")[0] for frame in line["exception"]["frames"]] == ["test_json_lines.py"]
    assert line["exception"]["frames"][0].endswith(" _raised")
    assert [cause["type"] for cause in line["causes"]] == ["KeyError"]
    assert CANARY not in json.dumps(line)
    # Control: what a formatter does that does not know better.
    assert CANARY in logging.Formatter().format(_record(exc_info=(type(error), error, error.__traceback__)))


def test_a_record_without_an_exception_under_way_has_none() -> None:
    assert "exception" not in _line(_record(exc_info=(None, None, None)))


def test_fields_come_from_a_fixed_set() -> None:
    line = _line(_record(request_id="req_1", trace_id="0af7", span_id="b7ad", status=409, reason=None, color_message=CANARY))
    assert {name: line[name] for name in line.keys() - {"time", "level", "logger", "message"}} == {
        "request_id": "req_1",
        "trace_id": "0af7",
        "span_id": "b7ad",
        "status": 409,
    }


@pytest.mark.parametrize("values", [(CANARY, CANARY), (CANARY.encode(),)])
def test_a_message_that_does_not_fit_its_values_is_said_without_them(values: tuple[object, ...]) -> None:
    line = _line(_record("%d", *values))
    assert line["message"] == "a message that could not be put together"


def test_no_character_ends_a_line_before_its_end() -> None:
    text = JsonLogLines().format(_record("%s", "\x00\r\u2028\ud800\x1b[31m", request_id="a\nb"))
    assert text.isascii()
    assert text.isprintable()
