"""Counterfoils in this process's memory, for tests and embedding. Nothing survives the process; it says so in its name.

A lock makes each verb one step, also between threads.
"""

from collections import deque
from itertools import islice
from threading import Lock

from msgspec.structs import replace

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption, State
from counterfoil.model.journal import Entry, accepted, issued
from counterfoil.model.limits import CLOCK_TOLERANCE_US, MICROSECONDS_PER_S, RETENTION_S_DEFAULT
from counterfoil.model.usage import IssueLimits, LimitReached, Usage
from counterfoil.ports.ambient import NowUs
from counterfoil.ports.store import Inserted, Outcome

# The broom takes a few at a time, so that no insert waits long.
_SWEPT_AT_ONCE = 2
_JOURNAL_KEPT = 10_000


class MemoryStore:
    """The store contract over a dictionary. `journal` is the last entries, each with the time that decided; no chain."""

    def __init__(self, now_us: NowUs, retention_s: int = RETENTION_S_DEFAULT, *, broom: bool = True) -> None:
        self._now_us = now_us
        self._retention_us = retention_s * MICROSECONDS_PER_S
        self._broom = broom
        self._lock = Lock()
        self._counterfoils: dict[CounterfoilRef, Counterfoil] = {}
        self._usage: dict[str, Usage] = {}
        self.journal: deque[tuple[int, Entry]] = deque(maxlen=_JOURNAL_KEPT)

    async def insert(self, counterfoil: Counterfoil, limits: IssueLimits | None) -> Inserted | LimitReached:
        with self._lock:
            now_us = self._now_us()
            self._sweep(now_us)
            if counterfoil.ref in self._counterfoils:
                return "timestamp_taken"
            if limits is not None:
                usage = self._usage.setdefault(counterfoil.client_id, Usage())
                reached = usage.take(limits, now_us, counterfoil.expires_at_us)
                if reached is not None:
                    return reached
            self._counterfoils[counterfoil.ref] = counterfoil
            self.journal.append((now_us, issued(counterfoil)))
            return "stored"

    async def find(self, ref: CounterfoilRef) -> Counterfoil | None:
        with self._lock:
            return self._counterfoils.get(ref)

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        with self._lock:
            now_us = self._now_us()
            found = self._counterfoils.get(ref)
            if found is None or not _may_be_judged(found, attempts_max, now_us):
                return Outcome(False, found, now_us)
            redeemed = replace(
                found, state=State.REDEEMED, redemption=redemption, redeemed_at_us=now_us, seed_copy=_erased(found)
            )
            return self._changed(redeemed, now_us, accepted(ref, redemption))

    async def count_mismatch(self, ref: CounterfoilRef, attempts_max: int, entry: Entry) -> Outcome:
        with self._lock:
            now_us = self._now_us()
            found = self._counterfoils.get(ref)
            if found is None or not _may_be_judged(found, attempts_max, now_us):
                return Outcome(False, found, now_us)
            attempts = found.attempts + 1
            state = State.LOCKED if attempts >= attempts_max else State.ISSUED
            return self._changed(replace(found, attempts=attempts, state=state), now_us, entry)

    async def revoke(self, ref: CounterfoilRef, entry: Entry) -> Outcome:
        with self._lock:
            now_us = self._now_us()
            found = self._counterfoils.get(ref)
            if found is None or found.state is not State.ISSUED:
                return Outcome(False, found, now_us)
            return self._changed(replace(found, state=State.REVOKED, seed_copy=_erased(found)), now_us, entry)

    async def record(self, entry: Entry) -> None:
        with self._lock:
            self.journal.append((self._now_us(), entry))

    async def check_ready(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def _changed(self, counterfoil: Counterfoil, now_us: int, entry: Entry) -> Outcome:
        self.journal.append((now_us, entry))
        self._counterfoils[counterfoil.ref] = counterfoil
        if counterfoil.state is not State.ISSUED and counterfoil.client_id in self._usage:
            self._usage[counterfoil.client_id].give_back(counterfoil.expires_at_us)
        return Outcome(True, counterfoil, now_us)

    def _sweep(self, now_us: int) -> None:
        """Takes away the oldest counterfoils whose retention is over; insertion order is time order, near enough."""
        if not self._broom:
            return
        for ref in tuple(islice(self._counterfoils, _SWEPT_AT_ONCE)):
            if self._counterfoils[ref].expires_at_us + self._retention_us <= now_us:
                del self._counterfoils[ref]
                usage = self._usage.get(ref.client_id)
                if usage is not None and usage.idle_at_us() <= now_us:
                    del self._usage[ref.client_id]


def _may_be_judged(found: Counterfoil, attempts_max: int, now_us: int) -> bool:
    in_time = found.timestamp_us <= now_us + CLOCK_TOLERANCE_US and now_us < found.expires_at_us
    return found.state is State.ISSUED and found.attempts < attempts_max and in_time


def _erased(found: Counterfoil) -> bytes | None:
    """Empty, not None: that a counterfoil was made by `generateOtp` stays known."""
    return None if found.seed_copy is None else b""
