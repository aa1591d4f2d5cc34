"""What is asked and what the answer means, without any I/O: the same for both clients."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from counterfoil.client.errors import (
    CounterfoilError,
    CredentialRefused,
    LimitReached,
    PasscodeRefused,
    RequestInvalid,
    ServiceUnavailable,
    VerdictUnknown,
)
from counterfoil.client.trace_context import trace_headers
from counterfoil.model.identifiers import checked_redemption_id
from counterfoil.model.invalid import Invalid
from counterfoil.wire.messages import AcceptedAnswer, IssuedAnswer, SealedContextAnswer
from counterfoil.wire.problems import Problem

A = TypeVar("A", bound=Struct | None)

ABSENT: Final = UNSET
"""No transaction at all, which differs from `None`, JSON's null."""

# A proxy's own answers for "the service did not answer" are as good as none.
_PASSING_STATUSES = frozenset({408, 500, 502, 503, 504})
# These say nothing of what an earlier try, whose answer never came, has done.
_MAY_HIDE_AN_ACCEPTANCE = frozenset({"key_retired", "unknown_passcode"})


def new_redemption_id() -> str:
    """A random redemption id. A backend that must survive its own crash makes one, stores it, and then validates."""
    return secrets.token_urlsafe(16)


def authorization(credential: str) -> dict[str, str]:
    """The header that shows the credential."""
    if not credential.isascii() or not credential.isprintable():
        raise RequestInvalid("the credential must be printable ASCII characters, without the line break of its file")
    return {"authorization": f"Bearer {credential}"}


def checked_url(url: str) -> str:
    """The service's address itself."""
    if not url.startswith(("http://", "https://")):
        raise RequestInvalid("the URL must begin with http:// or https://")
    return url


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange(Generic[A]):
    """One question that may be asked several times: asking it again never does what it asks for twice."""

    path: str
    body: bytes = field(repr=False)
    success: int
    answer_type: type[A] | None
    redemption_id: str | None = None
    client_id: str = ""

    def headers(self) -> dict[str, str]:
        """Those that belong to the question, and to the trace that it is asked in."""
        headers = {"content-type": "application/json", **trace_headers()}
        return headers if self.redemption_id is None else {**headers, "idempotency-key": self.redemption_id}

    def result(self, answer: Answer) -> A:
        """The success, decoded; raises the error that the answer means. ServiceUnavailable alone is worth another try."""
        if answer.status == self.success:
            return self._decoded(answer)
        raise self._error(answer)

    def doubt(self, error: CounterfoilError) -> ServiceUnavailable | None:
        """What to say instead of an error that follows an unanswered try, which may have been accepted; None to say it."""
        decided = isinstance(error, PasscodeRefused) and error.reason not in _MAY_HIDE_AN_ACCEPTANCE
        if self.redemption_id is None or decided:
            return None
        return self.unavailable(f"an earlier try went without an answer, and then: {error}")

    def unavailable(self, message: str, request_id: str | None = None) -> ServiceUnavailable:
        """The error for no decision."""
        if self.redemption_id is not None:
            return VerdictUnknown(message, self.redemption_id, request_id)
        return ServiceUnavailable(message, request_id)

    def _decoded(self, answer: Answer) -> A:
        if self.answer_type is None:
            return None  # type: ignore[return-value]  # A is None for exchanges without an answer
        try:
            decoded = msgspec.json.decode(answer.body, type=self.answer_type)
        except msgspec.MsgspecError:
            raise self.unavailable("the answer is not this service's") from None
        if self.redemption_id is not None:
            self._check_it_is_ours(decoded)
        return decoded

    def _check_it_is_ours(self, decoded: A) -> None:
        """An acceptance must be of this question: a proxy that mixes up two answers must not accept a payment."""
        assert isinstance(decoded, AcceptedAnswer)
        if (decoded.redemption_id, decoded.client_id) != (self.redemption_id, self.client_id):
            raise self.unavailable("the answer belongs to another question")

    def _error(self, answer: Answer) -> CounterfoilError:
        problem = _problem(answer.body)
        request_id = problem.request_id if problem else None
        detail = f"{problem.code}: {problem.detail}" if problem else f"HTTP status {answer.status}"
        if answer.status == 409 and problem is not None and not isinstance(problem.reason, UnsetType):
            return PasscodeRefused(problem.reason, request_id)
        if answer.status in (401, 403):
            return CredentialRefused(detail, request_id)
        if answer.status == 429:
            return LimitReached(detail, request_id, retry_after_s(answer) or 1.0)
        if answer.status in _PASSING_STATUSES or not 400 <= answer.status < 500:
            unavailable = self.unavailable(detail, request_id)
            unavailable.retry_after_s = retry_after_s(answer)
            return unavailable
        return RequestInvalid(detail, request_id)


