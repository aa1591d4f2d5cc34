"""Histories written by hand: some that break a promise, at least one for each, beside their nearest neighbours that do not."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from counterfoil.model.verdict import Reason
from tests.adversity.simulation.history import NOBODY, History, IssuedPasscode, Kind, Misfit, Operation, Recorded, Sweep, Told
from tests.adversity.simulation.rules import CLOCK_TOLERANCE_US, Rule

RETENTION_US = 3_600_000_000
ISSUED_US = 1_000
EXPIRES_US = 61_000_000
KEY = b"key1"


@dataclass(frozen=True)
class World:
    """What befell besides the operations."""

    retired_us: int | None = None
    issuer_revoked_us: int | None = None
    sweeps: tuple[Sweep, ...] = ()
    unrecorded: bool = False
    """Whether the journal is empty."""
    again_in_era: int | None = None
    """Whether a second passcode has the first one's client and timestamp, and in which era."""


CALM = World()
Tale: TypeAlias = tuple[list[Operation], World]


def history(operations: Iterable[Operation], world: World = CALM) -> History:
    """One passcode, issued from 0 to 2,000 µs under the timestamp 1,000, and these operations on it."""
    issue = Operation(Kind.ISSUE, "shop", 0, 0, 2_000, Told.ISSUED)
    passcode = IssuedPasscode(ISSUED_US, EXPIRES_US, "1234", KEY, "shop", issue)
    made = History(RETENTION_US, passcodes=[passcode], operations=[issue, *operations], sweeps=list(world.sweeps))
    if not world.unrecorded:
        made.recorded.update(Recorded(each.told, each.caller, each.redemption_id) for each in made.operations)
    if world.again_in_era is not None:
        made.passcodes.append(passcode._replace(issue=replace(issue, era=world.again_in_era)))
    if world.retired_us is not None:
        made.retired_us[KEY] = world.retired_us
    if world.issuer_revoked_us is not None:
        made.issuer_revoked_us["shop"] = world.issuer_revoked_us
    return made


def presented(told: Told | Reason, at_us: int, *, by: str = "bank", id_: str = "a", **more: Any) -> Operation:
    """A validation that takes 10 µs and whose process's clock is right, unless it is said otherwise."""
    clock = {"decided_us": at_us + 5, "earliest_us": at_us + 5, "latest_us": at_us + 5, "redeemed_at_us": 7}
    more = {"returned_us": at_us + 10, "redemption_id": id_, **clock, **more}
    return Operation(Kind.VALIDATE, by, more.pop("passcode", 0), at_us, told=told, **more)


def withdrawn(told: Told | Reason, at_us: int, **more: Any) -> Operation:
    """A revocation that takes 10 µs."""
    return Operation(Kind.REVOKE, "shop", 0, at_us, **{"returned_us": at_us + 10, "told": told, **more})


def guesses(many: int, at_us: int = 3_000, told: Told | Reason = Reason.CONTEXT_MISMATCH) -> list[Operation]:
    """Presentations with another context, one every 20 µs."""
    return [presented(told, at_us + 20 * number, misfit=Misfit.CONTEXT, touched=True) for number in range(many)]


ACCEPTED = presented(Told.ACCEPTED, 5_000)
UNKNOWN = presented(Told.UNKNOWN, 5_000, touched=True)
DIED = presented(Told.UNKNOWN, 5_000, returned_us=None)
OTHER = {"id_": "b"}
HOUR_AFTER_US = EXPIRES_US + RETENTION_US

