"""A lean HTTP/1.1 client for many requests at once: keep-alive connections, one answer at a time on each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

T = TypeVar("T")


@dataclass(frozen=True)
class Got:
    """One answer."""

    status: int
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The decoded body."""
        return msgspec.json.decode(self.body)

    @property
    def reason(self) -> str:
        """The reason of a refusal; the status for everything else."""
        return str(self.json["reason"]) if self.status == 409 else str(self.status)


class Connection:
    """One keep-alive connection. Raises ConnectionError or IncompleteReadError when the server goes away."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Got:
        """One request, and its answer."""
        lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        await self._writer.drain()
        return await self.receive()

    async def receive(self) -> Got:
        """The next answer."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return Got(status, await self._reader.readexactly(length))

    def close(self) -> None:
        """Hangs up."""
        self._writer.close()


@asynccontextmanager
async def connections(url: str, many: int) -> AsyncIterator[list[Connection]]:
    """That many open connections to one server."""
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1"
    opened = [Connection(*await asyncio.open_connection(parts.hostname, parts.port)) for _ in range(many)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


class Caller:
    """The routes, as one credential over one connection."""

    def __init__(self, connection: Connection, credential: str) -> None:
        self._connection = connection
        self._headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}

    async def issue(self, client_id: str = "1234", **body: Any) -> Got:
        """A passcode."""
        return await self._post("/v1/passcodes", {"client_id": client_id, **body})

    async def validate(self, passcode: str, redemption_id: str, client_id: str = "1234", **body: Any) -> Got:
        """A verdict."""
        asked = {"client_id": client_id, "passcode": passcode, **body}
        return await self._post("/v1/passcodes/validate", asked, {"Idempotency-Key": redemption_id})

    async def revoke(self, passcode: str, client_id: str = "1234") -> Got:
        """Takes it back."""
        return await self._post("/v1/passcodes/revoke", {"client_id": client_id, "passcode": passcode})

    async def _post(self, path: str, body: Any, more: Mapping[str, str] | None = None) -> Got:
        return await self._connection.send("POST", path, msgspec.json.encode(body), {**self._headers, **(more or {})})


async def shared_out(work: Iterable[T], workers: Iterable[Callable[[T], Awaitable[None]]]) -> None:
    """Each piece of work is done once, by whichever worker is free."""
    left = iter(work)

    async def do(worker: Callable[[T], Awaitable[None]]) -> None:
        for piece in left:
            await worker(piece)

    await asyncio.gather(*(do(worker) for worker in workers))
