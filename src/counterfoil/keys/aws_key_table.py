"""The table of wrapped keys. Items are added and replaced, each under a condition; never changed in part."""

from collections.abc import Awaitable
from typing import TypeVar

from counterfoil.aws.calls import AwsCalls, AwsUnavailable
from counterfoil.aws.client import AwsClient
from counterfoil.aws.json_protocol import Refusal
from counterfoil.aws.table import ConditionFailed, Item, Table
from counterfoil.ports.keys import KeysUnavailable

R = TypeVar("R")


class KeyTable:
    """One table. Every verb may raise KeysUnavailable."""

    def __init__(self, dynamodb: AwsClient, table: str) -> None:
        self._table = Table(AwsCalls(dynamodb), table)

    async def read(self, key: str) -> Item | None:
        return await _told(self._table.read({"S": key}))

    async def add(self, item: Item) -> bool:
        """False when there is one of that name."""
        return await self._is_put(item, "attribute_not_exists(pk)")

    async def replace(self, item: Item, previous: Item | None) -> bool:
        """False when what stands there is not the previous one any more."""
        if previous is None:
            return await self.add(item)
        return await self._is_put(item, "key_id = :previous", {":previous": previous["key_id"]})

    async def _is_put(self, item: Item, condition: str, values: Item | None = None) -> bool:
        try:
            await _told(self._table.put(item, condition, values))
        except ConditionFailed:
            return False
        return True


async def _told(asked: Awaitable[R]) -> R:
    """The answer, or the fault in the words of this room's port."""
    try:
        return await asked
    except AwsUnavailable as fault:
        raise KeysUnavailable(f"the table of keys: {fault}") from fault
    except Refusal as refusal:
        raise KeysUnavailable(f"the table of keys refused the call: {refusal.code}") from refusal
