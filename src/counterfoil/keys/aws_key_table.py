"""The table of wrapped keys. Items are added and replaced, each under a condition; never changed in part."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from counterfoil.aws_calls import AwsCalls, AwsUnavailable, watched_client
from counterfoil.ports.keys import KeysUnavailable

PARTITION_KEY = "pk"
TTL_ATTRIBUTE = "ttl"


class KeyTable:
    """One table. Every verb may raise KeysUnavailable."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = watched_client(dynamodb)
        self._table = table
        self._calls = AwsCalls()

    async def read(self, key: str) -> dict[str, Any] | None:
        answer = await self._asked(self._dynamodb.get_item, Key={PARTITION_KEY: {"S": key}}, ConsistentRead=True)
        item: dict[str, Any] | None = (answer or {}).get("Item")
        return item

    async def add(self, item: dict[str, Any]) -> bool:
        """False when there is one of that name."""
        return await self._asked(self._dynamodb.put_item, Item=item, ConditionExpression="attribute_not_exists(pk)") is not None

    async def replace(self, item: dict[str, Any], previous: dict[str, Any] | None) -> bool:
        """False when what stands there is not the previous one any more."""
        if previous is None:
            return await self.add(item)
        answer = await self._asked(
            self._dynamodb.put_item,
            Item=item,
            ConditionExpression="key_id = :previous",
            ExpressionAttributeValues={":previous": previous["key_id"]},
        )
        return answer is not None

    async def _asked(self, call: Callable[..., Any], **arguments: Any) -> dict[str, Any] | None:
        """The answer; None when the condition did not hold."""
        try:
            answer: dict[str, Any] = await self._calls.run(lambda: call(TableName=self._table, **arguments))
        except AwsUnavailable as fault:
            raise KeysUnavailable(f"the table of keys: {fault}") from fault
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ConditionalCheckFailedException":
                return None
            raise KeysUnavailable(f"the table of keys refused the call: {code}") from error
        return answer
