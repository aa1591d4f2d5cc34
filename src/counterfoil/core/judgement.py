"""The judgement: what a counterfoil, a presentation and the time make of each other. Pure; it reads and writes nothing.

The order is the promise (steps 4 to 8 of the protocol; steps 1 to 3 find the counterfoil, see `validate`):

4. A recorded acceptance by this redemption, presented unchanged, is told again, also after expiry.
5. What is redeemed, revoked or locked stays so.
6. What is expired is refused.
7. What does not fit costs an attempt, before the answer leaves.
8. Everything fits: one conditional write decides.

Only who holds the genuine passcode gets as far as step 4, so a stranger can spend no attempts.
"""

from typing import TypeAlias

from msgspec import Struct

from counterfoil.model.counterfoil import Counterfoil, Redemption, State
from counterfoil.model.limits import CLOCK_TOLERANCE_US
from counterfoil.model.verdict import Accepted, Reason, Refused


class ClockDisagrees(Exception):
    """The passcode is stamped further in the future than clocks may differ. A fault: neither yes nor no."""


class Presentation(Struct, frozen=True, gc=False):
    """What was presented, already held against the keys and the counterfoil's tags."""

    redemption: Redemption
    misfit: Reason | None
    """None when the passcode unseals with everything presented; otherwise which part is not what it was."""
    issuer_passcodes_revoked: bool = False


class CountMismatch(Struct, frozen=True, gc=False):
    """Next: have the store count this attempt. Only if it did, the answer is `reason`."""

    reason: Reason


class Redeem(Struct, frozen=True, gc=False):
    """Next: have the store decide by its conditional write."""


Step: TypeAlias = Accepted | Refused | CountMismatch | Redeem

_DEAD = {
    State.REDEEMED: Reason.ALREADY_REDEEMED,
    State.REVOKED: Reason.REVOKED,
    State.LOCKED: Reason.LOCKED,
}


def judge(counterfoil: Counterfoil, presented: Presentation, now_us: int) -> Step:
    """The verdict, or the one write that it takes. Raises ClockDisagrees."""
    if counterfoil.redemption == presented.redemption and presented.misfit is None:
        return accepted(counterfoil, replayed=True)
    if counterfoil.state is not State.ISSUED:
        return Refused(_DEAD[counterfoil.state])
    if presented.issuer_passcodes_revoked:
        return Refused(Reason.REVOKED)
    if now_us >= counterfoil.expires_at_us:
        return Refused(Reason.EXPIRED)
    if counterfoil.timestamp_us > now_us + CLOCK_TOLERANCE_US:
        raise ClockDisagrees("the passcode is stamped in the future by this clock")
    if presented.misfit is not None:
        return CountMismatch(presented.misfit)
    return Redeem()


def accepted(counterfoil: Counterfoil, *, replayed: bool) -> Accepted:
    """The acceptance that a redeemed counterfoil records."""
    assert counterfoil.redemption is not None
    assert counterfoil.redeemed_at_us is not None
    return Accepted(
        client_id=counterfoil.client_id,
        timestamp_us=counterfoil.timestamp_us,
        expires_at_us=counterfoil.expires_at_us,
        redeemed_at_us=counterfoil.redeemed_at_us,
        redemption_id=counterfoil.redemption.redemption_id,
        replayed=replayed,
    )
