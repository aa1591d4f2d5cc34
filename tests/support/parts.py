"""A whole service in this process: memory or SQLite store, a real keyset file, real credentials, a clock to turn."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from counterfoil.api.http import Request, Response
from counterfoil.credentials.credential_file import CredentialEditor, CredentialFile
from counterfoil.keys.keyset_file import KeysetEditor, KeysetFile
from counterfoil.model.principal import Role
from counterfoil.ports.store import Store
from counterfoil.server_wiring import Service, assembled
from counterfoil.settings import Settings
from counterfoil.stores.memory import MemoryStore
from counterfoil.stores.sqlite import SqliteStore
from counterfoil.telemetry.tracing import Tracing
from tests.support.clock import Clock

_UNLIMITED: dict[str, Any] = {"issue_rate_per_s": 0.0, "outstanding_max": 0, "seed_routes": True}


@dataclass
class Parts:
    """The parts, so that a test can reach behind the interface, and `ask`, which goes through it."""

    folder: Path
    clock: Clock
    store: Store
    service: Service
    keyset: KeysetEditor
    credentials: CredentialEditor
    secrets: dict[str, str] = field(repr=False)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str | None = None,
        key: str | None = None,
        raw: bytes | None = None,
        query: str = "",
        headers: dict[bytes, bytes] | None = None,
    ) -> Response:
        """One request through the api room, as the credential `role` (issuer, validator, operator) or as nobody."""
        sent = dict(headers or {})
        if role is not None:
            sent[b"authorization"] = f"Bearer {self.secrets[role]}".encode()
        if key is not None:
            sent[b"idempotency-key"] = key.encode()
        if body is not None or raw is not None:
            sent.setdefault(b"content-type", b"application/json")
        content = raw if raw is not None else b"" if body is None else msgspec.json.encode(body)
        return await self.service.front.handle(Request(method, path, query.encode(), sent, content, "req_test"))

    async def issue(self, **body: Any) -> dict[str, Any]:
        """A passcode for client 1234, as the issuer; the decoded answer."""
        response = await self.ask("POST", "/v1/passcodes", {"client_id": "1234", **body}, role="issuer")
        assert response.status == 201, response.body
        issued: dict[str, Any] = decoded(response)
        return issued

    async def validate(self, passcode: str, *, key: str | None = None, **body: Any) -> Response:
        """A validation for client 1234, as the validator."""
        asked = {"client_id": "1234", "passcode": passcode, **body}
        return await self.ask("POST", "/v1/passcodes/validate", asked, role="validator", key=key)


def made_parts(
    folder: Path, *, store: Store | None = None, clock: Clock | None = None, tracing: Tracing | None = None, **settings: Any
) -> Parts:
    """A service over the given store (memory by default) with one credential of each role; limits are off by default."""
    clock = clock or Clock()
    KeysetEditor(folder / "keyset.json", clock, secrets.token_bytes).new()
    credentials = CredentialEditor(folder / "credentials.json", clock, secrets.token_bytes)
    kept = {
        "issuer": credentials.create("the-issuer", Role.ISSUER, ("*",)),
        "validator": credentials.create("the-validator", Role.VALIDATOR),
        "operator": credentials.create("the-operator", Role.OPERATOR),
    }
    return reopened_parts(folder, kept, store=store or MemoryStore(clock), clock=clock, tracing=tracing, **settings)


def made_sqlite_parts(folder: Path, *, clock: Clock | None = None, **settings: Any) -> Parts:
    """The same over an SQLite store in the folder, as a deployment has it. Whoever makes it closes the store."""
    made = made_parts(folder, clock=clock)
    path, key = folder / "counterfoil.db", made.keyset.read().journal_key
    store = SqliteStore(path, made.clock, journal_key=key)
    return reopened_parts(folder, made.secrets, store=store, clock=made.clock, **settings)


def reopened_parts(
    folder: Path, kept: dict[str, str], *, store: Store, clock: Clock, tracing: Tracing | None = None, **settings: Any
) -> Parts:
    """A service over the keyset and credentials that are in the folder already; `kept` are the credentials' secrets."""
    keyset = KeysetEditor(folder / "keyset.json", clock, secrets.token_bytes)
    credentials = CredentialEditor(folder / "credentials.json", clock, secrets.token_bytes)
    service = assembled(
        store=store,
        keys=KeysetFile(keyset.path),
        credentials=CredentialFile(credentials.path, clock),
        settings=Settings(data=folder, **{**_UNLIMITED, **settings}).checked(),
        now_us=clock,
        tracing=tracing,
    )
    return Parts(folder, clock, store, service, keyset, credentials, kept)


def decoded(response: Response) -> Any:
    """The JSON body."""
    return msgspec.json.decode(response.body)


def reason(response: Response) -> str:
    """The reason of a refusal; fails when the answer is none."""
    assert response.status == 409, (response.status, response.body)
    return str(decoded(response)["reason"])


def heard(response: Response) -> str:
    """The reason of a refusal; the status of every other answer."""
    return str(decoded(response)["reason"]) if response.status == 409 else str(response.status)
