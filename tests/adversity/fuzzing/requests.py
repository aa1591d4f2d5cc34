"""Fuzzed: whole requests through the api room, and its query strings."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from counterfoil.api.http import Request, Response
from counterfoil.api.openapi import openapi_document
from counterfoil.model.principal import Role
from tests.adversity.fuzzing.target import Check, Target, hold, hold_silent
from tests.adversity.seeded_service import SECRETS, SeededService, at_once, seeded_service

Handle = Callable[[SeededService, Request], Response]

_CASES_PER_SERVICE = 5000
"""A service is made anew after so many inputs, or what they issued would fill the memory."""

_FAULTS = {"500", "503"}


def handled(service: SeededService, request: Request) -> Response:
    """The answer of the api room."""
    return at_once(service.api.handle(request))


class Answers:
    """Holds an answer to what the interface's own document says of it."""

    def __init__(self, service: SeededService) -> None:
        paths = json.loads(openapi_document(service.api.routes))["paths"]
        self._documented: dict[tuple[str, str], Mapping[str, Any]] = {
            (method.upper(), path): operation["responses"]
            for path, operations in paths.items()
            for method, operation in operations.items()
        }

    def hold(self, request: Request, response: Response, given: bytes) -> str:
        """The status, as what became of the input."""
        status, headers = str(response.status), dict(response.headers)
        responses = self._documented.get((request.method, request.path))
        if responses is None:
            hold(status in {"404", "405"} or request.method == "HEAD", "what is no route is answered so")
        else:
            hold(status in responses.keys() - _FAULTS, f"a status is documented and no fault: {status}")
        if response.status >= 400:
            hold(headers[b"content-type"] == b"application/problem+json", "what is no success is a problem")
            body = json.loads(response.body)
            hold((body["status"], body["request_id"]) == (response.status, request.request_id), "a problem names its status")
            # A header's name and what is said of it stand side by side in the answer, and may in a request: "-Key: m".
            hold_silent(body["detail"].removeprefix("Idempotency-Key: "), given)
        return status


def _with_passcodes() -> tuple[SeededService, str, int]:
    """A service that has issued two passcodes, and what names them: the first's text, the second's timestamp."""
    service = seeded_service(1)
    issued = json.loads(service.post("/v1/passcodes", b'{"client_id":"1234"}', Role.ISSUER).body)
    service.clock.now_us += 1
    bearer = {b"authorization": f"Bearer {SECRETS[Role.ISSUER]}".encode()}
    generated = handled(service, Request("POST", "/generateOtp", b"clientId=1234", bearer, b"", "req_test"))
    return service, issued["passcode"], json.loads(generated.body)["timestamp"]


def _requests(handle: Handle = handled) -> Check:
    """METHOD, space, path with its query; lines of `name: value`; an empty line; the body."""
    service, *_ = _with_passcodes()
    answers = Answers(service)
    played = 0

    def check(data: bytes) -> str:
        nonlocal service, played
        played += 1
        if played % _CASES_PER_SERVICE == 0:
            service, *_ = _with_passcodes()
        service.clock.now_us += 1
        request = _request(data)
        return answers.hold(request, handle(service, request), data)

    return check


def _request(data: bytes) -> Request:
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.partition(b"?")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    return Request(method.decode("latin-1"), path.decode("utf-8", "replace"), query, headers, body, "req_test")


def _queries(handle: Handle = handled) -> Check:
    """The same query string for each of the reference sample's routes."""
    service, *_ = _with_passcodes()
    answers = Answers(service)
    routes = tuple(route for route in service.api.routes if route.parameters)
    played = 0

    def check(data: bytes) -> str:
        nonlocal service, played
        played += 1
        if played % _CASES_PER_SERVICE == 0:
            service, *_ = _with_passcodes()
        outcomes = []
        for route in routes:
            service.clock.now_us += 1
            headers = {b"authorization": f"Bearer {SECRETS[min(route.roles)]}".encode()}
            request = Request(route.method, route.path, data, headers, b"", "req_test")
            outcomes.append(answers.hold(request, handle(service, request), data))
        return min(outcomes)

    return check


def _handled_converting(service: SeededService, request: Request) -> Response:
    """Broken: a timestamp is converted without care."""
    for pair in request.query.split(b"&"):
        if pair.startswith(b"timestamp=") and pair[10:].isalnum():
            int(pair[10:])
    return handled(service, request)


def _handled_undocumented(service: SeededService, request: Request) -> Response:
    """Broken: a redemption id beyond ASCII is answered with a status that no document knows."""
    response = handled(service, request)
    return response if request.headers.get(b"idempotency-key", b"").isascii() else replace(response, status=422)


def _sent(line: str, role: Role | None, body: str = "") -> bytes:
    headers = [f"authorization: Bearer {SECRETS[role]}"] if role else []
    headers += ["content-type: application/json", "idempotency-key: mine"] if body else []
    return ("\n".join([line, *headers]) + "\n\n" + body).encode()


_PASSCODE, _TIMESTAMP = _with_passcodes()[1:]
_NAMED = f"clientId=1234&timestamp={_TIMESTAMP}"
_HELD = f'{{"client_id":"1234","passcode":"{_PASSCODE}"}}'
_WORDS = ("Bearer ", *SECRETS.values(), "authorization: ", "idempotency-key: ", "content-type: application/json", "\n\n", "\n")
_PARAMETERS = (
    "clientId=",
    "timestamp=",
    "deviceId=",
    "otp=",
    "sub=",
    "createdAt=",
    "&",
    "%",
    "+",
    "%C3%A9",
    "%00",
    str(_TIMESTAMP),
)
_LINES = tuple(f"{route.method} {route.path}" for route in seeded_service(1).api.routes)

TARGETS = (
    Target(
        "requests",
        "requests to the api room",
        _requests,
        seeds=(
            *(_sent(line, None) for line in _LINES),
            _sent("POST /v1/passcodes", Role.ISSUER, '{"client_id":"1234","transaction":{"amount":"10.00"},"lifetime_s":60}'),
            _sent("POST /v1/passcodes/validate", Role.VALIDATOR, _HELD),
            _sent("POST /v1/passcodes/revoke", Role.VALIDATOR, _HELD),
            _sent("POST /v1/contexts/seal", Role.OPERATOR, '{"client_id":"1234","sealed_pairs":{"limit":"500"}}'),
            _sent("GET /generateOtp?clientId=1234&deviceId=d", Role.ISSUER),
            _sent(f"GET /validateOtp?{_NAMED}", Role.VALIDATOR),
            _sent(f"DELETE /invalidateOtp?{_NAMED}", Role.VALIDATOR),
        ),
        tokens=tuple(word.encode() for word in (*_WORDS, *_LINES)),
        length_max=2000,
        broken={"a status is not documented": lambda: _requests(_handled_undocumented)},
    ),
    Target(
        "queries",
        "query strings",
        _queries,
        seeds=tuple(
            query.encode()
            for query in (
                f"{_NAMED}&deviceId=d%C3%A9",
                f"{_NAMED}&otp={_PASSCODE}",
                f"sub=1234&createdAt={_TIMESTAMP}",
                "clientId=1234&deviceId=d",
            )
        ),
        tokens=tuple(word.encode() for word in _PARAMETERS),
        length_max=600,
        broken={"a timestamp is converted without care": lambda: _queries(_handled_converting)},
    ),
)
