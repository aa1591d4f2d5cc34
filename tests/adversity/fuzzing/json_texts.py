"""Fuzzed: JSON as `strict_json` reads it, and the bodies of every route."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import rfc8785

from counterfoil.model.invalid import Invalid
from counterfoil.wire.messages import Body, read_body
from counterfoil.wire.strict_json import parsed_json
from counterfoil.wire.transaction_digest import canonical_json
from tests.adversity.fuzzing.target import Check, Target, hold, hold_silent
from tests.adversity.seeded_service import seeded_service

TOKENS = (
    b'{"',
    b'":',
    b'","',
    b"[[",
    b"]]",
    b"1e1",
    b"-0",
    b"0.1",
    b"9007199254740993",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"NaN",
)
_exactly = json.JSONDecoder(object_pairs_hook=tuple, parse_int=Decimal, parse_float=Decimal)
"""Reads all that is written, to the last digit and the second key."""


def _values(read: Callable[[bytes], Any] = parsed_json) -> Check:
    def check(data: bytes) -> str:
        try:
            value = read(data)
        except Invalid as error:
            hold_silent(str(error), data)
            return "refused"
        hold(_is_what_was_written(value, _exactly.decode(data.decode())), "nothing is lost in reading")
        canonical = canonical_json(value)
        hold(canonical == rfc8785.dumps(value), "the canonical form is RFC 8785's")
        hold(canonical_json(read(canonical)) == canonical, "a canonical form is its own canonical form")
        return "accepted"

    return check


def _is_what_was_written(value: Any, written: Any) -> bool:
    """Whether a value is what stands there; an object comes as a tuple of pairs."""
    if isinstance(written, tuple):
        return (
            isinstance(value, dict)
            and len(value) == len(written)
            and all(name in value and _is_what_was_written(value[name], each) for name, each in written)
        )
    if isinstance(written, list):
        return isinstance(value, list) and len(value) == len(written) and all(map(_is_what_was_written, value, written))
    if isinstance(written, Decimal):
        return isinstance(value, int | float) and not isinstance(value, bool) and Decimal(repr(value)) == written
    return type(value) is type(written) and value == written


def _bodies(read: Callable[[bytes, type[Body]], Body] = read_body) -> Check:
    # From the route table, so that a new route's body is fuzzed as well.
    kinds = tuple({route.body: None for route in seeded_service(1).api.routes if route.body is not None})

    def check(data: bytes) -> str:
        outcome = "refused"
        for kind in kinds:
            try:
                body = read(data, kind)
            except Invalid as error:
                hold_silent(str(error), data)
                continue
            hold(read(msgspec.json.encode(body), kind) == body, "a body is read again as it was read")
            outcome = "accepted"
        return outcome

    return check


def _read_rounding(data: bytes) -> Any:
    """Broken: numbers become the nearest double, without being held against their text."""
    try:
        return parsed_json(data)
    except Invalid as error:
        if "double" not in error.rule:
            raise
        return json.loads(data)


def _read_with_the_last_of_two(data: bytes) -> Any:
    """Broken: of two equal names, the last one counts."""
    try:
        return parsed_json(data)
    except Invalid as error:
        if "no name twice" not in error.rule:
            raise
        return json.loads(data)


def _read_quoting(data: bytes, kind: type[Body]) -> Body:
    """Broken: the error says which field it does not know."""
    tree = parsed_json(data)
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        raise Invalid("body", str(error)) from None


TARGETS = (
    Target(
        "json",
        "JSON texts",
        _values,
        seeds=(
            b"[10,10.0,1e1,-0.0,0.1,9007199254740993]",
            b'{"a":{"b":[null,true,"\\u00e9"]}}',
            b'{"a":1,"a":2}',
            b"[" * 40 + b"]" * 40,
            b"[" * 1800,
            b"[1e400]",
            b'"\\ud800"',
        ),
        tokens=TOKENS,
        length_max=2000,
        broken={
            "numbers are rounded": lambda: _values(_read_rounding),
            "the last of two names counts": lambda: _values(_read_with_the_last_of_two),
        },
    ),
    Target(
        "bodies",
        "bodies of every route",
        _bodies,
        seeds=(
            b'{"client_id":"1234","context":{"device_id":"d-9"},"transaction":{"amount":"10.00"},"lifetime_s":60}',
            b'{"client_id":"1234","transaction_digest":"%s","sealed_context":"cfx1_AAAA"}' % (b"0" * 64),
            b'{"client_id":"1234","passcode":"cf1_A","context":{},"sealed_pairs":{"limit":"500"},"timestamp":1795410340123456}',
            b'{"client_id":"1234","timestamp":1}',
            b'{"client_id":"1234","sealed_pairs":{"limit":"500"},"lifetime_s":60}',
        ),
        tokens=(
            *TOKENS,
            *(
                f'"{name}":'.encode()
                for route in seeded_service(1).api.routes
                if route.body
                for name in route.body.__struct_fields__
            ),
            b'"1234"',
            b"0" * 64,
        ),
        length_max=2000,
        broken={"an error names the unknown field": lambda: _bodies(_read_quoting)},
    ),
)
