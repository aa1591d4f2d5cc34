"""Both ends of payments against a development service: a client application and a backend, with what happens in between."""

from typing import Any

import httpx2

from tests.browser.conftest import Development

PATIENCE_S = 30


class Ends:
    """They do as real ones do, by the public API."""

    def __init__(self, service: Development) -> None:
        self._service = service

    def pay(self, *, changed: bool = False, copies: int = 0, client_id: str = "shop-1") -> dict[str, Any]:
        """One payment, perhaps changed or copied on its way; what was issued."""
        bound = {"client_id": client_id, "transaction": {"amount": "49.90"}}
        issued: dict[str, Any] = self._ask("/v1/passcodes", self._service.issuer, bound)
        arrived = {**bound, "transaction": {"amount": "949.90"}} if changed else bound
        for _ in range(1 + copies):
            self._ask("/v1/passcodes/validate", self._service.validator, {**arrived, "passcode": issued["passcode"]})
        return issued

    def _ask(self, path: str, credential: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {credential}"}
        return httpx2.post(self._service.url + path, json=body, headers=headers, timeout=PATIENCE_S).json()
