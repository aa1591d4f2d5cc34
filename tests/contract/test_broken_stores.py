"""Negative controls: stores broken on purpose, which the very claims that guard the promises must catch."""

from collections.abc import Awaitable, Callable

import pytest

from counterfoil.stores.memory import MemoryStore
from tests.contract.claims import (
    a_taken_timestamp_is_not_overwritten,
    exactly_one_of_many_redeems,
    five_mismatches_lock,
    nothing_is_redeemed_from_expiry_on,
)
from tests.support.broken_stores import (
    CountsWithoutEnd,
    DropsTheCondition,
    Overwrites,
    ReadsThenWrites,
    RefusesAMicrosecondTooEarly,
)
from tests.support.clock import Clock


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
        (DropsTheCondition, nothing_is_redeemed_from_expiry_on),
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