def retry_after_s(answer: Answer) -> float | None:
    """How long the service asks to wait; None when it does not say."""
    text = answer.retry_after
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None


def issue_exchange(
    client_id: str,
    context: Mapping[str, str] | None,
    sealed_context: str | None,
    transaction: Any,
    transaction_digest: str | None,
    lifetime_s: int | None,
) -> Exchange[IssuedAnswer]:
    """Asked twice, two passcodes: harmless, since an unused one dies by itself."""
    body = _body(
        client_id=client_id,
        context=context,
        sealed_context=sealed_context,
        transaction_digest=transaction_digest,
        lifetime_s=lifetime_s,
    )
    return Exchange("/v1/passcodes", _encoded(body, transaction), 201, IssuedAnswer)


def validate_exchange(
    client_id: str,
    passcode: str,
    context: Mapping[str, str] | None,
    sealed_pairs: Mapping[str, str] | None,
    transaction: Any,
    transaction_digest: str | None,
    timestamp: int | None,
    redemption_id: str | None,
) -> Exchange[AcceptedAnswer]:
    """Asked twice under one redemption id, one redemption: the second answer is the first one, told again."""
    body = _body(
        client_id=client_id,
        passcode=passcode,
        context=context,
        sealed_pairs=sealed_pairs,
        transaction_digest=transaction_digest,
        timestamp=timestamp,
    )
    if redemption_id is None:
        redemption_id = new_redemption_id()
    try:
        checked_redemption_id(redemption_id)
    except Invalid as error:
        raise RequestInvalid(str(error)) from None
    return Exchange("/v1/passcodes/validate", _encoded(body, transaction), 200, AcceptedAnswer, redemption_id, client_id)


def revoke_exchange(client_id: str, passcode: str | None, timestamp: int | None) -> Exchange[None]:
    """Asked twice, revoked once."""
    body = _body(client_id=client_id, passcode=passcode, timestamp=timestamp)
    return Exchange("/v1/passcodes/revoke", _encoded(body, ABSENT), 204, None)


def seal_context_exchange(
    client_id: str, sealed_pairs: Mapping[str, str], lifetime_s: int | None
) -> Exchange[SealedContextAnswer]:
    """Asked twice, two strings for the same pairs."""
    body = _body(client_id=client_id, sealed_pairs=sealed_pairs, lifetime_s=lifetime_s)
    return Exchange("/v1/contexts/seal", _encoded(body, ABSENT), 200, SealedContextAnswer)


def _body(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _encoded(body: dict[str, Any], transaction: Any) -> bytes:
    if transaction is not ABSENT:
        body["transaction"] = transaction
    try:
        # Not msgspec: it would turn a Decimal into a string here, and another backend's library would not.
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_not_json)
        return text.encode()
    except (TypeError, ValueError, RecursionError):
        raise RequestInvalid("the transaction must be made of JSON values: send amounts as strings") from None


def _not_json(_: Any) -> Any:
    raise TypeError


def _problem(body: bytes) -> Problem | None:
    try:
        return msgspec.json.decode(body, type=Problem)
    except msgspec.MsgspecError:
        return None
