"""Fuzzed: the events that API Gateway hands to a function, from the event to the gateway's answer."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from counterfoil.api.http import Request
from counterfoil.entrypoints.aws_lambda import Function
from counterfoil.entrypoints.lambda_events import Authorizer, NoRequest, request_of
from tests.adversity.fuzzing.target import Check, Target, hold, hold_silent
from tests.adversity.seeded_service import seeded_service

Read = Callable[[Any, Authorizer], Request]

_AUTHORIZERS: tuple[Authorizer, ...] = ("jwt", "iam")


def _events(read: Read = request_of) -> Check:
    api = seeded_service(1).api
    loop = asyncio.new_event_loop()
    functions = tuple(Function(api, authorizer, loop) for authorizer in _AUTHORIZERS)

    def check(data: bytes) -> str:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            # The runtime's reader, not ours.
            return "no event"
        outcome = "refused"
        for function in functions:
            try:
                _hold_whole(read(event, function.authorizer))
                outcome = "accepted"
            except NoRequest as error:
                hold_silent(repr(error), data)
            answer = function.answered(event)
            # Nobody whom these events name is in the list of who may call.
            hold(400 <= answer["statusCode"] < 500, f"an event is answered, and not with {answer['statusCode']}")
            hold_silent(json.loads(answer["body"])["detail"], data)
        return outcome

    return check


def _hold_whole(request: Request) -> None:
    texts: tuple[Any, ...] = (request.method, request.path, request.request_id)
    hold(all(isinstance(text, str) for text in texts), "method, path and request id are texts")
    hold(type(request.body) is bytes and type(request.query) is bytes, "body and query are bytes")
    hold(request.gateway_subject is None or request.gateway_subject.startswith(("jwt:", "iam:")), "a subject says who vouches")
    pairs = request.headers.items()
    hold(all(name == name.lower() and type(value) is bytes for name, value in pairs), "header names are in lower case")


def _read_trusting(event: Any, authorizer: Authorizer) -> Request:
    """Broken: a version is compared as a number."""
    if isinstance(event, dict) and isinstance(event.get("version"), str):
        float(event["version"])
    return request_of(event, authorizer)


_CLAIMS = {"sub": "x", "exp": "1"}
_SECOND = {
    "version": "2.0",
    "rawPath": "/prod/v1/passcodes",
    "rawQueryString": "",
    "headers": {"content-type": "application/json"},
    "requestContext": {
        "http": {"method": "POST"},
        "requestId": "r",
        "stage": "prod",
        "domainName": "x.amazonaws.com",
        "authorizer": {"jwt": {"claims": _CLAIMS}, "iam": {"userArn": "arn:aws:sts::1:assumed-role/shop/s"}},
    },
    "body": "{}",
    "isBase64Encoded": False,
}
_FIRST = {
    "httpMethod": "POST",
    "path": "/v1/passcodes",
    "multiValueHeaders": {"Content-Type": ["application/json"]},
    "multiValueQueryStringParameters": {"a": ["b"]},
    "requestContext": {"requestId": "r", "authorizer": {"claims": _CLAIMS}, "identity": {"userArn": "arn:aws:iam::1:user/u"}},
    "body": "e30=",
    "isBase64Encoded": True,
}
_SINGLE = {
    "httpMethod": "GET",
    "path": "/generateOtp",
    "headers": {"a": "b"},
    "queryStringParameters": {"clientId": "1"},
    "requestContext": {"requestId": "r"},
}


def _names(event: Any) -> tuple[str, ...]:
    return tuple(event) + tuple(name for value in event.values() if isinstance(value, dict) for name in _names(value))


TARGETS = (
    Target(
        "events",
        "events of API Gateway",
        _events,
        seeds=tuple(json.dumps(event).encode() for event in (_SECOND, _FIRST, _SINGLE)),
        tokens=(
            *(f'"{name}":'.encode() for event in (_SECOND, _FIRST, _SINGLE) for name in _names(event)),
            *(b'":{"', b'":["', b"]}", b"null", b"\\ud800"),
        ),
        length_max=3000,
        broken={"a version is compared as a number": lambda: _events(_read_trusting)},
    ),
)
