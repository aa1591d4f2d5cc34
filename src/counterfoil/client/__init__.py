"""The Python client: `Client` and `AsyncClient`. It shares the wire types with the server, and imports none of its rooms."""

from counterfoil.client.asynchronous import AsyncClient
from counterfoil.client.errors import (
    CounterfoilError,
    CredentialRefused,
    LimitReached,
    PasscodeRefused,
    RequestInvalid,
    ServiceUnavailable,
    VerdictUnknown,
)
from counterfoil.client.exchange import ABSENT, new_redemption_id
from counterfoil.client.synchronous import Client
from counterfoil.wire.messages import AcceptedAnswer, IssuedAnswer, SealedContextAnswer

__all__ = [
    "ABSENT",
    "AcceptedAnswer",
    "AsyncClient",
    "Client",
    "CounterfoilError",
    "CredentialRefused",
    "IssuedAnswer",
    "LimitReached",
    "PasscodeRefused",
    "RequestInvalid",
    "SealedContextAnswer",
    "ServiceUnavailable",
    "VerdictUnknown",
    "new_redemption_id",
]
