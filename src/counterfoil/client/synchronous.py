"""The client for threads and scripts. The asynchronous one is its twin; what both say is in `exchange`."""

import time
from collections.abc import Mapping
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
from msgspec import Struct

from counterfoil.client.errors import CounterfoilError, ServiceUnavailable
from counterfoil.client.exchange import (
    ABSENT,
    Answer,
    Exchange,
    authorization,
    checked_url,
    issue_exchange,
    revoke_exchange,
    seal_context_exchange,
    validate_exchange,
)
from counterfoil.client.patience import RETRY_AFTER_S_MAX, Patience
from counterfoil.wire.messages import AcceptedAnswer, IssuedAnswer, SealedContextAnswer

A = TypeVar("A", bound=Struct | None)


class Client:
    """A connection to one service under one credential. Safe to share between threads; close it, or use `with`.

    Every verb raises CredentialRefused, RequestInvalid and ServiceUnavailable. What may be asked again is asked again,
    up to `tries` times; `timeout_s` bounds each wait for the network, not their sum.
    `tls` is for a private certificate authority or a client certificate.
    """

    def __init__(
        self, url: str, credential: str, *, timeout_s: float = 5.0, tries: int = 3, tls: SSLContext | None = None
    ) -> None:
        self._patience = Patience(timeout_s, tries)
        self._http = httpx2.Client(
            base_url=checked_url(url),
            headers=authorization(credential),
            timeout=timeout_s,
            follow_redirects=False,
            verify=True if tls is None else tls,
        )

    def issue(
        self,
        client_id: str,
        *,
        context: Mapping[str, str] | None = None,
        sealed_context: str | None = None,
        transaction: Any = ABSENT,
        transaction_digest: str | None = None,
        lifetime_s: int | None = None,
    ) -> IssuedAnswer:
        """A passcode for a transaction. Also raises LimitReached."""
        return self._asked(issue_exchange(client_id, context, sealed_context, transaction, transaction_digest, lifetime_s))

    def validate(
        self,
        client_id: str,
        passcode: str,
        *,
        context: Mapping[str, str] | None = None,
        sealed_pairs: Mapping[str, str] | None = None,
        transaction: Any = ABSENT,
        transaction_digest: str | None = None,
        timestamp: int | None = None,
        redemption_id: str | None = None,
    ) -> AcceptedAnswer:
        """The acceptance; every other verdict raises: PasscodeRefused, or VerdictUnknown.

        Without a `redemption_id` one is made for this call alone. A backend that may crash between the verdict and its
        own commit stores `new_redemption_id()` first and gives it here, so that it can ask again afterwards.
        """
        return self._asked(
            validate_exchange(
                client_id,
                passcode,
                context,
                sealed_pairs,
                transaction,
                transaction_digest,
                timestamp,
                redemption_id,
            )
        )

    def revoke(self, client_id: str, *, passcode: str | None = None, timestamp: int | None = None) -> None:
        """Withdraws a passcode, named by exactly one of the two. Raises PasscodeRefused when it is redeemed or unknown."""
        self._asked(revoke_exchange(client_id, passcode, timestamp))

    def seal_context(
        self, client_id: str, sealed_pairs: Mapping[str, str], *, lifetime_s: int | None = None
    ) -> SealedContextAnswer:
        """Pairs for one client as a string that it passes on unread."""
        return self._asked(seal_context_exchange(client_id, sealed_pairs, lifetime_s))

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _asked(self, exchange: Exchange[A]) -> A:
        waits_s = self._patience.waits_s()
        in_doubt = False
        while True:
            try:
                answer = self._answer(exchange)
                return exchange.result(answer)
            except ServiceUnavailable as unavailable:
                wait_s = next(waits_s, None)
                if wait_s is None:
                    raise
                asked_to_wait_s = unavailable.retry_after_s or 0
                in_doubt = True
            except CounterfoilError as error:
                doubt = exchange.doubt(error) if in_doubt else None
                if doubt is None:
                    raise
                raise doubt from error
            time.sleep(max(wait_s, min(asked_to_wait_s, RETRY_AFTER_S_MAX)))

    def _answer(self, exchange: Exchange[A]) -> Answer:
        try:
            response = self._http.post(exchange.path, content=exchange.body, headers=exchange.headers())
        except httpx2.RequestError as cause:
            raise exchange.unavailable(f"no answer: {type(cause).__name__}") from cause
        return Answer(response.status_code, response.content, response.headers.get("retry-after"))
