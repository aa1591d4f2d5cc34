"""Store and keys with a span around each verb. Of what a verb is handed and gives, attributes have the outcome alone."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from opentelemetry.trace import Span, Tracer

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption
from counterfoil.model.journal import Entry
from counterfoil.model.usage import IssueLimits, LimitReached
from counterfoil.ports.keys import DataKey, KeyProvider, OwnKey, OwnKeys
from counterfoil.ports.store import Inserted, Outcome, Store
from counterfoil.telemetry.spans import OUTCOME, span_of


class TracedStore:
    """A store; spans are called `store.` and the verb."""

    def __init__(self, store: Store, tracer: Tracer, system: str | None) -> None:
        """`system` is what the semantic conventions for databases call it; None where they have no name."""
        self._store = store
        self._tracer = tracer
        self._system = {} if system is None else {"db.system.name": system}

    async def insert(self, counterfoil: Counterfoil, limits: IssueLimits | None) -> Inserted | LimitReached:
        with self._step("insert") as span:
            inserted = await self._store.insert(counterfoil, limits)
            span.set_attribute(OUTCOME, "limit_reached" if isinstance(inserted, LimitReached) else inserted)
            return inserted

    async def find(self, ref: CounterfoilRef) -> Counterfoil | None:
        with self._step("find") as span:
            found = await self._store.find(ref)
            span.set_attribute(OUTCOME, "found" if found else "not_found")
            return found

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        with self._step("redeem") as span:
            return _told(span, await self._store.redeem(ref, redemption, attempts_max))

    async def count_mismatch(self, ref: CounterfoilRef, attempts_max: int, entry: Entry) -> Outcome:
        with self._step("count_mismatch") as span:
            return _told(span, await self._store.count_mismatch(ref, attempts_max, entry))

    async def revoke(self, ref: CounterfoilRef, entry: Entry) -> Outcome:
        with self._step("revoke") as span:
            return _told(span, await self._store.revoke(ref, entry))

    async def record(self, entry: Entry) -> None:
        with self._step("record"):
            await self._store.record(entry)

    async def check_ready(self) -> None:
        with self._step("check_ready"):
            await self._store.check_ready()

    async def close(self) -> None:
        await self._store.close()

    def _step(self, verb: str) -> AbstractContextManager[Span]:
        return span_of(self._tracer, f"store.{verb}", {**self._system, "db.operation.name": verb})


class TracedKeys:
    """A key provider; spans are called `keys.` and the verb."""

    def __init__(self, keys: KeyProvider, tracer: Tracer) -> None:
        self._keys = keys
        self._tracer = tracer

    async def sealing_key(self) -> DataKey:
        with span_of(self._tracer, "keys.sealing_key", {}):
            return await self._keys.sealing_key()

    async def opening_key(self, key_id: bytes) -> DataKey | None:
        with span_of(self._tracer, "keys.opening_key", {}) as span:
            key = await self._keys.opening_key(key_id)
            span.set_attribute(OUTCOME, "found" if key else "not_found")
            return key


class TracedOwnKeys:
    """Strict mode's keys; spans are called `own_keys.` and the verb."""

    def __init__(self, own_keys: OwnKeys, tracer: Tracer) -> None:
        self._own_keys = own_keys
        self._tracer = tracer

    async def fresh(self, key_context: Mapping[str, str]) -> OwnKey:
        with span_of(self._tracer, "own_keys.fresh", {}):
            return await self._own_keys.fresh(key_context)

    async def opened(self, wrapped: bytes, key_context: Mapping[str, str]) -> bytes | None:
        with span_of(self._tracer, "own_keys.opened", {}) as span:
            material = await self._own_keys.opened(wrapped, key_context)
            span.set_attribute(OUTCOME, "found" if material else "not_found")
            return material


def _told(span: Span, outcome: Outcome) -> Outcome:
    span.set_attribute(OUTCOME, "applied" if outcome.applied else "not_applied")
    return outcome
