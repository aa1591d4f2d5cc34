"""The half that is kept: what the store holds of a passcode. It is never enough to make one."""

from enum import StrEnum
from typing import NamedTuple

from counterfoil.model.discreet import Discreet


class State(StrEnum):
    """`issued` leads to one of the others and there is no way back. Expired is no state: it follows from the time."""

    ISSUED = "issued"
    REDEEMED = "redeemed"
    REVOKED = "revoked"
    LOCKED = "locked"


class CounterfoilRef(NamedTuple):
    """What names a counterfoil: unique together, and not secret."""

    client_id: str
    timestamp_us: int


class Redemption(NamedTuple):
    """Who redeems, under which id. The id belongs to one passcode and one principal."""

    redemption_id: str
    principal: str


class Counterfoil(Discreet, frozen=True, gc=False):
    """One record. The tags cover the passcode's own salt, so they tell nothing without the passcode."""

    client_id: str
    timestamp_us: int
    expires_at_us: int
    """The first microsecond at which the passcode is no longer valid."""
    key_id: bytes
    passcode_tag: bytes
    contexts_tag: bytes
    transaction_tag: bytes
    issuer_id: str
    """The credential that issued it: revoking that credential with its passcodes revokes this one."""
    seed_copy: bytes | None = None
    """The OTP sealed once more, only for passcodes of the seed-compatible API; erased on redemption."""
    wrapped_key: bytes | None = None
    """The passcode's own key under the managed key, in strict mode; worthless without the passcode and the managed key."""
    state: State = State.ISSUED
    attempts: int = 0
    redemption: Redemption | None = None
    redeemed_at_us: int | None = None

    @property
    def ref(self) -> CounterfoilRef:
        """What names this counterfoil."""
        return CounterfoilRef(self.client_id, self.timestamp_us)
