"""Secrets on error paths: every route spoilt in every way and every port failing; nothing that was secret is seen anywhere.

The service is one that tells all it can: its log at DEBUG in each form, a line for each request, and traces.
"""

import asyncio
import base64
import io
import itertools
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from uuid import UUID

from opentelemetry.trace import Span, Tracer

from counterfoil.api.http import Request
from counterfoil.credentials.credential_file import CredentialFile
from counterfoil.entrypoints.json_lines import JsonLogLines
from counterfoil.entrypoints.lambda_log import JsonLines
from counterfoil.entrypoints.log_lines import LogLines
from counterfoil.entrypoints.prometheus import PrometheusObserver
from counterfoil.keys.keyset_file import KeysetFile
from counterfoil.server_wiring import assembled
from counterfoil.settings import Settings
from counterfoil.telemetry import ports
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.error_paths import FAULTS, SPOILT, Asked
from tests.support.canaries import leaks, spellings
from tests.support.parts import decoded, made_sqlite_parts
from tests.support.tracing import recorder

CALLERS = ("issuer", "validator", "operator")
# Who puts a secret into a path or a method has it in the repr of the request, which nobody prints.
_SHOWN = ("path", "method")
_LOOKS = (
    "POST /v1/journal/passcode",
    "GET /v1/journal",
    "GET /v1/refusals",
    "GET /v1/keys",
    "GET /v1/credentials",
    "GET /v1/health",
)
"""What operators look at: no secret is in their answers either, whatever the status."""
_ROUTES = (
    "POST /v1/passcodes",
    "POST /v1/passcodes/validate",
    "POST /v1/passcodes/revoke",
    "POST /v1/contexts/seal",
    "GET /generateOtp",
    "GET /validateOtp",
    "DELETE /invalidateOtp",
    "GET /readyz",
    *_LOOKS,
)
ERROR_PATHS = [
    *itertools.product(_ROUTES, SPOILT, (None,), CALLERS),
    *itertools.product(_ROUTES, ("nothing",), FAULTS, CALLERS),
]
"""Route, what is spoilt, which port fails, and who asks."""
_FIRST_FAULT = next(number for number, path in enumerate(ERROR_PATHS) if path[2])


class _Port:
    """A port that fails when it is told to, and is itself otherwise."""

    def __init__(self, sound: Any) -> None:
        self.sound = sound
        self.fault: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self.sound, name)

        async def asked(*arguments: Any) -> Any:
            if self.fault is not None:
                raise self.fault
            return await verb(*arguments)

        return asked if asyncio.iscoroutinefunction(verb) else verb


class House:
    """A service over ports that can fail, and everything that can be seen of it."""

    def __init__(self, folder: Path, logs: Mapping[str, io.StringIO], chatter: str | None) -> None:
        self.parts = made_sqlite_parts(folder)
        self.ports = {
            "store": _Port(self.parts.store),
            "keys": _Port(KeysetFile(self.parts.keyset.path)),
            "credentials": _Port(CredentialFile(self.parts.credentials.path, self.parts.clock)),
        }
        self._logs, self._chatter = logs, chatter
        self._recorded = recorder()
        self._observer = PrometheusObserver()
        settings = Settings(data=folder, issue_rate_per_s=0, outstanding_max=0, seed_routes=True, access_log=True).checked()
        ports: dict[str, Any] = dict(self.ports)
        tracing = self._recorded.tracing
        made = assembled(**ports, settings=settings, now_us=self.parts.clock, observer=self._observer, tracing=tracing)
        self._front = made.front
        self._standing = {f"{role} credential": secret.encode() for role, secret in self.parts.secrets.items()}
        self._standing["data key"] = self.parts.keyset.read().primary.material

    async def good(self, route: str, canary: str) -> tuple[Asked, dict[str, bytes]]:
        """A request that would succeed, and the secrets in it."""
        method, path = route.split()
        context, payment = {"device": canary}, {"payee": canary}
        if not path.startswith("/v1/"):
            bound = f"clientId=1234&deviceId={UUID(bytes=canary.encode()[:16].ljust(16, b'0'))}"
            issued = decoded(await self.parts.ask("POST", "/generateOtp", query=bound, role="issuer"))
            if path != "/generateOtp":
                bound += f"&timestamp={issued['timestamp']}"
            return Asked(method, path, query=bound), _secrets_in(issued["otp"])
        issued = await self.parts.issue(context=context, transaction=payment)
        bodies: dict[str, dict[str, Any]] = {
            "/v1/passcodes": {"client_id": "1234", "context": context, "transaction": payment},
            "/v1/passcodes/validate": {
                "client_id": "1234",
                "passcode": issued["passcode"],
                "context": context,
                "transaction": payment,
            },
            "/v1/passcodes/revoke": {"client_id": "1234", "passcode": issued["passcode"]},
            "/v1/contexts/seal": {"client_id": "1234", "sealed_pairs": context},
            "/v1/journal/passcode": {"client_id": "1234", "passcode": issued["passcode"]},
        }
        if path not in bodies:
            return Asked(method, path), _secrets_in(issued["passcode"])
        return Asked(method, path, bodies[path], headers={b"content-type": b"application/json"}), _secrets_in(
            issued["passcode"]
        )

    async def walk(self, case: int) -> tuple[int, list[str]]:
        """Status of one error path, and what leaked on it."""
        route, spoilt, failing, caller = ERROR_PATHS[case % len(ERROR_PATHS)]
        chance = random.Random(case)
        self.parts.clock.advance_s(1)
        canary = f'cän"ary/{chance.getrandbits(96):024x}'
        good, hidden = await self.good(route, canary)
        authorised = {b"authorization": f"Bearer {self.parts.secrets[caller]}".encode(), **good.headers}
        asked = SPOILT[spoilt](Asked(good.method, good.path, good.body, good.query, authorised), canary)
        if failing is not None:
            port, fault = FAULTS[failing]
            self.ports[port].fault = fault(canary)
        request = Request(asked.method, asked.path, asked.query.encode(), asked.headers, asked.content(), f"req_{case}")
        response = await self._front.handle(request)
        for each in self.ports.values():
            each.fault = None
        if self._chatter is not None:
            spelt = spellings(canary.encode())[self._chatter]
            logging.getLogger("chatter").debug("%s", spelt.decode("utf-8", "surrogateescape"))
        seen = {
            **{name: _taken(log) for name, log in self._logs.items()},
            "spans": self._recorded.taken(),
            "metrics": (await self._observer.exposition())[1],
            "repr of the request": b"" if spoilt in _SHOWN else repr(request).encode(),
            "repr of the answer": repr(response).encode(),
        }
        if response.status >= 400 or route in _LOOKS:
            seen["answer"] = repr(response.headers).encode() + response.body
        return response.status, leaks(seen, {"canary": canary.encode(), **hidden, **self._standing})


