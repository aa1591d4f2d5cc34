"""What callers send: the request of a call, with the passcode as it was issued or altered. It sends nothing."""

from typing import Any, NamedTuple

import msgspec

from counterfoil.api.http import Request
from tests.adversity.simulation.history import NOBODY, Kind, Misfit
from tests.adversity.simulation.plan import Call, Terms

_encode = msgspec.json.Encoder().encode
_PATHS = {Kind.ISSUE: "/v1/passcodes", Kind.VALIDATE: "/v1/passcodes/validate", Kind.REVOKE: "/v1/passcodes/revoke"}
CONTEXTS: tuple[dict[str, str] | None, ...] = (None, {}, {"device_id": "d-9"}, {"purpose": "p 1", "région": "ü"})
_OTHER_CONTEXTS: tuple[tuple[dict[str, str] | None, ...], ...] = (
    ({}, {"device_id": "d-9"}),
    (None, {"device_id": ""}),
    (None, {}, {"device_id": "d-8"}, {"device_id": "D-9"}, {"device_id": "d-9", "more": ""}, {"device_id ": "d-9"}),
    (None, {"purpose": "p 1"}, {"purpose": "ü", "région": "p 1"}, {"purpose": "p 1", "région": "u\u0308"}),
)
_ABSENT = object()
TRANSACTIONS: tuple[Any, ...] = (_ABSENT, {"amount": "10.00", "payee": "DE02"}, None)
_OTHER_TRANSACTIONS: tuple[tuple[Any, ...], ...] = (
    (None, {}, {"amount": "10.00", "payee": "DE02"}),
    (_ABSENT, None, {"amount": "10.0", "payee": "DE02"}, {"amount": "10.00", "payee": "DE03"}, {"amount": "10.00"}),
    (_ABSENT, {}, 0, ""),
)
# Well formed, under a key that nobody has.
_NEVER_ISSUED_TEXT = "cf1_" + "A" * 16 + "A" + "8" + "A" * 65
_FIRST_SEALED_CHARACTER = len("cf1_") + 40
_BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Held(NamedTuple):
    """A passcode in somebody's hands; `number` is the history's."""

    text: str
    timestamp_us: int
    expires_at_us: int
    number: int
    terms: Terms


NOTHING_HELD = Held(_NEVER_ISSUED_TEXT, 1, 2, NOBODY, Terms("1234", 60, 0, 0))
"""What is presented where issuing came to nothing."""


def request_of(call: Call, held: Held) -> Request:
    """The request, with the credential and the redemption id of its caller."""
    headers = {b"authorization": b"Bearer " + call.caller.encode(), b"content-type": b"application/json"}
    if call.kind is Kind.ISSUE:
        assert call.terms is not None
        body = _bound(call.terms, None, 0)
        body["lifetime_s"] = call.terms.lifetime_s
    elif call.kind is Kind.VALIDATE:
        body = _presented(call, held)
        headers[b"idempotency-key"] = call.redemption_id.encode()
    else:
        body = _named(call, held)
    return Request("POST", _PATHS[call.kind], b"", headers, _encode(body), "req_simulated")


def _bound(terms: Terms, misfit: Misfit | None, turn: int) -> dict[str, Any]:
    """Client, context and transaction as they were issued; one of them altered where it is to misfit."""
    body: dict[str, Any] = {"client_id": terms.client_id}
    context, transaction = CONTEXTS[terms.context], TRANSACTIONS[terms.transaction]
    if misfit is Misfit.CONTEXT:
        others = _OTHER_CONTEXTS[terms.context]
        context = others[turn % len(others)]
    elif misfit is Misfit.TRANSACTION:
        others = _OTHER_TRANSACTIONS[terms.transaction]
        transaction = others[turn % len(others)]
    elif misfit is Misfit.CLIENT:
        body["client_id"] = terms.client_id + " "
    if context is not None:
        body["context"] = context
    if transaction is not _ABSENT:
        body["transaction"] = transaction
    return body


def _presented(call: Call, held: Held) -> dict[str, Any]:
    body = _bound(held.terms, call.misfit, call.turn)
    body["passcode"] = _text(call, held)
    if call.misfit is Misfit.TIMESTAMP:
        body["timestamp"] = held.timestamp_us + (-1, 1, 1_000_000)[call.turn % 3]
    elif call.turn % 4 == 0 and held.number != NOBODY:
        body["timestamp"] = held.timestamp_us
    return body


def _named(call: Call, held: Held) -> dict[str, Any]:
    client_id = held.terms.client_id + (" " if call.misfit is Misfit.CLIENT else "")
    if call.turn % 2 and call.misfit is not Misfit.FORGED:
        return {"client_id": client_id, "timestamp": held.timestamp_us}
    return {"client_id": client_id, "passcode": _text(call, held)}


def _text(call: Call, held: Held) -> str:
    """The passcode's text: altered under its seal, or spelled otherwise, where the call says so."""
    text = held.text
    if call.misfit is Misfit.FORGED:
        at = _FIRST_SEALED_CHARACTER + call.turn % 40
        return text[:at] + _next_digit(text[at], 1) + text[at + 1 :]
    if call.misfit is Misfit.RESPELLED:
        # The last character carries four bits; its two spare ones are the difference in the first spelling.
        others = (text[:-1] + _next_digit(text[-1], 1), text + " ", " " + text, text + "=", text.replace("cf1_", "CF1_"))
        return others[call.turn % len(others)]
    return text


def _next_digit(digit: str, by: int) -> str:
    return _BASE64URL[_BASE64URL.index(digit) ^ by]
