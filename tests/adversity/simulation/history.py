"""What happened, as the checker judges it: operations at the service's door, and what was done to the world meanwhile.

An operation is one request that reached a service: invoked when it came in, returned when its answer left, whether or
not the network then lost it. That judges more strictly than what a caller saw: every answer that a caller hears has
left a door before, and the checker knows also those that were lost. Times are true ones, by no process's clock; two
events at one instant count as concurrent. What a process's clock said stands beside them.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple, TypeAlias

from counterfoil.model.verdict import Reason

NOBODY = -1
"""Stands for the passcode of an operation that presents none that was ever issued."""


class Kind(StrEnum):
    """What an operation asks for."""

    ISSUE = "issue"
    VALIDATE = "validate"
    REVOKE = "revoke"


class Misfit(StrEnum):
    """In what a presentation differs from what was issued."""

    CONTEXT = "context"
    TRANSACTION = "transaction"
    TIMESTAMP = "timestamp"
    CLIENT = "client"
    FORGED = "forged"
    RESPELLED = "respelled"


class Told(StrEnum):
    """What an operation was told, where it is no reason of a refusal."""

    ISSUED = "issued"
    ACCEPTED = "accepted"
    REPLAYED = "accepted, told again"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"
    UNAUTHENTICATED = "unauthenticated"
    UNFORESEEN = "an answer that is none of these"


Verdict: TypeAlias = Told | Reason
ACCEPTED: frozenset[Verdict] = frozenset({Told.ACCEPTED, Told.REPLAYED})
MISMATCHES: dict[Verdict, Misfit] = {
    Reason.CONTEXT_MISMATCH: Misfit.CONTEXT,
    Reason.TRANSACTION_MISMATCH: Misfit.TRANSACTION,
    Reason.TIMESTAMP_MISMATCH: Misfit.TIMESTAMP,
}
"""The reasons that cost an attempt, and what alone justifies each."""


@dataclass(slots=True, eq=False)
class Operation:
    """One request at the door. It stays `UNKNOWN` and never returns when its process dies under it."""

    kind: Kind
    caller: str
    """The name of the credential: the principal of a redemption."""
    passcode: int
    invoked_us: int
    returned_us: int | None = None
    told: Verdict = Told.UNKNOWN
    redemption_id: str = ""
    misfit: Misfit | None = None
    era: int = 0
    """How many times the store had been restored. A restore ends every operation, so each is of one era."""
    touched: bool = False
    """Whether a fault was put into it."""
    decided_us: int = 0
    """The deciding process's clock in the last store step: read beside the store, which may be the broken part."""
    earliest_us: int = 2**63
    latest_us: int = 0
    """The least and the greatest that its process's clock said whenever it was read for this operation."""
    redeemed_at_us: int = 0
    process: str = ""

    @property
    def undecided_by_a_fault(self) -> bool:
        """Whether its process died under it, or a fault was put into it: then it need not know."""
        return self.returned_us is None or self.touched

    @property
    def redemption(self) -> tuple[str, str]:
        """What names a redemption: the id and whose it is."""
        return self.redemption_id, self.caller

    def line(self) -> str:
        """All of it in one line, the same for the same history."""
        return (
            f"{self.kind}|{self.caller}|{self.passcode}|{self.invoked_us}|{self.returned_us}|{self.told}|{self.redemption_id}"
            f"|{self.misfit}|{self.era}|{self.touched}|{self.decided_us}|{self.earliest_us}|{self.latest_us}|{self.redeemed_at_us}"
        )


def surely_precedes(event_us: int | None, operation: Operation) -> bool:
    """Whether it had happened when the operation was invoked: the operation must know of it."""
    return event_us is not None and event_us < operation.invoked_us


def may_precede(event_us: int | None, operation: Operation) -> bool:
    """Whether it happened before the operation returned: the operation may know of it."""
    return event_us is not None and (operation.returned_us is None or event_us <= operation.returned_us)


class IssuedPasscode(NamedTuple):
    """A passcode that a service answered with, and the operation that asked for it."""

    timestamp_us: int
    expires_at_us: int
    client_id: str
    key_id: bytes
    issuer: str
    issue: Operation


class Recorded(NamedTuple):
    """What the journal says of one verdict."""

    told: Verdict
    caller: str
    redemption_id: str


class Event(NamedTuple):
    """Something that befell the world: a fault, or what operators do."""

    at_us: int
    what: str
    where: str


class Sweep(NamedTuple):
    """The broom went over the store, by the clock of the process that swept."""

    at_us: int
    clock_us: int


@dataclass(slots=True)
class History:
    """All of one run, in the order in which it happened."""

    retention_us: int
    passcodes: list[IssuedPasscode] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    calls: int = 0
    """What callers set out to do, each counted once however many messages it took."""
    callers: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    sweeps: list[Sweep] = field(default_factory=list)
    retired_us: dict[bytes, int] = field(default_factory=dict)
    """When each key was retired."""
    issuer_revoked_us: dict[str, int] = field(default_factory=dict)
    """When each issuer was revoked together with its passcodes."""
    recorded: "Counter[Recorded]" = field(default_factory=Counter)
    """What the journal has, however often."""

    def digest(self) -> str:
        """SHA-256 over everything that happened."""
        lines = [operation.line() for operation in self.operations]
        lines += [f"{at_us}|{what}|{where}" for at_us, what, where in self.events]
        return sha256("\n".join(lines).encode()).hexdigest()
