"""Claims about any store, as functions, so that deliberately broken stores can be held against the same ones."""

import asyncio
from collections import Counter

from msgspec.structs import replace

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption, State
from counterfoil.model.limits import ATTEMPTS_MAX
from counterfoil.ports.store import Outcome, Store
from tests.support.clock import START_US, Clock
from tests.support.journal import mismatch

LIFETIME_US = 60_000_000
MINE = Redemption("mine", "backend")


def made(client_id: str = "1234", timestamp_us: int = START_US, *, seed_copy: bytes | None = None) -> Counterfoil:
    """A counterfoil that lives a minute."""
    return Counterfoil(
        client_id=client_id,
        timestamp_us=timestamp_us,
        expires_at_us=timestamp_us + LIFETIME_US,
        key_id=b"\x00\x01\x02\xff",
        passcode_tag=b"p" * 32,
        contexts_tag=b"c" * 32,
        transaction_tag=b"\x00" * 32,
        issuer_id="00112233",
        seed_copy=seed_copy,
    )


async def kept(store: Store, counterfoil: Counterfoil | None = None) -> CounterfoilRef:
    """A counterfoil put into the store; its name."""
    counterfoil = counterfoil or made()
    assert await store.insert(counterfoil, None) == "stored"
    return counterfoil.ref


async def exactly_one_of_many_redeems(store: Store, many: int = 256) -> None:
    """However many ask at once, one write is applied, and everybody else is shown the winner."""
    ref = await kept(store)
    outcomes = await asyncio.gather(
        *(store.redeem(ref, Redemption(f"id-{number}", "backend"), ATTEMPTS_MAX) for number in range(many))
    )
    winners = [outcome for outcome in outcomes if outcome.applied]
    assert len(winners) == 1
    assert winners[0].counterfoil is not None
    seen = Counter(outcome.counterfoil.redemption for outcome in outcomes if outcome.counterfoil)
    assert seen == {winners[0].counterfoil.redemption: many}


async def nothing_is_redeemed_from_expiry_on(store: Store, clock: Clock) -> None:
    """Accepted one microsecond before `expires_at`; not at it, and not one after."""
    for late_us, applied in ((-1, True), (0, False), (1, False)):
        ref = await kept(store, made(timestamp_us=clock.now_us))
        clock.now_us += LIFETIME_US + late_us
        outcome = await store.redeem(ref, MINE, ATTEMPTS_MAX)
        assert outcome.applied is applied, late_us
        assert outcome.now_us == clock.now_us
        clock.now_us += 10


async def five_mismatches_lock(store: Store, many: int = 1000) -> None:
    """Of any number of concurrent mismatches five are counted; then it is locked, also for the right one."""
    ref = await kept(store)
    outcomes: list[Outcome] = await asyncio.gather(
        *(store.count_mismatch(ref, ATTEMPTS_MAX, mismatch(ref)) for _ in range(many))
    )
    assert sum(outcome.applied for outcome in outcomes) == ATTEMPTS_MAX
    found = await store.find(ref)
    assert found is not None
    assert (found.state, found.attempts) == (State.LOCKED, ATTEMPTS_MAX)
    assert not (await store.redeem(ref, MINE, ATTEMPTS_MAX)).applied


async def a_taken_timestamp_is_not_overwritten(store: Store) -> None:
    """The second counterfoil of one client and microsecond is turned away, and the first one stays."""
    ref = await kept(store)
    assert await store.insert(replace(made(), passcode_tag=b"x" * 32), None) == "timestamp_taken"
    found = await store.find(ref)
    assert found is not None
    assert found.passcode_tag == made().passcode_tag
