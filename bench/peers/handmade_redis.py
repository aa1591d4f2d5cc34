"""The usual hand-made service: FastAPI over Redis with appendfsync always, a script that compares and deletes in one step."""

import os
import secrets
import time

import redis.asyncio as redis
from fastapi import FastAPI, HTTPException

from bench.peers.handmade import (
    ISSUERS_ONLY,
    LIFETIME_S,
    VALIDATORS_ONLY,
    Accepted,
    IssueBody,
    Issued,
    RedeemBody,
    binding,
    stored_name,
)

_REDEEM = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

app = FastAPI(openapi_url=None)
_redis = redis.Redis(host="127.0.0.1", port=int(os.environ["PEER_REDIS_PORT"]))
_redeem = _redis.register_script(_REDEEM)


@app.post("/codes", status_code=201, dependencies=[ISSUERS_ONLY])
async def issue(body: IssueBody) -> Issued:
    """A random code, bound to the transaction. Redis forgets it by itself when it expires."""
    code = secrets.token_urlsafe(24)
    expires_at = time.time_ns() // 1000 + LIFETIME_S * 1_000_000
    await _redis.set(stored_name(code), binding(body), ex=LIFETIME_S, nx=True)
    return Issued(client_id=body.client_id, expires_at=expires_at, code=code)


@app.post("/codes/redeem", dependencies=[VALIDATORS_ONLY])
async def redeem(body: RedeemBody) -> Accepted:
    """Once, in time, for the same transaction."""
    if not await _redeem(keys=[stored_name(body.code)], args=[binding(body)]):
        raise HTTPException(409)
    return Accepted(client_id=body.client_id, redeemed_at=time.time_ns() // 1000)
