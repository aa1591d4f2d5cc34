"""One pass over the operations on one passcode: each verdict held against what was acknowledged and what may have been."""

from collections.abc import Iterator, Sequence

from counterfoil.model.verdict import Reason
from tests.adversity.simulation.acknowledged import Acknowledged
from tests.adversity.simulation.history import (
    ACCEPTED,
    MISMATCHES,
    History,
    IssuedPasscode,
    Kind,
    Misfit,
    Operation,
    Told,
    may_precede,
    surely_precedes,
)
from tests.adversity.simulation.rules import CLOCK_TOLERANCE_US, FAILURES_MAX, Rule, Violation

_COUNTED = frozenset(MISMATCHES.values())
_STRANGERS: dict[Misfit | None, Reason] = {
    Misfit.CLIENT: Reason.UNKNOWN_PASSCODE,
    Misfit.FORGED: Reason.UNKNOWN_PASSCODE,
    Misfit.RESPELLED: Reason.MALFORMED_PASSCODE,
}
"""Who presents these does not hold the genuine passcode: they are told this whatever became of it, and spend nothing."""
_ALTERED = {
    Misfit.CONTEXT: Rule.OTHER_CONTEXT,
    Misfit.TRANSACTION: Rule.OTHER_TRANSACTION,
    Misfit.TIMESTAMP: Rule.OTHER_TIMESTAMP,
    Misfit.CLIENT: Rule.OTHER_CLIENT,
    Misfit.FORGED: Rule.FORGED,
    Misfit.RESPELLED: Rule.RESPELLED,
}


