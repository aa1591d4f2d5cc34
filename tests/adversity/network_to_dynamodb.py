"""A bad network between service and DynamoDB: every caller hears "unknown" or the truth, and one redemption stands."""

import asyncio
import random
import re
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.emulation import emulator

from counterfoil.aws.calls import TRIES
from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.stores import dynamodb
from counterfoil.stores.dynamodb import DynamoDbStore
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.contract.engines import ON_THE_EMULATOR, PATIENCE_S
from tests.support.broken_stores import DynamoDbForgetsItsWrites
from tests.support.clock import Clock
from tests.support.fault_proxy import Fault, fault_proxy
from tests.support.load import shared_out
from tests.support.parts import Parts, decoded, heard, made_parts
from tests.support.weather import AFTER_THE_EFFECT, BEFORE_THE_EFFECT, Weather

_WORKERS = 4
_FAULTS_MAX = 4
_CONTROL_CASES = 12
_REDEMPTION_ID = re.compile(rb'"(case-\d+)"')
_READ_KEY = re.compile(rb'"Key": *{"pk": *{"B": *"([^"]+)"')
_UNKNOWN, _ACCEPTED, _REPLAYED = "503", "accepted", "replayed"


def _played(kind: type[DynamoDbStore], first: int, last: int) -> Figures:
    figures = Figures()

    async def play() -> None:
        assert ON_THE_EMULATOR.running is not None
        with fault_proxy(ON_THE_EMULATOR.running.url) as proxy, TemporaryDirectory() as folder:
            proxy.stall_s = 0.5
            weather, clock = Weather(proxy, _name), Clock()
            client, table = ON_THE_EMULATOR.fresh_table(proxy.url)
            store = kind(client, table, clock, deadline_s=PATIENCE_S)
            parts = made_parts(Path(folder), store=store, clock=clock)
            await shared_out(range(first, last), [partial(_one_case, figures, parts, weather)] * _WORKERS)
            await store.close()

    with ON_THE_EMULATOR.started():
        asyncio.run(play())
    return figures


def _name(request: bytes) -> str:
    """Of a write that redeems, its redemption id; of a read, its key. Issues go through."""
    pattern = _REDEMPTION_ID if b"DynamoDB_20120810.UpdateItem" in request else _READ_KEY
    found = pattern.search(request)
    return "" if found is None else found[1].decode()


async def _one_case(figures: Figures, parts: Parts, weather: Weather, case: int) -> None:
    chance = random.Random(case)
    writes = _faults(chance)
    redemption_id = f"case-{case}"
    issued = await parts.issue()
    key = b64encode(dynamodb._key(CounterfoilRef("1234", issued["timestamp"]))["B"]).decode()
    weather.announce(redemption_id, writes)
    expected = [*_truth(writes), "already_redeemed"]
    told = []
    for number in range(len(expected)):
        # The store asks again by itself: one read that goes wrong changes nothing.
        weather.announce(key, chance.sample((*BEFORE_THE_EFFECT, *AFTER_THE_EFFECT), chance.randrange(2)))
        asks_as = redemption_id if number < len(expected) - 1 else "another"
        told.append(await _told(parts, issued["passcode"], asks_as))
    figures.counts["answers to writes lost"] += len(weather.kept_back(redemption_id))
    figures.counts["answers to reads lost"] += len(weather.kept_back(key))
    figures.counts.update(f"told {each}" for each in told)
    weather.forget(redemption_id)
    weather.forget(key)
    if told != expected:
        figures.fail(f"case {case}: {writes}: told {told} instead of {expected}")


async def _told(parts: Parts, passcode: str, redemption_id: str) -> str:
    answer = await parts.validate(passcode, key=redemption_id)
    if answer.status != 200:
        return heard(answer)
    return _REPLAYED if decoded(answer)["replayed"] else _ACCEPTED


def _faults(chance: random.Random) -> list[Fault]:
    """What meets the writes of one redemption, one after the other; at least one answer is lost."""
    earlier = [chance.choice((*BEFORE_THE_EFFECT, *AFTER_THE_EFFECT)) for _ in range(chance.randrange(_FAULTS_MAX))]
    return [*earlier, chance.choice(AFTER_THE_EFFECT)]


def _truth(faults: list[Fault]) -> Iterator[str]:
    """What the callers must be told: each asks once, the store writes up to twice for them."""
    writes = iter(faults)
    had_effect = False
    while not had_effect:
        for _ in range(TRIES):
            fault = next(writes, "none")
            had_effect = had_effect or fault not in BEFORE_THE_EFFECT
            if fault in ("none", "duplicated request"):
                yield _ACCEPTED
                return
        yield _UNKNOWN
    # The next caller finds the redemption, and needs no write.
    yield _REPLAYED


LOST_STORE_ANSWERS = Campaign(
    name="lost-store-answers",
    claim="However an answer of DynamoDB is lost, the service says that it does not know, or what stands in the table",
    unit="redemptions",
    sizes=Sizes(full=1000, ci=60, laptop=20),
    run=partial(_played, DynamoDbStore),
    controls={
        "does not know its own writes": lambda: _played(DynamoDbForgetsItsWrites, 0, _CONTROL_CASES).counts["failures"],
    },
    per_chunk=200,
    alone=True,
    missing=emulator.missing,
)
