"""Data keys that AWS KMS wraps, kept wrapped in a DynamoDB table of their own and shared by all instances of a deployment.

A key is made when the primary one is older than `reuse_s`, or has sealed `reuse_max` passcodes in this process; so a busy
service calls KMS a few times in minutes, and never per passcode. Key ids are unique by a conditional write. The epoch is a
setting of the deployment and part of the context under which KMS wraps, so a table that is put back opens nothing of
an earlier epoch: KMS itself refuses.

    {"pk": "primary#<epoch>", "key_id", "created_at_us"}       which key seals; replaced only if nobody else replaced it
    {"pk": "key#<key id>", "epoch", "wrapped", "created_at_us", "ttl"}
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from counterfoil.aws.client import AwsClient
from counterfoil.aws.table import PARTITION_KEY, TTL_ATTRIBUTE, Item
from counterfoil.keys.aws_key_table import KeyTable
from counterfoil.keys.aws_kms import KmsDeployment, ManagedKey
from counterfoil.model.limits import CLOCK_TOLERANCE_US, KEY_ID_BYTES, MICROSECONDS_PER_S, SEALED_CONTEXT_LIFETIME_S_MAX
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.keys import DataKey, KeyList, KeysUnavailable, ListedKey

R = TypeVar("R")

REUSE_S_DEFAULT = 300
REUSE_MAX_DEFAULT = 1_000_000
# So long may an instance go on opening with a key that was taken out of the table.
_CACHED_S = 300
_CACHED_MAX = 256
# Whoever makes no keys seals contexts under the last one made, which is kept until the longest-lived of them is over.
_SEALS_S_MAX = SEALED_CONTEXT_LIFETIME_S_MAX
_KEPT_S = _SEALS_S_MAX + SEALED_CONTEXT_LIFETIME_S_MAX + 24 * 3600


class KmsDataKeys:
    """The key provider over KMS and a table of wrapped keys. With `makes_keys=False` it only uses what others made."""

    def __init__(
        self,
        kms: AwsClient,
        dynamodb: AwsClient,
        table: str,
        deployment: KmsDeployment,
        now_us: NowUs,
        *,
        reuse_s: int = REUSE_S_DEFAULT,
        reuse_max: int = REUSE_MAX_DEFAULT,
        makes_keys: bool = True,
        token_bytes: TokenBytes = secrets.token_bytes,
    ) -> None:
        self._managed = ManagedKey(kms, deployment)
        self._table = KeyTable(dynamodb, table)
        self._deployment = deployment
        self._now_us = now_us
        self._reuse_us = reuse_s * MICROSECONDS_PER_S
        self._reuse_max = reuse_max
        self._makes_keys = makes_keys
        self._token_bytes = token_bytes
        self._primary: _Primary | None = None
        self._unwrapped: dict[bytes, tuple[DataKey, int]] = {}
        self._shared = _Shared()

    def primary_created_at_us(self) -> int | None:
        """As this process last saw it in the table."""
        return None if self._primary is None else self._primary.created_at_us

    async def sealing_key(self) -> DataKey:
        primary = self._primary
        while primary is None or not self._is_fresh(primary):
            # Looked at again after the wait: as many as waited with this one may have used the key up.
            primary = await self._shared.by("primary", self._next_primary)
        primary.used += 1
        return primary.key

    async def opening_key(self, key_id: bytes) -> DataKey | None:
        kept = self._unwrapped.get(key_id)
        if kept is not None and self._now_us() - kept[1] < _CACHED_S * MICROSECONDS_PER_S:
            return kept[0]
        return await self._shared.by(key_id.hex(), lambda: self._fetched(key_id))

    async def listed(self) -> KeyList:
        """The primary key alone: to list the others would be to go through the whole table."""
        pointer = await self._table.read(self._pointer)
        keys = [] if pointer is None else [_listed(pointer)]
        return KeyList(self._deployment.epoch, tuple(keys), is_whole=False, rotates_itself=True)

    def _is_fresh(self, primary: "_Primary") -> bool:
        now_us = self._now_us()
        if now_us - primary.seen_at_us >= self._reuse_us:
            # Another instance may have made the next one long ago.
            return False
        if primary.created_at_us > now_us + CLOCK_TOLERANCE_US:
            # By a clock that is wrong; it would be fresh for as long.
            return False
        age_us = now_us - primary.created_at_us
        if not self._makes_keys:
            return age_us < _SEALS_S_MAX * MICROSECONDS_PER_S
        return age_us < self._reuse_us and primary.used < self._reuse_max

    async def _next_primary(self) -> "_Primary":
        """The primary that the table has, while it is fresh; otherwise a new one, or the one that somebody else made first."""
        pointer = await self._table.read(self._pointer)
        primary = None if pointer is None else await self._pointed_at(pointer)
        if primary is None or not self._is_fresh(primary):
            if not self._makes_keys:
                raise KeysUnavailable("there is no fresh data key; the next passcode issued makes one")
            primary = await self._made(pointer)
        self._primary = primary
        return primary

    async def _pointed_at(self, pointer: Item) -> "_Primary | None":
        key = await self.opening_key(bytes.fromhex(pointer["key_id"]["S"]))
        if key is None:
            return None
        known = self._primary
        used = known.used if known is not None and known.key.key_id == key.key_id else 0
        return _Primary(key, int(pointer["created_at_us"]["N"]), self._now_us(), used)

    async def _made(self, pointer: Item | None) -> "_Primary":
        now_us = self._now_us()
        key = await self._kept(now_us)
        item: Item = {
            PARTITION_KEY: {"S": self._pointer},
            "key_id": {"S": key.key_id.hex()},
            "created_at_us": {"N": str(now_us)},
        }
        if await self._table.replace(item, pointer):
            self._keep_unwrapped(key)
            return _Primary(key, now_us, now_us)
        # Somebody else was first; the key just made stays unused.
        pointer = await self._table.read(self._pointer)
        primary = None if pointer is None else await self._pointed_at(pointer)
        if primary is None:
            raise KeysUnavailable("the primary key changed while it was looked up")
        return primary

    async def _kept(self, now_us: int) -> DataKey:
        """A new key, in the table under an id that no key has or had."""
        while True:
            key_id = self._token_bytes(KEY_ID_BYTES)
            made = await self._managed.fresh("data-key", {"key_id": key_id.hex()})
            item: Item = {
                PARTITION_KEY: {"S": f"key#{key_id.hex()}"},
                "epoch": {"N": str(self._deployment.epoch)},
                "wrapped": {"B": made.wrapped},
                "created_at_us": {"N": str(now_us)},
                TTL_ATTRIBUTE: {"N": str(now_us // MICROSECONDS_PER_S + _KEPT_S)},
            }
            if await self._table.add(item):
                return DataKey(key_id, made.material)

    async def _fetched(self, key_id: bytes) -> DataKey | None:
        item = await self._table.read(f"key#{key_id.hex()}")
        if item is None or int(item["epoch"]["N"]) != self._deployment.epoch:
            self._unwrapped.pop(key_id, None)
            return None
        material = await self._managed.opened("data-key", item["wrapped"]["B"], {"key_id": key_id.hex()})
        if material is None:
            # Wrapped under another stage or epoch, whatever the item says.
            return None
        key = DataKey(key_id, material)
        self._keep_unwrapped(key)
        return key

    def _keep_unwrapped(self, key: DataKey) -> None:
        self._unwrapped.pop(key.key_id, None)
        while len(self._unwrapped) >= _CACHED_MAX:
            del self._unwrapped[next(iter(self._unwrapped))]
        self._unwrapped[key.key_id] = (key, self._now_us())

    @property
    def _pointer(self) -> str:
        return f"primary#{self._deployment.epoch}"


def _listed(pointer: Item) -> ListedKey:
    return ListedKey(bytes.fromhex(pointer["key_id"]["S"]), "primary", int(pointer["created_at_us"]["N"]))


@dataclass(slots=True)
class _Primary:
    key: DataKey
    created_at_us: int
    seen_at_us: int
    used: int = 0


class _Shared:
    """Makes a burst of equal questions one question: who asks while it is under way waits for the same answer."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Task[Any]] = {}

    async def by(self, name: str, ask: Callable[[], Awaitable[R]]) -> R:
        task = self._under_way.get(name)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            task = self._under_way[name] = asyncio.ensure_future(_awaited(ask))
            task.add_done_callback(lambda done: self._forget(name, done))
        # Shielded: one caller who goes away takes nobody's answer along.
        answer: R = await asyncio.shield(task)
        return answer

    def _forget(self, name: str, done: "asyncio.Task[Any]") -> None:
        if self._under_way.get(name) is done:
            del self._under_way[name]
        if not done.cancelled():
            # Looked at, so that an error that nobody waited for is not reported as lost.
            done.exception()


async def _awaited(ask: Callable[[], Awaitable[R]]) -> R:
    return await ask()