# For each promise: operations that break it, and their nearest neighbours that do not.
CASES: list[tuple[Rule, str, Tale, list[Tale]]] = [
    (
        Rule.TWO_REDEMPTIONS,
        "two ids accepted",
        ([ACCEPTED, presented(Told.ACCEPTED, 5_005, **OTHER)], CALM),
        [
            ([ACCEPTED, presented(Told.REPLAYED, 5_005)], CALM),
            ([ACCEPTED, presented(Reason.ALREADY_REDEEMED, 5_005, **OTHER)], CALM),
            ([UNKNOWN, presented(Told.ACCEPTED, 5_005, **OTHER)], CALM),
        ],
    ),
    (
        Rule.TWO_REDEMPTIONS,
        "one id of two callers",
        ([ACCEPTED, presented(Told.REPLAYED, 6_000, by="desk")], CALM),
        [([ACCEPTED, presented(Told.REPLAYED, 6_000)], CALM)],
    ),
    (
        Rule.TWO_REDEMPTIONS,
        "one id accepted as the first one, twice",
        ([ACCEPTED, presented(Told.ACCEPTED, 6_000)], CALM),
        [([DIED, presented(Told.ACCEPTED, 6_000)], CALM)],
    ),
    (
        Rule.LATE,
        "decided at expiry",
        ([presented(Told.ACCEPTED, 5_000, decided_us=EXPIRES_US)], CALM),
        [
            ([presented(Told.ACCEPTED, 5_000, decided_us=EXPIRES_US - 1)], CALM),
            ([presented(Told.ACCEPTED, EXPIRES_US + 9, decided_us=EXPIRES_US - 1)], CALM),
        ],
    ),
    (
        Rule.EARLY,
        "by a clock that had not come to it",
        ([presented(Told.ACCEPTED, 5_000, decided_us=ISSUED_US - CLOCK_TOLERANCE_US - 1)], CALM),
        [([presented(Told.ACCEPTED, 5_000, decided_us=ISSUED_US - CLOCK_TOLERANCE_US)], CALM)],
    ),
    (
        Rule.EARLY,
        "before it was asked for",
        ([presented(Told.ACCEPTED, -20)], CALM),
        [([presented(Told.ACCEPTED, -5)], CALM)],
    ),
    (
        Rule.NEVER_ISSUED,
        "accepted out of nothing",
        ([presented(Told.ACCEPTED, 5_000, passcode=NOBODY)], CALM),
        [([presented(Reason.KEY_RETIRED, 5_000, passcode=NOBODY)], CALM)],
    ),
    (
        Rule.AFTER_FAILURES,
        "after the fifth",
        ([*guesses(5), ACCEPTED], CALM),
        [
            ([*guesses(4), ACCEPTED], CALM),
            ([*guesses(4), *guesses(1, 4_995), ACCEPTED], CALM),
            ([*guesses(5, told=Told.UNKNOWN), ACCEPTED], CALM),
        ],
    ),
    (
        Rule.AFTER_REVOCATION,
        "of the passcode",
        ([withdrawn(Told.WITHDRAWN, 3_000), ACCEPTED], CALM),
        [
            ([withdrawn(Told.UNKNOWN, 3_000, touched=True), ACCEPTED], CALM),
            ([withdrawn(Reason.ALREADY_REDEEMED, 6_000), ACCEPTED], CALM),
            ([withdrawn(Reason.UNKNOWN_PASSCODE, 3_000, misfit=Misfit.CLIENT), ACCEPTED], CALM),
        ],
    ),
    (
        Rule.AFTER_REVOCATION,
        "of the issuer with its passcodes",
        ([ACCEPTED], World(issuer_revoked_us=4_999)),
        [([ACCEPTED], World(issuer_revoked_us=5_000)), ([ACCEPTED], World(issuer_revoked_us=5_011))],
    ),
    (
        Rule.BOTH,
        "at the same time",
        ([withdrawn(Told.WITHDRAWN, 4_995), ACCEPTED], CALM),
        [([withdrawn(Told.UNKNOWN, 4_995, touched=True), ACCEPTED], CALM)],
    ),
    (
        Rule.AFTER_RETIREMENT,
        "accepted",
        ([ACCEPTED], World(retired_us=4_999)),
        [([ACCEPTED], World(retired_us=5_000)), ([presented(Reason.KEY_RETIRED, 5_000)], World(retired_us=4_999))],
    ),
    *(
        (
            rule,
            "presented so",
            ([presented(Told.ACCEPTED, 5_000, misfit=misfit)], CALM),
            [([presented(reason, 5_000, misfit=misfit)], CALM)],
        )
        for rule, misfit, reason in (
            (Rule.OTHER_CONTEXT, Misfit.CONTEXT, Reason.CONTEXT_MISMATCH),
            (Rule.OTHER_TRANSACTION, Misfit.TRANSACTION, Reason.TRANSACTION_MISMATCH),
            (Rule.OTHER_TIMESTAMP, Misfit.TIMESTAMP, Reason.TIMESTAMP_MISMATCH),
            (Rule.OTHER_CLIENT, Misfit.CLIENT, Reason.UNKNOWN_PASSCODE),
            (Rule.FORGED, Misfit.FORGED, Reason.UNKNOWN_PASSCODE),
            (Rule.RESPELLED, Misfit.RESPELLED, Reason.MALFORMED_PASSCODE),
        )
    ),
    (
        Rule.NOBODY_PRECEDED,
        "nobody at all",
        ([presented(Reason.ALREADY_REDEEMED, 5_000)], CALM),
        [
            ([presented(Told.UNKNOWN, 5_010, touched=True, **OTHER), presented(Reason.ALREADY_REDEEMED, 5_000)], CALM),
            ([presented(Told.ACCEPTED, 5_010, **OTHER), presented(Reason.ALREADY_REDEEMED, 5_000)], CALM),
        ],
    ),
    (
        Rule.NOBODY_PRECEDED,
        "only later",
        ([presented(Reason.ALREADY_REDEEMED, 5_000), presented(Told.UNKNOWN, 5_011, touched=True, **OTHER)], CALM),
        [([presented(Reason.ALREADY_REDEEMED, 5_000), presented(Told.UNKNOWN, 5_009, touched=True, **OTHER)], CALM)],
    ),
    (
        Rule.NOBODY_PRECEDED,
        "only the same redemption",
        ([UNKNOWN, presented(Reason.ALREADY_REDEEMED, 6_000)], CALM),
        [
            ([UNKNOWN, presented(Reason.ALREADY_REDEEMED, 6_000, by="desk")], CALM),
            ([UNKNOWN, presented(Reason.ALREADY_REDEEMED, 6_000, misfit=Misfit.CONTEXT)], CALM),
        ],
    ),
    (
        Rule.NOBODY_PRECEDED,
        "only somebody whose presentation does not fit",
        ([*guesses(1, told=Told.UNKNOWN), presented(Reason.ALREADY_REDEEMED, 6_000, **OTHER)], CALM),
        [([*guesses(1, told=Told.UNKNOWN), UNKNOWN, presented(Reason.ALREADY_REDEEMED, 6_000, **OTHER)], CALM)],
    ),
    (
        Rule.NOTHING_TO_REPLAY,
        "nobody redeemed",
        ([presented(Told.REPLAYED, 6_000)], CALM),
        [([DIED, presented(Told.REPLAYED, 6_000)], CALM), ([UNKNOWN, presented(Told.REPLAYED, 6_000)], CALM)],
    ),
    (
        Rule.REDEMPTION_FORGOTTEN,
        "by who is let guess",
        ([ACCEPTED, presented(Reason.CONTEXT_MISMATCH, 6_000, misfit=Misfit.CONTEXT)], CALM),
        [
            ([ACCEPTED, presented(Reason.ALREADY_REDEEMED, 6_000, misfit=Misfit.CONTEXT)], CALM),
            ([ACCEPTED, presented(Reason.CONTEXT_MISMATCH, 5_010, misfit=Misfit.CONTEXT)], CALM),
        ],
    ),
    (
        Rule.REDEMPTION_FORGOTTEN,
        "told expired, where it was redeemed",
        ([ACCEPTED, presented(Reason.EXPIRED, EXPIRES_US)], CALM),
        [([ACCEPTED, presented(Told.REPLAYED, EXPIRES_US)], CALM), ([UNKNOWN, presented(Reason.EXPIRED, EXPIRES_US)], CALM)],
    ),
    (
        Rule.REDEMPTION_FORGOTTEN,
        "gone before its retention is over",
        (
            [ACCEPTED, presented(Reason.UNKNOWN_PASSCODE, HOUR_AFTER_US)],
            World(sweeps=(Sweep(HOUR_AFTER_US, HOUR_AFTER_US - 1),)),
        ),
        [([ACCEPTED, presented(Reason.UNKNOWN_PASSCODE, HOUR_AFTER_US)], World(sweeps=(Sweep(HOUR_AFTER_US, HOUR_AFTER_US),)))],
    ),
    (
        Rule.REDEMPTION_FORGOTTEN,
        "withdrawn after it was told redeemed",
        ([UNKNOWN, presented(Reason.ALREADY_REDEEMED, 6_000, **OTHER), withdrawn(Told.WITHDRAWN, 7_000)], CALM),
        [
            ([UNKNOWN, presented(Reason.ALREADY_REDEEMED, 6_000, **OTHER), withdrawn(Reason.ALREADY_REDEEMED, 7_000)], CALM),
            ([ACCEPTED, withdrawn(Told.WITHDRAWN, 7_000, era=1)], World(retired_us=6_000)),
        ],
    ),
    (
        Rule.REDEMPTION_FORGOTTEN,
        "told again with another time",
        ([ACCEPTED, presented(Told.REPLAYED, 6_000, redeemed_at_us=8)], CALM),
        [([ACCEPTED, presented(Told.REPLAYED, 6_000, redeemed_at_us=7)], CALM)],
    ),
    (
        Rule.REVOCATION_FORGOTTEN,
        "by who is let guess",
        ([withdrawn(Told.WITHDRAWN, 3_000), *guesses(1, 4_000)], CALM),
        [([withdrawn(Told.WITHDRAWN, 3_000), presented(Reason.REVOKED, 4_000, misfit=Misfit.CONTEXT)], CALM)],
    ),
    (
        Rule.LOCK_FORGOTTEN,
        "expired, where it was locked",
        ([*guesses(5), presented(Reason.EXPIRED, EXPIRES_US)], CALM),
        [
            ([*guesses(5), presented(Reason.LOCKED, EXPIRES_US)], CALM),
            ([*guesses(4), presented(Reason.EXPIRED, EXPIRES_US)], CALM),
        ],
    ),
    (Rule.TOO_MANY_FAILURES, "a sixth", ([*guesses(5), *guesses(1, 3_085)], CALM), [(guesses(5), CALM)]),
    (
        Rule.VALID_REFUSED,
        "locked after four",
        ([*guesses(4), presented(Reason.LOCKED, 5_000)], CALM),
        [
            ([*guesses(5), presented(Reason.LOCKED, 5_000)], CALM),
            ([*guesses(5, 4_990, Told.UNKNOWN), presented(Reason.LOCKED, 5_060)], CALM),
        ],
    ),
    (
        Rule.VALID_REFUSED,
        "expired a microsecond early",
        ([presented(Reason.EXPIRED, 5_000, latest_us=EXPIRES_US - 1)], CALM),
        [([presented(Reason.EXPIRED, 5_000, latest_us=EXPIRES_US)], CALM)],
    ),
    (
        Rule.VALID_REFUSED,
        "unknown, and nobody swept",
        ([presented(Reason.UNKNOWN_PASSCODE, 5_000)], CALM),
        [([presented(Told.UNKNOWN, 5_000, touched=True)], CALM)],
    ),
    (
        Rule.VALID_REFUSED,
        "revoked by nobody",
        ([presented(Reason.REVOKED, 5_000)], World(issuer_revoked_us=5_011)),
        [
            ([presented(Reason.REVOKED, 5_000)], World(issuer_revoked_us=5_010)),
            ([withdrawn(Told.UNKNOWN, 5_010, returned_us=None), presented(Reason.REVOKED, 5_000)], CALM),
        ],
    ),
    (
        Rule.VALID_REFUSED,
        "its key is not retired",
        ([presented(Reason.KEY_RETIRED, 5_000)], World(retired_us=5_011)),
        [([presented(Reason.KEY_RETIRED, 5_000)], World(retired_us=5_010))],
    ),
    (
        Rule.VALID_REFUSED,
        "it fits",
        ([presented(Reason.CONTEXT_MISMATCH, 5_000)], CALM),
        [([presented(Reason.CONTEXT_MISMATCH, 5_000, misfit=Misfit.CONTEXT)], CALM)],
    ),
    (
        Rule.WRONG_REASON,
        "another part is altered",
        ([presented(Reason.TRANSACTION_MISMATCH, 5_000, misfit=Misfit.CONTEXT)], CALM),
        [([presented(Reason.TRANSACTION_MISMATCH, 5_000, misfit=Misfit.TRANSACTION)], CALM)],
    ),
    (
        Rule.WRONG_REASON,
        "a stranger hears what became of it",
        ([ACCEPTED, presented(Reason.ALREADY_REDEEMED, 6_000, misfit=Misfit.CLIENT)], CALM),
        [([ACCEPTED, presented(Reason.UNKNOWN_PASSCODE, 6_000, misfit=Misfit.CLIENT)], CALM)],
    ),
    (
        Rule.NOT_ISSUED,
        "nobody revoked the issuer",
        ([Operation(Kind.ISSUE, "shop", NOBODY, 7_000, 7_010, Told.UNAUTHENTICATED)], CALM),
        [([Operation(Kind.ISSUE, "shop", NOBODY, 7_000, 7_010, Told.UNAUTHENTICATED)], World(issuer_revoked_us=7_010))],
    ),
    (Rule.SAME_TIMESTAMP, "of one client", ([], World(again_in_era=0)), [([], World(again_in_era=1))]),
    (
        Rule.UNKNOWN_WITHOUT_FAULT,
        "at validation",
        ([presented(Told.UNKNOWN, 5_000, earliest_us=ISSUED_US - CLOCK_TOLERANCE_US)], CALM),
        [
            ([presented(Told.UNKNOWN, 5_000, earliest_us=ISSUED_US - CLOCK_TOLERANCE_US - 1)], CALM),
            ([UNKNOWN], CALM),
            ([DIED], CALM),
        ],
    ),
    (
        Rule.UNKNOWN_WITHOUT_FAULT,
        "at issue",
        ([Operation(Kind.ISSUE, "shop", NOBODY, 7_000, 7_010)], CALM),
        [
            ([Operation(Kind.ISSUE, "shop", NOBODY, 7_000)], CALM),
            ([Operation(Kind.ISSUE, "shop", NOBODY, 7_000, 7_010, touched=True)], CALM),
        ],
    ),
    (Rule.UNRECORDED, "nowhere", ([ACCEPTED], World(unrecorded=True)), [([ACCEPTED], CALM)]),
    (Rule.UNFORESEEN, "a status of its own", ([presented(Told.UNFORESEEN, 5_000)], CALM), [([ACCEPTED], CALM)]),
]
