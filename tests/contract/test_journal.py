"""What every store tells of its steps: each that was applied has its entry, in order; no other has one."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from counterfoil.model.counterfoil import Redemption
from counterfoil.model.journal import Entry, Event, accepted, issued
from counterfoil.model.limits import ATTEMPTS_MAX
from counterfoil.model.verdict import Reason
from counterfoil.ports.store import Store
from counterfoil.stores.dynamodb import DynamoDbStore
from counterfoil.stores.memory import MemoryStore
from tests.contract.claims import LIFETIME_US, MINE, kept, made
from tests.contract.test_store import NOWHERE
from tests.support.clock import START_US, Clock
from tests.support.journal import mismatch, revocation, verified_entries


def told(store: Store, folder: Path, caplog: pytest.LogCaptureFixture) -> list[Entry]:
    """The entries, by whatever way the store keeps them."""
    if isinstance(store, MemoryStore):
        return [entry for _, entry in store.journal]
    if isinstance(store, DynamoDbStore):
        lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "counterfoil.journal"]
        return [Entry(**{name: value for name, value in line.items() if name != "at"}) for line in lines]
    return verified_entries(folder / "counterfoil.db")


async def test_every_applied_step_leaves_its_entry_in_order(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = made(), made(timestamp_us=START_US + 1)
    refused = Entry(Event.REFUSED, "1234", None, "backend", Reason.MALFORMED_PASSCODE, "id-9")
    for counterfoil in (one, other):
        await kept(store, counterfoil)
    await store.count_mismatch(one.ref, ATTEMPTS_MAX, mismatch(one.ref))
    await store.redeem(one.ref, MINE, ATTEMPTS_MAX)
    await store.record(refused)
    await store.revoke(other.ref, revocation(other.ref))
    expected = [issued(one), issued(other), mismatch(one.ref), accepted(one.ref, MINE), refused, revocation(other.ref)]
    assert told(store, tmp_path, caplog) == expected


async def test_a_step_that_is_not_applied_leaves_none(
    store: Store, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ref = await kept(store)
    assert await store.insert(replace(made(), passcode_tag=b"another's" * 3), None) == "timestamp_taken"
    await store.redeem(NOWHERE, MINE, ATTEMPTS_MAX)
    await store.revoke(NOWHERE, revocation(NOWHERE))
    await store.count_mismatch(NOWHERE, ATTEMPTS_MAX, mismatch(NOWHERE))
    clock.now_us += LIFETIME_US
    await store.redeem(ref, MINE, ATTEMPTS_MAX)
    await store.count_mismatch(ref, ATTEMPTS_MAX, mismatch(ref))
    clock.now_us -= LIFETIME_US
    await store.redeem(ref, MINE, ATTEMPTS_MAX)
    for late in (MINE, Redemption("late", "backend")):
        await store.redeem(ref, late, ATTEMPTS_MAX)
    await store.revoke(ref, revocation(ref))
    assert told(store, tmp_path, caplog) == [issued(made()), accepted(ref, MINE)]


async def test_entries_carry_the_clock_that_decided(
    store: Store, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ref = await kept(store)
    clock.advance_s(3)
    outcome = await store.redeem(ref, MINE, ATTEMPTS_MAX)
    assert outcome.now_us == START_US + 3_000_000
    assert told(store, tmp_path, caplog)[-1] == accepted(ref, MINE)
    assert times(store, tmp_path, caplog) == [START_US, outcome.now_us]


def times(store: Store, folder: Path, caplog: pytest.LogCaptureFixture) -> list[int]:
    if isinstance(store, MemoryStore):
        return [at_us for at_us, _ in store.journal]
    if isinstance(store, DynamoDbStore):
        lines = [record.getMessage() for record in caplog.records if record.name == "counterfoil.journal"]
        return [int(json.loads(line)["at"]) for line in lines]
    from counterfoil.stores.sqlite_journal import stored_journal

    with stored_journal(folder / "counterfoil.db") as found:
        return [record.at_us for record in found.records]