class OnePasscode:
    """What became of one passcode, as far as the operations on it tell."""

    def __init__(self, history: History, passcode: IssuedPasscode, operations: Sequence[Operation]) -> None:
        validations = [operation for operation in operations if operation.kind is Kind.VALIDATE]
        withdrawals = [operation for operation in operations if operation.kind is Kind.REVOKE and operation.misfit is None]
        self._history = history
        self._passcode = passcode
        self._operations = operations
        self._revoked_us = history.issuer_revoked_us.get(passcode.issuer)
        self._retired_us = history.retired_us.get(passcode.key_id)
        self._firsts = [operation for operation in validations if operation.told is Told.ACCEPTED]
        self._accepted = self._firsts + [operation for operation in validations if operation.told is Told.REPLAYED]
        self._redeemers = self._possible_redeemers(validations)
        self._failures = [operation for operation in validations if operation.told in MISMATCHES]
        self._possible_failures = self._failures + [
            operation for operation in validations if operation.told is Told.UNKNOWN and operation.misfit in _COUNTED
        ]
        self._withdrawn = [operation for operation in withdrawals if operation.told is Told.WITHDRAWN]
        self._possibly_withdrawn = [operation for operation in withdrawals if operation.told in (Told.WITHDRAWN, Told.UNKNOWN)]
        self._acknowledged = Acknowledged(operations, self._revoked_us)

    def violations(self) -> Iterator[Violation]:
        """The rules that were broken; of each operation by itself, the first one."""
        if len(self._failures) > FAILURES_MAX:
            yield Violation(Rule.TOO_MANY_FAILURES, self._failures[-1])
        second = [
            operation
            for operation in self._accepted[1:]
            if operation.told is Told.ACCEPTED or operation.redemption != self._accepted[0].redemption
        ]
        for operation in self._operations:
            rule = Rule.TWO_REDEMPTIONS if operation in second else self._broken_by(operation)
            if rule is not None:
                yield Violation(rule, operation)

    def _possible_redeemers(self, validations: Sequence[Operation]) -> list[Operation]:
        """Who may have redeemed it: whoever was told so; where nobody was, those who know nothing."""
        if self._firsts:
            return self._firsts
        unknown = [operation for operation in validations if operation.told is Told.UNKNOWN and operation.misfit is None]
        if self._accepted:
            return [operation for operation in unknown if operation.redemption == self._accepted[0].redemption]
        return unknown

    def _broken_by(self, operation: Operation) -> Rule | None:
        told, misfit = operation.told, operation.misfit
        if told is Told.UNKNOWN:
            return None if self._may_be_unknown(operation) else Rule.UNKNOWN_WITHOUT_FAULT
        if told is Told.UNAUTHENTICATED:
            gone_us = self._history.issuer_revoked_us.get(operation.caller)
            return None if may_precede(gone_us, operation) else Rule.WRONG_REASON
        if told is Reason.KEY_RETIRED:
            return None if may_precede(self._retired_us, operation) else self._refused(operation)
        if misfit in _STRANGERS:
            if told in ACCEPTED and misfit is not None:
                return _ALTERED[misfit]
            return None if told is _STRANGERS[misfit] else Rule.WRONG_REASON
        if operation.kind is Kind.REVOKE:
            return self._broken_by_revocation(operation)
        if told in ACCEPTED and misfit is not None:
            return _ALTERED[misfit]
        if surely_precedes(self._retired_us, operation):
            return Rule.AFTER_RETIREMENT if told in ACCEPTED else Rule.WRONG_REASON
        if told is Reason.UNKNOWN_PASSCODE:
            return None if self._may_be_swept(operation) else self._missing(operation)
        return self._acknowledged.contradicted_by(operation) or self._broken_by_verdict(operation)

    def _may_be_unknown(self, operation: Operation) -> bool:
        clocks_disagree = operation.earliest_us + CLOCK_TOLERANCE_US < self._passcode.timestamp_us
        return operation.undecided_by_a_fault or clocks_disagree

    def _may_be_swept(self, operation: Operation) -> bool:
        kept_until_us = self._passcode.expires_at_us + self._history.retention_us
        return any(sweep.clock_us >= kept_until_us and may_precede(sweep.at_us, operation) for sweep in self._history.sweeps)

    def _may_be_redeemed(self, operation: Operation) -> bool:
        """Whether somebody else may have redeemed it before this returned. (Who presents it altered has redeemed nothing.)"""
        no_redeemer = operation.kind is Kind.REVOKE or operation.misfit is not None
        return any(
            may_precede(by.invoked_us, operation) and (no_redeemer or by.redemption != operation.redemption)
            for by in self._redeemers
        )

    def _refused(self, operation: Operation) -> Rule:
        fits = operation.kind is Kind.VALIDATE and operation.misfit is None
        return Rule.VALID_REFUSED if fits else Rule.WRONG_REASON

    def _missing(self, operation: Operation) -> Rule:
        forgotten = self._acknowledged.redeemed_before(operation)
        return Rule.REDEMPTION_FORGOTTEN if forgotten else self._refused(operation)

    def _broken_by_verdict(self, operation: Operation) -> Rule | None:
        """Whether the verdict lacks what would justify it."""
        told = operation.told
        if told is Told.ACCEPTED:
            return self._broken_by_acceptance(operation)
        if told is Told.REPLAYED:
            return self._broken_by_replay(operation)
        if told is Reason.ALREADY_REDEEMED:
            return None if self._may_be_redeemed(operation) else Rule.NOBODY_PRECEDED
        if told in MISMATCHES:
            justified = operation.misfit is MISMATCHES[told] and operation.decided_us < self._passcode.expires_at_us
        elif told is Reason.EXPIRED:
            justified = operation.latest_us >= self._passcode.expires_at_us
        elif told is Reason.REVOKED:
            withdrawn = any(may_precede(by.invoked_us, operation) for by in self._possibly_withdrawn)
            justified = may_precede(self._revoked_us, operation) or (withdrawn and not self._accepted)
        elif told is Reason.LOCKED:
            failures = sum(may_precede(failure.invoked_us, operation) for failure in self._possible_failures)
            justified = failures >= FAILURES_MAX and not self._accepted
        else:
            justified = False
        return None if justified else self._refused(operation)

    def _broken_by_acceptance(self, operation: Operation) -> Rule | None:
        passcode = self._passcode
        if operation.decided_us >= passcode.expires_at_us:
            return Rule.LATE
        if surely_precedes(operation.returned_us, passcode.issue):
            return Rule.EARLY
        if operation.decided_us + CLOCK_TOLERANCE_US < passcode.timestamp_us:
            return Rule.EARLY
        if surely_precedes(self._revoked_us, operation):
            return Rule.AFTER_REVOCATION
        both = any(withdrawal.era == operation.era for withdrawal in self._withdrawn)
        return Rule.BOTH if both else None

    def _broken_by_replay(self, operation: Operation) -> Rule | None:
        mine = [by for by in self._redeemers if by.redemption == operation.redemption]
        if not any(may_precede(by.invoked_us, operation) for by in mine):
            return Rule.NOTHING_TO_REPLAY
        same = operation.redeemed_at_us == self._accepted[0].redeemed_at_us
        return None if same else Rule.REDEMPTION_FORGOTTEN

    def _broken_by_revocation(self, operation: Operation) -> Rule | None:
        told = operation.told
        if told is Told.WITHDRAWN:
            forgotten = self._acknowledged.redeemed_before(operation)
            return Rule.REDEMPTION_FORGOTTEN if forgotten else None
        if told is Reason.ALREADY_REDEEMED:
            return None if self._may_be_redeemed(operation) else Rule.NOBODY_PRECEDED
        if told is Reason.UNKNOWN_PASSCODE:
            restored = operation.era > self._passcode.issue.era
            return None if restored or self._may_be_swept(operation) else self._missing(operation)
        return Rule.WRONG_REASON
