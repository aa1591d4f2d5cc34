"""The bodies that travel: one type each for what is asked and answered. OpenAPI is generated from these types.

Times are integers, microseconds since the Unix epoch. A field left out, `null` and an empty value are three things.
"""

from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from counterfoil.model.context import Context, checked_context
from counterfoil.model.discreet import Discreet
from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import (
    CLIENT_ID_CHARS_MAX,
    LIFETIME_S_MAX,
    LIFETIME_S_MIN,
    SEALED_CONTEXT_CHARS_MAX,
    SEALED_CONTEXT_LIFETIME_S_MAX,
)
from counterfoil.model.principal import Role
from counterfoil.wire.strict_json import parsed_json, read_fast
from counterfoil.wire.transaction_digest import digest_of_json, given_digest

B = TypeVar("B", bound="Body")
V = TypeVar("V")

ClientId = Annotated[
    str,
    Meta(
        description=f"Who originates transactions: 1 to {CLIENT_ID_CHARS_MAX} printable characters, matched exactly.",
        examples=["1234"],
    ),
]
Pairs = Annotated[
    dict[str, str],
    Meta(
        description="At most 16 pairs; names of at most 64, values of at most 512 characters; matched exactly.",
        examples=[{"device_id": "d-9"}],
    ),
]
Transaction = Annotated[
    Any,
    Meta(
        description="The JSON value that the passcode authorises, canonicalised by RFC 8785; numbers must be exact doubles.",
        examples=[{"amount": "10.00", "currency": "EUR", "payee": "DE02120300000000202051"}],
    ),
]
Digest = Annotated[
    str,
    Meta(description="Instead of `transaction`: its SHA-256 in 64 hexadecimal digits.", pattern="^[0-9a-fA-F]{64}$"),
]
TimeUs = Annotated[int, Meta(description="Microseconds since the Unix epoch.", ge=0, le=2**63 - 1)]
PasscodeText = Annotated[str, Meta(description="`cf1_` and 83 base64url characters.", examples=["cf1_..."])]
SealedContextText = Annotated[str, Meta(description=f"`cfx1_` and base64url; at most {SEALED_CONTEXT_CHARS_MAX} characters.")]


class Body(Discreet, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something that a caller sends."""


class IssueBody(Body, frozen=True):
    """What to issue a passcode for."""

    client_id: ClientId
    context: Pairs | UnsetType = UNSET
    sealed_context: SealedContextText | UnsetType = UNSET
    transaction: Transaction = UNSET
    transaction_digest: Digest | UnsetType = UNSET
    lifetime_s: (
        Annotated[
            int,
            Meta(
                description=f"Seconds for which the passcode is valid: {LIFETIME_S_MIN} to {LIFETIME_S_MAX}, or the"
                " service's own lower ceiling. Default 60."
            ),
        ]
        | UnsetType
    ) = UNSET


class ValidateBody(Body, frozen=True):
    """What to hold together with the counterfoil."""

    client_id: ClientId
    passcode: PasscodeText
    context: Pairs | UnsetType = UNSET
    sealed_pairs: Pairs | UnsetType = UNSET
    transaction: Transaction = UNSET
    transaction_digest: Digest | UnsetType = UNSET
    timestamp: TimeUs | UnsetType = UNSET


class RevokeBody(Body, frozen=True):
    """Which passcode to withdraw: exactly one of `passcode` and `timestamp`."""

    client_id: ClientId
    passcode: PasscodeText | UnsetType = UNSET
    timestamp: TimeUs | UnsetType = UNSET


class SealContextBody(Body, frozen=True):
    """Pairs to encrypt for one client, which passes them on unread."""

    client_id: ClientId
    sealed_pairs: Pairs
    lifetime_s: (
        Annotated[
            int,
            Meta(description=f"Seconds for which it can be issued with: 1 to {SEALED_CONTEXT_LIFETIME_S_MAX}. Default 86400."),
        ]
        | UnsetType
    ) = UNSET


class IssuedAnswer(Discreet, frozen=True):
    """A passcode. `expires_at` is the first microsecond at which it is no longer valid."""

    client_id: ClientId
    timestamp: TimeUs
    expires_at: TimeUs
    passcode: PasscodeText


class AcceptedAnswer(Struct, frozen=True):
    """The one acceptance; `replayed` when it is told again to the same redemption id."""

    client_id: ClientId
    timestamp: TimeUs
    redeemed_at: TimeUs
    redemption_id: str
    replayed: bool


class SealedContextAnswer(Discreet, frozen=True):
    """A sealed context. `expires_at` is the first microsecond at which issuing refuses it."""

    client_id: ClientId
    sealed_context: SealedContextText
    expires_at: TimeUs


class SeedGenerated(Discreet, frozen=True):
    """`generateOtp`'s answer; `createdAt` is `timestamp` under the seed's other name."""

    message: str
    timestamp: TimeUs
    createdAt: TimeUs  # noqa: N815 - the sample's spelling
    otp: PasscodeText


class SeedValidated(Discreet, frozen=True):
    """`validateOtp`'s answer; `ttl` is the first microsecond at which the passcode is no longer valid."""

    message: str
    ttl: TimeUs
    otp: Annotated[str, Meta(description="The 16 bytes of the OTP, spelled as a UUID.")]


class SeedInvalidated(Struct, frozen=True):
    """`invalidateOtp`'s answer."""

    message: str


class CallerAnswer(Struct, frozen=True):
    """Whose credential was sent."""

    name: str
    role: Role


class HealthAnswer(Struct, frozen=True):
    """`ok`, and nothing else: what is wrong is for the log."""

    status: str


def read_body(body: bytes, body_type: type[B]) -> B:
    """The body as its type. Raises Invalid, which names the field and the rule and repeats nothing of the body."""
    read: tuple[B] | None = read_fast(body, _decoder(body_type))
    if read is not None:
        return read[0]
    tree = parsed_json(body)
    try:
        return msgspec.convert(tree, body_type)
    except msgspec.ValidationError as error:
        raise _named(str(error)) from None


def read_context(pairs: dict[str, str] | UnsetType, field: str = "context") -> Context | None:
    """The pairs within their bounds; None where none were sent."""
    return None if pairs is UNSET else checked_context(pairs, field)


def given(value: V | UnsetType) -> V | None:
    """The value, or None where none was sent: only for fields in which `null` is refused, so the two stay apart."""
    return None if value is UNSET else value


def read_digest(transaction: Any, transaction_digest: str | UnsetType) -> bytes | None:
    """The digest of the transaction that was sent one way or the other; None where none was."""
    if transaction is UNSET:
        return None if isinstance(transaction_digest, UnsetType) else given_digest(transaction_digest)
    if transaction_digest is not UNSET:
        raise Invalid("transaction", "must not be sent together with transaction_digest")
    return digest_of_json(transaction)


@cache
def _decoder(body_type: type[B]) -> msgspec.json.Decoder[B]:
    return msgspec.json.Decoder(body_type)


def _named(message: str) -> Invalid:
    rule, _, path = message.partition(" - at `$")
    field = path.rstrip("`").lstrip(".") or "body"
    if rule.startswith("Object contains unknown field"):
        # The library's message repeats the name, which the caller chose.
        return Invalid(field, "has a field that is not known here")
    return Invalid(field, rule[0].lower() + rule[1:])
