"""The access log: one line for each request, made of names from fixed sets; and nothing at all when it is off."""

import logging
from pathlib import Path
from typing import Any

import pytest

from counterfoil.api.http import Request
from counterfoil.telemetry.access_log import AccessLog
from tests.support.canaries import leaks
from tests.support.parts import Parts, made_parts

CANARY = "canary-7f3a91"


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return made_parts(tmp_path, access_log=True, console=True)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="counterfoil.access")
    return caplog


async def _ask(parts: Parts, method: str, path: str, role: str | None = None, body: bytes = b"") -> int:
    headers = {b"content-type": b"application/json"}
    if role is not None:
        headers[b"authorization"] = f"Bearer {parts.secrets[role]}".encode()
    response = await parts.service.front.handle(Request(method, path, CANARY.encode(), headers, body, "req_7"))
    return response.status


def _fields(record: logging.LogRecord) -> tuple[Any, ...]:
    names = ("request_id", "method", "route", "status", "code", "reason")
    return tuple(record.__dict__[name] for name in names)


async def test_a_line_has_request_id_method_route_status_and_duration(parts: Parts, lines: pytest.LogCaptureFixture) -> None:
    assert await _ask(parts, "POST", "/v1/passcodes", "issuer", b'{"client_id":"1234"}') == 201
    (record,) = lines.records
    assert (record.levelname, *_fields(record)) == ("INFO", "req_7", "POST", "/v1/passcodes", 201, None, None)
    duration_ms = record.__dict__["duration_ms"]
    assert duration_ms > 0
    assert record.getMessage() == f"request req_7: POST /v1/passcodes 201 in {duration_ms:.1f} ms"


async def test_it_says_why_a_request_was_refused(parts: Parts, lines: pytest.LogCaptureFixture) -> None:
    refused = b'{"client_id":"1234","passcode":"cf1_' + CANARY.encode() + b'"}'
    assert await _ask(parts, "POST", "/v1/passcodes/validate", "validator", refused) == 409
    assert await _ask(parts, "POST", "/v1/passcodes/validate", "issuer", refused) == 403
    assert await _ask(parts, "POST", "/v1/passcodes/validate", None, refused) == 401
    assert [_fields(record)[3:] for record in lines.records] == [
        (409, "passcode_refused", "malformed_passcode"),
        (403, "forbidden", None),
        (401, "unauthenticated", None),
    ]
    assert lines.messages[0].endswith(" ms passcode_refused malformed_passcode")


@pytest.mark.parametrize(
    ("method", "path", "named"),
    [
        ("GET", f"/v1/{CANARY}", ("GET", "other")),
        (CANARY, "/healthz", ("other", "/healthz")),
        ("GET", f"/console/{CANARY}", ("GET", "/console/{page}")),
        ("GET", "/console", ("GET", "/console/{page}")),
        ("GET", f"/console{CANARY}", ("GET", "other")),
        ("HEAD", "/healthz", ("HEAD", "/healthz")),
    ],
)
async def test_no_method_or_path_is_told_as_it_was_sent(
    parts: Parts, lines: pytest.LogCaptureFixture, method: str, path: str, named: tuple[str, str]
) -> None:
    await _ask(parts, method, path)
    (record,) = lines.records
    assert _fields(record)[1:3] == named
    assert leaks({"line": repr(record.__dict__).encode() + record.getMessage().encode()}, {"canary": CANARY.encode()}) == []


async def test_a_page_of_the_console_is_no_route_where_there_is_none(tmp_path: Path, lines: pytest.LogCaptureFixture) -> None:
    await _ask(made_parts(tmp_path, access_log=True), "GET", "/console/login")
    assert _fields(lines.records[0])[2] == "other"


async def test_when_it_is_off_the_api_itself_is_asked(tmp_path: Path, lines: pytest.LogCaptureFixture) -> None:
    plain = made_parts(tmp_path)
    assert plain.service.front is plain.service.api
    await _ask(plain, "GET", "/healthz")
    assert lines.records == []


async def test_control_with_it_on_something_stands_in_front(parts: Parts) -> None:
    assert isinstance(parts.service.front, AccessLog)
