"""Stores broken on purpose, by one rule each: what claims and campaigns must catch, or they show nothing."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from msgspec.structs import replace

from counterfoil.aws.table import ConditionFailed
from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption, State
from counterfoil.model.journal import Entry, accepted
from counterfoil.model.limits import ATTEMPTS_MAX
from counterfoil.model.usage import IssueLimits, LimitReached
from counterfoil.ports.store import Inserted, Outcome, Store
from counterfoil.stores import sqlite
from counterfoil.stores.dynamodb import DynamoDbStore
from counterfoil.stores.memory import MemoryStore
from counterfoil.stores.sqlite import SqliteStore
from tests.support.journal import mismatch

R = TypeVar("R")

BURNT = Redemption("burnt", "nobody")


async def _refused_by_a_look(store: Store, ref: CounterfoilRef) -> Outcome | None:
    """What a read says, a moment before the write; None where nothing speaks against redeeming."""
    found = await store.find(ref)
    await asyncio.sleep(0)
    return None if found is not None and found.state is State.ISSUED else Outcome(False, found, 0)


# -- in memory --


class DropsTheCondition(MemoryStore):
    """Redeems whatever is there."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        now_us = self._now_us()
        changed = replace(self._counterfoils[ref], state=State.REDEEMED, redemption=redemption, redeemed_at_us=now_us)
        return self._changed(changed, now_us, accepted(ref, redemption))


class ReadsThenWrites(DropsTheCondition):
    """Redeems what it read a moment ago."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        return await _refused_by_a_look(self, ref) or await super().redeem(ref, redemption, attempts_max)


class RefusesAMicrosecondTooEarly(MemoryStore):
    """Takes the last valid microsecond for the first bad one."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        found = self._counterfoils[ref]
        if self._now_us() >= found.expires_at_us - 1:
            return Outcome(False, found, self._now_us())
        return await super().redeem(ref, redemption, attempts_max)


class ForgetsTheRedemptionId(MemoryStore):
    """Knows that it was redeemed, and not by whom: a retry hears what a thief would."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        outcome = await super().redeem(ref, redemption, attempts_max)
        if outcome.applied and outcome.counterfoil is not None:
            self._counterfoils[ref] = replace(outcome.counterfoil, redemption=BURNT)
        return outcome


class ForgetsTheRedemption(MemoryStore):
    """Says that it is redeemed, and keeps nothing of it."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        before = self._counterfoils[ref]
        outcome = await super().redeem(ref, redemption, attempts_max)
        self._counterfoils[ref] = before
        return outcome


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


# -- in SQLite --


class SqliteDropsTheCondition(SqliteStore):
    """Changes whatever is there."""

    def _change(self, statement: str, *rest: Any) -> Any:
        return super()._change(statement.replace(sqlite._JUDGEABLE, sqlite._NAMED), *rest)


class SqliteReadsThenWrites(SqliteDropsTheCondition):
    """Redeems what it read a moment ago."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        return await _refused_by_a_look(self, ref) or await super().redeem(ref, redemption, attempts_max)


class SqliteCountsInMemory(SqliteStore):
    """Counts mismatches where a crash forgets them."""

    async def count_mismatch(self, ref: CounterfoilRef, *rest: Any) -> Outcome:
        counted: dict[CounterfoilRef, int] = self.__dict__.setdefault("counted", {})
        found = await self.find(ref)
        assert found is not None
        if counted.setdefault(ref, 0) >= ATTEMPTS_MAX:
            return Outcome(False, replace(found, state=State.LOCKED), self._now_us())
        counted[ref] += 1
        return Outcome(True, replace(found, attempts=counted[ref]), self._now_us())


class SqliteRedeemsBeforeItLooks(SqliteStore):
    """Burns the passcode for whoever names it, before anything is compared."""

    async def find(self, ref: CounterfoilRef) -> Counterfoil | None:
        await self.redeem(ref, BURNT, ATTEMPTS_MAX)
        return await super().find(ref)


class SqliteCountsBeforeItLooks(SqliteStore):
    """Lets whoever names a passcode spend its attempts."""

    async def find(self, ref: CounterfoilRef) -> Counterfoil | None:
        await self.count_mismatch(ref, ATTEMPTS_MAX, mismatch(ref))
        return await super().find(ref)


# -- in DynamoDB --


class DynamoDbDropsTheCondition(DynamoDbStore):
    """Changes whatever is there."""

    async def _change(self, ref: CounterfoilRef, update: str, condition: str, *rest: Any, **more: Any) -> Outcome:
        return await super()._change(ref, update, f"attribute_exists(pk) OR ({condition})", *rest, **more)


class DynamoDbReadsThenWrites(DynamoDbDropsTheCondition):
    """Redeems what it read a moment ago."""

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        return await _refused_by_a_look(self, ref) or await super().redeem(ref, redemption, attempts_max)


class DynamoDbForgetsItsWrites(DynamoDbStore):
    """Takes its own write, whose answer was lost, for somebody else's."""

    async def _told(self, asked: Awaitable[R]) -> R:
        try:
            return await super()._told(asked)
        except ConditionFailed as failed:
            (failed.item or {}).pop("write_id", None)
            raise
