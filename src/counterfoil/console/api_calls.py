"""Calls to the public API, made as anybody makes them: a request with a credential, or with none."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec

from counterfoil.api.http import Interface, Request


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said, and the id under which its log knows the request."""

    status: int
    body: bytes = field(repr=False)
    request_id: str

    def json(self) -> dict[str, Any]:
        """The body, which every route of ours that a page asks has as an object; empty where there is none."""
        decoded: dict[str, Any] = msgspec.json.decode(self.body) if self.body else {}
        return decoded


class ApiCalls:
    """The API, for one request of a visitor: what is asked on the way is numbered under that request's id."""

    def __init__(self, interface: Interface, request_id: str) -> None:
        self._interface = interface
        self._request_ids = (f"{request_id}-{number}" for number in itertools.count(1))

    async def ask(
        self,
        method: str,
        path: str,
        credential: str | None,
        body: Any = None,
        redemption_id: str | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Answer:
        """One call. `credential=None` shows none."""
        headers: dict[bytes, bytes] = {}
        if credential is not None:
            headers[b"authorization"] = b"Bearer " + credential.encode()
        if body is not None:
            headers[b"content-type"] = b"application/json"
        if redemption_id is not None:
            headers[b"idempotency-key"] = redemption_id.encode()
        content = b"" if body is None else msgspec.json.encode(body)
        asked = urlencode(query or {}).encode()
        request = Request(method, path, asked, headers, content, next(self._request_ids))
        response = await self._interface.handle(request)
        return Answer(response.status, response.body, request.request_id)
