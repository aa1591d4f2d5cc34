"""Ways to go wrong: requests that break one rule each, with a canary in it, and ports that fail with a canary in the cause."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from counterfoil.core.judgement import ClockDisagrees
from counterfoil.ports.credentials import CredentialsUnavailable
from counterfoil.ports.keys import KeysUnavailable
from counterfoil.ports.store import StoreUnavailable


@dataclass(frozen=True)
class Asked:
    """A request that would succeed, to be spoilt."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    query: str = ""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    raw: bytes | None = None

    def content(self) -> bytes:
        """What is sent as the body."""
        if self.raw is not None:
            return self.raw
        return b"" if self.body is None else json.dumps(self.body).encode()


Spoilt = Callable[[Asked, str], Asked]


def _raw(made: Callable[[bytes, bytes], bytes]) -> Spoilt:
    """Another body, from the good one and the canary."""
    return lambda asked, canary: replace(asked, raw=made(asked.content(), canary.encode()))


def _field(name: str, made: Callable[[str], Any]) -> Spoilt:
    return lambda asked, canary: replace(asked, body={**(asked.body or {}), name: made(canary)})


def _header(name: bytes, made: Callable[[str], str]) -> Spoilt:
    return lambda asked, canary: replace(asked, headers={**asked.headers, name: made(canary).encode("utf-8")})


def _query(made: Callable[[str, str], str]) -> Spoilt:
    return lambda asked, canary: replace(asked, query=made(asked.query, canary))


def _nested(canary: str) -> Any:
    value: Any = canary
    for _ in range(40):
        value = [value]
    return value


SPOILT: Mapping[str, Spoilt] = {
    "nothing": lambda asked, _: asked,
    "body: no JSON": _raw(lambda _, canary: canary),
    "body: cut off": _raw(lambda body, canary: body[:-1] + b',"transaction":"' + canary),
    "body: a key twice": _raw(lambda body, canary: b'{"client_id":"' + canary.replace(b'"', b"") + b'",' + body[1:]),
    "body: not UTF-8": _raw(lambda body, canary: body + canary + b"\xff"),
    "body: NUL": _raw(lambda _, canary: b'{"client_id":"1234","transaction":"' + canary.hex().encode() + b'\\u0000"}'),
    "body: lone surrogate": _raw(lambda _, canary: b'{"client_id":"\\ud800' + canary.hex().encode() + b'"}'),
    "body: an inexact number": _raw(
        lambda _, canary: b'{"transaction":[0.12345678901234567891,"' + canary.hex().encode() + b'"]}'
    ),
    "body: too large": _raw(lambda _, canary: canary * 5000),
    "body: a list": _raw(lambda _, canary: json.dumps([canary.decode()]).encode()),
    "body: a string": _raw(lambda _, canary: json.dumps(canary.decode()).encode()),
    "field: unknown": lambda asked, canary: replace(asked, body={**(asked.body or {}), canary: canary}),
    "field: client_id is an object": _field("client_id", lambda canary: {canary: canary}),
    "field: client_id is too long": _field("client_id", lambda canary: canary * 20),
    "field: client_id has a line break": _field("client_id", lambda canary: canary + "\n"),
    "field: context is a string": _field("context", lambda canary: canary),
    "field: context has a number": _field("context", lambda canary: {canary: 1}),
    "field: context has NUL": _field("context", lambda canary: {"device": canary + "\0"}),
    "field: context is too long": _field("context", lambda canary: {"device": canary * 100}),
    "field: context has a long name": _field("context", lambda canary: {canary * 10: ""}),
    "field: another context": _field("context", lambda canary: {"device": canary + "x"}),
    "field: sealed_pairs is a list": _field("sealed_pairs", lambda canary: [canary]),
    "field: other sealed_pairs": _field("sealed_pairs", lambda canary: {"limit": canary}),
    "field: sealed_context is made up": _field("sealed_context", lambda canary: "cfx1_" + canary),
    "field: another transaction": _field("transaction", lambda canary: {"payee": canary}),
    "field: transaction is too deep": _field("transaction", _nested),
    "field: transaction_digest is none": _field("transaction_digest", lambda canary: canary),
    "field: transaction_digest is another": _field(
        "transaction_digest", lambda canary: canary.encode().hex()[:64].ljust(64, "0")
    ),
    "field: lifetime_s is a string": _field("lifetime_s", lambda canary: canary),
    "field: timestamp is a string": _field("timestamp", lambda canary: canary),
    "field: passcode is a list": _field("passcode", lambda canary: [canary]),
    "field: passcode is made up": _field("passcode", lambda canary: "cf1_" + canary),
    "field: passcode has spare bits": lambda asked, _: replace(
        asked, body={**(asked.body or {}), "passcode": str((asked.body or {}).get("passcode", ""))[:-1] + "B"}
    ),
    "header: content type": _header(b"content-type", lambda canary: canary),
    "header: no scheme": _header(b"authorization", lambda canary: canary),
    "header: another scheme": _header(b"authorization", lambda canary: f"Basic {base64.b64encode(canary.encode()).decode()}"),
    "header: credential is made up": _header(b"authorization", lambda canary: f"Bearer cfv_{canary.encode().hex()}"),
    "header: redemption id": _header(b"idempotency-key", lambda canary: canary),
    "header: redemption id is too long": _header(b"idempotency-key", lambda canary: canary.encode().hex() * 10),
    "query: another parameter": _query(lambda query, canary: f"{query}&{quote(canary)}={quote(canary)}"),
    "query: a parameter twice": _query(lambda query, canary: f"{query}&clientId={quote(canary)}"),
    "query: another device": _query(lambda query, canary: f"{query}&deviceId={quote(canary)}"),
    "query: a bad escape": _query(lambda query, canary: f"{query}&deviceId=%zz{quote(canary)}"),
    "query: not UTF-8": _query(lambda query, canary: f"{query}&deviceId=%ff{quote(canary)}"),
    "query: timestamp": _query(lambda query, canary: f"clientId=1234&timestamp={quote(canary)}"),
    "query: otp": _query(lambda query, canary: f"{query}&otp={quote(canary)}"),
    "path": lambda asked, canary: replace(asked, path=f"{asked.path}/{canary}"),
    "method": lambda asked, canary: replace(asked, method=canary),
}
"""Each takes a good request and a canary, and spoils one thing."""


def _because(kind: type[Exception]) -> Callable[[str], Exception]:
    """A port's exception: its own sentence is fixed, and what caused it may say anything."""

    def made(canary: str) -> Exception:
        error = kind("it cannot be had now")
        error.__cause__ = OSError(5, canary, canary)
        return error

    return made


FAULTS: Mapping[str, tuple[str, Callable[[str], Exception]]] = {
    "the store": ("store", _because(StoreUnavailable)),
    "the keys": ("keys", _because(KeysUnavailable)),
    "the credentials": ("credentials", _because(CredentialsUnavailable)),
    "the clock": ("store", _because(ClockDisagrees)),
    "unforeseen, in the store": ("store", lambda canary: RuntimeError(f"what was {canary}?")),
    "unforeseen, in the keys": ("keys", lambda canary: KeyError(canary)),
    "unforeseen, in the credentials": ("credentials", lambda canary: ValueError(canary.encode())),
    "unforeseen, with a cause": ("store", _because(AssertionError)),
}
"""Which port fails, and how."""
