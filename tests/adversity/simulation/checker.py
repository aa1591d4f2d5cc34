"""Judges a history: which promise was broken, by which operation. It knows no store and no service, only what was told.

Every verdict must be justified by what may have happened before it returned, and must not contradict what was
acknowledged before it was invoked. An operation whose outcome is unknown may have had its effect or not: it justifies
others, and acknowledges nothing.
"""

from collections.abc import Iterator

from tests.adversity.simulation.history import NOBODY, History, Kind, Operation, Recorded, Told, may_precede
from tests.adversity.simulation.one_passcode import OnePasscode
from tests.adversity.simulation.rules import Rule, Violation


def violations(history: History) -> list[Violation]:
    """Every broken promise in the history: in what was issued, then passcode by passcode."""
    found = [*_same_timestamps(history), *_unrecorded(history)]
    of_passcode: dict[int, list[Operation]] = {}
    for operation in history.operations:
        if operation.told is Told.UNFORESEEN:
            found.append(Violation(Rule.UNFORESEEN, operation))
        elif operation.kind is Kind.ISSUE:
            found += _of_issuing(operation, history)
        elif operation.passcode == NOBODY:
            found += _of_nobody(operation, history)
        else:
            of_passcode.setdefault(operation.passcode, []).append(operation)
    for number, operations in of_passcode.items():
        found += OnePasscode(history, history.passcodes[number], operations).violations()
    return found


def _same_timestamps(history: History) -> Iterator[Violation]:
    given = set()
    for passcode in history.passcodes:
        # A restored store has forgotten timestamps; what was issued under them before is dead with its key.
        name = (passcode.client_id, passcode.timestamp_us, passcode.issue.era)
        if name in given:
            yield Violation(Rule.SAME_TIMESTAMP, passcode.issue)
        given.add(name)


def _unrecorded(history: History) -> Iterator[Violation]:
    """What was told has an entry of its own: no answer leaves before its record."""
    left = history.recorded.copy()
    for operation in history.operations:
        if operation.told not in (Told.UNKNOWN, Told.UNAUTHENTICATED, Told.UNFORESEEN):
            record = Recorded(operation.told, operation.caller, operation.redemption_id)
            left[record] -= 1
            if left[record] < 0:
                yield Violation(Rule.UNRECORDED, operation)


def _of_issuing(operation: Operation, history: History) -> Iterator[Violation]:
    if operation.told is Told.UNKNOWN:
        if not operation.undecided_by_a_fault:
            yield Violation(Rule.UNKNOWN_WITHOUT_FAULT, operation)
    elif operation.told is Told.UNAUTHENTICATED:
        if not may_precede(history.issuer_revoked_us.get(operation.caller), operation):
            yield Violation(Rule.NOT_ISSUED, operation)
    elif operation.told is not Told.ISSUED:
        yield Violation(Rule.NOT_ISSUED, operation)


def _of_nobody(operation: Operation, history: History) -> Iterator[Violation]:
    """Who presents what was never issued is refused, for whatever reason."""
    if operation.told in (Told.ACCEPTED, Told.REPLAYED, Told.WITHDRAWN):
        yield Violation(Rule.NEVER_ISSUED, operation)
    elif operation.told is Told.UNKNOWN and not operation.undecided_by_a_fault:
        yield Violation(Rule.UNKNOWN_WITHOUT_FAULT, operation)
    elif operation.told is Told.UNAUTHENTICATED and not may_precede(history.issuer_revoked_us.get(operation.caller), operation):
        yield Violation(Rule.WRONG_REASON, operation)
