"""What callers do with one passcode: races, retries, guesses, revocations, the last microsecond. Drawn here, not played."""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias, TypeVar

from tests.adversity.simulation.history import Kind, Misfit
from tests.adversity.simulation.plan import ISSUERS, PROCESSES, VALIDATORS, Anchor, Call, Delivery, Fault, Site

T = TypeVar("T")
_FAULTS = tuple(Fault)
_LATE_US = 6_000_000
_MINUTE_US = 60 * 1_000_000
_HOUR_US = 60 * _MINUTE_US
_DAY_US = 24 * _HOUR_US
# The longest way to a write: so long before a chosen instant an operation has to start to decide at it.
_UP_TO_WRITE = (Site.CREDENTIALS, Site.KEYS, Site.BEFORE_FIND, Site.AFTER_FIND, Site.CREDENTIALS, Site.BEFORE_WRITE)


def _paces(random: Random) -> tuple[tuple[int, ...], ...]:
    """Ways to take one's time: often none at a site, mostly some milliseconds, seldom seconds."""
    longest = (0, 0, 0, 700, 2_000, 2_000, 4_000)
    return tuple(
        tuple(
            random.randrange(1_500_000) if random.random() < 0.004 else int(random.random() * random.choice(longest))
            for _ in range(4)
        )
        + tuple(0 if random.random() < 0.9 else random.randrange(2_000) for _ in range(2))
        for _ in range(1024)
    )


_PACES = _paces(Random(0))


class Draw:
    """Draws the pieces of a plan from one source of chance."""

    def __init__(self, random: Random) -> None:
        self.share = random.random

    def below(self, bound: int) -> int:
        """0 to bound - 1."""
        return int(self.share() * bound)

    def chance(self, share: float) -> bool:
        """True that often."""
        return self.share() < share

    def one_of(self, choices: Sequence[T]) -> T:
        """Any of them."""
        return choices[int(self.share() * len(choices))]

    def delivery(self, faulty: float) -> Delivery:
        """One message, with a fault that often."""
        fault = self.one_of(_FAULTS) if self.share() < faulty else None
        travel_us = self.below(_LATE_US if fault is Fault.LATE_REQUEST else 2_000)
        back_us = self.below(_LATE_US if fault is Fault.LATE_ANSWER else 2_000)
        return Delivery(self.below(PROCESSES), travel_us, self.one_of(_PACES), back_us, fault)

    def tries(self, faulty: float) -> tuple[Delivery, ...]:
        """A message, and where it is faulty up to two more, as a caller who gets no answer sends them."""
        first = self.delivery(faulty)
        return (first,) if first.fault is None else (first, self.delivery(faulty / 2), self.delivery(0))

    def twin(self, share: float) -> Delivery | None:
        """The first message a second time, that often."""
        return self.delivery(0) if self.share() < share else None

    def validation(
        self,
        passcode: int,
        anchor: Anchor,
        offset_us: int,
        redemption_id: str,
        *,
        caller: str = "",
        misfit: Misfit | None = None,
        faulty: float = 0.12,
    ) -> Call:
        """Somebody presents the passcode."""
        return Call(
            Kind.VALIDATE,
            caller or self.one_of(VALIDATORS),
            passcode,
            anchor,
            offset_us,
            self.tries(faulty),
            self.twin(0.06),
            redemption_id,
            misfit,
            self.below(60),
        )

    def revocation(self, passcode: int, offset_us: int, misfit: Misfit | None = None) -> Call:
        """An issuer or a validator withdraws it."""
        caller = self.one_of(ISSUERS + VALIDATORS)
        tries, twin = self.tries(0.1), self.twin(0.05)
        return Call(Kind.REVOKE, caller, passcode, Anchor.ISSUED, offset_us, tries, twin, misfit=misfit, turn=self.below(60))


Scene: TypeAlias = Callable[[Draw, int], list[Call]]


def _race(draw: Draw, passcode: int) -> list[Call]:
    """Several at once, each with an id of its own; somebody else later."""
    calls = [draw.validation(passcode, Anchor.ISSUED, draw.below(3_000), f"race-{number}") for number in range(4)]
    return [*calls, draw.validation(passcode, Anchor.ISSUED, 10_000 + draw.below(900_000), "too-late")]


