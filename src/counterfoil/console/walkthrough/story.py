"""What is remembered of one visitor's play: the payment, the slip that travels, and every try. It asks nobody anything."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

LIFETIME_S = 60
TRIES_KEPT = 30
CALLS_KEPT = 12


@dataclass(frozen=True, slots=True)
class Payment:
    """What the client application sends along with its passcode, as the visitor typed it."""

    client_id: str = "shop-1"
    amount: str = "49.90"
    currency: str = "EUR"
    payee: str = "Libreria Aurora"
    reference: str = "invoice 2291"
    device_id: str = "d-9"

    def bound(self) -> dict[str, Any]:
        """The part that a passcode binds, as it stands in the body of a call."""
        transaction = {name: getattr(self, name) for name in ("amount", "currency", "payee", "reference")}
        return {"client_id": self.client_id, "context": {"device_id": self.device_id}, "transaction": transaction}


class By(StrEnum):
    """Who makes a call: whose credential is shown."""

    CLIENT = "client"
    BACKEND = "backend"
    NOBODY = "nobody"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made; a passcode in its body is left out, and so is every credential."""

    by: By
    path: str
    body: dict[str, Any]
    status: int
    redemption_id: str | None = None
    is_lost: bool = False
    """Whether the caller never saw the answer."""


class Outcome(StrEnum):
    """How an answer is to be taken. Only the first one lets a payment be executed."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    TURNED_AWAY = "turned away"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the backend, or whoever asked, heard. `code` is the reason or the problem's code."""

    outcome: Outcome
    code: str
    status: int
    request_id: str
    detail: str = ""
    answer: str = ""
    """The body, laid out to be read."""


@dataclass(slots=True)
class Slip:
    """A passcode on its way, with the payment that it was issued for."""

    number: int
    payment: Payment
    passcode: str = field(repr=False)
    issued_at_us: int
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=CALLS_KEPT), repr=False)
    is_shown: bool = False
    """Whether the visitor has seen the passcode in full."""
    is_redeemed: bool = False
    is_spent: bool = False
    """Whether no delivery of it can be accepted any more."""


@dataclass(frozen=True, slots=True)
class Try:
    """One delivery: what was done to the payment, what arrived, and what was heard."""

    number: int
    slip: int
    did: str
    bound: Payment
    arrived: Payment
    by: By
    is_again: bool
    """Whether something was delivered with this passcode before."""
    after_s: float
    """How long the slip was under way, by the service's clock."""
    verdict: Verdict


@dataclass(slots=True)
class Story:
    """One visitor's play."""

    payment: Payment = Payment()
    slip: Slip | None = None
    tries: deque[Try] = field(default_factory=lambda: deque(maxlen=TRIES_KEPT))
    tricks: set[str] = field(default_factory=set)
    """Which of the intermediary's tricks have been tried."""
    slips: int = 0
    made: int = 0
    ahead_s: int = 0
    """How far the test clock has been turned."""
    problem: Verdict | None = None
    """Why the last thing that the client application asked for was not given."""

    @property
    def last(self) -> Try | None:
        """The latest try of the slip that travels."""
        if self.tries and self.slip is not None and self.tries[-1].slip == self.slip.number:
            return self.tries[-1]
        return None
