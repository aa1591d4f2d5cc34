"""A history for people to read: one line for whatever began, ended or befell, in order of time."""

from collections.abc import Sequence
from operator import itemgetter

from tests.adversity.simulation.history import NOBODY, History, Kind, Operation
from tests.adversity.simulation.rules import Violation
from tests.support.clock import START_US

_VERBS = {Kind.ISSUE: "asks for", Kind.VALIDATE: "presents", Kind.REVOKE: "withdraws"}
_ASKED, _BEFELL, _TOLD = range(3)


def trace(history: History, violations: Sequence[Violation] = ()) -> str:
    """What happened, then which promises it breaks. Operations bear their number in the history."""
    lines: list[tuple[int, int, str]] = []  # at one instant: what is asked, then what befalls, then what is told
    for number, operation in enumerate(history.operations):
        lines.append((operation.invoked_us, _ASKED, f"#{number} {_asked(operation)}"))
        if operation.returned_us is not None:
            lines.append((operation.returned_us, _TOLD, f"#{number} is told: {operation.told}{_clock(operation)}"))
    lines += [(event.at_us, _BEFELL, f"{event.what} ({event.where})") for event in history.events]
    lines.sort(key=itemgetter(0, 1))
    broken = [f"BROKEN: {violation.rule}: #{history.operations.index(violation.operation)}" for violation in violations]
    return "\n".join([*(f"{_seconds(at_us):>16} {text}" for at_us, _, text in lines), *broken])


def _asked(operation: Operation) -> str:
    passcode = "a passcode" if operation.passcode == NOBODY else f"passcode {operation.passcode}"
    words = [operation.caller, _VERBS[operation.kind], passcode]
    if operation.redemption_id:
        words += ["under", operation.redemption_id]
    if operation.misfit is not None:
        words.append(f"(misfit: {operation.misfit})")
    return " ".join([*words, "at", operation.process])


def _clock(operation: Operation) -> str:
    return f", decided when its clock said {_seconds(operation.decided_us).strip()}" if operation.decided_us else ""


def _seconds(at_us: int) -> str:
    return f"{(at_us - START_US) / 1_000_000:+.6f} s"
