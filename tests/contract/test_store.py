"""What every store must do, whatever engine is under it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption, State
from counterfoil.model.limits import ATTEMPTS_MAX, CLOCK_TOLERANCE_US, LIFETIME_S_MAX
from counterfoil.model.usage import IssueLimits, LimitReached
from counterfoil.ports.store import Store
from tests.contract.claims import (
    LIFETIME_US,
    MINE,
    a_taken_timestamp_is_not_overwritten,
    exactly_one_of_many_redeems,
    five_mismatches_lock,
    kept,
    made,
    nothing_is_redeemed_from_expiry_on,
)
from tests.contract.engines import Engine
from tests.support.clock import START_US, Clock
from tests.support.journal import mismatch, revocation

NOWHERE = CounterfoilRef("1234", 1)


@pytest.mark.parametrize("seed_copy", [None, b"", b"copy"])
async def test_what_is_found_is_what_was_inserted(store: Store, seed_copy: bytes | None) -> None:
    counterfoil = made("cliént-日本", seed_copy=seed_copy)
    assert await store.find(await kept(store, counterfoil)) == counterfoil


async def test_a_taken_timestamp_is_not_overwritten(store: Store) -> None:
    await a_taken_timestamp_is_not_overwritten(store)


async def test_two_clients_share_a_timestamp_without_touching_each_other(store: Store) -> None:
    one, other = await kept(store, made("one")), await kept(store, made("other"))
    assert (await store.redeem(one, MINE, ATTEMPTS_MAX)).applied
    found = await store.find(other)
    assert found is not None
    assert found.state is State.ISSUED


async def test_what_happens_to_one_clients_passcode_happens_to_no_other_of_its_microsecond(store: Store) -> None:
    others = [await kept(store, made(client_id)) for client_id in ("0", "1235", "4321")]
    others.append(await kept(store, made(timestamp_us=START_US + 1)))
    for change in ("count", "revoke", "redeem"):
        ref = await kept(store, made(f"1234-{change}"))
        if change == "count":
            outcome = await store.count_mismatch(ref, ATTEMPTS_MAX, mismatch(ref))
        elif change == "revoke":
            outcome = await store.revoke(ref, revocation(ref))
        else:
            outcome = await store.redeem(ref, MINE, ATTEMPTS_MAX)
        assert outcome.applied
        assert outcome.counterfoil is not None
        assert outcome.counterfoil.ref == ref
        for other in others:
            assert await store.find(other) == made(*other)


async def test_exactly_one_of_256_redeemers_wins(store: Store) -> None:
    await exactly_one_of_many_redeems(store)


async def test_exactly_one_of_256_redeemers_in_8_threads_wins(store: Store) -> None:
    ref = await kept(store)

    async def redeem_32(thread: int) -> int:
        ids = (Redemption(f"{thread}-{number}", "backend") for number in range(32))
        outcomes = await asyncio.gather(*(store.redeem(ref, redemption, ATTEMPTS_MAX) for redemption in ids))
        return sum(outcome.applied for outcome in outcomes)

    with ThreadPoolExecutor(8) as threads:
        loop = asyncio.get_running_loop()
        wins = await asyncio.gather(*(loop.run_in_executor(threads, asyncio.run, redeem_32(thread)) for thread in range(8)))
    assert sum(wins) == 1


async def test_it_is_redeemed_before_expiry_and_not_from_expiry_on(store: Store, clock: Clock) -> None:
    await nothing_is_redeemed_from_expiry_on(store, clock)


async def test_a_clock_that_stepped_back_before_the_passcode_decides_nothing(store: Store, clock: Clock) -> None:
    ref = await kept(store)
    clock.now_us = START_US - CLOCK_TOLERANCE_US - 1
    for outcome in (
        await store.redeem(ref, MINE, ATTEMPTS_MAX),
        await store.count_mismatch(ref, ATTEMPTS_MAX, mismatch(ref)),
    ):
        assert (outcome.applied, outcome.counterfoil) == (False, made())
    clock.now_us += 1
    assert (await store.redeem(ref, MINE, ATTEMPTS_MAX)).applied


async def test_a_redemption_is_recorded_with_the_deciding_clock(store: Store, clock: Clock) -> None:
    ref = await kept(store, made(seed_copy=b"copy"))
    clock.advance_s(1)
    outcome = await store.redeem(ref, MINE, ATTEMPTS_MAX)
    expected = replace(made(), state=State.REDEEMED, redemption=MINE, redeemed_at_us=START_US + 1_000_000, seed_copy=b"")
    assert outcome.counterfoil == expected == await store.find(ref)


async def test_the_same_redemption_asked_again_is_shown_that_it_is_its_own(store: Store) -> None:
    ref = await kept(store)
    first = await store.redeem(ref, MINE, ATTEMPTS_MAX)
    again = await store.redeem(ref, MINE, ATTEMPTS_MAX)
    assert (first.applied, again.applied) == (True, False)
    assert again.counterfoil == first.counterfoil


async def test_five_of_1000_mismatches_are_counted_and_lock(store: Store) -> None:
    await five_mismatches_lock(store)


async def test_four_mismatches_leave_the_fifth_try_to_succeed(store: Store) -> None:
    ref = await kept(store)
    for attempts in range(1, ATTEMPTS_MAX):
        outcome = await store.count_mismatch(ref, ATTEMPTS_MAX, mismatch(ref))
        assert outcome.counterfoil == replace(made(), attempts=attempts)
    assert (await store.redeem(ref, MINE, ATTEMPTS_MAX)).applied


async def test_a_mismatch_is_not_counted_from_expiry_on(store: Store, clock: Clock) -> None:
    ref = await kept(store)
    clock.now_us += LIFETIME_US
    outcome = await store.count_mismatch(ref, ATTEMPTS_MAX, mismatch(ref))
    assert not outcome.applied
    assert outcome.counterfoil == made()


async def test_a_revoked_counterfoil_is_never_redeemed(store: Store) -> None:
    ref = await kept(store, made(seed_copy=b"copy"))
    revoked = await store.revoke(ref, revocation(ref))
    assert revoked.applied
    assert revoked.counterfoil == replace(made(), state=State.REVOKED, seed_copy=b"")
    for outcome in (
        await store.redeem(ref, MINE, ATTEMPTS_MAX),
        await store.count_mismatch(ref, ATTEMPTS_MAX, mismatch(ref)),
        await store.revoke(ref, revocation(ref)),
    ):
        assert not outcome.applied
        assert outcome.counterfoil == revoked.counterfoil


async def test_an_expired_counterfoil_can_be_revoked(store: Store, clock: Clock) -> None:
    ref = await kept(store)
    clock.now_us += LIFETIME_US
    assert (await store.revoke(ref, revocation(ref))).applied


async def test_a_redeemed_counterfoil_cannot_be_revoked(store: Store) -> None:
    ref = await kept(store)
    await store.redeem(ref, MINE, ATTEMPTS_MAX)
    outcome = await store.revoke(ref, revocation(ref))
    assert not outcome.applied
    assert outcome.counterfoil is not None
    assert outcome.counterfoil.state is State.REDEEMED


async def test_what_is_not_there_is_none_and_nothing_is_applied(store: Store) -> None:
    assert await store.find(NOWHERE) is None
    for outcome in (
        await store.redeem(NOWHERE, MINE, ATTEMPTS_MAX),
        await store.count_mismatch(NOWHERE, ATTEMPTS_MAX, mismatch(NOWHERE)),
        await store.revoke(NOWHERE, revocation(NOWHERE)),
    ):
        assert (outcome.applied, outcome.counterfoil) == (False, None)


async def test_a_ready_store_says_so(store: Store) -> None:
    await store.check_ready()


# -- limits --

RATE = IssueLimits(rate_per_s=2, burst=3, outstanding_max=0)
CAP = IssueLimits(rate_per_s=0, burst=1, outstanding_max=2)
# Outstanding to the end of the eight seconds in which it expires.
OUTSTANDING_LONGER_US = 8_000_000


def _next(clock: Clock, number: int, client_id: str = "1234") -> Counterfoil:
    return made(client_id, clock.now_us + number)


async def test_a_burst_is_free_and_then_the_rate_applies(limiting_store: Store, clock: Clock) -> None:
    for number in range(3):
        assert await limiting_store.insert(_next(clock, number), RATE) == "stored"
    reached = await limiting_store.insert(_next(clock, 3), RATE)
    assert isinstance(reached, LimitReached)
    assert reached.retry_after_s == 1
    assert await limiting_store.find(_next(clock, 3).ref) is None
    clock.advance_s(0.5)
    assert await limiting_store.insert(_next(clock, 4), RATE) == "stored"
    assert isinstance(await limiting_store.insert(_next(clock, 5), RATE), LimitReached)


async def test_one_clients_rate_is_not_anothers(limiting_store: Store, clock: Clock) -> None:
    for number in range(3):
        await limiting_store.insert(_next(clock, number), RATE)
    assert await limiting_store.insert(_next(clock, 0, "another"), RATE) == "stored"


async def test_a_taken_timestamp_costs_nothing_of_the_rate(limiting_store: Store, clock: Clock) -> None:
    outcomes = [await limiting_store.insert(_next(clock, 0), RATE) for _ in range(10)]
    assert outcomes == ["stored"] + ["timestamp_taken"] * 9
    assert await limiting_store.insert(_next(clock, 1), RATE) == "stored"


async def test_a_taken_timestamp_costs_nothing_of_the_cap(limiting_store: Store, clock: Clock) -> None:
    taken = IssueLimits(rate_per_s=0, burst=1, outstanding_max=3)
    outcomes = [await limiting_store.insert(_next(clock, 0), taken) for _ in range(10)]
    assert outcomes == ["stored"] + ["timestamp_taken"] * 9
    assert await limiting_store.insert(_next(clock, 1), CAP) == "stored"


async def test_the_cap_counts_concurrent_issues_exactly(limiting_store: Store, clock: Clock) -> None:
    outcomes = await asyncio.gather(*(limiting_store.insert(_next(clock, number), CAP) for number in range(50)))
    assert outcomes.count("stored") == 2


@pytest.mark.parametrize("way", ["redeem", "revoke", "lock", "expire"])
async def test_the_cap_is_given_back_when_a_passcode_is_outstanding_no_more(
    limiting_store: Store, clock: Clock, way: str
) -> None:
    first, second = _next(clock, 0), _next(clock, 1)
    assert await limiting_store.insert(first, CAP) == await limiting_store.insert(second, CAP) == "stored"
    assert isinstance(await limiting_store.insert(_next(clock, 2), CAP), LimitReached)
    if way == "redeem":
        await limiting_store.redeem(first.ref, MINE, ATTEMPTS_MAX)
    elif way == "revoke":
        await limiting_store.revoke(first.ref, revocation(first.ref))
    elif way == "lock":
        for _ in range(ATTEMPTS_MAX):
            await limiting_store.count_mismatch(first.ref, ATTEMPTS_MAX, mismatch(first.ref))
    else:
        clock.now_us += LIFETIME_US + OUTSTANDING_LONGER_US
        assert await limiting_store.insert(_next(clock, 4), CAP) == "stored"
    assert await limiting_store.insert(_next(clock, 3), CAP) == "stored"
    assert isinstance(await limiting_store.insert(_next(clock, 5), CAP), LimitReached)


async def test_the_cap_says_when_the_next_passcode_expires(limiting_store: Store, clock: Clock) -> None:
    for number in range(2):
        await limiting_store.insert(_next(clock, number), CAP)
    reached = await limiting_store.insert(_next(clock, 2), CAP)
    assert isinstance(reached, LimitReached)
    clock.advance_s(reached.retry_after_s)
    assert await limiting_store.insert(_next(clock, 3), CAP) == "stored"


# -- the broom --


async def test_the_broom_takes_what_is_past_retention_and_nothing_else(engine: Engine, tmp_path: Path, clock: Clock) -> None:
    if not engine.sweeps:
        pytest.skip(f"{engine.name} leaves removal to its engine")
    store = engine.opened(tmp_path / "swept", clock, 60, True)
    try:
        old = [await kept(store, _next(clock, number)) for number in range(20)]
        clock.now_us += LIFETIME_US + 59_000_000
        for number in range(20):
            await kept(store, _next(clock, number))
        assert None not in [await store.find(ref) for ref in old]
        clock.now_us += (LIFETIME_S_MAX + 1) * 1_000_000
        young = [await kept(store, _next(clock, number)) for number in range(40)]
        assert [await store.find(ref) for ref in old] == [None] * 20
        assert None not in [await store.find(ref) for ref in young]
    finally:
        await store.close()
