"""The simulated parts: a store, keys and credentials that pause wherever a real one would take time. They decide nothing.

What the store does at its one step is the product's own memory store, which the contract suite holds against every
other store; each process has one, over the same counterfoils and with a clock of its own.
"""

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import replace
from types import coroutine

from counterfoil.keys.keyset_file import KeyRecord, Keyset
from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption
from counterfoil.model.journal import JOURNAL_KEY_BYTES, Entry, JournalKey
from counterfoil.model.principal import Principal, Role
from counterfoil.model.usage import IssueLimits, LimitReached
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.keys import DataKey
from counterfoil.ports.store import Inserted, Outcome
from counterfoil.stores.memory import MemoryStore
from tests.adversity.simulation.plan import ISSUERS, VALIDATORS, Site

RETENTION_US = 3600 * 1_000_000
Disk = dict[CounterfoilRef, Counterfoil]
Journal = deque[tuple[int, Entry]]
PRINCIPALS = {name: Principal(name, f"id of {name}", Role.ISSUER, ("*",)) for name in ISSUERS} | {
    name: Principal(name, f"id of {name}", Role.VALIDATOR) for name in VALIDATORS
}


@coroutine
def pause(site: Site) -> Generator[Site, None, None]:
    """Gives the scheduler its turn."""
    yield site


def kept_on(disk: Disk, journal: Journal, store: type[MemoryStore], now_us: NowUs) -> MemoryStore:
    """One process's store over counterfoils and a journal that outlive it."""
    kept = store(now_us, broom=False)
    kept.journal = journal
    kept._counterfoils = disk
    return kept


class SimulatedStore:
    """The store contract, with a pause before and after each effect."""

    def __init__(self, kept: MemoryStore, now_us: NowUs, happened: Callable[[str], None]) -> None:
        self._kept = kept
        self._now_us = now_us
        self._happened = happened

    async def insert(self, counterfoil: Counterfoil, limits: IssueLimits | None) -> Inserted | LimitReached:
        await pause(Site.BEFORE_WRITE)
        inserted = await self._kept.insert(counterfoil, limits)
        if inserted == "timestamp_taken":
            self._happened("timestamp taken")
        await pause(Site.AFTER_WRITE)
        return inserted

    async def find(self, ref: CounterfoilRef) -> Counterfoil | None:
        await pause(Site.BEFORE_FIND)
        found = await self._kept.find(ref)
        if found is not None and found.expires_at_us + RETENTION_US <= self._now_us():
            self._happened("broom lag")
        await pause(Site.AFTER_FIND)
        return found

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        await pause(Site.BEFORE_WRITE)
        outcome = await self._kept.redeem(ref, redemption, attempts_max)
        await pause(Site.AFTER_WRITE)
        return outcome

    async def count_mismatch(self, ref: CounterfoilRef, attempts_max: int, entry: Entry) -> Outcome:
        await pause(Site.BEFORE_WRITE)
        outcome = await self._kept.count_mismatch(ref, attempts_max, entry)
        await pause(Site.AFTER_WRITE)
        return outcome

    async def revoke(self, ref: CounterfoilRef, entry: Entry) -> Outcome:
        await pause(Site.BEFORE_WRITE)
        outcome = await self._kept.revoke(ref, entry)
        await pause(Site.AFTER_WRITE)
        return outcome

    async def record(self, entry: Entry) -> None:
        await pause(Site.BEFORE_WRITE)
        await self._kept.record(entry)
        await pause(Site.AFTER_WRITE)

    async def check_ready(self) -> None:
        return None

    async def close(self) -> None:
        return None


class SimulatedKeys:
    """The product's keyset, changed by hand. Earlier epochs' material stays, so that the epoch alone retires it."""

    def __init__(self, token_bytes: TokenBytes) -> None:
        self._token_bytes = token_bytes
        record = self._fresh(1)
        self.keyset = Keyset(1, record.key_id, (record,), JournalKey(bytes(JOURNAL_KEY_BYTES)))

    async def sealing_key(self) -> DataKey:
        await pause(Site.KEYS)
        return self.keyset.primary

    async def opening_key(self, key_id: bytes) -> DataKey | None:
        await pause(Site.KEYS)
        return self.keyset.usable.get(key_id)

    def rotate(self) -> None:
        """A fresh primary key."""
        self._set_primary(self.keyset.epoch)

    def retire_oldest(self) -> bytes | None:
        """Retires the oldest key but the primary one; its id."""
        for record in self.keyset.records:
            if record.key_id in self.keyset.usable and record.key_id != self.keyset.primary_id:
                left = tuple(other for other in self.keyset.records if other is not record)
                self.keyset = replace(self.keyset, records=left)
                return record.key_id
        return None

    def bump_epoch(self) -> list[bytes]:
        """The next epoch; the ids of the keys that it retires."""
        retired = list(self.keyset.usable)
        self._set_primary(self.keyset.epoch + 1)
        return retired

    def _set_primary(self, epoch: int) -> None:
        record = self._fresh(epoch)
        records = (*self.keyset.records, record)
        self.keyset = replace(self.keyset, epoch=epoch, primary_id=record.key_id, records=records)

    def _fresh(self, epoch: int) -> KeyRecord:
        return KeyRecord(self._token_bytes(4), epoch, 0, self._token_bytes(32))


class SimulatedCredentials:
    """Callers by name: their secret is their name. Issuers can be revoked together with their passcodes."""

    def __init__(self) -> None:
        self._callers = PRINCIPALS
        self._revoked: frozenset[str] = frozenset()

    async def principal(self, presented: str) -> Principal | None:
        await pause(Site.CREDENTIALS)
        return self._callers.get(presented)

    async def passcodes_are_revoked(self, credential_id: str) -> bool:
        await pause(Site.CREDENTIALS)
        return credential_id in self._revoked

    def revoke_with_passcodes(self, name: str) -> None:
        """That issuer is nobody from now on, and what it issued is refused."""
        self._callers = {caller: principal for caller, principal in self._callers.items() if caller != name}
        self._revoked |= {PRINCIPALS[name].credential_id}
