"""Stores broken on purpose: the product's memory store with one condition, one order or one promise of durability missing."""

from msgspec.structs import replace

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption, State
from counterfoil.model.journal import Entry, accepted
from counterfoil.ports.store import Outcome
from counterfoil.stores.memory import MemoryStore
from tests.adversity.simulation.parts import pause
from tests.adversity.simulation.plan import Site
from tests.adversity.simulation.process import Process


class ReadsThenWrites(MemoryStore):
    """Redeems what it read a moment ago."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        found, now_us = self._counterfoils.get(ref), self._now_us()
        await pause(Site.BEFORE_WRITE)
        if found is None or found.state is not State.ISSUED or now_us >= found.expires_at_us:
            return Outcome(False, found, now_us)
        return self._changed(_redeemed(found, redemption, now_us), now_us, accepted(ref, redemption))


class ForgetsTheLastWrite(MemoryStore):
    """Answers before its write is durable: a crash takes the last one back."""

    _last: tuple[Counterfoil, Counterfoil] | None = None

    def _changed(self, counterfoil: Counterfoil, now_us: int, entry: Entry) -> Outcome:
        self._last = (self._counterfoils[counterfoil.ref], counterfoil)
        return super()._changed(counterfoil, now_us, entry)

    def forget(self) -> None:
        """What the crash does, unless somebody else has written over it."""
        if self._last is not None:
            before, after = self._last
            if self._counterfoils.get(after.ref) is after:
                self._counterfoils[after.ref] = before


class ForgetsExpiry(MemoryStore):
    """Leaves the expiry out of the condition: what was judged in time is redeemed however late."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        found, now_us = self._counterfoils.get(ref), self._now_us()
        if found is None or found.state is not State.ISSUED or found.attempts >= attempts_max:
            return Outcome(False, found, now_us)
        return self._changed(_redeemed(found, redemption, now_us), now_us, accepted(ref, redemption))


class ExpiresTooEarly(MemoryStore):
    """Takes the last valid microsecond for the first bad one."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        found, now_us = self._counterfoils.get(ref), self._now_us()
        if found is not None and found.state is State.ISSUED and now_us == found.expires_at_us - 1:
            return Outcome(False, found, now_us + 1)
        return await super().redeem(ref, redemption, attempts_max)


class DecidesByArrival(MemoryStore):
    """Decides by the clock as it was when the request came in."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        process = getattr(self._now_us, "__self__", None)
        assert isinstance(process, Process)
        assert process.running is not None
        arrived_us = process.running.arrived_clock_us
        found = self._counterfoils.get(ref)
        if found is None or found.state is not State.ISSUED or arrived_us >= found.expires_at_us:
            return Outcome(False, found, self._now_us())
        return self._changed(_redeemed(found, redemption, arrived_us), arrived_us, accepted(ref, redemption))


class CountsNothing(MemoryStore):
    """Says that it counted."""

    async def count_mismatch(self, ref: CounterfoilRef, attempts_max: int, entry: Entry) -> Outcome:
        return Outcome(True, self._counterfoils.get(ref), self._now_us())


class CountsAfterTheAnswer(MemoryStore):
    """Answers first and counts with its next write; what is not yet counted dies with the process."""

    _uncounted: CounterfoilRef | None = None

    async def count_mismatch(self, ref: CounterfoilRef, attempts_max: int, entry: Entry) -> Outcome:
        if self._uncounted is not None:
            await super().count_mismatch(self._uncounted, attempts_max, entry)
        found, now_us = self._counterfoils.get(ref), self._now_us()
        self._uncounted = ref
        judgeable = found is not None and found.state is State.ISSUED and now_us < found.expires_at_us
        return Outcome(judgeable, found, now_us)


class RecordsNothing(MemoryStore):
    """Tells what has no effect without a word in the journal."""

    async def record(self, entry: Entry) -> None:
        return None


class RevokesAnything(MemoryStore):
    """Revokes without looking at what the passcode has become."""

    async def revoke(self, ref: CounterfoilRef, entry: Entry) -> Outcome:
        found, now_us = self._counterfoils.get(ref), self._now_us()
        if found is None:
            return Outcome(False, None, now_us)
        return self._changed(replace(found, state=State.REVOKED, redemption=None), now_us, entry)


def _redeemed(found: Counterfoil, redemption: Redemption, now_us: int) -> Counterfoil:
    return replace(found, state=State.REDEEMED, redemption=redemption, redeemed_at_us=now_us)