def _retries(draw: Draw, passcode: int) -> list[Call]:
    """One redemption asked for again and again: in time, by somebody else, after expiry, after retention."""
    caller = draw.one_of(VALIDATORS)
    other = VALIDATORS[(VALIDATORS.index(caller) + 1) % len(VALIDATORS)]
    long_after_us = draw.one_of((_HOUR_US + draw.below(_HOUR_US), draw.below(32 * _DAY_US)))
    misfit = Misfit.CONTEXT if draw.chance(0.2) else None
    return [
        draw.validation(passcode, Anchor.ISSUED, draw.below(1_000), "same", caller=caller, faulty=0.5),
        draw.validation(passcode, Anchor.ISSUED, draw.below(20_000), "same", caller=other),
        draw.validation(passcode, Anchor.ISSUED, draw.below(20_000), "another", caller=caller),
        draw.validation(passcode, Anchor.ISSUED, draw.below(800_000), "same", caller=caller, misfit=misfit),
        draw.validation(passcode, Anchor.EXPIRY, draw.below(59 * _MINUTE_US), "same", caller=caller),
        draw.validation(passcode, Anchor.EXPIRY, long_after_us, "same", caller=caller),
    ]


def _last_moment(draw: Draw, passcode: int) -> list[Call]:
    """Decided a microsecond before expiry, at it, after it; in half of the cases never before it."""
    early = draw.chance(0.5)
    calls = []
    for number in range(4):
        decides_us = draw.one_of((-1_000, -1, 0, 1) if early else (0, 0, 1, 1_000))
        call = draw.validation(passcode, Anchor.EXPIRY, 0, f"last-{number}", faulty=0.05)
        first = call.tries[0]
        takes_us = first.travel_us + sum(first.pace_us[site] for site in _UP_TO_WRITE)
        calls.append(call._replace(offset_us=decides_us - takes_us))
    return [*calls, draw.validation(passcode, Anchor.EXPIRY, draw.below(5_000_000), "expired")]


def _guesses(draw: Draw, passcode: int) -> list[Call]:
    """Whoever holds the genuine passcode guesses at the rest of it; then somebody presents it as it was."""
    misfits = (Misfit.CONTEXT, Misfit.TRANSACTION, Misfit.TIMESTAMP)
    within_us = draw.one_of((3_000, 500_000))
    calls = [
        draw.validation(
            passcode, Anchor.ISSUED, draw.below(within_us), f"guess-{number}", misfit=draw.one_of(misfits), faulty=0.06
        )
        for number in range(4 + draw.below(4))
    ]
    calls.append(draw.validation(passcode, Anchor.ISSUED, draw.below(within_us), "right"))
    return [*calls, draw.validation(passcode, Anchor.ISSUED, within_us + draw.below(400_000), "right")]


def _withdrawal(draw: Draw, passcode: int) -> list[Call]:
    """Withdrawn while others present it; presented and withdrawn again later."""
    return [
        draw.revocation(passcode, draw.below(3_000)),
        draw.validation(passcode, Anchor.ISSUED, draw.below(3_000), "meanwhile"),
        draw.validation(passcode, Anchor.ISSUED, draw.below(8_000), "meanwhile-too"),
        draw.validation(passcode, Anchor.ISSUED, 10_000 + draw.below(800_000), "after"),
        draw.revocation(passcode, draw.below(900_000)),
        draw.validation(passcode, Anchor.ISSUED, draw.below(1_000_000), "meanwhile"),
    ]


def _strangers(draw: Draw, passcode: int) -> list[Call]:
    """Who has no genuine passcode spends nothing; who has one is still let in."""
    calls = [
        draw.validation(passcode, Anchor.ISSUED, draw.below(5_000), f"stranger-{number}", misfit=misfit)
        for number, misfit in enumerate((Misfit.FORGED, Misfit.RESPELLED, Misfit.CLIENT))
    ]
    calls.append(draw.revocation(passcode, draw.below(5_000), draw.one_of((Misfit.CLIENT, Misfit.FORGED))))
    return [*calls, draw.validation(passcode, Anchor.ISSUED, draw.below(400_000), "owner")]


SCENES: Sequence[Scene] = (_race, _retries, _last_moment, _guesses, _withdrawal, _strangers)
