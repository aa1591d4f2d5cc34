"""A request and an answer as values, the same for a server and for Lambda."""

from typing import Any, Protocol

import msgspec

from counterfoil.model.verdict import Reason
from counterfoil.wire.problems import CONTENT_TYPE, Problem, ProblemKind

_encode = msgspec.json.Encoder().encode
Headers = tuple[tuple[bytes, bytes], ...]
_ALWAYS: Headers = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_JSON: Headers = ((b"content-type", b"application/json"), *_ALWAYS)
_PROBLEM: Headers = ((b"content-type", CONTENT_TYPE.encode()), *_ALWAYS)


class Request(msgspec.Struct, gc=False):
    """What came in. Header names are in lower case; one that came twice is joined by ", ", which no rule of ours takes."""

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    request_id: str
    gateway_subject: str | None = None
    """Who calls, by the word of a gateway that has verified it (see `entrypoints.lambda_events`); None where there is none."""

    def __repr__(self) -> str:
        return f"Request({self.method!r}, {self.path!r}, {self.request_id!r}, ...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What the rich library shows; a Struct's own would name every field."""
        return [("method", self.method), ("path", self.path), ("request_id", self.request_id)]


class Response(msgspec.Struct, gc=False):
    """What goes out, without Content-Length and Request-Id, which the shell adds."""

    status: int
    headers: Headers
    body: bytes

    def __repr__(self) -> str:
        return f"Response({self.status}, ...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What the rich library shows; a Struct's own would name every field."""
        return [("status", self.status)]


class Interface(Protocol):
    """Whatever answers requests: the api itself, or something in front of it."""

    async def handle(self, request: Request) -> Response:
        """The answer. It never raises."""


def answer(status: int, value: msgspec.Struct) -> Response:
    """A success with a JSON body."""
    return Response(status, _JSON, _encode(value))


def no_content() -> Response:
    """A success with nothing to say."""
    return Response(204, _ALWAYS, b"")


def content(content_type: bytes, body: bytes, more: Headers = ()) -> Response:
    """A success with a body of another type."""
    return Response(200, ((b"content-type", content_type), *_ALWAYS, *more), body)


def problem(kind: ProblemKind, request_id: str, detail: str | None = None, more: Headers = ()) -> Response:
    """Anything but a success. `detail` names a rule; it never repeats what came in."""
    body = Problem(kind.type, kind.title, kind.status, detail or kind.detail, kind.code, request_id)
    return Response(kind.status, (*_PROBLEM, *more), _encode(body))


def refusal(kind: ProblemKind, request_id: str, reason: Reason) -> Response:
    """A refused passcode: the same words for every reason; the reason itself in a field of its own."""
    body = Problem(kind.type, kind.title, kind.status, kind.detail, kind.code, request_id, reason.value)
    return Response(kind.status, _PROBLEM, _encode(body))
