"""The ASGI shell: reads a request off the wire within bounds, hands it to the api room, writes the answer. Nothing else."""

import itertools
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from counterfoil.api.http import Interface, Request, Response, problem
from counterfoil.model.limits import BODY_BYTES_MAX
from counterfoil.wire.problems import TOO_LARGE, ProblemKind

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AsgiShell:
    """One service as an ASGI application. The server gives up callers who are slow (see `bounded_http`)."""

    def __init__(self, api: Interface, close: Callable[[], Awaitable[None]]) -> None:
        self._api = api
        self._close = close
        # Unique across processes and restarts by its first part, within this process by its second.
        self._request_ids = map(f"req_{secrets.token_hex(5)}{{:x}}".format, itertools.count(1))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._lifespan(receive, send)
            return
        request_id = next(self._request_ids)
        body = await _body(receive)
        if isinstance(body, bytes):
            headers = _headers(scope["headers"])
            request = Request(scope["method"], scope["path"], scope["query_string"], headers, body, request_id)
            response = await self._api.handle(request)
        elif body is None:
            return
        else:
            response = problem(body, request_id, more=((b"connection", b"close"),))
        await send(_start(response, request_id))
        await send({"type": "http.response.body", "body": response.body})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        # Requests in flight have been answered by now; what waits in the store is written before it closes.
        await self._close()
        await send({"type": "lifespan.shutdown.complete"})


async def _body(receive: Receive) -> bytes | ProblemKind | None:
    """The body; what is wrong with it when it is too large; None when the caller went away."""
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if len(body) > BODY_BYTES_MAX:
            return TOO_LARGE
        if not message.get("more_body"):
            return bytes(body)
    return None


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    headers = dict(pairs)
    if len(headers) != len(pairs):
        for name in headers:
            headers[name] = b", ".join(value for each, value in pairs if each == name)
    return headers


def _start(response: Response, request_id: str) -> MutableMapping[str, Any]:
    headers = [*response.headers, (b"request-id", request_id.encode())]
    if response.status != 204:
        headers.append((b"content-length", b"%d" % len(response.body)))
    return {"type": "http.response.start", "status": response.status, "headers": headers}