def _secrets_in(passcode: str) -> dict[str, bytes]:
    raw = base64.urlsafe_b64decode(passcode[4:] + "=")
    return {"passcode": passcode[4:].encode(), "salt": raw[14:30], "sealed OTP": raw[30:]}


def _taken(log: io.StringIO) -> bytes:
    text = log.getvalue()
    log.seek(0)
    log.truncate()
    return text.encode("utf-8", "surrogateescape")


@contextmanager
def _logged(formatter: logging.Formatter) -> Iterator[Mapping[str, io.StringIO]]:
    """Everything that is logged at DEBUG, as a server prints it in either form and as a function does."""
    forms = {"log": formatter, "JSON log": JsonLogLines(), "function's log": JsonLines()}
    logs = {name: io.StringIO() for name in forms}
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    handlers: list[logging.Handler] = []
    for name, each in forms.items():
        handler = logging.StreamHandler(logs[name])
        handler.setFormatter(each)
        handlers.append(handler)
    root.handlers[:] = handlers
    root.setLevel(logging.DEBUG)
    try:
        yield logs
    finally:
        root.setLevel(before[0])
        root.handlers[:] = before[1]


def _walked(
    first: int, last: int, *, chatter: str | None = None, formatter: Callable[[], logging.Formatter] = LogLines
) -> Figures:
    figures = Figures()

    async def walk() -> None:
        with TemporaryDirectory() as folder, _logged(formatter()) as logs:
            house = House(Path(folder), logs, chatter)
            for case in range(first, last):
                status, found = await house.walk(case)
                figures.counts[f"answered {status}"] += 1
                if found:
                    figures.fail(f"case {case}, {ERROR_PATHS[case % len(ERROR_PATHS)]}: {'; '.join(found)}")
            await house.parts.store.close()

    asyncio.run(walk())
    return figures


def _prints(chatter: str) -> int:
    return _walked(0, 1, chatter=chatter).counts["failures"]


def _with_words() -> int:
    return _walked(_FIRST_FAULT, len(ERROR_PATHS), formatter=logging.Formatter).counts["failures"]


def _spans_with_words() -> int:
    """What the library writes into a span when it is left alone: an exception's words, and where they came from."""
    with patch.object(ports, "span_of", _span_of_the_library):
        return _walked(_FIRST_FAULT, len(ERROR_PATHS)).counts["failures"]


def _span_of_the_library(tracer: Tracer, name: str, *_: Any, **__: Any) -> AbstractContextManager[Span]:
    return tracer.start_as_current_span(name)


SECRETS = Campaign(
    name="secrets",
    claim="On no error path of the interface is a passcode, a credential, a key, a context or a transaction seen in a log at"
    " DEBUG, a span, a problem, a metric or a repr, in any spelling",
    unit="error paths",
    sizes=Sizes(full=20 * len(ERROR_PATHS), ci=2 * len(ERROR_PATHS), laptop=len(ERROR_PATHS)),
    run=_walked,
    controls={
        **{f"prints it as {name}": partial(_prints, name) for name in spellings(b"canary")},
        "tracebacks with their words": _with_words,
        "spans with an error's words": _spans_with_words,
    },
)
