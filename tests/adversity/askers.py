"""Who asks for a verdict through a bad network: naive callers, and the product's own clients with their own retries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol, TypeAlias

from counterfoil.client import AcceptedAnswer, AsyncClient, Client, PasscodeRefused, VerdictUnknown
from tests.support.load import Caller, connections

PATIENCE_S = 60.0
IMPATIENCE_S = 0.4
"""For an answer that will be held back: whoever waits for it waits in vain."""
_TRIES = 6


class Acceptance(NamedTuple):
    """What an acceptance says of itself."""

    redeemed_at: int
    replayed: bool


Heard: TypeAlias = Acceptance | str | None
"""An acceptance, the reason of a refusal (or another status), or nothing: no answer came."""


class Asker(Protocol):
    """Somebody who validates for client 1234 with a redemption id of their own."""

    async def ask(self, passcode: str, redemption_id: str, patience_s: float) -> Heard:
        """What they hear in the end."""


class NaiveAsker:
    """Asks once, on a connection of its own."""

    def __init__(self, url: str, credential: str) -> None:
        self._url = url
        self._credential = credential

    async def ask(self, passcode: str, redemption_id: str, patience_s: float) -> Heard:
        try:
            async with connections(self._url, 1) as (connection,), asyncio.timeout(patience_s):
                got = await Caller(connection, self._credential).validate(passcode, redemption_id)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            return None
        return Acceptance(got.json["redeemed_at"], got.json["replayed"]) if got.status == 200 else got.reason


class ClientAsker:
    """The product's client, from a thread."""

    def __init__(self, clients: dict[float, Client]) -> None:
        self._clients = clients

    async def ask(self, passcode: str, redemption_id: str, patience_s: float) -> Heard:
        validate = self._clients[patience_s].validate
        try:
            return _acceptance(await asyncio.to_thread(validate, "1234", passcode, redemption_id=redemption_id))
        except VerdictUnknown:
            return None
        except PasscodeRefused as refused:
            return refused.reason


class AsyncClientAsker:
    """The product's asynchronous client."""

    def __init__(self, clients: dict[float, AsyncClient]) -> None:
        self._clients = clients

    async def ask(self, passcode: str, redemption_id: str, patience_s: float) -> Heard:
        try:
            return _acceptance(await self._clients[patience_s].validate("1234", passcode, redemption_id=redemption_id))
        except VerdictUnknown:
            return None
        except PasscodeRefused as refused:
            return refused.reason


def _acceptance(answer: AcceptedAnswer) -> Acceptance:
    return Acceptance(answer.redeemed_at, answer.replayed)


@asynccontextmanager
async def askers(url: str, credential: str) -> AsyncIterator[dict[str, Asker]]:
    """One of each kind, as the validator."""
    patiences = (PATIENCE_S, IMPATIENCE_S)
    clients = {each: Client(url, credential, timeout_s=each, tries=_TRIES) for each in patiences}
    async_clients = {each: AsyncClient(url, credential, timeout_s=each, tries=_TRIES) for each in patiences}
    try:
        yield {
            "naive caller": NaiveAsker(url, credential),
            "Client": ClientAsker(clients),
            "AsyncClient": AsyncClientAsker(async_clients),
        }
    finally:
        for client in clients.values():
            client.close()
        for async_client in async_clients.values():
            await async_client.close()
