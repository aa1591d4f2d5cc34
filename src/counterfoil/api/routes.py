"""The route table: the one list that dispatch and OpenAPI are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from counterfoil.api.handlers import Handler, Handlers
from counterfoil.api.seed_handlers import SeedHandlers
from counterfoil.model.principal import Role
from counterfoil.wire import messages as wire
from counterfoil.wire import problems as kinds
from counterfoil.wire.problems import ProblemKind

ISSUER = (Role.ISSUER,)
VALIDATOR = (Role.VALIDATOR,)
WITHDRAWERS = (Role.ISSUER, Role.VALIDATOR)
SEALERS = (Role.VALIDATOR, Role.OPERATOR)
OPERATOR = (Role.OPERATOR,)
EVERY_ROLE = tuple(Role)
ANYBODY: tuple[Role, ...] = ()

FAULTS = (kinds.STORE_UNAVAILABLE, kinds.KEYS_UNAVAILABLE, kinds.CREDENTIALS_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """A query parameter; its schema is JSON Schema's."""

    name: str
    required: bool
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path: who may call it, what it takes and gives, and who answers."""

    method: str
    path: str
    roles: tuple[Role, ...]
    handler: Handler
    status: int
    summary: str
    description: str = ""
    body: type[wire.Body] | None = None
    answer: type[msgspec.Struct] | None = None
    content_type: str = "application/json"
    parameters: tuple[QueryParameter, ...] = ()
    takes_redemption_id: bool = False
    problems: tuple[ProblemKind, ...] = ()


def passcode_routes(handlers: Handlers, *, with_seed_routes: bool) -> tuple[Route, ...]:
    """All that concerns passcodes."""
    return (*v1_routes(handlers), *(seed_routes(handlers) if with_seed_routes else ()))


def v1_routes(handlers: Handlers) -> tuple[Route, ...]:
    """The passcode routes."""
    return (
        Route(
            method="POST",
            path="/v1/passcodes",
            roles=ISSUER,
            handler=handlers.issue,
            status=201,
            summary="Issue a passcode for a transaction",
            description="The counterfoil is durable before the answer leaves. Two issues for one payment are harmless:"
            " an unused passcode dies by itself.",
            body=wire.IssueBody,
            answer=wire.IssuedAnswer,
            problems=(kinds.SEALED_CONTEXT_REFUSED, kinds.LIMIT_REACHED, *FAULTS),
        ),
        Route(
            method="POST",
            path="/v1/passcodes/validate",
            roles=VALIDATOR,
            handler=handlers.validate,
            status=200,
            summary="Validate a passcode and redeem it, once",
            description="Only 200 is acceptance. Make `Idempotency-Key` at random and store it before the call; never"
            " take it from the message. After a 503 or a lost answer ask again with the same one.",
            body=wire.ValidateBody,
            answer=wire.AcceptedAnswer,
            takes_redemption_id=True,
            problems=(kinds.PASSCODE_REFUSED, *FAULTS, kinds.CLOCK_DISAGREES),
        ),
        Route(
            method="POST",
            path="/v1/passcodes/revoke",
            roles=WITHDRAWERS,
            handler=handlers.revoke,
            status=204,
            summary="Withdraw a passcode before it is redeemed",
            description="Repeating it is as good as once; a redeemed passcode is refused with 409.",
            body=wire.RevokeBody,
            problems=(kinds.PASSCODE_REFUSED, *FAULTS),
        ),
        Route(
            method="POST",
            path="/v1/contexts/seal",
            roles=SEALERS,
            handler=handlers.seal_context,
            status=200,
            summary="Encrypt context for one client, to be passed on unread",
            body=wire.SealContextBody,
            answer=wire.SealedContextAnswer,
            problems=FAULTS[1:],
        ),
    )


def seed_routes(handlers: Handlers) -> tuple[Route, ...]:
    """The routes of the reference sample; off unless switched on."""
    seed = SeedHandlers(handlers)
    client_id = QueryParameter("clientId", True, "Who originates transactions. `sub` is another name of it.")
    timestamp = QueryParameter(
        "timestamp", True, "As `generateOtp` gave it, in microseconds. `createdAt` is another name of it."
    )
    device_id = QueryParameter("deviceId", False, "Bound when it is given at issue; must then be given again.")
    otp = QueryParameter("otp", False, "The `otp` that `generateOtp` gave; compared when it is given.")
    generate = [
        Route(
            method=method,
            path="/generateOtp",
            roles=ISSUER,
            handler=seed.generate,
            status=200,
            summary="Issue a passcode, the reference sample's way",
            answer=wire.SeedGenerated,
            parameters=(client_id, device_id),
            problems=(kinds.LIMIT_REACHED, *FAULTS),
        )
        for method in ("GET", "POST")
    ]
    validate = Route(
        method="GET",
        path="/validateOtp",
        roles=VALIDATOR,
        handler=seed.validate,
        status=200,
        summary="Validate and redeem, the reference sample's way",
        description="It redeems, although it is a GET, because the sample's clients call it so.",
        answer=wire.SeedValidated,
        parameters=(client_id, timestamp, device_id, otp),
        takes_redemption_id=True,
        problems=(kinds.PASSCODE_REFUSED, *FAULTS, kinds.CLOCK_DISAGREES),
    )
    invalidate = Route(
        method="DELETE",
        path="/invalidateOtp",
        roles=WITHDRAWERS,
        handler=seed.invalidate,
        status=200,
        summary="Withdraw a passcode, the reference sample's way",
        answer=wire.SeedInvalidated,
        parameters=(client_id, timestamp),
        problems=(kinds.PASSCODE_REFUSED, *FAULTS),
    )
    return (*generate, validate, invalidate)
