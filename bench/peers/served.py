"""Runs Counterfoil's own server with one part of it left out, to see what that part costs, or with an application that does nothing.

    python -m bench.peers.served --data FOLDER [--without journal|limits|roles|storage ...] [--console] [--echo bare|bounded]

What is left out is left out here: the product has no option for it. With nothing left out this is `counterfoil serve`, which
also says how its store is set.
"""

import argparse
import gc
import json
from pathlib import Path
from typing import Any, Never

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from counterfoil import server_wiring
from counterfoil.api.callers import Authenticate
from counterfoil.api.http import Request
from counterfoil.entrypoints import http_server
from counterfoil.entrypoints.asgi import Receive, Scope, Send
from counterfoil.model.journal import Entry
from counterfoil.model.principal import Principal, Role
from counterfoil.server_wiring import Service, service
from counterfoil.settings import Settings, load_settings
from counterfoil.stores import sqlite
from counterfoil.stores.sqlite_journal import SqliteJournal

PARTS = ("journal", "limits", "roles", "storage")
_NEVER = 2**31 - 1


class SilentJournal(SqliteJournal):
    """Notes nothing, so that there is nothing to append."""

    def note(self, at_us: int, entry: Entry) -> None:
        pass


class EverybodyIsIn:
    """Credentials that are not looked at: whoever asks has the role that the route wants."""

    def __init__(self, *_: object, **__: object) -> None:
        self._issuer = Principal("anybody", "anybody", Role.ISSUER, ("*",))
        self._validator = Principal("anybody", "anybody", Role.VALIDATOR)

    def records(self) -> tuple[Never, ...]:
        return ()

    async def principal(self, presented: str) -> Principal:
        return self._validator

    async def passcodes_are_revoked(self, credential_id: str) -> bool:
        return False

    def by_nothing(self, *_: object) -> Authenticate:
        """Takes the caller from the path alone."""

        async def authenticate(request: Request) -> Principal:
            return self._issuer if request.path == "/v1/passcodes" else self._validator

        return authenticate


class Bare(HttpToolsProtocol):
    """uvicorn's own protocol as it comes, without this product's bounds, deadlines and single writes."""

    def __init__(self, *uvicorns: Any, connections_max: int, **own: Any) -> None:
        super().__init__(*uvicorns, **own)


class Echo:
    """The least that a server can do: reads the body, and answers JSON as long as a real answer. The ceiling."""

    def __init__(self, *_: object) -> None:
        issued = b'{"client_id":"c0001","timestamp":%d,"expires_at":%d,"passcode":"cf1_%s"}' % (10**15, 10**15, b"x" * 83)
        accepted = b'{"client_id":"c0001","timestamp":%d,"redeemed_at":%d,"redemption_id":"%s","replayed":false}'
        self._answers = {
            "/v1/passcodes": self._answer(201, issued),
            "/v1/passcodes/validate": self._answer(200, accepted % (10**15, 10**15, b"x" * 16)),
        }

    @staticmethod
    def _answer(status: int, body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        return {"type": "http.response.start", "status": status, "headers": headers}, {
            "type": "http.response.body",
            "body": body,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        while (await receive()).get("more_body"):
            pass
        start, body = self._answers[scope["path"]]
        await send(start)
        await send(body)


def read_back(made: Service, settings: Settings) -> dict[str, Any]:
    """The settings that decide what an answer is worth, as the running parts have them."""
    limits = settings.issue_limits()
    store: Any = made.store
    return {
        "store": type(store).__name__,
        "durability": getattr(store, "durability", None),
        "journal": type(store._journal).__name__ if hasattr(store, "_journal") else None,
        "limits": None if limits is None else [limits.rate_per_s, limits.burst, limits.outstanding_max],
        "retention_s": settings.retention_s,
    }


def main() -> int:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers.served")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--without", choices=PARTS, action="append", default=[])
    parser.add_argument("--echo", choices=("bare", "bounded"), help="on uvicorn as it comes, or within this product's bounds")
    parser.add_argument("--console", action="store_true")
    parser.add_argument("--retention-s", type=int)
    asked = parser.parse_args()
    changes: dict[str, Any] = {"data": asked.data, "port": 0, "retention_s": asked.retention_s, "console": asked.console}
    if "limits" in asked.without:
        changes |= {"issue_rate_per_s": 0.0, "outstanding_max": 0}
    if "storage" in asked.without:
        changes["store"] = "memory:"
        # A full collection would walk every counterfoil in the dictionary, again and again: a cost that no store on disk has.
        gc.set_threshold(*gc.get_threshold()[:2], _NEVER)
    replaced: dict[tuple[Any, str], Any] = {}
    if "journal" in asked.without:
        replaced[sqlite, "SqliteJournal"] = SilentJournal
    if "roles" in asked.without:
        replaced[server_wiring, "CredentialFile"] = EverybodyIsIn
        replaced[server_wiring, "by_bearer_credential"] = EverybodyIsIn().by_nothing
    if asked.echo:
        replaced[http_server, "AsgiShell"] = Echo
    if asked.echo == "bare":
        replaced[http_server, "BoundedProtocol"] = Bare
    return served(load_settings(None, {}, changes), replaced)


def served(settings: Settings, replaced: dict[tuple[Any, str], Any]) -> int:
    """`counterfoil serve` with these names of the product standing for something else. Its first line says the URL and the settings."""
    told: dict[str, Any] = {}

    def looked_at(settings: Settings, **parts: Any) -> Service:
        made = service(settings, **parts)
        told.update(read_back(made, settings))
        return made

    for (module, name), part in {**replaced, (http_server, "service"): looked_at}.items():
        assert hasattr(module, name), f"{module.__name__} has no {name} any more"
        setattr(module, name, part)
    return http_server.serve(settings, lambda url: print(json.dumps({"url": url, **told}), flush=True))


if __name__ == "__main__":
    raise SystemExit(main())
