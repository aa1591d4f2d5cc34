"""Where counterfoils are kept. Each verb is one atomic step: single use is a property of the store, never of its caller."""

from typing import Literal, Protocol

from msgspec import Struct

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption
from counterfoil.model.journal import Entry
from counterfoil.model.usage import IssueLimits, LimitReached


class StoreUnavailable(Exception):
    """The store could not decide, or cannot tell what it decided. Ask again, with the same redemption id."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreUnfit(Exception):
    """The store must not be used as it stands (newer schema, weaker durability, another epoch). A reason to refuse to start."""


Inserted = Literal["stored", "timestamp_taken"]


class Outcome(Struct, frozen=True, gc=False):
    """What a conditional write did, and the counterfoil as that step left or found it."""

    applied: bool
    counterfoil: Counterfoil | None
    now_us: int
    """The clock that decided, read by the step itself."""


class Store(Protocol):
    """Counterfoils under (client id, timestamp).

    Every verb may raise StoreUnavailable; after it, the effect may or may not have happened. When a verb returns, its
    effect is durable. Time is the store's own clock, read when the step decides and not when it was asked for.

    A step that is applied puts its entry into the journal, in the same step: what insert and redeem do says itself what
    it is (`journal.issued`, `journal.accepted`), the others are handed theirs. What a store's journal is worth is said there.
    """

    async def insert(self, counterfoil: Counterfoil, limits: IssueLimits | None) -> Inserted | LimitReached:
        """Keeps a new counterfoil, unless its (client id, timestamp) is taken or a limit of its client is reached."""

    async def find(self, ref: CounterfoilRef) -> Counterfoil | None:
        """The counterfoil as last written; never from a replica or a cache. Nothing found here may decide."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        """issued → redeemed by this redemption, iff it is issued, has attempts left, and `now` is in its time.

        Its time ends before `expires_at` and begins at most `CLOCK_TOLERANCE_US` before its timestamp: a clock that stepped
        back since the judgement decides nothing. Erases `seed_copy`. Not applied: the counterfoil as it stands, or None
        where there is none (any more); it may carry this very redemption, when an earlier try had its effect.
        """

    async def count_mismatch(self, ref: CounterfoilRef, attempts_max: int, entry: Entry) -> Outcome:
        """One attempt more, on the conditions of `redeem`; the last one locks it."""

    async def revoke(self, ref: CounterfoilRef, entry: Entry) -> Outcome:
        """issued → revoked, iff it is issued, expired or not."""

    async def record(self, entry: Entry) -> None:
        """Puts into the journal what was decided without one of the steps above."""

    async def check_ready(self) -> None:
        """Returns when the store would take a write now; raises StoreUnavailable otherwise."""

    async def close(self) -> None:
        """Finishes what was handed over, then lets go of the store."""
