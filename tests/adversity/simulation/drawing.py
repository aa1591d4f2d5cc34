"""Draws a plan from a seed: scenes around one passcode each, laid over one another, and incidents among them."""

from random import Random

from tests.adversity.simulation.history import Kind
from tests.adversity.simulation.plan import ISSUERS, PROCESSES, Anchor, Call, Happening, Incident, Plan, Terms
from tests.adversity.simulation.scenes import SCENES, Draw, Scene

CALLS = 50
_HOUR_US = 3600 * 1_000_000
_DAY_US = 24 * _HOUR_US
_CLIENTS = ("1234", "acme", "ümlaut")
_LIFETIMES_S = (1, 1, 2, 3, 5, 30, 60, 600)
_SHARE_WITH_INCIDENT = {
    Happening.CLOCK_FORWARD: 0.2,
    Happening.CLOCK_BACK: 0.2,
    Happening.CRASH: 0.4,
    Happening.ROTATION: 0.3,
    Happening.CREDENTIAL_REVOKED: 0.2,
    Happening.RESTORE: 0.15,
}


def drawn_plan(seed: int) -> Plan:
    """The plan of that seed: 50 calls by five callers on three processes."""
    draw = Draw(Random(seed))
    calls: list[Call] = []
    at_us = 0
    number = 0
    while len(calls) < CALLS:
        terms = Terms(draw.one_of(_CLIENTS), draw.one_of(_LIFETIMES_S), draw.below(4), draw.below(3))
        tries = draw.tries(0.06)
        # Doubled on its way, it arrives twice at one instant, and one timestamp is asked for twice.
        twin = tries[0] if draw.chance(0.04) else None
        calls.append(Call(Kind.ISSUE, ISSUERS[number % 2], number, Anchor.START, at_us, tries, twin, terms=terms))
        scene: Scene = draw.one_of(SCENES)
        calls += scene(draw, number)
        number += 1
        at_us += draw.below(1_500_000)
    return Plan(
        seed=seed,
        skews_us=tuple(draw.below(3_000_000) - 1_500_000 if draw.chance(0.7) else 0 for _ in range(PROCESSES)),
        broom_lag_us=draw.one_of((0, 0, draw.below(_HOUR_US), draw.below(30 * _DAY_US))),
        calls=tuple(calls[:CALLS]),
        incidents=tuple(_incidents(draw, at_us)),
    )


def _incidents(draw: Draw, span_us: int) -> list[Incident]:
    incidents = []
    for what, share in _SHARE_WITH_INCIDENT.items():
        if not draw.chance(share):
            continue
        at_us, number = draw.below(span_us), draw.below(PROCESSES)
        incidents.append(Incident(what, at_us, number))
        if what in _COUNTER_STEP and draw.chance(0.8):
            incidents.append(Incident(_COUNTER_STEP[what], at_us + draw.below(4_000_000), number))
        elif what is Happening.ROTATION and draw.chance(0.5):
            incidents.append(Incident(Happening.RETIREMENT, at_us + draw.below(span_us)))
        elif what is Happening.RESTORE:
            incidents.append(Incident(Happening.BACKUP, draw.below(at_us + 1)))
    # From a second to more than thirty days after the start, each magnitude as likely as any other.
    sweeps = (int(1_000_000 * 10 ** (6.6 * draw.share())) for _ in range(4))
    incidents += [Incident(Happening.SWEEP, at_us, draw.below(PROCESSES)) for at_us in sweeps]
    return incidents


_COUNTER_STEP = {Happening.CLOCK_FORWARD: Happening.CLOCK_BACK, Happening.CLOCK_BACK: Happening.CLOCK_FORWARD}
