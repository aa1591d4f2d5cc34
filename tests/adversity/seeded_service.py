"""A whole service in this process whose keys and passcodes follow from a number, so that a case can be played again.

The rules, the api room and the memory store are the real ones. Keys and credentials are kept in memory: reading their files
is tried elsewhere.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

from counterfoil.api.app import Api
from counterfoil.api.http import Request, Response
from counterfoil.model.limits import DATA_KEY_BYTES, KEY_ID_BYTES
from counterfoil.model.principal import Principal, Role
from counterfoil.ports.ambient import NowUs
from counterfoil.ports.keys import DataKey
from counterfoil.ports.store import Store
from counterfoil.server_wiring import assembled
from counterfoil.settings import Settings
from counterfoil.stores.memory import MemoryStore
from tests.support.clock import Clock

T = TypeVar("T")

SECRETS = {Role.ISSUER: "cfi_issuer-of-the-tests", Role.VALIDATOR: "cfv_validator-of-the-tests", Role.OPERATOR: "cfo_operator"}
"""What callers present: credentials of a service that exists in no deployment."""

_BEARERS = {role: f"Bearer {secret}".encode() for role, secret in SECRETS.items()}


class KeysInMemory:
    """A key provider over some keys, of which the last is primary."""

    def __init__(self, keys: tuple[DataKey, ...]) -> None:
        self.keys = {key.key_id: key for key in keys}
        self._primary = keys[-1]

    async def sealing_key(self) -> DataKey:
        return self._primary

    async def opening_key(self, key_id: bytes) -> DataKey | None:
        return self.keys.get(key_id)


class CredentialsInMemory:
    """One live credential of each role."""

    def __init__(self) -> None:
        self._principals = {
            SECRETS[role]: Principal(f"the-{role}", f"id-of-{role}", role, ("*",) if role is Role.ISSUER else ())
            for role in Role
        }

    async def principal(self, presented: str) -> Principal | None:
        return self._principals.get(presented)

    async def passcodes_are_revoked(self, credential_id: str) -> bool:
        return False


@dataclass
class SeededService:
    """The service, and what a case turns or looks at."""

    clock: Clock
    random: Random
    keys: KeysInMemory
    api: Api

    def post(self, path: str, body: bytes, role: Role, redemption_id: bytes = b"mine") -> Response:
        """A body as it is, as that role."""
        headers = {
            b"authorization": _BEARERS[role],
            b"content-type": b"application/json",
            b"idempotency-key": redemption_id,
        }
        return at_once(self.api.handle(Request("POST", path, b"", headers, body, "req_test")))


def opened_store(clock: NowUs) -> Store:
    """A fresh store; here alone, so that another one is one line."""
    return MemoryStore(clock)


def seeded_service(seed: int) -> SeededService:
    """A service with two live keys. All that it draws comes from `seed`; its clock stands still."""
    clock, random = Clock(), Random(seed)
    keys = KeysInMemory(
        tuple(DataKey(random.randbytes(KEY_ID_BYTES), random.randbytes(DATA_KEY_BYTES)) for _ in range(2)),
    )
    settings = Settings(
        data=Path("nowhere"),
        issue_rate_per_s=0.0,
        outstanding_max=0,
        seed_routes=True,
        service_context='{"stage":"test"}',
    )
    made = assembled(
        store=opened_store(clock),
        keys=keys,
        credentials=CredentialsInMemory(),
        settings=settings.checked(),
        now_us=clock,
        token_bytes=random.randbytes,
    )
    return SeededService(clock, random, keys, made.api)


def at_once(awaitable: Awaitable[T]) -> T:
    """What an awaitable gives that never waits: over memory nothing does, and an event loop would take most of the time."""
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as done:
        given: T = done.value
        return given
    raise AssertionError("it waited for something")
