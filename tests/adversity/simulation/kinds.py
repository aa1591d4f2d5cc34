"""Which kinds of trouble a run met: what befell it, and what its callers did to one another."""

from collections.abc import Sequence

from tests.adversity.simulation.history import NOBODY, History, Kind, Operation, Told
from tests.adversity.simulation.plan import ISSUERS, Fault, Happening

_BEFALLEN = (
    *Fault,
    *(happening for happening in Happening if happening is not Happening.BACKUP),
    "duplicated request",
    "reordered requests",
    "retry with the same id",
    "broom lag",
    "timestamp taken",
)
_DONE = (
    "concurrent callers",
    "several ids for one passcode",
    "one id of two callers",
    "told again after expiry",
    "revocation by an issuer",
    "revocation by a validator",
)
KINDS: Sequence[str] = tuple(str(kind) for kind in (*_BEFALLEN, *_DONE))
"""All of them. Each is to occur in at least one seed of a hundred."""


def kinds_met(history: History) -> list[str]:
    """Those of the history, each once."""
    met = {str(event.what) for event in history.events if event.what is not Happening.BACKUP}
    open_until_us: dict[int, tuple[int | None, str]] = {}
    ids: dict[int, str] = {}
    holders: dict[tuple[int, str], str] = {}
    for operation in history.operations:
        number = operation.passcode
        if operation.kind is Kind.ISSUE or number == NOBODY:
            continue
        until_us, caller = open_until_us.get(number, (0, ""))
        if caller != operation.caller and (until_us is None or operation.invoked_us < until_us):
            met.add("concurrent callers")
        open_until_us[number] = (operation.returned_us, operation.caller)
        if operation.kind is Kind.REVOKE:
            if operation.told is Told.WITHDRAWN:
                met.add("revocation by an issuer" if operation.caller in ISSUERS else "revocation by a validator")
            continue
        if ids.setdefault(number, operation.redemption_id) != operation.redemption_id:
            met.add("several ids for one passcode")
        if holders.setdefault((number, operation.redemption_id), operation.caller) != operation.caller:
            met.add("one id of two callers")
        if _told_again_late(history, operation):
            met.add("told again after expiry")
    return sorted(met)


def _told_again_late(history: History, operation: Operation) -> bool:
    return operation.told is Told.REPLAYED and operation.earliest_us >= history.passcodes[operation.passcode].expires_at_us
