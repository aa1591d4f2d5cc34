"""What the two hand-made services share: who may call, what is bound, and the messages. Runs in the peers' environment alone."""

import hashlib
import json
import os
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException
from pydantic import BaseModel

LIFETIME_S = 60
# Digests of the credentials, as a deployment would have them in its configuration: digest to role.
_ROLES: dict[str, str] = json.loads(os.environ["PEER_CREDENTIALS"])


class IssueBody(BaseModel):
    """What is asked for a code."""

    client_id: str
    context: dict[str, str] = {}
    transaction: dict[str, Any]


class RedeemBody(IssueBody):
    """What is presented with a code."""

    code: str


class Issued(BaseModel):
    """A code, and until when it lives."""

    client_id: str
    expires_at: int
    code: str


class Accepted(BaseModel):
    """The code was redeemed by this very request."""

    client_id: str
    redeemed_at: int


def _role(authorization: str) -> str | None:
    scheme, _, secret = authorization.partition(" ")
    return _ROLES.get(hashlib.sha256(secret.encode()).hexdigest()) if scheme.lower() == "bearer" else None


def _needs(role: str, authorization: str) -> None:
    found = _role(authorization)
    if found is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    if found != role:
        raise HTTPException(403)


async def issuer(authorization: Annotated[str, Header()] = "") -> None:
    """Lets issuers in. A coroutine, since the framework would hop to a thread for a plain function."""
    _needs("issuer", authorization)


async def validator(authorization: Annotated[str, Header()] = "") -> None:
    """Lets validators in."""
    _needs("validator", authorization)


ISSUERS_ONLY, VALIDATORS_ONLY = Depends(issuer), Depends(validator)


def binding(body: IssueBody) -> str:
    """One digest of everything that the code is bound to."""
    bound = [body.client_id, body.context, body.transaction]
    return hashlib.sha256(json.dumps(bound, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def stored_name(code: str) -> str:
    """Under which a code is kept: not the code itself, which a thief of the database could use."""
    return hashlib.sha256(code.encode()).hexdigest()
