"""Negative controls: stores broken on purpose, which the very claims that guard the promises must catch."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption, State
from counterfoil.model.journal import Entry, accepted
from counterfoil.model.usage import IssueLimits, LimitReached
from counterfoil.ports.store import Inserted, Outcome
from counterfoil.stores.memory import MemoryStore
from tests.contract.claims import (
    a_taken_timestamp_is_not_overwritten,
    exactly_one_of_many_redeems,
    five_mismatches_lock,
    nothing_is_redeemed_from_expiry_on,
)
from tests.support.clock import Clock


class ReadsThenWrites(MemoryStore):
    """Redeems what it read a moment ago."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        found = await self.find(ref)
        await asyncio.sleep(0)
        if found is None or found.state is not State.ISSUED:
            return Outcome(False, found, self._now_us())
        changed = replace(found, state=State.REDEEMED, redemption=redemption, redeemed_at_us=self._now_us())
        self._counterfoils[ref] = changed
        return Outcome(True, changed, self._now_us())


class ForgetsExpiry(MemoryStore):
    """Leaves the expiry out of the condition."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        found = self._counterfoils[ref]
        redeemed = replace(found, state=State.REDEEMED, redemption=redemption)
        return self._changed(redeemed, self._now_us(), accepted(ref, redemption))


class RefusesAMicrosecondTooEarly(MemoryStore):
    """Takes the last valid microsecond for the first bad one."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        found = self._counterfoils[ref]
        if self._now_us() >= found.expires_at_us - 1:
            return Outcome(False, found, self._now_us())
        return await super().redeem(ref, redemption, attempts_max)


class CountsWithoutEnd(MemoryStore):
    """Counts every mismatch and locks nothing."""

    async def count_mismatch(self, ref: CounterfoilRef, attempts_max: int, entry: Entry) -> Outcome:
        found = self._counterfoils[ref]
        return self._changed(replace(found, attempts=found.attempts + 1), self._now_us(), entry)


class Overwrites(MemoryStore):
    """Writes unconditionally, as the reference sample does."""

    async def insert(self, counterfoil: Counterfoil, limits: IssueLimits | None) -> Inserted | LimitReached:
        self._counterfoils[counterfoil.ref] = counterfoil
        return "stored"


def _races(store: MemoryStore, _: Clock) -> Awaitable[None]:
    return exactly_one_of_many_redeems(store)


def _attempts(store: MemoryStore, _: Clock) -> Awaitable[None]:
    return five_mismatches_lock(store)


def _collision(store: MemoryStore, _: Clock) -> Awaitable[None]:
    return a_taken_timestamp_is_not_overwritten(store)


@pytest.mark.parametrize(
    ("broken", "claim"),
    [
        (ReadsThenWrites, _races),
        (ForgetsExpiry, nothing_is_redeemed_from_expiry_on),
        (RefusesAMicrosecondTooEarly, nothing_is_redeemed_from_expiry_on),
        (CountsWithoutEnd, _attempts),
        (Overwrites, _collision),
    ],
)
async def test_a_broken_store_is_caught(
    broken: type[MemoryStore], claim: Callable[[MemoryStore, Clock], Awaitable[None]]
) -> None:
    clock = Clock()
    with pytest.raises(AssertionError):
        await claim(broken(clock), clock)
    sound = MemoryStore(clock)
    await claim(sound, clock)
