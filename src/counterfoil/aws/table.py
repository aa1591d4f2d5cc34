"""A DynamoDB table whose items have one key: three verbs, each on one item, and its answers held against what was asked.

An answer that tells of another item, or of another write, is no answer. Items are in DynamoDB's own form, whose values name
their type; of the types, those that are used. Source: the API Reference of DynamoDB.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypedDict, TypeVar

import msgspec

from counterfoil.aws.call_counts import CONDITION_FAILED
from counterfoil.aws.calls import AwsCalls, AwsUnavailable
from counterfoil.aws.connection import NoAnswer
from counterfoil.aws.json_protocol import Question, Refusal, decoded

R = TypeVar("R")

PARTITION_KEY = "pk"
TTL_ATTRIBUTE = "ttl"
_WITH_OLD = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


class Value(TypedDict, total=False):
    """A text, a number as text, bytes, or a truth value: one of them."""

    S: str
    N: str
    B: bytes
    BOOL: bool


Item: TypeAlias = dict[str, Value]


class ConditionFailed(Exception):
    """The condition did not hold; `item` is what stands there, None for nothing."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("the condition did not hold")
        self.item = item


class Table:
    """One table. Every verb may raise AwsUnavailable, and Refusal, which says nothing of the item."""

    def __init__(self, calls: AwsCalls, name: str) -> None:
        self._calls = calls
        self._name = name

    async def read(self, key: Value) -> Item | None:
        """The item of that key as its last write left it."""
        arguments = self._arguments(Key={PARTITION_KEY: key}, ConsistentRead=True)
        return await self._calls.ask(Question("GetItem", lambda: arguments, lambda body: _own(self._read(body).item, key)))

    async def put(self, item: Item, condition: str, values: Item | None = None) -> None:
        """Writes the item in place of the one that may be there. Raises ConditionFailed."""
        arguments = self._arguments(Item=item, ConditionExpression=condition, **_WITH_OLD)
        if values:
            arguments["ExpressionAttributeValues"] = values
        await self._conditional(Question("PutItem", lambda: arguments, self._read), item[PARTITION_KEY])

    async def update(
        self, key: Value, expression: str, condition: str, *, names: Mapping[str, str], values: Callable[[], Item], leaves: Item
    ) -> Item:
        """The item as the update left it, `leaves` in it. `values` is called when it is sent. Raises ConditionFailed."""

        def arguments() -> Mapping[str, Any]:
            return self._arguments(
                Key={PARTITION_KEY: key},
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values(),
                ReturnValues="ALL_NEW",
                **_WITH_OLD,
            )

        def read(body: bytes) -> Item:
            item = _own(self._read(body).attributes, key)
            if item is None or not leaves.items() <= item.items():
                raise NoAnswer("it is of another write")
            return item

        return await self._conditional(Question("UpdateItem", arguments, read), key)

    def _arguments(self, **rest: Any) -> dict[str, Any]:
        return {"TableName": self._name, "ReturnConsumedCapacity": "TOTAL", **rest}

    def _read(self, body: bytes) -> "_Answer":
        answer = decoded(_ANSWER, body)
        if answer.consumed.table != self._name:
            raise NoAnswer("it is of another table")
        return answer

    async def _conditional(self, question: Question[R], key: Value) -> R:
        try:
            return await self._calls.ask(question)
        except Refusal as refusal:
            if refusal.code != CONDITION_FAILED:
                raise
            try:
                item = _own(decoded(_FAILURE, refusal.body).item, key)
            except NoAnswer as cause:
                raise AwsUnavailable(f"no answer: {cause}") from cause
            raise ConditionFailed(item) from None


class _Consumed(msgspec.Struct, gc=False):
    table: str = msgspec.field(name="TableName")


class _Answer(msgspec.Struct, gc=False):
    """What an answer has. That it names its table is asked for, so that no empty answer passes for "nothing is there"."""

    consumed: _Consumed = msgspec.field(name="ConsumedCapacity")
    item: Item | None = msgspec.field(default=None, name="Item")
    attributes: Item | None = msgspec.field(default=None, name="Attributes")


class _Failure(msgspec.Struct, gc=False):
    item: Item | None = msgspec.field(default=None, name="Item")


_ANSWER, _FAILURE = msgspec.json.Decoder(_Answer), msgspec.json.Decoder(_Failure)


def _own(item: Item | None, key: Value) -> Item | None:
    if item and item.get(PARTITION_KEY) != key:
        raise NoAnswer("it is of another item")
    return item or None
