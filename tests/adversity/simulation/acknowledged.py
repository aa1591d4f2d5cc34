"""What a passcode was acknowledged to be, and since when: from then on every operation must be told so."""

from collections.abc import Iterable, Sequence

from counterfoil.model.verdict import Reason
from tests.adversity.simulation.history import ACCEPTED, MISMATCHES, Operation, Told, Verdict, may_precede, surely_precedes
from tests.adversity.simulation.rules import FAILURES_MAX, Rule

_REDEEMED = ACCEPTED | {Reason.ALREADY_REDEEMED}
_DEAD: frozenset[Verdict] = frozenset({Reason.REVOKED, Reason.LOCKED})


class Acknowledged:
    """When each state of one passcode first left a door, in each era: no way leads back from it but a restore."""

    def __init__(self, operations: Sequence[Operation], issuer_revoked_us: int | None) -> None:
        self._redeemed_us = _first_returned(operation for operation in operations if operation.told in _REDEEMED)
        # A passcode that is refused for its issuer's sake is not withdrawn: an operation under way may still redeem it.
        self._withdrawn_us = _first_returned(
            operation
            for operation in operations
            if operation.told is Told.WITHDRAWN
            or (operation.told is Reason.REVOKED and not may_precede(issuer_revoked_us, operation))
        )
        self._locked_us = _first_returned(operation for operation in operations if operation.told is Reason.LOCKED)
        self._failures = [operation for operation in operations if operation.told in MISMATCHES]

    def redeemed_before(self, operation: Operation) -> bool:
        """Whether the operation must know of a redemption."""
        return surely_precedes(self._redeemed_us.get(operation.era), operation)

    def contradicted_by(self, operation: Operation) -> Rule | None:
        """What was acknowledged before the validation was invoked, and is not what it was told."""
        told, era = operation.told, operation.era
        if self.redeemed_before(operation):
            return None if told in (Told.REPLAYED, Reason.ALREADY_REDEEMED) else Rule.REDEMPTION_FORGOTTEN
        if surely_precedes(self._withdrawn_us.get(era), operation) and told not in _DEAD:
            return Rule.AFTER_REVOCATION if told in ACCEPTED else Rule.REVOCATION_FORGOTTEN
        failures = sum(surely_precedes(failure.returned_us, operation) for failure in self._failures)
        locked = failures >= FAILURES_MAX or surely_precedes(self._locked_us.get(era), operation)
        if locked and told is not Reason.LOCKED:
            return Rule.AFTER_FAILURES if told in ACCEPTED else Rule.LOCK_FORGOTTEN
        return None


def _first_returned(operations: Iterable[Operation]) -> dict[int, int]:
    first: dict[int, int] = {}
    for operation in operations:
        if operation.returned_us is not None:
            first[operation.era] = min(operation.returned_us, first.get(operation.era, operation.returned_us))
    return first
