"""Who is calling, and whether the route is for them. Nobody gets in by default: no principal, no entry."""

import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from counterfoil.api.http import Request
from counterfoil.model.principal import Principal
from counterfoil.ports.credentials import Credentials

Authenticate: TypeAlias = Callable[[Request], Awaitable[Principal | None]]
"""Finds the caller of a request; None when there is no valid credential in it."""

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]{1,256})")


def by_bearer_credential(credentials: Credentials) -> Authenticate:
    """Takes the caller from `Authorization: Bearer …`. Raises CredentialsUnavailable."""

    async def authenticate(request: Request) -> Principal | None:
        match = _BEARER.fullmatch(request.headers.get(b"authorization", b""))
        return None if match is None else await credentials.principal(match[1].decode())

    return authenticate


def by_gateway_subject(credentials: Credentials) -> Authenticate:
    """Takes the caller from what the gateway verified. Nobody who is not in the deployment's list has a role."""

    async def authenticate(request: Request) -> Principal | None:
        return None if request.gateway_subject is None else await credentials.principal(request.gateway_subject)

    return authenticate
