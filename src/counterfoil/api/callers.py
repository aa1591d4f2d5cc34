"""Who is calling, and whether the route is for them. Nobody gets in by default: no principal, no entry."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from counterfoil.api.http import Request
from counterfoil.model.principal import Principal
from counterfoil.ports.credentials import Credentials

Authenticate: TypeAlias = Callable[[Request], Awaitable[Principal | None]]
"""Finds the caller of a request; None when there is no valid credential in it."""

_SECRET_CHARS_MAX = 256


def by_bearer_credential(credentials: Credentials) -> Authenticate:
    """Takes the caller from `Authorization: Bearer …`. Raises CredentialsUnavailable."""

    def authenticate(request: Request) -> Awaitable[Principal | None]:
        presented = bearer_secret(request.headers.get(b"authorization", b""))
        return _nobody() if presented is None else credentials.principal(presented)

    return authenticate


def bearer_secret(header: bytes) -> str | None:
    """What follows the scheme and one space or more: 1 to 256 visible ASCII characters; None for every other header."""
    scheme, _, rest = header.partition(b" ")
    if scheme != b"Bearer" and scheme.lower() != b"bearer":
        return None
    # As Latin-1 every byte is a character, and of these the visible ones are the printable ones of ASCII but the space.
    secret = rest.lstrip(b" ").decode("latin-1")
    is_visible = secret.isascii() and secret.isprintable() and " " not in secret
    return secret if is_visible and 1 <= len(secret) <= _SECRET_CHARS_MAX else None


async def _nobody() -> None:
    return None


def by_gateway_subject(credentials: Credentials) -> Authenticate:
    """Takes the caller from what the gateway verified. Nobody who is not in the deployment's list has a role."""

    async def authenticate(request: Request) -> Principal | None:
        return None if request.gateway_subject is None else await credentials.principal(request.gateway_subject)

    return authenticate
