"""Single mutations of genuine validations: 0 are accepted, and the unaltered one beside them is.

Four alterations go to a passcode, since the fifth mismatch would lock it; then the same passcode is presented unaltered,
in another spelling of the same JSON, and must be accepted: so each refusal was the alteration's doing.
"""

import json
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

from counterfoil.model.canonical import Binding
from counterfoil.model.passcode import Passcode, parsed_passcode
from counterfoil.model.principal import Role
from counterfoil.model.verdict import Reason
from tests.adversity.alterations import ALTERATIONS, Body, issued_at_us, told
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.near_values import any_value, spelled
from tests.adversity.seeded_service import SeededService, seeded_service
from tests.support.clock import START_US

_PER_PASSCODE = 4
_CONTROL_CASES = 2000
_VALIDATE = "/v1/passcodes/validate"
_NAMES = tuple(ALTERATIONS)
# What became of the passcode before must not be why it is refused now.
_REFUSED = frozenset({"400", *Reason} - {Reason.ALREADY_REDEEMED, Reason.REVOKED, Reason.LOCKED, Reason.EXPIRED})
_PAIRS: tuple[dict[str, str], ...] = (
    {"device_id": "d-9"},
    {"device_id": "d-9", "Région": "é"},
    {"a": "b", "b": "a", "stage": ""},
    {},
)


def _run(first: int, last: int) -> Figures:
    service, figures = seeded_service(1), Figures()
    for number in range(first // _PER_PASSCODE, -(-last // _PER_PASSCODE)):
        start = number * _PER_PASSCODE
        _play(service, number, range(max(first, start), min(last, start + _PER_PASSCODE)), figures)
    return figures


def _play(service: SeededService, number: int, cases: range, figures: Figures) -> None:
    """One passcode, the alterations of these cases, and the same passcode unaltered."""
    random = Random(number)
    genuine = _issued(service, number, random)
    for case in cases:
        name, body = _altered(genuine, case)
        answer = service.post(_VALIDATE, json.dumps(body).encode(), Role.VALIDATOR)
        outcome = json.loads(answer.body)["reason"] if answer.status == 409 else str(answer.status)
        figures.counts[outcome] += 1
        if outcome not in _REFUSED:
            figures.fail(f"case {case} ({name}) was answered {outcome}: {json.dumps(body)} in place of {json.dumps(genuine)}")
    answer = service.post(_VALIDATE, _respelled(genuine, random), Role.VALIDATOR)
    figures.counts["accepted unaltered"] += answer.status == 200
    # An alteration that was accepted has redeemed it, and is counted already.
    if answer.status != 200 and not figures.counts["200"]:
        figures.fail(f"passcode {number} was refused unaltered: {answer.body.decode()}")


def _respelled(body: Body, random: Random) -> bytes:
    """The same JSON in another spelling. A timestamp is an integer and has one; saying none is no alteration either."""
    return json.dumps(body).encode() if random.random() < 0.3 else spelled(_untimed(body), random)


def _untimed(body: Body) -> Body:
    return {name: value for name, value in body.items() if name != "timestamp"}


def _issued(service: SeededService, number: int, random: Random) -> Body:
    """The validation that a fresh passcode is good for. Its draws and its time follow from its number."""
    service.random.seed(number)
    service.clock.now_us = START_US + number
    asked: Body = {"client_id": random.choice(("1234", "shop-é", "a b", "A" * 128))}
    presented = dict(asked)
    if random.random() < 0.7:
        asked["context"] = presented["context"] = random.choice(_PAIRS)
    if random.random() < 0.4:
        presented["sealed_pairs"] = random.choice(_PAIRS)
        sealed = {"client_id": asked["client_id"], "sealed_pairs": presented["sealed_pairs"]}
        asked["sealed_context"] = _made(service, "/v1/contexts/seal", sealed, Role.OPERATOR)["sealed_context"]
    kind = random.random()
    if kind < 0.6:
        payment = {"amount": "10.00", "currency": "EUR", "payee": "DE02120300000000202051"}
        asked["transaction"] = presented["transaction"] = any_value(random) if random.random() < 0.5 else payment
    elif kind < 0.8:
        asked["transaction_digest"] = presented["transaction_digest"] = random.randbytes(32).hex()
    issued = _made(service, "/v1/passcodes", asked, Role.ISSUER)
    presented["passcode"] = issued["passcode"]
    if random.random() < 0.3:
        presented["timestamp"] = issued["timestamp"]
    return presented


def _made(service: SeededService, path: str, body: Body, role: Role) -> Any:
    answer = service.post(path, json.dumps(body).encode(), role)
    assert answer.status < 300, answer.body
    return json.loads(answer.body)


def _altered(genuine: Body, case: int) -> tuple[str, Body]:
    """The case's alteration by name, and what it makes of the validation: never the same as before."""
    random = Random(f"alteration {case}")
    issued_us = issued_at_us(genuine["passcode"])
    while True:
        name = random.choice(_NAMES)
        body = ALTERATIONS[name](genuine, random)
        if body is not None and told(body, issued_us) != told(genuine, issued_us):
            return name, body


def _trimmed(text: str) -> Passcode:
    """Broken: white space around a passcode is taken away."""
    return parsed_passcode(text.strip())


def _caught(*patches: tuple[str, Any]) -> int:
    with ExitStack() as stack:
        for target, broken in patches:
            stack.enter_context(mock.patch(target, broken))
        return _run(0, _CONTROL_CASES).counts["200"]


def _unbound(name: str) -> Callable[[], int]:
    """A service that issues and validates without that part of the binding."""

    def broken(**bound: Any) -> Binding:
        return Binding.of(**{**bound, name: None})

    binding = SimpleNamespace(of=broken)
    return partial(_caught, ("counterfoil.core.issue.Binding", binding), ("counterfoil.core.validate.Binding", binding))


MUTATIONS = Campaign(
    name="mutations",
    claim="A passcode is refused with whatever else than its own spelling, client, contexts, transaction and timestamp.",
    unit="mutations",
    sizes=Sizes(full=1_000_000, ci=60_000, laptop=8_000),
    run=_run,
    controls={
        "the context is not bound": _unbound("context"),
        "sealed pairs are not bound": _unbound("sealed_pairs"),
        "the transaction is not bound": _unbound("transaction_digest"),
        "a passcode is trimmed": partial(_caught, ("counterfoil.core.validate.parsed_passcode", _trimmed)),
        "client ids are folded": partial(_caught, ("counterfoil.api.handlers.checked_client_id", str.casefold)),
    },
    per_chunk=20_000,
)
