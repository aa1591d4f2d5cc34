"""What must never be seen in a history, each by its name."""

from enum import StrEnum
from typing import NamedTuple

from tests.adversity.simulation.history import Operation

# What the service promises, written down once more: a service that moved its own figures would move the checker with them.
FAILURES_MAX = 5
CLOCK_TOLERANCE_US = 5_000_000


class Rule(StrEnum):
    """A promise, as it reads when it is broken; the gravest first."""

    TWO_REDEMPTIONS = "two redemptions"
    LATE = "accepted at or after expiry"
    EARLY = "accepted before issue"
    NEVER_ISSUED = "accepted, and never issued"
    AFTER_FAILURES = "accepted after five judged failures"
    AFTER_REVOCATION = "accepted after revocation returned"
    BOTH = "redeemed and withdrawn, both"
    AFTER_RETIREMENT = "accepted after its key was retired"
    OTHER_CONTEXT = "accepted with another context"
    OTHER_TRANSACTION = "accepted with another transaction"
    OTHER_TIMESTAMP = "accepted with another timestamp"
    OTHER_CLIENT = "accepted for another client"
    FORGED = "accepted, and forged"
    RESPELLED = "accepted in a second spelling"
    NOBODY_PRECEDED = "already redeemed, and nobody could have preceded"
    NOTHING_TO_REPLAY = "an acceptance told again that nobody had"
    REDEMPTION_FORGOTTEN = "an acknowledged redemption forgotten"
    REVOCATION_FORGOTTEN = "an acknowledged revocation forgotten"
    LOCK_FORGOTTEN = "an acknowledged lock forgotten"
    TOO_MANY_FAILURES = "more than five failures judged"
    VALID_REFUSED = "a valid passcode refused without a fault"
    WRONG_REASON = "refused for a reason that is not the case"
    NOT_ISSUED = "not issued without a fault"
    SAME_TIMESTAMP = "one timestamp given twice"
    UNKNOWN_WITHOUT_FAULT = "unknown without a fault"
    UNRECORDED = "told, and not in the journal"
    UNFORESEEN = "an answer that the protocol does not have"


class Violation(NamedTuple):
    """A broken rule, and the operation at which it shows."""

    rule: Rule
    operation: Operation
