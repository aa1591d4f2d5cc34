"""The usual hand-made service: FastAPI over SQLite, durable (WAL, synchronous=FULL), one statement decides.

Statements run on the event loop: with one process and one connection that was faster than the framework's thread pool.
"""

import os
import secrets
import sqlite3
import time

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

_BROOM_EVERY = 1000

app = FastAPI(openapi_url=None)
_database = sqlite3.connect(os.environ["PEER_DATABASE"], isolation_level=None)
_database.execute("PRAGMA journal_mode = WAL")
_database.execute("PRAGMA synchronous = FULL")
_database.execute(
    "CREATE TABLE IF NOT EXISTS codes (name TEXT PRIMARY KEY, binding TEXT NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER)"
    " WITHOUT ROWID"
)
_database.execute("CREATE INDEX IF NOT EXISTS codes_by_expiry ON codes (expires_at)")
_issued = 0


@app.post("/codes", status_code=201, dependencies=[ISSUERS_ONLY])
async def issue(body: IssueBody) -> Issued:
    """A random code, bound to the transaction."""
    global _issued
    code = secrets.token_urlsafe(24)
    expires_at = time.time_ns() // 1000 + LIFETIME_S * 1_000_000
    _database.execute("INSERT INTO codes VALUES (?, ?, ?, NULL)", (stored_name(code), binding(body), expires_at))
    _issued += 1
    if _issued % _BROOM_EVERY == 0:
        _database.execute("DELETE FROM codes WHERE expires_at < ?", (time.time_ns() // 1000,))
    return Issued(client_id=body.client_id, expires_at=expires_at, code=code)


@app.post("/codes/redeem", dependencies=[VALIDATORS_ONLY])
async def redeem(body: RedeemBody) -> Accepted:
    """Once, in time, for the same transaction."""
    now = time.time_ns() // 1000
    changed = _database.execute(
        "UPDATE codes SET used_at = ? WHERE name = ? AND binding = ? AND used_at IS NULL AND expires_at > ?",
        (now, stored_name(body.code), binding(body), now),
    )
    if changed.rowcount != 1:
        raise HTTPException(409)
    return Accepted(client_id=body.client_id, redeemed_at=now)
