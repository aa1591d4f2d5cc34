"""Fuzzed: what arrives on a connection, through uvicorn's parser within our bounds and the ASGI shell to the api room."""

import asyncio
import logging
from functools import partial
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from counterfoil.entrypoints.asgi import AsgiShell
from counterfoil.entrypoints.bounded_http import BoundedProtocol
from counterfoil.model.principal import Role
from tests.adversity.fuzzing.target import Broken, Check, Target, hold
from tests.adversity.seeded_service import SECRETS, seeded_service

_STATUSES = frozenset({200, 201, 204, 400, 401, 403, 404, 405, 409, 413, 415, 431})
"""Every status that a stranger can bring about; 408 takes ten seconds, and faults are no stranger's doing."""

_CASES_PER_SERVICE = 5000
_ROUNDS = 8


class _Wire(asyncio.Transport):
    """A connection's other end: keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False

    def write(self, data: Any) -> None:
        if not self.closed:
            self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class _Served:
    """One server over one loop, without a socket."""

    def __init__(self, protocol: type[BoundedProtocol]) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(self._unforeseen)
        self.unforeseen: list[dict[str, Any]] = []
        self._protocol = protocol
        self._renew()

    def _renew(self) -> None:
        self.service = seeded_service(1)
        shell = AsgiShell(self.service.api, self._close)
        config = uvicorn.Config(shell, http=partial(self._protocol), ws="none", log_config=None, access_log=False)  # type: ignore[arg-type]
        config.load()
        self._state = ServerState()
        self._made = partial(self._protocol, config, self._state, {}, connections_max=10, _loop=self.loop)
        self._played = 0

    def answered(self, pieces: list[bytes]) -> bytes:
        """What a connection hears that sends these pieces and goes away."""
        self._played += 1
        if self._played == _CASES_PER_SERVICE:
            self._renew()
        self.service.clock.now_us += 1
        wire, protocol = _Wire(), self._made()
        protocol.connection_made(wire)
        for piece in pieces:
            if wire.closed:
                break
            protocol.data_received(piece)
            self._settle()
        protocol.connection_lost(None)
        self._settle()
        if self.unforeseen:
            raise Broken(f"something went unforeseen: {self.unforeseen.pop()}")
        return bytes(wire.written)

    def _settle(self) -> None:
        """Lets the loop run until every request that came whole is answered. What waits for more waits in vain."""
        for _ in range(_ROUNDS if self._state.tasks else 1):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def _unforeseen(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.unforeseen.append(context)

    async def _close(self) -> None:
        pass


def _heads(protocol: type[BoundedProtocol] = BoundedProtocol) -> Check:
    """The first byte is the length of the pieces in which the rest arrives; 0 for all at once."""
    # The parser's own complaints go to a log that nobody reads here.
    logging.disable()
    served = _Served(protocol)

    def check(data: bytes) -> str:
        length = 8 * data[0] if data and data[0] else max(len(data), 1)
        rest = data[1:]
        heard = served.answered([rest[at : at + length] for at in range(0, len(rest), length)])
        statuses = _statuses(heard)
        hold(_STATUSES.issuperset(statuses), f"a stranger hears no fault: {statuses}")
        hold(all(secret.encode() not in heard for secret in SECRETS.values()), "no answer has a secret in it")
        return str(statuses[0]) if statuses else "no answer"

    return check


def _statuses(heard: bytes) -> list[int]:
    """The statuses of all that was answered; raises Broken when it is not one HTTP answer after another."""
    statuses = []
    while heard:
        head, end, rest = heard.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        hold(first.startswith(b"HTTP/1.1 ") and bool(end), "what is heard is HTTP")
        status = int(first[9:12])
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        if status >= 200:
            statuses.append(status)
            hold(b"request-id" in headers, "every answer has its request id")
        # Who asked with HEAD hears a length, and no body.
        length = 0 if rest.startswith(b"HTTP/1.1 ") else int(headers.get(b"content-length", 0))
        heard = rest[length:]
    return statuses


class _WithoutCare(BoundedProtocol):
    """Broken: a header's name is read as text before anybody has looked at it."""

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if name.lower() == b"content-type":
            self.loop.call_soon(value.decode)


_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n"
_BEARER = f"Authorization: Bearer {SECRETS[Role.ISSUER]}\r\n".encode()
_ISSUE = b"POST /v1/passcodes HTTP/1.1\r\nHost: t\r\n" + _BEARER + b"Content-Type: application/json\r\n"

TARGETS = (
    Target(
        "heads",
        "HTTP connections",
        _heads,
        seeds=(
            b"\0" + _HEALTH,
            b"\0" + _HEALTH + _HEALTH,
            b"\5" + _ISSUE + b"Content-Length: 20\r\n\r\n" + b'{"client_id":"1234"}',
            b"\0" + _ISSUE + b"Transfer-Encoding: chunked\r\n\r\n14\r\n" + b'{"client_id":"1234"}' + b"\r\n0\r\n\r\n",
            b"\0HEAD /readyz HTTP/1.0\r\n\r\n",
            b"\0GET / HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
            b"\0GET /healthz HTTP/1.1\r\n" + b"x: v\r\n" * 101 + b"\r\n",
        ),
        tokens=(
            b"GET /healthz HTTP/1.1\r\n",
            b"POST /v1/passcodes HTTP/1.1\r\n",
            b"Host: t\r\n",
            b"\r\n\r\n",
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Type: application/json\r\n",
            b"Expect: 100-continue\r\n",
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
        ),
        length_max=4000,
        broken={"a content type is read as text": lambda: _heads(_WithoutCare)},
    ),
)
